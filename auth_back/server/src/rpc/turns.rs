//! Whose turn a request waits for, decided on the loop: from the address that it came from, and from what it shows.

use std::net::IpAddr;
use std::sync::Arc;

use addresses::Source;
use credentials::{TokenKeyring, Username};
use lane::{Flow, FlowKeys};

use crate::accounts::NewPassword;
use crate::job::Request;
use crate::keyrings::LiveRing;
use crate::login::Login;

/// Knows flows. Nothing here blocks: keys are those in memory, and no store is asked. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Turns {
    keys: FlowKeys,
    token_keys: Arc<LiveRing<TokenKeyring>>,
}

impl Turns {
    /// Flows under these seeds, for those who show what was signed under these keys.
    #[must_use]
    pub fn new(keys: FlowKeys, token_keys: Arc<LiveRing<TokenKeyring>>) -> Self {
        Self { keys, token_keys }
    }

    /// The flow of a request that came over a connection with `peer`. A request that says no address is the peer's.
    ///
    /// Known is a login with a marker of that very name, and a change of password with a token of ours, live or not:
    /// only the store knows that. So each account has one turn at a time among those who are known, and all the
    /// changes of passwords of one network have one together.
    pub(super) fn flow(&self, request: &Request, peer: IpAddr) -> Flow {
        let address = request.origin().map_or(peer, |origin| origin.client_address);
        let source = Source::of(address);
        match self.known_to(request) {
            Some(account) => self.keys.known(source, account.as_bytes()),
            None => self.keys.stranger(source),
        }
    }

    fn known_to(&self, request: &Request) -> Option<String> {
        match request {
            Request::Authenticate(Login { username, device: Some(device), .. }) => {
                let username = Username::new(username).ok()?;
                self.token_keys.current().check_device(device, &username).ok()?;
                Some(username.as_str().to_owned())
            }
            Request::ChangePassword(NewPassword { token, .. }) => {
                self.token_keys.current().check(token).ok()?;
                // No username begins with a space.
                Some(" session".to_owned())
            }
            _ => None,
        }
    }
}

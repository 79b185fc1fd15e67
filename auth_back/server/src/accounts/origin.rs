//! Where a request came from.

use std::net::IpAddr;

use credentials::Username;
use guard::{Attempt, Known};

/// Where a user's own request came from, as far as is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The user's address, as the front said; where none was said, as in v1, that of the connection's other
    /// side: its users are one party then.
    pub client_address: IpAddr,
    /// Whether a proxy brought the user's request to the front.
    pub is_forwarded: bool,
    /// The user's program, as it calls itself.
    pub user_agent: Option<String>,
}

impl Origin {
    /// Nothing is known but an address.
    #[must_use]
    pub fn at(client_address: IpAddr) -> Self {
        Self { client_address, is_forwarded: false, user_agent: None }
    }

    /// An attempt to log in from here, for the limiter.
    #[must_use]
    pub fn attempt<'a>(&self, username: &'a Username, known: Option<Known<'a>>) -> Attempt<'a> {
        let Self { client_address: address, is_forwarded, .. } = *self;
        Attempt { username, address, is_forwarded, known }
    }
}

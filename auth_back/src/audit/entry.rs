//! What one line tells.

use std::net::IpAddr;

use crate::work::Origin;

/// One thing that was asked, and what came of it.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    pub(super) event: &'a str,
    pub(super) outcome: &'a str,
    pub(super) user_id: Option<u64>,
    pub(super) session_id: Option<u64>,
    pub(super) username: Option<&'a str>,
    pub(super) client: Option<IpAddr>,
    pub(super) user_agent: Option<&'a str>,
    pub(super) request_id: Option<[u8; 16]>,
    /// What an operator had done, and who that operator is to the system.
    pub(super) command: Option<(&'a str, u32)>,
}

impl<'a> Entry<'a> {
    /// `event` came to `outcome`: `ok`, or the code of a refusal.
    #[must_use]
    pub fn new(event: &'a str, outcome: &'a str) -> Self {
        Self {
            event,
            outcome,
            user_id: None,
            session_id: None,
            username: None,
            client: None,
            user_agent: None,
            request_id: None,
            command: None,
        }
    }

    /// What an operator had this program do: the words of the command, without any secret, and the
    /// operator's user id in the system.
    #[must_use]
    pub fn command(words: &'a str, uid: u32, outcome: &'a str) -> Self {
        Self { command: Some((words, uid)), ..Self::new("command", outcome) }
    }

    /// Whose it is.
    #[must_use]
    pub fn user_id(self, id: impl Into<Option<u64>>) -> Self {
        Self { user_id: id.into(), ..self }
    }

    /// The session that was begun, ended or used.
    #[must_use]
    pub fn session_id(self, id: impl Into<Option<u64>>) -> Self {
        Self { session_id: id.into(), ..self }
    }

    /// The username as it was given.
    #[must_use]
    pub fn username(self, name: impl Into<Option<&'a str>>) -> Self {
        Self { username: name.into(), ..self }
    }

    /// Where it came from.
    #[must_use]
    pub fn origin(self, origin: &'a Origin) -> Self {
        Self {
            client: Some(origin.client_address),
            user_agent: origin.user_agent.as_deref(),
            ..self
        }
    }

    /// The same for every sending of one request.
    #[must_use]
    pub fn request_id(self, id: Option<[u8; 16]>) -> Self {
        Self { request_id: id, ..self }
    }
}

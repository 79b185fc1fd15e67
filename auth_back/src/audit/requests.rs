//! Which requests are told of, and what of them.

use super::Entry;
use crate::accounts::AccountError;
use crate::rpc::code_of;
use crate::work::{Done, Request};

impl<'a> Entry<'a> {
    /// What `request` came to; `None` for what is not told (see [`crate::audit`]).
    #[must_use]
    pub fn of(request: &'a Request, outcome: &Result<Done, AccountError>) -> Option<Self> {
        let code = outcome.as_ref().map_or_else(code_of, |_| "ok");
        let entry = match request {
            Request::Register(asked) => Self::new("register", code)
                .username(&*asked.username)
                .origin(&asked.origin)
                .request_id(asked.request_id),
            Request::Authenticate(asked) => Self::new("authenticate", code)
                .username(&*asked.username)
                .origin(&asked.origin)
                .request_id(asked.request_id),
            Request::LogOut(_) => Self::new("logout", code),
            Request::CheckSession(_) | Request::Products(_) | Request::Health => return None,
        };
        Some(match outcome {
            Ok(Done::Registered(user_id)) => entry.user_id(user_id.get()),
            Ok(Done::Authenticated(opened)) => {
                entry.user_id(opened.user_id.get()).session_id(opened.session_id.get())
            }
            Ok(Done::Session(_) | Done::LoggedOut(_) | Done::Products(..) | Done::Health(_))
            | Err(_) => entry,
        })
    }
}

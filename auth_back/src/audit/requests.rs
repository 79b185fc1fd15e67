//! Which requests are told of, and what of them.

use super::Entry;
use crate::accounts::AccountError;
use crate::rpc::code_of;
use crate::work::{Done, Request};

impl<'a> Entry<'a> {
    /// What `request` of the user with the id `whose`, if that is known, came to; `None` for what is not
    /// told (see [`crate::audit`]).
    #[must_use]
    pub fn of(
        request: &'a Request,
        outcome: &Result<Done, AccountError>,
        whose: Option<u64>,
    ) -> Option<Self> {
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
            Request::LogOut(asked) => {
                let event = if asked.all { "logout_everywhere" } else { "logout" };
                Self::new(event, code).origin(&asked.origin)
            }
            Request::RevokeSession(asked) => {
                Self::new("revoke_session", code).session_id(asked.session_id).origin(&asked.origin)
            }
            Request::ChangePassword(asked) => {
                Self::new("change_password", code).origin(&asked.origin)
            }
            Request::CheckSession(_)
            | Request::Products(_)
            | Request::Sessions(_)
            | Request::Health => return None,
        };
        Some(match outcome {
            Ok(Done::Registered(user_id)) => entry.user_id(user_id.get()),
            Ok(Done::Authenticated(opened)) => {
                entry.user_id(opened.user_id.get()).session_id(opened.session_id.get())
            }
            Ok(Done::LoggedOut(ended) | Done::Revoked(ended)) => entry.user_id(ended.user_id),
            Ok(Done::PasswordChanged(changed)) => entry
                .user_id(changed.opened.user_id.get())
                .session_id(changed.opened.session_id.get()),
            Ok(Done::Session(_) | Done::Products(..) | Done::Sessions(_) | Done::Health(_))
            | Err(_) => entry.user_id(whose),
        })
    }
}

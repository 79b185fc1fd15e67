//! Which requests are told of, and what of them.

use super::{Entry, Event, Outcome};
use crate::accounts::AccountError;
use crate::job::{Done, Request};

impl<'a> Entry<'a> {
    /// What `request` of the user with the id `whose`, if that is known, came to; `None` for what is not
    /// told (see [`crate::audit`]).
    #[must_use]
    pub fn of(
        request: &'a Request,
        outcome: &Result<Done, AccountError>,
        whose: Option<u64>,
    ) -> Option<Self> {
        let came_to = match outcome {
            Ok(_) => Outcome::Ok,
            Err(error) => Outcome::Refused(error.code()),
        };
        let entry = match request {
            Request::Register(asked) => {
                Self::new(Event::Register, came_to).username(&*asked.username).origin(&asked.origin)
            }
            Request::Authenticate(asked) => Self::new(Event::Authenticate, came_to)
                .username(&*asked.username)
                .origin(&asked.origin),
            Request::LogOut(asked) => {
                let event = if asked.all { Event::LogoutEverywhere } else { Event::Logout };
                Self::new(event, came_to).origin(&asked.origin)
            }
            Request::RevokeSession(asked) => Self::new(Event::RevokeSession, came_to)
                .session_id(asked.session_id)
                .origin(&asked.origin),
            Request::ChangePassword(asked) => {
                Self::new(Event::ChangePassword, came_to).origin(&asked.origin)
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

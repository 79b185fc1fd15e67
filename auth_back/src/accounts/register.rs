//! Making an account.

use std::sync::Arc;
use std::time::Instant;

use service::sparing;

use super::login::unhashed;
use super::{AccountError, Accounts, Answer, InternalError, profile};
use crate::credentials::{Password, Username};
use crate::ids::UserId;
use crate::limits::REGISTRATION_TRIES_MAX;
use crate::store::{Inserted, NewUser};
use crate::work::Registration;

impl Accounts {
    /// Makes an account. When this returns, it is durable.
    ///
    /// # Errors
    /// [`AccountError`] as its variants say. After [`AccountError::StoreUnavailable`] the account
    /// may exist; the same request id finds that out.
    pub fn register(&self, request: &Registration, deadline: Instant) -> Answer<UserId> {
        let username = Username::new(&request.username)?;
        let password =
            Arc::new(Password::for_registration(&request.password, &username, &self.passwords)?);
        let name = profile::name(request.name.as_deref())?;
        let age = profile::age(request.age)?;

        let from = &request.origin;
        let mut attempt = self.guard.reserve_registration(
            from.client_address,
            from.is_forwarded,
            clock::now(),
        )?;
        for _ in 0..REGISTRATION_TRIES_MAX {
            let now = self.time.now();
            let user_id = UserId::from(self.ids.next(now.to_system_time())?);
            let record = self.hash(user_id, &password, deadline);
            let record = record.inspect_err(|e| unhashed(&mut attempt, e, deadline))?.to_text();
            let user = NewUser {
                user_id: user_id.get(),
                username: username.as_str(),
                password_record: &record,
                name,
                age,
                request_id: request.request_id,
                created_at_ms: now.ms(),
            };
            match self.store.insert_user(&user, deadline)? {
                Inserted::Created => {
                    attempt.keep();
                    return Ok(user_id);
                }
                // Answered before, and counted then.
                Inserted::Repeated { user_id } => return Ok(UserId::new(user_id)?),
                Inserted::NameTaken => {
                    attempt.keep();
                    return Err(AccountError::UsernameTaken);
                }
                Inserted::IdTaken => {
                    sparing!(WARN, %user_id, "an id is taken, another one is tried: does a server of release 0.1 make ids under the same node?");
                }
            }
        }
        Err(InternalError::IdsTaken.into())
    }
}

//! A user's new password.

use std::sync::Arc;
use std::time::{Duration, Instant};

use service::lane::Flow;

use super::login::{Claim, Trial};
use super::{AccountError, Accounts, Answer, Opened};
use crate::credentials::{Password, PasswordRecord, Username, Verdict};
use crate::guard::Known;
use crate::ids::UserId;
use crate::limits::CHANGE_PASSWORD_TRIES_MAX;
use crate::store::{Cause, PasswordChange, StoreError};
use crate::work::NewPassword;

/// A password that was changed, durably.
#[derive(Debug)]
pub struct Changed {
    /// The only session that is left.
    pub opened: Opened,
    /// How long one of the others may still be answered for: so long it must not be acknowledged to
    /// the user.
    pub settles_in: Duration,
}

impl Accounts {
    /// Replaces the password of a live session's user, which ends every session of theirs, and begins
    /// a new one. Hashes twice.
    ///
    /// The record and the end of all sessions are one statement, and only if the user is still of the
    /// epoch that the session was found live in: somebody who is being logged out everywhere at this
    /// moment changes nothing any more.
    ///
    /// The hash of a record that is dear to verify waits for the turn of `flow`.
    ///
    /// `whose` is set as soon as it is known whose session asks, for the audit log: a wrong guess with a
    /// stolen session must be told of with the account that it was made on.
    ///
    /// # Errors
    /// [`AccountError`] as its variants say. After [`AccountError::StoreUnavailable`] the password may
    /// have been changed.
    pub fn change_password(
        &self,
        request: &NewPassword,
        flow: Flow,
        deadline: Instant,
        whose: &mut Option<u64>,
    ) -> Answer<Changed> {
        let session = self.live_session(&request.token, self.time.now(), deadline)?;
        *whose = Some(session.user_id);
        let username = Username::new(&session.username)?;
        let current = Arc::new(Password::for_login(&request.current_password)?);
        let new = Arc::new(Password::for_registration(
            &request.new_password,
            &username,
            &self.passwords,
        )?);
        let user_id = UserId::new(session.user_id)?;

        for _ in 0..CHANGE_PASSWORD_TRIES_MAX {
            let user = self.store.user_by_id(session.user_id, deadline)?;
            let user = user.filter(|user| user.session_epoch == session.epoch && !user.is_disabled);
            let user = user.ok_or(AccountError::SessionNotLive)?;
            let record: PasswordRecord = user.password_record.parse()?;
            let peppers = self.peppers_with(record.pepper_id())?;
            let known = Some(Known::Session(session.session_id));
            let attempt = request.origin.attempt(&username, known);
            let mut attempt = self.guard.reserve_login(&attempt, clock::now())?;
            let trial = Trial { user_id, record, peppers, password: Arc::clone(&current) };
            attempt.charge(trial.cost(self.rules.params));
            match self.verify(&trial, &mut attempt, flow, deadline)? {
                Verdict::Match => attempt.clear(),
                // Whoever has a session knows that there is such a user: no need for other words.
                Verdict::Mismatch => {
                    attempt.keep();
                    return Err(AccountError::PasswordWrong);
                }
            }
            let change = PasswordChange {
                user_id: session.user_id,
                old: &user.password_record,
                new: &self.hash(user_id, &new, deadline)?.to_text(),
                epoch: session.epoch,
            };
            if let Some(settles_in) = self.sessions.change_password(&change, deadline)? {
                let epoch = session.epoch + 1;
                let claim = Claim { user_id, epoch, origin: &request.origin };
                let opening = self.open_sessions(&[claim], deadline).remove(0)?;
                self.sessions.settle(&opening.gone)?;
                return Ok(Changed { opened: opening.opened, settles_in });
            }
            // The record was sealed anew, or all sessions have ended: another look tells which.
        }
        Err(StoreError::Unavailable(Cause::Contended).into())
    }
}

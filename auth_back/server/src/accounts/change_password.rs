//! A user's new password, in steps as a [login](crate::login):
//!
//! 1. [`Accounts::change`]: the session is found, the attempt reserved, the user found.
//! 2. [`Accounts::prove_change`]: the current password is hashed, on another thread.
//! 3. [`Accounts::judge_change`], and [`Accounts::seal_change`]: the new one is hashed, on another thread.
//! 4. [`Accounts::replace`]: the record is replaced, which ends all sessions; and [`Accounts::begin_anew`]: a new one is
//!    made.
//!
//! Tests take them all at once (`Accounts::change_password`).
//!
//! The record and the end of all sessions are one statement, and only if the user is still of the epoch that the session was
//! found live in: somebody who is being logged out everywhere at this moment changes nothing any more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use credentials::ids::UserId;
use credentials::{Password, PasswordRecord, Username, Verdict};
use guard::{Known, Reservation};
use lane::{Flow, Wakeup};
use store::{Cause, PasswordChange, SessionRow, StoreError};
use zeroize::Zeroizing;

use super::new_session::SessionFor;
use super::origin::Origin;
use super::password_check::{PasswordCheck, judged};
use super::{AccountError, Accounts, Answer, Opened, Opening, hashed};
use crate::limits::CHANGE_PASSWORD_TRIES_MAX;

/// A password that is to take the place of another.
pub struct NewPassword {
    /// As the user sent it.
    pub token: Zeroizing<String>,
    /// As the user typed it.
    pub current_password: Zeroizing<String>,
    /// As the user typed it.
    pub new_password: Zeroizing<String>,
    /// Where it came from.
    pub origin: Origin,
}

/// A password that was changed, durably.
#[derive(Debug)]
pub struct Changed {
    /// The only session that is left.
    pub opened: Opened,
    /// How long one of the others may still be answered for: so long it must not be acknowledged to
    /// the user.
    pub settles_in: Duration,
}

/// What a user wants, whose session is live.
struct Wish {
    session: SessionRow,
    username: Username,
    current: Arc<Password>,
    new: Arc<Password>,
    origin: Origin,
    tries_left: u32,
}

/// A change of a password, before the current one is proved.
pub struct Change {
    wish: Wish,
    /// The record as it is in the store.
    stored: String,
    check: PasswordCheck,
    attempt: Reservation,
}

/// A change whose current password was hashed, and what came of it.
pub struct ProvedChange {
    change: Change,
    verdict: Answer<Verdict>,
}

/// A change that is allowed: the user knows the current password.
pub struct AllowedChange {
    wish: Wish,
    stored: String,
    user_id: UserId,
}

/// A change whose new password was hashed, and what came of it.
pub struct SealedChange {
    change: AllowedChange,
    record: Answer<PasswordRecord>,
}

/// What became of a record that was to be replaced.
pub enum Replaced {
    /// It is another, durably, and all sessions have ended.
    Done(Replacement),
    /// It was sealed anew meanwhile, by a login or an operator: the current password is to be proved again.
    Again(Box<Change>),
}

/// A record that is durably another; its user has no session yet.
pub struct Replacement {
    wish: Wish,
    user_id: UserId,
    settles_in: Duration,
}

impl Accounts {
    /// Replaces the password of a live session's user, which ends every session of theirs, and begins
    /// a new one. Hashes twice. Blocks until all that is durable.
    ///
    /// The hash of a record that is dear to verify waits for the turn of `flow`.
    ///
    /// `whose` is as for [`change`](Self::change).
    ///
    /// # Errors
    /// [`AccountError`] as its variants say. After [`AccountError::StoreUnavailable`] the password may
    /// have been changed.
    #[cfg(test)]
    pub(crate) fn change_password(
        &self,
        request: &NewPassword,
        flow: Flow,
        deadline: Instant,
        whose: &mut Option<u64>,
    ) -> Answer<Changed> {
        let mut change = self.change(request, deadline, whose)?;
        loop {
            let Change { check, attempt, .. } = &mut change;
            let task = self.hash_task(check)?;
            attempt.begin();
            let outcome = self.hashers.run(flow, deadline, task);
            let verdict = judged(attempt, hashed(outcome), deadline);
            let allowed = self.judge_change(ProvedChange { change, verdict })?;
            let record = self.hash(allowed.user_id, &allowed.wish.new, deadline);
            match self.replace(SealedChange { change: allowed, record }, deadline)? {
                Replaced::Done(done) => return self.begin_anew(&done, deadline),
                Replaced::Again(again) => change = *again,
            }
        }
    }

    /// The change that is asked for, if it may be tried now. Blocks for looks into the store. `whose` is set
    /// as soon as it is known whose session asks, for the audit log: a wrong guess with a stolen session must be told of
    /// with the account that it was made on.
    ///
    /// # Errors
    /// [`AccountError`] as its variants say.
    pub fn change(
        &self,
        request: &NewPassword,
        deadline: Instant,
        whose: &mut Option<u64>,
    ) -> Answer<Change> {
        let session = self.live_session(&request.token, self.time.now(), deadline)?;
        *whose = Some(session.user_id);
        let username = Username::new(&session.username)?;
        let current = Password::for_login(&request.current_password)?;
        let new = Password::for_registration(&request.new_password, &username, &self.passwords)?;
        let wish = Wish {
            session,
            username,
            current: Arc::new(current),
            new: Arc::new(new),
            origin: request.origin.clone(),
            tries_left: CHANGE_PASSWORD_TRIES_MAX,
        };
        self.try_change(wish, deadline)
    }

    fn try_change(&self, mut wish: Wish, deadline: Instant) -> Answer<Change> {
        let contended = StoreError::Unavailable(Cause::Contended);
        wish.tries_left = wish.tries_left.checked_sub(1).ok_or(contended)?;
        let Wish { session, username, origin, current, .. } = &wish;
        let user = self.store.user_by_id(session.user_id, deadline)?;
        let user = user.filter(|user| user.session_epoch == session.epoch && !user.is_disabled);
        let user = user.ok_or(AccountError::SessionNotLive)?;
        let record: PasswordRecord = user.password_record.parse()?;
        let peppers = self.peppers_with(record.pepper_id())?;
        let known = Some(Known::Session(session.session_id));
        let mut attempt =
            self.guard.reserve_login(&origin.attempt(username, known), clock::now())?;
        let user_id = UserId::new(session.user_id)?;
        let check = PasswordCheck { user_id, record, peppers, password: Arc::clone(current) };
        attempt.charge(check.cost(self.rules.params));
        Ok(Change { wish, stored: user.password_record, check, attempt })
    }

    /// Has the current password hashed. `then` gets what came of it, whatever that is, on a thread that must not be kept
    /// waiting; the [`Wakeup`] is for whoever goes on from there. Does not block. A dear hash waits for the turn of `flow`.
    pub(crate) fn prove_change(
        &self,
        mut change: Change,
        flow: Flow,
        deadline: Instant,
        then: impl FnOnce(ProvedChange) -> Wakeup + Send + 'static,
    ) {
        let work = match self.hash_task(&change.check) {
            Ok(work) => work,
            Err(error) => return then(ProvedChange { change, verdict: Err(error) }).fire(),
        };
        change.attempt.begin();
        self.hashers.submit(flow, deadline, work, move |verdict| {
            let verdict = judged(&mut change.attempt, hashed(verdict), deadline);
            then(ProvedChange { change, verdict })
        });
    }

    /// Allows the change, or says why not.
    ///
    /// # Errors
    /// [`AccountError`] as its variants say.
    pub fn judge_change(&self, proved: ProvedChange) -> Answer<AllowedChange> {
        let ProvedChange { change: Change { wish, stored, check, attempt }, verdict } = proved;
        match verdict? {
            Verdict::Match => attempt.clear(),
            // Whoever has a session knows that there is such a user: no need for other words.
            Verdict::Mismatch => {
                attempt.keep();
                return Err(AccountError::PasswordWrong);
            }
        }
        Ok(AllowedChange { wish, stored, user_id: check.user_id })
    }

    /// Has the new password hashed; `then` is as for [`prove_change`](Self::prove_change). Does not block.
    pub(crate) fn seal_change(
        &self,
        change: AllowedChange,
        deadline: Instant,
        then: impl FnOnce(SealedChange) -> Wakeup + Send + 'static,
    ) {
        match self.record_of(change.user_id, &change.wish.new) {
            Ok(work) => self.hashers.submit(Flow::ONE, deadline, work, move |record| {
                then(SealedChange { change, record: hashed(record) })
            }),
            Err(error) => then(SealedChange { change, record: Err(error) }).fire(),
        }
    }

    /// Replaces the record, which ends every session of the user.
    ///
    /// # Errors
    /// [`AccountError`] as its variants say. After [`AccountError::StoreUnavailable`] the password may
    /// have been changed.
    pub fn replace(&self, sealed: SealedChange, deadline: Instant) -> Answer<Replaced> {
        let SealedChange { change: AllowedChange { wish, stored, user_id }, record } = sealed;
        let change = PasswordChange {
            user_id: user_id.get(),
            old: &stored,
            new: &record?.to_text(),
            epoch: wish.session.epoch,
        };
        Ok(match self.sessions.change_password(&change, deadline)? {
            Some(settles_in) => Replaced::Done(Replacement { wish, user_id, settles_in }),
            // The record was sealed anew, or all sessions have ended: another look tells which.
            None => Replaced::Again(Box::new(self.try_change(wish, deadline)?)),
        })
    }

    /// Makes a session for this user. When this returns, it is durable.
    ///
    /// # Errors
    /// [`AccountError`] as its variants say. The password has been changed all the same.
    pub fn begin_anew(&self, replaced: &Replacement, deadline: Instant) -> Answer<Changed> {
        let Replacement { wish, user_id, settles_in } = replaced;
        let session =
            SessionFor { user_id: *user_id, epoch: wish.session.epoch + 1, origin: &wish.origin };
        let Opening { opened, gone } = self.open_sessions(&[session], deadline).remove(0)?;
        self.sessions.settle(&gone)?;
        Ok(Changed { opened, settles_in: *settles_in })
    }
}

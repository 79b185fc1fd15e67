//! What can be done with the token of a session.

use std::time::{Duration, Instant};

use server_time::Now;
use sessions::limits::LISTED_MAX;
use sessions::{Sighting, StaleCopies, UNDATED, UNKNOWN, Unresolved};
use store::limits::SESSIONS_TOGETHER_MAX;
use store::{ListedSession, Product, SessionRow, StoreError};
use zeroize::Zeroizing;

use super::origin::Origin;
use super::{AccountError, Accounts, Answer};

/// Somebody who wants to be logged out.
pub struct LogOut {
    /// As the user sent it.
    pub token: Zeroizing<String>,
    /// Whether every session of the user is to end.
    pub all: bool,
    /// Where it came from.
    pub origin: Origin,
}

/// A session that is to end, named by another of the same user.
pub struct Revocation {
    /// Of the session that asks, as the user sent it.
    pub token: Zeroizing<String>,
    /// Which session is to end.
    pub session_id: u64,
    /// Where it came from.
    pub origin: Origin,
}

/// A session that is alive.
#[derive(Debug)]
pub struct Live {
    /// The session and its user.
    pub session: SessionRow,
    /// How long it lives on, if it does not idle for too long.
    pub expires_in: Duration,
    /// For how long a front may answer for it, from when it asked.
    pub lease: Duration,
}

/// What checking several sessions together has come to.
pub struct Checks {
    /// In the order of the tokens. `None` is left to [`Accounts::resolve_checks`]; or, if nothing is
    /// [unresolved](Self::unresolved) or that leaves it too, to be [checked](Accounts::check_session) by itself.
    pub answers: Vec<Option<Answer<Live>>>,
    /// For [`Accounts::resolve_checks`].
    pub unresolved: Option<Unresolved>,
}

impl Live {
    /// For a session that was found when the rules allowed a lease of `lease_max`.
    fn of(session: SessionRow, now: Now, lease_max: Duration) -> Self {
        let lease = lease_max.min(now.until(session.expires_at_ms));
        Self { expires_in: now.until(session.ends_at_ms), lease, session }
    }
}

/// One or more sessions that were ended, durably.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// How long one may still be answered for: so long it must not be acknowledged to the user.
    pub settles_in: Duration,
    /// Whose they were; not known of a session that had ended before.
    pub user_id: Option<u64>,
}

/// The sessions of a user, for that user.
#[derive(Debug)]
pub struct Listed {
    /// The session of the token that asked.
    pub current: SessionRow,
    /// All that are live, newest first, up to what an answer holds.
    pub sessions: Vec<ListedSession>,
    /// When they were looked at, in milliseconds since 1970, UTC.
    pub at_ms: u64,
}

impl Accounts {
    /// Whose session a token is.
    ///
    /// # Errors
    /// [`AccountError::SessionNotLive`] is a definite no; all others mean that it is not known.
    pub fn check_session(&self, token: &str, deadline: Instant) -> Answer<Live> {
        let now = self.time.now();
        let session = self.live_session(token, now, deadline)?;
        Ok(Live::of(session, now, self.sessions.rules().lease))
    }

    /// Whose sessions these tokens are, all looked up together.
    pub fn check_sessions<'a>(
        &self,
        tokens: impl Iterator<Item = &'a str>,
        deadline: Instant,
    ) -> Checks {
        let now = self.time.now();
        let mut digests = Vec::with_capacity(SESSIONS_TOGETHER_MAX);
        let mut answers: Vec<_> = tokens
            .map(|token| match self.digest(token) {
                Ok(digest) => {
                    digests.push(*digest.as_bytes());
                    None
                }
                Err(error) => Some(Err(error)),
            })
            .collect();
        let (sightings, unresolved) = match self.sessions.look_up(&digests, now, deadline) {
            Ok(lookup) => (Ok(lookup.sightings), lookup.unresolved),
            Err(error) => (Err(error), None),
        };
        let asked = answers.iter_mut().filter(|answer| answer.is_none());
        let found = self.answers(sightings, digests.len(), now);
        asked.zip(found).for_each(|(answer, found)| *answer = found);
        Checks { answers, unresolved }
    }

    /// The answers that [`check_sessions`](Self::check_sessions) has left, in its order, all looked up together again. Once
    /// they are given, Redis has to be told what was found.
    pub fn resolve_checks(
        &self,
        unresolved: Unresolved,
        deadline: Instant,
    ) -> (Vec<Option<Answer<Live>>>, StaleCopies) {
        let now = self.time.now();
        let count = unresolved.count();
        let (sightings, stale) = match self.sessions.resolve(unresolved, now, deadline) {
            Ok(resolved) => (Ok(resolved.sightings), resolved.stale),
            Err(error) => (Err(error), StaleCopies::default()),
        };
        (self.answers(sightings, count, now), stale)
    }

    /// `count` answers.
    fn answers(
        &self,
        sightings: Result<Vec<Sighting>, StoreError>,
        count: usize,
        now: Now,
    ) -> Vec<Option<Answer<Live>>> {
        let lease = self.sessions.rules().lease;
        let answer = |sighting| match sighting {
            Sighting::Live(session) => Some(Ok(Live::of(session, now, lease))),
            Sighting::Dead => Some(Err(AccountError::SessionNotLive)),
            Sighting::Unknown => Some(Err(UNKNOWN.into())),
            Sighting::Undated => Some(Err(UNDATED.into())),
            Sighting::Unresolved => None,
        };
        match sightings {
            Ok(sightings) => sightings.into_iter().map(answer).collect(),
            Err(error @ StoreError::Unavailable(_)) => {
                (0..count).map(|_| Some(Err(error.clone().into()))).collect()
            }
            // One row may be to blame, and shall cost its owner only.
            Err(StoreError::Corrupt(_) | StoreError::Internal(_)) => {
                (0..count).map(|_| None).collect()
            }
        }
    }

    /// Ends a session; ending one that has ended is no error. When this returns, it is over in the
    /// store. For as long as [`Ended::settles_in`] says, it must not be acknowledged to the user.
    ///
    /// # Errors
    /// [`AccountError::SessionNotLive`] for what is no token of ours.
    pub fn log_out(&self, token: &str, deadline: Instant) -> Answer<Ended> {
        let digest = self.digest(token)?;
        // Only to tell whose it was: the audit log would otherwise say that somebody has logged out.
        let user_id = self.sessions.owner(digest.as_bytes(), self.time.now(), deadline)?;
        let settles_in = self.sessions.end(digest.as_bytes(), deadline)?;
        Ok(Ended { settles_in, user_id })
    }

    /// Ends every session of the user of a live session, that one included.
    ///
    /// # Errors
    /// [`AccountError::SessionNotLive`] if it is not live: also when it was this that ended it, and
    /// only the answer was lost.
    pub fn log_out_everywhere(&self, token: &str, deadline: Instant) -> Answer<Ended> {
        let session = self.live_session(token, self.time.now(), deadline)?;
        let settles_in = self.sessions.end_all(session.user_id, deadline)?;
        // A user who is gone has no session left.
        let settles_in = settles_in.ok_or(AccountError::SessionNotLive)?;
        Ok(Ended { settles_in, user_id: Some(session.user_id) })
    }

    /// The live sessions of the user of a live session.
    ///
    /// # Errors
    /// As [`Accounts::check_session`].
    pub fn list_sessions(&self, token: &str, deadline: Instant) -> Answer<Listed> {
        let now = self.time.now();
        let at_ms = now.ms();
        let current = self.live_session(token, now, deadline)?;
        let sessions = self.sessions.list(current.user_id, at_ms, LISTED_MAX, deadline)?;
        Ok(Listed { current, sessions, at_ms })
    }

    /// Ends a session of the user of a live session, by its id.
    ///
    /// # Errors
    /// [`AccountError::SessionUnknown`] if that user has none of this id, whoever else may.
    pub fn revoke_session(
        &self,
        token: &str,
        session_id: u64,
        deadline: Instant,
        whose: &mut Option<u64>,
    ) -> Answer<Ended> {
        let session = self.live_session(token, self.time.now(), deadline)?;
        *whose = Some(session.user_id);
        let settles_in = self.sessions.end_by_id(session.user_id, session_id, deadline)?;
        let settles_in = settles_in.ok_or(AccountError::SessionUnknown)?;
        Ok(Ended { settles_in, user_id: Some(session.user_id) })
    }

    /// The products, for somebody whose session is alive.
    ///
    /// # Errors
    /// As [`Accounts::check_session`].
    pub fn products(&self, token: &str, deadline: Instant) -> Answer<(Live, Vec<Product>)> {
        let live = self.check_session(token, deadline)?;
        Ok((live, self.store.products(deadline)?))
    }

    pub(super) fn live_session(
        &self,
        token: &str,
        now: Now,
        deadline: Instant,
    ) -> Answer<SessionRow> {
        let digest = self.digest(token)?;
        let session = self.sessions.find(digest.as_bytes(), now, deadline)?;
        session.ok_or(AccountError::SessionNotLive)
    }
}

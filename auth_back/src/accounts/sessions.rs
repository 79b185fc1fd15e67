//! What can be done with the token of a session.

use std::time::{Duration, Instant, SystemTime};

use super::{AccountError, Accounts, Answer, unix_ms};
use crate::limits::LEASE_MARGIN;
use crate::store::{Product, SessionRow};

/// A session that is alive.
#[derive(Debug)]
pub struct Live {
    /// The session and its user.
    pub session: SessionRow,
    /// How long it lives on.
    pub expires_in: Duration,
    /// For how long a front may answer for it, from when it asked.
    pub lease: Duration,
}

impl Accounts {
    /// Whose session a token is.
    ///
    /// # Errors
    /// [`AccountError::SessionNotLive`] is a definite no; all others mean that it is not known.
    pub fn check_session(&self, token: &str, deadline: Instant) -> Answer<Live> {
        let digest = self.digest(token)?;
        let now_ms = unix_ms(SystemTime::now());
        let session = self.store.session(digest.as_bytes(), now_ms, deadline)?;
        let session = session.ok_or(AccountError::SessionNotLive)?;
        let expires_in = Duration::from_millis(session.expires_at_ms.saturating_sub(now_ms));
        Ok(Live { session, expires_in, lease: self.rules.lease.min(expires_in) })
    }

    /// Ends a session; ending one that has ended is no error. When this returns, the session is
    /// gone from the store. Returns how long leases on it may still run on fronts: for so long the
    /// logout must not be acknowledged to the user.
    ///
    /// A lease counts from before the check that it was given for, and a check that began after
    /// this found nothing. So every lease ends within one lease from here.
    ///
    /// # Errors
    /// [`AccountError::SessionNotLive`] for what is no token of ours.
    pub fn log_out(&self, token: &str, deadline: Instant) -> Answer<Duration> {
        let digest = self.digest(token)?;
        self.store.delete_session(digest.as_bytes(), deadline)?;
        Ok(if self.rules.lease.is_zero() {
            Duration::ZERO
        } else {
            self.rules.lease + LEASE_MARGIN
        })
    }

    /// The products, for somebody whose session is alive.
    ///
    /// # Errors
    /// As [`Accounts::check_session`].
    pub fn products(&self, token: &str, deadline: Instant) -> Answer<(Live, Vec<Product>)> {
        let live = self.check_session(token, deadline)?;
        Ok((live, self.store.products(deadline)?))
    }
}

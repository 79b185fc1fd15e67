//! What can be done with accounts and sessions: straight-line, blocking code, run by workers.
//!
//! Each function reads from top to bottom in the order in which things happen. A store connection
//! is lent only for the statement that needs it, an arena only for the hash; neither is held while
//! the other is waited for.

mod error;
mod profile;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pool::Pool;

pub use error::{AccountError, InternalError};
pub use profile::{AgeError, NameError};

use crate::credentials::{
    Arena, ArenaManager, Params, Password, PasswordPolicy, PasswordRecord, PepperKeyring, Token,
    TokenDigest, TokenKeyring, Username, Verdict,
};
use crate::ids::{SessionId, Snowflakes, UserId};
use crate::limits::LEASE_MARGIN;
use crate::store::{Inserted, NewSession, NewUser, Product, SessionRow, Store, UserAgent};
use crate::work::{Login, Registration};

/// The account service. Shared by all workers.
pub struct Accounts {
    /// Users and sessions.
    pub store: Arc<dyn Store>,
    /// Memory for hashing: as many arenas as hashes may run at a time.
    pub arenas: Pool<ArenaManager>,
    /// Keys that password records are sealed under.
    pub peppers: PepperKeyring,
    /// Keys that tokens are signed with.
    pub token_keys: TokenKeyring,
    /// Where ids come from.
    pub ids: Snowflakes,
    /// What it takes and lets.
    pub rules: Rules,
}

/// The rules of a deployment.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The work factor of new passwords.
    pub params: Params,
    /// How long a new password may be.
    pub passwords: PasswordPolicy,
    /// How long a session lives.
    pub session_lifetime: Duration,
    /// For how long a front may answer for a session by itself.
    pub lease: Duration,
}

/// A session that was just made.
#[derive(Debug)]
pub struct Opened {
    /// Proves it from now on.
    pub token: Token,
    /// Whose it is.
    pub user_id: UserId,
    /// How long it lives.
    pub expires_in: Duration,
}

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

type Answer<T> = Result<T, AccountError>;

impl Accounts {
    /// Makes an account. When this returns, it is durable.
    ///
    /// # Errors
    /// [`AccountError`] as its variants say. After [`AccountError::StoreUnavailable`] the account
    /// may exist; the same request id finds that out.
    pub fn register(&self, request: &Registration, deadline: Instant) -> Answer<UserId> {
        let username = Username::new(&request.username)?;
        let password = Password::for_registration(&request.password, self.rules.passwords)?;
        let name = profile::name(request.name.as_deref())?;
        let age = profile::age(request.age)?;

        let now = SystemTime::now();
        let user_id = UserId::from(self.ids.next(now)?);
        let record = self.hash(user_id, &password, deadline)?;
        let user = NewUser {
            user_id: user_id.get(),
            username: username.as_str(),
            password_record: &record,
            name,
            age,
            request_id: request.request_id,
            created_at_ms: unix_ms(now),
        };
        match self.store.insert_user(&user, deadline)? {
            Inserted::Created => Ok(user_id),
            Inserted::Repeated { user_id } => Ok(UserId::new(user_id)?),
            Inserted::NameTaken => Err(AccountError::UsernameTaken),
        }
    }

    /// Trades a username and a password for a session. When this returns, it is durable.
    ///
    /// # Errors
    /// [`AccountError`] as its variants say.
    pub fn authenticate(&self, request: &Login, deadline: Instant) -> Answer<Opened> {
        let username = Username::new(&request.username)?;
        let password = Password::for_login(&request.password)?;

        let user = self.store.user_by_name(username.as_str(), deadline)?;
        let user = user.ok_or(AccountError::UserUnknown)?;
        let user_id = UserId::new(user.user_id)?;
        let record: PasswordRecord = user.password_record.parse()?;
        let verdict = {
            let mut arena = self.arena(deadline)?;
            record.verify(user_id, &password, &self.peppers, &mut arena)?
        };
        if verdict == Verdict::Mismatch {
            return Err(AccountError::PasswordWrong);
        }

        let token = self.token_keys.issue()?;
        let now = SystemTime::now();
        let created_at_ms = unix_ms(now);
        let session = NewSession {
            session_id: SessionId::from(self.ids.next(now)?).get(),
            token_digest: token.digest().as_bytes().to_owned(),
            user_id: user_id.get(),
            created_at_ms,
            expires_at_ms: created_at_ms + millis(self.rules.session_lifetime),
            client_address: request.client_address,
            user_agent: request.user_agent.as_deref().map(UserAgent::clip),
        };
        self.store.insert_session(&session, deadline)?;
        Ok(Opened { token, user_id, expires_in: self.rules.session_lifetime })
    }

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

    /// Whether users can be served: one round trip to the store.
    ///
    /// # Errors
    /// [`AccountError::StoreUnavailable`].
    pub fn health(&self, deadline: Instant) -> Answer<()> {
        Ok(self.store.ping(deadline)?)
    }

    fn hash(&self, user_id: UserId, password: &Password, deadline: Instant) -> Answer<String> {
        let mut arena = self.arena(deadline)?;
        let params = self.rules.params;
        let record = PasswordRecord::create(user_id, password, params, &self.peppers, &mut arena)?;
        Ok(record.to_text())
    }

    fn arena(&self, deadline: Instant) -> Answer<pool::Lent<ArenaManager>> {
        let arena = self.arenas.acquire(deadline)?;
        // A free arena is lent whatever the deadline; a hash that nobody waits for is not begun.
        if Instant::now() < deadline { Ok(arena) } else { Err(AccountError::TimedOut) }
    }

    fn digest(&self, token: &str) -> Answer<TokenDigest> {
        // Forgeries end here: no store is asked for them.
        let token = self.token_keys.check(token).map_err(|_| AccountError::SessionNotLive)?;
        Ok(token.digest())
    }
}

/// Milliseconds since 1970, UTC; a clock before that counts as 1970.
pub(crate) fn unix_ms(at: SystemTime) -> u64 {
    millis(at.duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// Whole milliseconds, rounded down.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The memory that hashing may take, in KiB, with `count` hashes at a time.
#[must_use]
pub fn arenas_kib(params: Params, count: usize) -> u64 {
    u64::from(params.m_kib()) * u64::try_from(count).unwrap_or(u64::MAX)
}

const _: () = assert!(size_of::<Arena>() <= 64, "an arena moves with each borrow");

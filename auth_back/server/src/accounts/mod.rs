//! What can be done with accounts and sessions: straight-line, blocking code, run by workers.
//!
//! Each function reads from top to bottom in the order in which things happen. A store connection
//! is lent only for the statement that needs it. Hashes are done by threads of their own ([`Hashers`]).

mod change_password;
mod code;
mod decoy;
mod error;
mod new_session;
mod origin;
mod password_check;
pub mod profile;
mod register;
mod session_requests;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod upgrade;
mod upgrades;

use std::sync::Arc;
use std::time::Instant;

use lane::Flow;
use pool::Pool;

pub use change_password::{
    AllowedChange, Change, Changed, NewPassword, ProvedChange, Replaced, Replacement, SealedChange,
};
pub use code::Code;
pub use decoy::Decoy;
pub use error::{AccountError, InternalError};
pub(crate) use error::{Answer, apart, hashed};
pub use new_session::Opened;
pub(crate) use new_session::{Opening, SessionFor};
pub use origin::Origin;
pub(crate) use password_check::{HashTask, PasswordCheck, judged};
pub use profile::{AgeError, NameError};
pub use register::{Applicant, Enrolled, Registration, Sealed};
pub use session_requests::{Checks, Ended, Listed, Live, LogOut, Revocation};
pub use upgrades::{Upgrade, Upgrades};

use credentials::ids::UserId;
use credentials::{
    KeyId, Password, PasswordRecord, PasswordRules, PepperKeyring, TokenDigest, TokenError,
    TokenKeyring, random,
};
use guard::Guard;
use hashing::threads::{HashOutcome, Work};
use hashing::{Arena, ArenaManager, Hashers, Params};
use server_time::ServerTime;
use sessions::{SessionKeeper, SessionRules};
use store::Store;

use crate::keyrings::{LiveRing, Lookup};
use crate::node::Ids;

/// The account service. Shared by all workers.
pub struct Accounts {
    /// Users and products.
    pub store: Arc<dyn Store>,
    /// Sessions.
    pub sessions: SessionKeeper,
    /// Memory for hashing: as many arenas as hashes may run at a time.
    pub arenas: Pool<ArenaManager>,
    /// The threads that hash in them.
    pub hashers: Hashers,
    /// Keys that password records are sealed under.
    pub peppers: Arc<LiveRing<PepperKeyring>>,
    /// Keys that tokens are signed with.
    pub token_keys: Arc<LiveRing<TokenKeyring>>,
    /// Who may try a password now.
    pub guard: Arc<Guard>,
    /// Where it must not be told which users there are: what their passwords are compared with who
    /// name nobody.
    pub decoy: Option<Decoy>,
    /// What time it is.
    pub time: Arc<ServerTime>,
    /// Where ids come from.
    pub ids: Arc<Ids>,
    /// What new passwords have to be.
    pub passwords: PasswordRules,
    /// How many old records may be hashed anew.
    pub upgrades: Upgrades,
    /// What it takes and lets.
    pub rules: Rules,
}

/// The rules of a deployment.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The work factor of new passwords.
    pub params: Params,
    /// How sessions are kept.
    pub sessions: SessionRules,
}

impl Accounts {
    /// Whether users can be served, and could be after a restart: one round trip to the store, and what the last
    /// reading of the keys has shown.
    ///
    /// # Errors
    /// [`AccountError::StoreUnavailable`], [`AccountError::KeysUnreadable`].
    pub fn health(&self, deadline: Instant) -> Answer<()> {
        self.store.ping(deadline)?;
        let keys = self.peppers.check().and_then(|()| self.token_keys.check());
        keys.map_err(AccountError::KeysUnreadable)
    }

    /// Hashes a new password. Blocks until it is done, or until `deadline`.
    fn hash(
        &self,
        user_id: UserId,
        password: &Arc<Password>,
        deadline: Instant,
    ) -> Answer<PasswordRecord> {
        hashed(self.hashers.run(Flow::ONE, deadline, self.record_of(user_id, password)?))
    }

    /// The hash that makes the record of a new password.
    fn record_of(
        &self,
        user_id: UserId,
        password: &Arc<Password>,
    ) -> Answer<Work<Answer<PasswordRecord>>> {
        let (params, peppers) = (self.rules.params, self.peppers.current());
        let password = Arc::clone(password);
        let salt = random::salt()?;
        let after = move |tag: HashOutcome| -> Answer<_> {
            Ok(PasswordRecord::of_tag(user_id, &tag?, salt, params, &peppers)?)
        };
        Ok(Work::Usual { password, salt, params, after: Box::new(after) })
    }

    fn digest(&self, token: &str) -> Answer<TokenDigest> {
        // Forgeries end here: no store is asked for them.
        let not_live = |_| AccountError::SessionNotLive;
        let checked = match self.token_keys.current().check(token) {
            Err(TokenError::UnknownKey(id)) => match self.token_keys.look_up(id) {
                Lookup::Has(keys) => keys.check(token).map_err(not_live)?,
                // Another server may have begun to sign under a key that is not here yet.
                Lookup::Unsure => return Err(AccountError::KeysUnavailable),
                Lookup::Lacks(_) => return Err(AccountError::SessionNotLive),
            },
            checked => checked.map_err(not_live)?,
        };
        Ok(checked.digest())
    }

    /// A ring that has the pepper of that id; or has not, if there is none.
    pub(crate) fn peppers_with(&self, id: KeyId) -> Answer<Arc<PepperKeyring>> {
        match self.peppers.look_up(id) {
            Lookup::Has(peppers) | Lookup::Lacks(peppers) => Ok(peppers),
            Lookup::Unsure => Err(AccountError::KeysUnavailable),
        }
    }
}

/// The memory that hashing may take, in KiB, with `count` hashes at a time.
#[must_use]
pub fn arenas_kib(params: Params, count: usize) -> u64 {
    u64::from(params.m_kib()) * u64::try_from(count).unwrap_or(u64::MAX)
}

const _: () = assert!(size_of::<Arena>() <= 64, "an arena moves with each borrow");

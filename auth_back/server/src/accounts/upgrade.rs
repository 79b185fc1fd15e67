//! Bringing a password record up to date when its user logs in: the only moment at which there is a
//! password to hash.
//!
//! A record under an older pepper is sealed anew, which takes microseconds and is always done. A record
//! of another work factor or function is hashed anew, which costs as much as another login: that is done
//! within a budget, while there is time, and only when nobody else wants to hash. So a changed
//! setting does not turn into a storm; who is passed over is upgraded at a later login.
//!
//! The old record is replaced only if it is still there (compare and swap): a password that was changed
//! meanwhile stays changed. Nothing that goes wrong here fails the login.

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use credentials::ids::UserId;
use credentials::{Password, PasswordRecord, PepperKeyring};
use hashing::Params;
use service::sparing;

use super::Accounts;
use super::upgrades::Upgrade;
use crate::limits::REHASH_TIME_MIN;

/// A new record, and what made it new.
type Renewed = Option<(PasswordRecord, Upgrade)>;

impl Accounts {
    /// Whether there is anything to bring up to date.
    pub(crate) fn is_outdated(&self, record: &PasswordRecord) -> bool {
        is_outdated(record, self.rules.params, &self.peppers.current())
    }

    /// Brings the record of a user who has just proved to know the password up to date. `stored` is its
    /// text in the store.
    pub(crate) fn upgrade(
        &self,
        user_id: UserId,
        stored: &str,
        record: &PasswordRecord,
        password: &Arc<Password>,
        deadline: Instant,
    ) {
        let upgrade = match self.renewed(user_id, record, password, deadline) {
            Ok(None) => return,
            Ok(Some((record, upgrade))) => {
                let new = record.to_text();
                let user_id = user_id.get();
                match self.store.replace_password_record(user_id, stored, &new, deadline) {
                    Ok(true) => upgrade,
                    Ok(false) => Upgrade::Lost,
                    Err(error) => {
                        tell_of_failure(user_id, &error);
                        Upgrade::Failed
                    }
                }
            }
            Err(error) => {
                tell_of_failure(user_id.get(), &*error);
                Upgrade::Failed
            }
        };
        self.upgrades.add(upgrade);
    }

    fn renewed(
        &self,
        user_id: UserId,
        record: &PasswordRecord,
        password: &Arc<Password>,
        deadline: Instant,
    ) -> Result<Renewed, Box<dyn Error>> {
        let (params, peppers) = (self.rules.params, self.peppers.current());
        if !is_outdated(record, params, &peppers) {
            return Ok(None);
        }
        // Without this, every user whose record is longer than another system's function looks would
        // count as postponed for ever.
        let is_old_hash = record.params() != Some(params) && record.proves(password);
        if is_old_hash {
            let now = clock::now();
            let is_time_left = deadline.saturating_duration_since(now) >= REHASH_TIME_MIN;
            if is_time_left && self.hashers.is_free() && self.upgrades.budget.take(now) {
                let new = self.hash(user_id, password, deadline)?;
                return Ok(Some((new, Upgrade::Rehashed)));
            }
            self.upgrades.add(Upgrade::Postponed);
        }
        if record.pepper_id() == peppers.active_id() {
            return Ok(None);
        }
        Ok(Some((record.reseal(user_id, &peppers)?, Upgrade::Resealed)))
    }
}

/// A record under a newer pepper than this server's is another server's affair.
fn is_outdated(record: &PasswordRecord, params: Params, peppers: &PepperKeyring) -> bool {
    record.pepper_id() <= peppers.active_id() && record.needs_upgrade(params, peppers)
}

fn tell_of_failure(user_id: u64, error: &dyn Error) {
    sparing!(WARN, user_id, %error, "a password record was not upgraded");
}

#[cfg(test)]
mod tests;

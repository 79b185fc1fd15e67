//! A user that does not exist, to be compared with in place of one that does not exist either.

use std::sync::Arc;

use credentials::ids::UserId;
use credentials::{KeyId, Keyring, Password, PasswordRecord, PepperKeyring, SecretKey, random};
use hashing::{Arena, Params};

use super::error::{AccountError, Answer};

/// A password record of nobody, so that a login under a name that nobody has costs the same work and
/// takes the same way as a wrong password.
///
/// It has the work factor of new passwords. A user whose record has another one, because the setting
/// has changed or the record was imported, differs in time from an unknown user until their next
/// login, which upgrades the record.
pub struct Decoy {
    user_id: UserId,
    /// As the store would have it: reading it is part of the work.
    record: String,
    /// Its own, so that no rotation of the server's peppers leaves it behind.
    peppers: Arc<PepperKeyring>,
}

impl Decoy {
    /// A record of a random password. Computes for as long as one hash takes.
    ///
    /// # Errors
    /// [`AccountError::Internal`] when it cannot be made.
    pub fn new(user_id: UserId, params: Params, arena: &mut Arena) -> Answer<Self> {
        let peppers = PepperKeyring::new(Keyring::single(KeyId::FIRST, SecretKey::random()?));
        let text: String =
            random::bytes::<16>()?.iter().map(|byte| format!("{byte:02x}")).collect();
        let password = Password::for_login(&text)?;
        let record = PasswordRecord::create(user_id, &password, params, &peppers, arena)?.to_text();
        Ok(Self { user_id, record, peppers: Arc::new(peppers) })
    }

    /// What its record is sealed under.
    pub(crate) fn peppers(&self) -> &Arc<PepperKeyring> {
        &self.peppers
    }

    /// What the store would answer for a user.
    pub(crate) fn read(&self) -> Result<(UserId, PasswordRecord), AccountError> {
        Ok((self.user_id, self.record.parse()?))
    }
}

//! Trading a username and a password for a session.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::{AccountError, Accounts, Answer, InternalError, millis, unix_ms};
use crate::company::Company;
use crate::credentials::{
    DeviceMarker, Password, PasswordRecord, PepperKeyring, Token, TokenError, Username, Verdict,
};
use crate::guard::{Attempt, Known, Reservation};
use crate::ids::{SessionId, UserId};
use crate::keyrings::Lookup;
use crate::store::{NewSession, UserAgent};
use crate::work::{Login, Origin};

/// A session that was just made.
#[derive(Debug)]
pub struct Opened {
    /// Proves it from now on.
    pub token: Token,
    /// Its id, which proves nothing.
    pub session_id: SessionId,
    /// Whose it is.
    pub user_id: UserId,
    /// How long it lives, if it does not idle for too long.
    pub expires_in: Duration,
    /// What the user's program is known by from now on.
    pub device: Option<DeviceMarker>,
    /// With whom it is answered.
    pub company: Company,
}

impl Accounts {
    /// Trades a username and a password for a session. When this returns, it is durable.
    ///
    /// # Errors
    /// [`AccountError`] as its variants say.
    pub fn authenticate(&self, request: &Login, deadline: Instant) -> Answer<Opened> {
        let username = Username::new(&request.username)?;
        let password = Arc::new(Password::for_login(&request.password)?);

        let device = request.device.as_ref().and_then(|text| self.device(text, &username));
        let address = request.origin.client_address;
        let known = device.as_ref().map(Known::Device);
        let attempt = Attempt { username: &username, address, known };
        let mut attempt = self.guard.reserve_login(&attempt, Instant::now())?;

        let user = self.store.user_by_name(username.as_str(), deadline)?;
        let Some(user) = user else {
            return Err(self.refuse_stranger(&password, attempt, deadline));
        };
        let user_id = UserId::new(user.user_id)?;
        let record: PasswordRecord = user.password_record.parse()?;
        let peppers = self.peppers_with(record.pepper_id())?;
        match self.verify(user_id, &record, &peppers, &password, &mut attempt, deadline)? {
            Verdict::Match => attempt.clear(),
            Verdict::Mismatch => {
                attempt.keep();
                return Err(self.password_wrong());
            }
        }
        // Said to the owner alone: whoever does not know the password learns nothing.
        if user.is_disabled {
            return Err(AccountError::AccountDisabled);
        }
        let device = self.token_keys.current().issue_device(&username, device.as_ref())?;
        let mut opened =
            self.open_session(user_id, user.session_epoch, &request.origin, deadline)?;
        // Last: the session is there, whatever becomes of this.
        if self.is_outdated(&record) {
            // It may take a hash, and the others are not to wait for that.
            opened.company = Company::default();
            self.upgrade(user_id, &user.password_record, &record, &password, deadline);
        }
        Ok(Opened { device: Some(device), ..opened })
    }

    /// The program that shows this marker, if it has logged in to this account before.
    fn device(&self, text: &str, username: &Username) -> Option<DeviceMarker> {
        match self.token_keys.current().check_device(text, username) {
            Err(TokenError::UnknownKey(id)) => match self.token_keys.look_up(id) {
                Lookup::Has(keys) => keys.check_device(text, username).ok(),
                Lookup::Unsure | Lookup::Lacks(_) => None,
            },
            checked => checked.ok(),
        }
    }

    /// What a wrong password is called here.
    fn password_wrong(&self) -> AccountError {
        match self.decoy {
            None => AccountError::PasswordWrong,
            Some(_) => AccountError::CredentialsWrong,
        }
    }

    /// What somebody is told who gives a name that nobody has. Where that is a secret, it costs them
    /// the hash that a wrong password would have cost.
    fn refuse_stranger(
        &self,
        password: &Arc<Password>,
        mut attempt: Reservation<'_>,
        deadline: Instant,
    ) -> AccountError {
        let Some(decoy) = &self.decoy else {
            // The answer tells that there is no such name.
            attempt.keep();
            return AccountError::UserUnknown;
        };
        let verdict = decoy.read().and_then(|(user_id, record)| {
            self.verify(user_id, &record, decoy.peppers(), password, &mut attempt, deadline)
        });
        match verdict {
            // Whatever it is: nobody logs in as the decoy.
            Ok(Verdict::Match | Verdict::Mismatch) => {
                attempt.keep();
                self.password_wrong()
            }
            Err(error) => error,
        }
    }

    /// Hashes what was offered, in an arena; or in the annex, if that is not enough memory.
    pub(super) fn verify(
        &self,
        user_id: UserId,
        record: &PasswordRecord,
        peppers: &Arc<PepperKeyring>,
        password: &Arc<Password>,
        attempt: &mut Reservation<'_>,
        deadline: Instant,
    ) -> Answer<Verdict> {
        let need = record.need();
        let (record, peppers) = (record.clone(), Arc::clone(peppers));
        let password = Arc::clone(password);
        let annex = if need.exceeds(self.rules.params.m_kib()) {
            Some(self.annex(deadline)?)
        } else {
            None
        };
        // The loan stays with this thread: it waits for the hash, which gives its memory back before it is told.
        let memory = annex.as_deref().copied();
        // From here on nobody knows how far it has come, until it is told.
        attempt.begin();
        let length = self.length(record.params());
        let verdict = self.hashers.run(deadline, length, move |arena| -> Answer<Verdict> {
            let Some(annex) = memory else {
                return Ok(record.verify(user_id, &password, &peppers, arena)?);
            };
            // The arena stays unused: it stands for a core, so that no more hashes run than there are
            // cores. It is waited for last, because nobody waits for the annex who has one.
            let mut room = annex.arena(need)?;
            Ok(record.verify(user_id, &password, &peppers, &mut room)?)
        });
        drop(annex);
        let has_panicked = matches!(verdict, Err(AccountError::Internal(InternalError::Dropped)));
        verdict.flatten().inspect_err(|_| {
            if !has_panicked {
                attempt.undo();
            }
        })
    }

    /// Makes a session for a user who has proved who they are. `epoch` was read before the proof.
    pub(super) fn open_session(
        &self,
        user_id: UserId,
        epoch: u32,
        origin: &Origin,
        deadline: Instant,
    ) -> Answer<Opened> {
        let token = self.token_keys.current().issue()?;
        let now = SystemTime::now();
        let created_at_ms = unix_ms(now);
        let lifetime = self.sessions.rules().lifetime;
        let ends_at_ms = created_at_ms + millis(lifetime);
        let session_id = SessionId::from(self.ids.next(now)?);
        let session = NewSession {
            session_id: session_id.get(),
            token_digest: token.digest().as_bytes().to_owned(),
            user_id: user_id.get(),
            epoch,
            created_at_ms,
            expires_at_ms: self.sessions.expiry(created_at_ms, ends_at_ms),
            ends_at_ms,
            client_address: origin.client_address,
            user_agent: origin.user_agent.as_deref().map(UserAgent::clip),
        };
        // Each thread that hashes will have another login done soon, without this one's client asking again.
        let more_to_come = self.hashers.is_busy();
        let company = self.sessions.keep(&session, more_to_come, deadline)?;
        Ok(Opened { token, session_id, user_id, expires_in: lifetime, device: None, company })
    }
}

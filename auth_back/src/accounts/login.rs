//! Trading a username and a password for a session.

use std::time::{Duration, Instant, SystemTime};

use super::{AccountError, Accounts, Answer, millis, unix_ms};
use crate::credentials::{Password, PasswordRecord, Token, Username, Verdict};
use crate::ids::{SessionId, UserId};
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
}

impl Accounts {
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
        if self.verify(user_id, &record, &password, deadline)? == Verdict::Mismatch {
            return Err(AccountError::PasswordWrong);
        }
        // Said to the owner alone: whoever does not know the password learns nothing.
        if user.is_disabled {
            return Err(AccountError::AccountDisabled);
        }
        let opened = self.open_session(user_id, user.session_epoch, &request.origin, deadline)?;
        // Last: the session is there, whatever becomes of this.
        self.upgrade(user_id, &user.password_record, &record, &password, deadline);
        Ok(opened)
    }

    /// Hashes what was offered, in an arena that is given back before anything else happens; or in the
    /// annex, if that is not enough memory.
    pub(super) fn verify(
        &self,
        user_id: UserId,
        record: &PasswordRecord,
        password: &Password,
        deadline: Instant,
    ) -> Answer<Verdict> {
        let (need, peppers) = (record.need(), self.peppers_with(record.pepper_id())?);
        if !need.exceeds(self.rules.params.m_kib()) {
            let mut arena = self.arena(deadline)?;
            return Ok(record.verify(user_id, password, &peppers, &mut arena)?);
        }
        let mut annex = self.annex(deadline)?;
        // Its memory stays unused: it stands for a core, so that no more hashes run than there are
        // cores. It is waited for last, because nobody waits for the annex who has one.
        let _core = self.arena(deadline)?;
        let mut room = annex.arena(need)?;
        Ok(record.verify(user_id, password, &peppers, &mut room)?)
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
        self.sessions.keep(&session, deadline)?;
        Ok(Opened { token, session_id, user_id, expires_in: lifetime })
    }
}

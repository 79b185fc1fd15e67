//! A session for somebody who has proved who they are.

use std::time::{Duration, Instant};

use credentials::ids::{SessionId, UserId};
use credentials::{DeviceMarker, Token};
use store::{NewSession, UserAgent};
use unix_time::millis;

use super::Accounts;
use super::error::Answer;
use super::origin::Origin;

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
}

/// Whom a session is made for.
pub(crate) struct SessionFor<'a> {
    pub(crate) user_id: UserId,
    /// Was read before the proof.
    pub(crate) epoch: u32,
    pub(crate) origin: &'a Origin,
}

/// A session that is durable, and what has to be done before it is told of.
pub(crate) struct Opening {
    pub(crate) opened: Opened,
    /// The digests of sessions that have made room, to be settled.
    pub(crate) gone: Vec<[u8; 32]>,
}

impl Accounts {
    /// Makes sessions for users who have proved who they are; one commit makes all of them durable.
    pub(crate) fn open_sessions(
        &self,
        claims: &[SessionFor<'_>],
        deadline: Instant,
    ) -> Vec<Answer<Opening>> {
        let drafts: Vec<_> = claims.iter().map(|claim| self.draft(claim)).collect();
        let sessions: Vec<_> = drafts.iter().flatten().map(|(_, session)| *session).collect();
        let mut kept = self.sessions.keep(&sessions, deadline).into_iter();
        let open = |(claim, draft): (&SessionFor<'_>, Answer<(Token, NewSession<'_>)>)| {
            let (token, session) = draft?;
            let gone = kept.next().expect("what became of each session is told")?;
            let opened = Opened {
                token,
                session_id: SessionId::new(session.session_id)?,
                user_id: claim.user_id,
                expires_in: self.sessions.rules().lifetime,
                device: None,
            };
            Ok(Opening { opened, gone })
        };
        claims.iter().zip(drafts).map(open).collect()
    }

    fn draft<'a>(&self, claim: &SessionFor<'a>) -> Answer<(Token, NewSession<'a>)> {
        let token = self.token_keys.current().issue()?;
        let now = self.time.now();
        let created_at_ms = now.ms();
        let ends_at_ms = created_at_ms + millis(self.sessions.rules().lifetime);
        let session = NewSession {
            session_id: SessionId::from(self.ids.next(now.to_system_time())?).get(),
            token_digest: token.digest().as_bytes().to_owned(),
            user_id: claim.user_id.get(),
            epoch: claim.epoch,
            created_at_ms,
            expires_at_ms: self.sessions.expiry(created_at_ms, ends_at_ms),
            ends_at_ms,
            client_address: Some(claim.origin.client_address),
            user_agent: claim.origin.user_agent.as_deref().map(UserAgent::clip),
        };
        Ok((token, session))
    }
}

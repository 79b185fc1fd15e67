//! Trading a username and a password for a session.
//!
//! In three steps, so that nobody waits while the password is hashed, and those whose hash is done go on together:
//!
//! 1. [`Accounts::candidate`]: the attempt is reserved, the user found.
//! 2. [`Accounts::prove`]: the password is hashed, on another thread.
//! 3. [`Accounts::judge`], and [`Accounts::admit`] for several: their sessions become durable with one commit.
//!    What takes longer than that, [`Accounts::settle`] does.
//!
//! [`Accounts::authenticate`] takes them all.

use std::sync::Arc;
use std::time::{Duration, Instant};

use credentials::ids::{SessionId, UserId};
use credentials::{
    Cost, DeviceMarker, Password, PasswordRecord, PepperKeyring, Token, TokenError, Username,
    Verdict,
};
use guard::{Known, Reservation};
use hashing::threads::{HashOutcome, Work};
use hashing::{Arena, Params};
use lane::{Flow, Wakeup};
use store::{NewSession, UserAgent};
use unix_time::millis;
use zeroize::Zeroizing;

use super::origin::Origin;
use super::{AccountError, Accounts, Answer, InternalError, hashed};
use crate::keyrings::Lookup;
use crate::limits::{DEAR_HASH_COST_MIN, LATE_UPGRADE_TIME_MAX};

/// Somebody who wants to log in.
pub struct Login {
    /// As the user typed it.
    pub username: String,
    /// As the user typed it.
    pub password: Zeroizing<String>,
    /// The marker of an earlier login, not yet read.
    pub device: Option<Zeroizing<String>>,
    /// Where it came from.
    pub origin: Origin,
}

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

/// Somebody who wants to log in, before the password is proved.
pub struct Candidate {
    /// None where it must not be told that there is none by that name.
    user: Option<User>,
    trial: Trial,
    username: Username,
    /// On the heap, so that no move leaves a copy.
    device: Option<Box<DeviceMarker>>,
    origin: Origin,
    attempt: Reservation,
}

/// What is known of a candidate beside the record.
struct User {
    epoch: u32,
    is_disabled: bool,
    /// The record as it is in the store.
    stored: String,
}

/// A password, and the record that it is compared with.
pub(super) struct Trial {
    pub(super) user_id: UserId,
    pub(super) record: PasswordRecord,
    pub(super) peppers: Arc<PepperKeyring>,
    pub(super) password: Arc<Password>,
}

/// A candidate whose password was hashed, and what came of it.
pub struct Proved {
    candidate: Candidate,
    verdict: Answer<Verdict>,
}

/// A user who has proved who they are.
pub struct Admitted {
    epoch: u32,
    stored: String,
    trial: Trial,
    username: Username,
    device: Option<Box<DeviceMarker>>,
    origin: Origin,
}

/// Whom a session is made for.
pub(super) struct Claim<'a> {
    pub(super) user_id: UserId,
    /// Was read before the proof.
    pub(super) epoch: u32,
    pub(super) origin: &'a Origin,
}

/// A session that is durable, and what has to be done before it is told of.
pub struct Opening {
    pub(super) opened: Opened,
    /// The digests of sessions that have made room, to be settled.
    pub(super) gone: Vec<[u8; 32]>,
}

impl Accounts {
    /// Trades a username and a password for a session. When this returns, it is durable. Blocks until then.
    ///
    /// # Errors
    /// [`AccountError`] as its variants say.
    pub fn authenticate(&self, request: &Login, deadline: Instant) -> Answer<Opened> {
        let mut candidate = self.candidate(request, deadline)?;
        let Candidate { trial, attempt, .. } = &mut candidate;
        let verdict = self.verify(trial, attempt, Flow::ONE, deadline);
        let admitted = self.judge(Proved { candidate, verdict })?;
        if clock::now() >= deadline {
            self.upgrade_late(&admitted);
            return Err(AccountError::TimedOut);
        }
        let (admitted, opening) = self.admit(vec![admitted], deadline).remove(0);
        self.settle(admitted, opening?, deadline)
    }

    /// Who wants to log in, if they may try now.
    ///
    /// # Errors
    /// [`AccountError`] as its variants say.
    pub fn candidate(&self, request: &Login, deadline: Instant) -> Answer<Candidate> {
        let username = Username::new(&request.username)?;
        let password = Arc::new(Password::for_login(&request.password)?);

        let device = request.device.as_ref().and_then(|text| self.device(text, &username));
        let device = device.map(Box::new);
        let known = device.as_deref().map(Known::Device);
        let attempt = request.origin.attempt(&username, known);
        let mut attempt = self.guard.reserve_login(&attempt, clock::now())?;

        let row = self.store.user_by_name(username.as_str(), deadline)?;
        let (user, trial) = match row {
            Some(row) => {
                let user_id = UserId::new(row.user_id)?;
                let record: PasswordRecord = row.password_record.parse()?;
                let peppers = self.peppers_with(record.pepper_id())?;
                let user = User {
                    epoch: row.session_epoch,
                    is_disabled: row.is_disabled,
                    stored: row.password_record,
                };
                (Some(user), Trial { user_id, record, peppers, password })
            }
            None => match &self.decoy {
                // It costs them the hash that a wrong password would have cost.
                Some(decoy) => {
                    let (user_id, record) = decoy.read()?;
                    let peppers = Arc::clone(decoy.peppers());
                    (None, Trial { user_id, record, peppers, password })
                }
                None => {
                    // The answer tells that there is no such name.
                    attempt.keep();
                    return Err(AccountError::UserUnknown);
                }
            },
        };
        attempt.charge(trial.cost(self.rules.params));
        let origin = request.origin.clone();
        Ok(Candidate { user, trial, username, device, origin, attempt })
    }

    /// Has the candidate's password hashed. `then` gets what came of it, whatever that is, on a thread that must not be kept
    /// waiting; the [`Wakeup`] is for whoever goes on from there. Does not block. A dear hash waits for the turn of `flow`.
    pub(crate) fn prove(
        &self,
        mut candidate: Candidate,
        flow: Flow,
        deadline: Instant,
        then: impl FnOnce(Proved) -> Wakeup + Send + 'static,
    ) {
        let work = match self.work(&candidate.trial) {
            Ok(work) => work,
            Err(error) => return then(Proved { candidate, verdict: Err(error) }).fire(),
        };
        candidate.attempt.begin();
        self.hashers.submit(flow, deadline, work, move |verdict| {
            let verdict = judged(&mut candidate.attempt, hashed(verdict), deadline);
            then(Proved { candidate, verdict })
        });
    }

    /// Lets the candidate in, or says why not.
    ///
    /// # Errors
    /// [`AccountError`] as its variants say.
    pub fn judge(&self, proved: Proved) -> Answer<Admitted> {
        let Proved { candidate, verdict } = proved;
        let Candidate { user, trial, username, device, origin, attempt } = candidate;
        let user = match (verdict?, user) {
            (Verdict::Match, Some(user)) => {
                attempt.clear();
                user
            }
            // Whatever the verdict: nobody logs in as the decoy.
            (Verdict::Match, None) | (Verdict::Mismatch, _) => {
                attempt.keep();
                return Err(self.password_wrong());
            }
        };
        // Said to the owner alone: whoever does not know the password learns nothing.
        if user.is_disabled {
            return Err(AccountError::AccountDisabled);
        }
        let User { epoch, stored, .. } = user;
        Ok(Admitted { epoch, stored, trial, username, device, origin })
    }

    /// Makes a session for each of these users. When this returns, they are durable, and no more has to be done for those
    /// who are [settled](Self::is_settled).
    pub fn admit(
        &self,
        admitted: Vec<Admitted>,
        deadline: Instant,
    ) -> Vec<(Admitted, Answer<Opening>)> {
        let claims: Vec<_> = admitted
            .iter()
            .map(|user| Claim {
                user_id: user.trial.user_id,
                epoch: user.epoch,
                origin: &user.origin,
            })
            .collect();
        let openings = self.open_sessions(&claims, deadline);
        admitted.into_iter().zip(openings).collect()
    }

    /// Whether a user can be told of the session now: [`settle`](Self::settle) has nothing to do that takes time.
    pub fn is_settled(&self, user: &Admitted, opening: &Opening) -> bool {
        opening.gone.is_empty() && !self.is_outdated(&user.trial.record)
    }

    /// Does what has to be done before a user is told of the session. May take a round trip to Redis, or a hash.
    ///
    /// # Errors
    /// [`AccountError`] as its variants say.
    pub fn settle(&self, user: Admitted, opening: Opening, deadline: Instant) -> Answer<Opened> {
        let Admitted { stored, trial, username, device, .. } = user;
        let device = self.token_keys.current().issue_device(&username, device.as_deref())?;
        self.sessions.settle(&opening.gone)?;
        // Last: the session is there, whatever becomes of this.
        if self.is_outdated(&trial.record) {
            self.upgrade(trial.user_id, &stored, &trial.record, &trial.password, deadline);
        }
        Ok(Opened { device: Some(device), ..opening.opened })
    }

    /// Brings the record up to date of a user who has proved who they are, but too late to be let in: a record that takes
    /// longer to verify than anybody waits would else keep its owner out for good.
    pub(crate) fn upgrade_late(&self, user: &Admitted) {
        let Admitted { stored, trial, .. } = user;
        if self.is_outdated(&trial.record) {
            let deadline = clock::now() + LATE_UPGRADE_TIME_MAX;
            self.upgrade(trial.user_id, stored, &trial.record, &trial.password, deadline);
        }
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

    /// What a wrong password is called here, and, where it is a secret which names there are, an unknown name.
    fn password_wrong(&self) -> AccountError {
        match self.decoy {
            None => AccountError::PasswordWrong,
            Some(_) => AccountError::CredentialsWrong,
        }
    }

    /// Whether a record takes so long to verify, or so much memory, that its hash must not stand before usual ones.
    fn is_dear(&self, trial: &Trial) -> bool {
        let params = self.rules.params;
        trial.record.need().exceeds(params.m_kib()) || trial.cost(params) > DEAR_HASH_COST_MIN
    }

    /// Whether the candidate's hash waits in the queue of dear ones, which has places of its own.
    pub(crate) fn waits_apart(&self, candidate: &Candidate) -> bool {
        self.is_dear(&candidate.trial)
    }

    /// What has to be hashed.
    ///
    /// # Errors
    /// [`AccountError::Internal`] when the record does not open.
    pub(super) fn work(&self, trial: &Trial) -> Answer<Work<Answer<Verdict>>> {
        match trial.record.recipe() {
            Some((salt, params)) if params == self.rules.params => {
                // On the heap, so that no move leaves a copy: what the threads that hash are handed moves several times.
                let stored = Box::new(trial.record.open(trial.user_id, &trial.peppers)?);
                let after = move |tag: HashOutcome| Ok(Verdict::on(&tag?, &stored));
                let password = Arc::clone(&trial.password);
                Ok(Work::Usual { password, salt, params, after: Box::new(after) })
            }
            _ if self.is_dear(trial) => {
                Ok(Work::Dear { need: trial.record.need(), work: Box::new(trial.in_arena()) })
            }
            _ => Ok(Work::Unknown(Box::new(trial.in_arena()))),
        }
    }

    /// Hashes what was offered. Blocks until it is done, or until `deadline`. A dear hash waits for the turn of `flow`.
    pub(super) fn verify(
        &self,
        trial: &Trial,
        attempt: &mut Reservation,
        flow: Flow,
        deadline: Instant,
    ) -> Answer<Verdict> {
        let work = self.work(trial)?;
        attempt.begin();
        judged(attempt, hashed(self.hashers.run(flow, deadline, work)), deadline)
    }

    /// Makes sessions for users who have proved who they are; one commit makes all of them durable.
    pub(super) fn open_sessions(
        &self,
        claims: &[Claim<'_>],
        deadline: Instant,
    ) -> Vec<Answer<Opening>> {
        let drafts: Vec<_> = claims.iter().map(|claim| self.draft(claim)).collect();
        let sessions: Vec<_> = drafts.iter().flatten().map(|(_, session)| *session).collect();
        let mut kept = self.sessions.keep(&sessions, deadline).into_iter();
        let open = |(claim, draft): (&Claim<'_>, Answer<(Token, NewSession<'_>)>)| {
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

    fn draft<'a>(&self, claim: &Claim<'a>) -> Answer<(Token, NewSession<'a>)> {
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

impl Trial {
    /// What it costs to verify, where a usual hash has these parameters.
    pub(super) fn cost(&self, usual: Params) -> Cost {
        self.record.cost(&self.password, usual)
    }

    /// What is to be done in memory that is large enough. It gets all that it needs as its own, since it runs on another
    /// thread.
    fn in_arena(&self) -> impl FnOnce(&mut Arena) -> Answer<Verdict> + Send + use<> {
        let (user_id, record) = (self.user_id, self.record.clone());
        let (peppers, password) = (Arc::clone(&self.peppers), Arc::clone(&self.password));
        move |arena| Ok(record.verify(user_id, &password, &peppers, arena)?)
    }
}

/// The verdict of a hash that was begun.
pub(super) fn judged(
    attempt: &mut Reservation,
    verdict: Answer<Verdict>,
    deadline: Instant,
) -> Answer<Verdict> {
    verdict.inspect_err(|error| unhashed(attempt, error, deadline))
}

/// An attempt came to no verdict, and does not count as a guess; unless the hash panicked: nobody knows how far
/// it had come. If it waited for a hash until its time ran out, others waited behind it.
pub(super) fn unhashed(attempt: &mut Reservation, why: &AccountError, deadline: Instant) {
    match why {
        AccountError::Internal(InternalError::Dropped) => {}
        AccountError::TimedOut if clock::now() >= deadline => attempt.hold(),
        _ => attempt.undo(),
    }
}

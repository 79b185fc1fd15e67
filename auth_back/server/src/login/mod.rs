//! A login: a username and a password become a session.
//!
//! Nobody waits while a password is hashed. So a login is cut into stages, each of which takes what the last one has
//! made; those whose hashes are done at the same time go on together.
//!
//! | stage | thread | function | what it may wait for |
//! |---|---|---|---|
//! | queue | loop | `rpc::Desk::submit` | nothing |
//! | permit | `heavy` | `lane::Inbox::recv_with_permit` | a permit; the job stays in its queue, where others may overtake it |
//! | 1 find | `heavy` | `find` | the limiter (Redis), the key files, one read of the store |
//! | 2 hash | `hash`, or `dear` | [`hashing::threads`], then `Pending::with` | nothing |
//! | 3 judge | `finish` | `judge` | the limiter (Redis) |
//! | 4 commit | `finish` | `commit`, one for all that are there | one commit of the store |
//! | 5 complete | `finish` | `complete` | Redis, for sessions that made room; a hash, where the record is brought up to date |
//! | answer | `finish` | `reactor::Ticket::answer_with`, then `Bundle::post` | nothing |
//!
//! The stages know no lane, ticket or thread: `worker/heavy/login.rs` takes them from one thread to the next, and tests
//! take them all on one (`testing.rs`). `finish` is stages 3 to 5 of several logins, for both.
//!
//! An attempt is given back if it ends before its hash has begun; from then on it counts ([`guard::Reservation`]).

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use credentials::ids::UserId;
use credentials::{DeviceMarker, Password, PasswordRecord, TokenError, Username, Verdict};
use guard::{Known, Reservation};
use hashing::NotHashed;
use hashing::threads::Work;
use zeroize::Zeroizing;

use crate::accounts::{
    AccountError, Accounts, Answer, HashTask, Opened, Opening, Origin, PasswordCheck, SessionFor,
    apart, hashed, judged,
};
use crate::keyrings::Lookup;
use crate::limits::LATE_UPGRADE_TIME_MAX;

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

/// Stage 1: who wants to log in, and what has to be hashed for it.
pub(crate) struct Found {
    task: HashTask,
    pending: Pending,
}

/// A login whose password is being hashed.
pub(crate) struct Pending {
    /// None where it must not be told that there is none by that name.
    user: Option<User>,
    check: PasswordCheck,
    username: Username,
    /// On the heap, so that no move leaves a copy.
    device: Option<Box<DeviceMarker>>,
    origin: Origin,
    attempt: Reservation,
}

/// What is known of somebody beside the record.
struct User {
    epoch: u32,
    is_disabled: bool,
    /// The record as it is in the store.
    stored: String,
}

/// Stage 2: a login whose password was hashed, and what came of it.
pub(crate) struct Hashed {
    pending: Pending,
    verdict: Answer<Verdict>,
}

/// Stage 3: a user who has proved who they are.
pub(crate) struct Verified {
    epoch: u32,
    stored: String,
    check: PasswordCheck,
    username: Username,
    device: Option<Box<DeviceMarker>>,
    origin: Origin,
}

/// Stage 4: a user whose session is durable, and who has not been told.
pub(crate) struct Committed {
    user: Verified,
    opening: Opening,
}

/// Stage 1. Blocks.
///
/// # Errors
/// [`AccountError`] as its variants say; the attempt is given back, unless the answer tells that there is no such name.
pub(crate) fn find(accounts: &Accounts, login: &Login, deadline: Instant) -> Answer<Found> {
    let username = Username::new(&login.username)?;
    let password = Arc::new(Password::for_login(&login.password)?);

    let device = login.device.as_ref().and_then(|text| device(accounts, text, &username));
    let device = device.map(Box::new);
    let known = device.as_deref().map(Known::Device);
    let attempt = login.origin.attempt(&username, known);
    let mut attempt = accounts.guard.reserve_login(&attempt, clock::now())?;

    let row = accounts.store.user_by_name(username.as_str(), deadline)?;
    let (user, check) = match row {
        Some(row) => {
            let user_id = UserId::new(row.user_id)?;
            let record: PasswordRecord = row.password_record.parse()?;
            let peppers = accounts.peppers_with(record.pepper_id())?;
            let user = User {
                epoch: row.session_epoch,
                is_disabled: row.is_disabled,
                stored: row.password_record,
            };
            (Some(user), PasswordCheck { user_id, record, peppers, password })
        }
        None => match &accounts.decoy {
            // It costs them the hash that a wrong password would have cost.
            Some(decoy) => {
                let (user_id, record) = decoy.read()?;
                let peppers = Arc::clone(decoy.peppers());
                (None, PasswordCheck { user_id, record, peppers, password })
            }
            None => {
                // The answer tells that there is no such name.
                attempt.keep();
                return Err(AccountError::UserUnknown);
            }
        },
    };
    attempt.charge(check.cost(accounts.rules.params));
    let task = accounts.hash_task(&check)?;
    let origin = login.origin.clone();
    Ok(Found { task, pending: Pending { user, check, username, device, origin, attempt } })
}

impl Found {
    /// Whether the hash waits in the queue of dear ones, which has places of its own.
    pub(crate) fn is_dear(&self) -> bool {
        matches!(self.task, Work::Dear { .. })
    }

    /// What is to be hashed, and what waits for it. From here on the attempt counts.
    pub(crate) fn into_hash(self) -> (HashTask, Pending) {
        let Self { task, mut pending } = self;
        pending.attempt.begin();
        (task, pending)
    }
}

impl Pending {
    /// Stage 2, when the hash is done, or is not to be done any more. Takes microseconds: the thread that calls it hashes.
    pub(crate) fn with(
        mut self,
        outcome: Result<Answer<Verdict>, NotHashed>,
        deadline: Instant,
    ) -> Hashed {
        let verdict = judged(&mut self.attempt, hashed(outcome), deadline);
        Hashed { pending: self, verdict }
    }
}

/// Stage 3: lets somebody in, or says why not.
///
/// # Errors
/// [`AccountError`] as its variants say.
pub(crate) fn judge(accounts: &Accounts, login: Hashed) -> Answer<Verified> {
    let Hashed { pending, verdict } = login;
    let Pending { user, check, username, device, origin, attempt } = pending;
    let user = match (verdict?, user) {
        (Verdict::Match, Some(user)) => {
            attempt.clear();
            user
        }
        // Whatever the verdict: nobody logs in as the decoy.
        (Verdict::Match, None) | (Verdict::Mismatch, _) => {
            attempt.keep();
            return Err(password_wrong(accounts));
        }
    };
    // Said to the owner alone: whoever does not know the password learns nothing.
    if user.is_disabled {
        return Err(AccountError::AccountDisabled);
    }
    let User { epoch, stored, .. } = user;
    Ok(Verified { epoch, stored, check, username, device, origin })
}

/// Stage 4: makes a session for each of these users. When this returns, they are durable. What became of each, in their
/// order. Blocks.
pub(crate) fn commit(
    accounts: &Accounts,
    users: Vec<Verified>,
    deadline: Instant,
) -> Vec<Answer<Committed>> {
    let sessions: Vec<_> = users
        .iter()
        .map(|user| SessionFor {
            user_id: user.check.user_id,
            epoch: user.epoch,
            origin: &user.origin,
        })
        .collect();
    let openings = accounts.open_sessions(&sessions, deadline);
    let committed = |(user, opening): (_, Answer<_>)| Ok(Committed { user, opening: opening? });
    users.into_iter().zip(openings).map(committed).collect()
}

impl Committed {
    /// Whether [`complete`] has something to do that takes time.
    fn takes_longer(&self, accounts: &Accounts) -> bool {
        !self.opening.gone.is_empty() || accounts.is_outdated(&self.user.check.record)
    }
}

/// Stage 5: does what has to be done before a user is told of the session. May take a round trip to Redis, or a hash.
///
/// # Errors
/// [`AccountError`] as its variants say.
pub(crate) fn complete(accounts: &Accounts, login: Committed, deadline: Instant) -> Answer<Opened> {
    let Committed { user, opening } = login;
    let Verified { stored, check, username, device, .. } = user;
    let device = accounts.token_keys.current().issue_device(&username, device.as_deref())?;
    accounts.sessions.settle(&opening.gone)?;
    // Last: the session is there, whatever becomes of this.
    if accounts.is_outdated(&check.record) {
        accounts.upgrade(check.user_id, &stored, &check.record, &check.password, deadline);
    }
    Ok(Opened { device: Some(device), ..opening.opened })
}

/// Brings the record up to date of a user who has proved who they are, but too late to be let in: a record that takes
/// longer to verify than anybody waits would else keep its owner out for good.
fn upgrade_late(accounts: &Accounts, user: &Verified) {
    let Verified { stored, check, .. } = user;
    if accounts.is_outdated(&check.record) {
        let deadline = clock::now() + LATE_UPGRADE_TIME_MAX;
        accounts.upgrade(check.user_id, stored, &check.record, &check.password, deadline);
    }
}

/// Whom logins are answered to. `T` travels with each: a request that waits, in a server.
pub(crate) trait Answers<T> {
    /// The time after which nobody waits for it any more.
    fn deadline(&self, login: &T) -> Instant;
    /// Answers it. The answer may wait for [`flush`](Self::flush).
    fn answer(&mut self, login: T, outcome: Answer<Opened>);
    /// Sends all answers that wait.
    fn flush(&mut self);
}

/// What is left of several logins when all that is quick has been answered.
#[must_use = "those in it have not been answered"]
pub(crate) struct Longer<T> {
    /// To be completed, and answered after it.
    committed: Vec<(Committed, T)>,
    /// They were told that it is too late.
    late: Vec<Verified>,
}

/// Stages 3 to 5 of several logins: those who are refused are answered first, then those whose sessions are durable. Who
/// takes longer is left in `longer`. A panic that concerns one is not that of the others.
pub(crate) fn finish<T>(
    accounts: &Accounts,
    logins: Vec<(Hashed, T)>,
    longer: &mut Longer<T>,
    answers: &mut impl Answers<T>,
) {
    let (mut waiting, mut users) = (Vec::new(), Vec::new());
    for (login, whose) in logins {
        let deadline = answers.deadline(&whose);
        match apart(|| judge(accounts, login)) {
            Ok(user) if clock::now() < deadline => {
                waiting.push(whose);
                users.push(user);
            }
            Ok(user) => {
                answers.answer(whose, Err(AccountError::TimedOut));
                longer.late.push(user);
            }
            Err(error) => answers.answer(whose, Err(error)),
        }
    }
    // Those who are refused wait for no commit.
    answers.flush();
    // The latest: if the commit outlasts an earlier one, that client has given up anyway.
    let Some(latest) = waiting.iter().map(|whose| answers.deadline(whose)).max() else {
        return;
    };
    for (whose, committed) in waiting.into_iter().zip(commit(accounts, users, latest)) {
        match committed {
            Ok(login) if login.takes_longer(accounts) => longer.committed.push((login, whose)),
            committed => {
                let opened = apart(|| complete(accounts, committed?, latest));
                answers.answer(whose, opened);
            }
        }
    }
    answers.flush();
}

impl<T> Default for Longer<T> {
    fn default() -> Self {
        Self { committed: Vec::new(), late: Vec::new() }
    }
}

impl<T> Longer<T> {
    /// Completes and answers each by itself, then does what nobody waits for.
    pub(crate) fn finish(self, accounts: &Accounts, answers: &mut impl Answers<T>) {
        for (login, whose) in self.committed {
            let deadline = answers.deadline(&whose);
            answers.answer(whose, apart(|| complete(accounts, login, deadline)));
            answers.flush();
        }
        self.late.iter().for_each(|user| upgrade_late(accounts, user));
    }
}

/// The program that shows this marker, if it has logged in to this account before.
fn device(accounts: &Accounts, text: &str, username: &Username) -> Option<DeviceMarker> {
    match accounts.token_keys.current().check_device(text, username) {
        Err(TokenError::UnknownKey(id)) => match accounts.token_keys.look_up(id) {
            Lookup::Has(keys) => keys.check_device(text, username).ok(),
            Lookup::Unsure | Lookup::Lacks(_) => None,
        },
        checked => checked.ok(),
    }
}

/// What a wrong password is called here, and, where it is a secret which names there are, an unknown name.
fn password_wrong(accounts: &Accounts) -> AccountError {
    match accounts.decoy {
        None => AccountError::PasswordWrong,
        Some(_) => AccountError::CredentialsWrong,
    }
}

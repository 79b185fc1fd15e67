//! What hashes: registrations, logins, changes of passwords.
//!
//! Nobody waits while a login is hashed. A worker of the heavy lane begins it; when the hash is done, it is queued in a lane
//! of its own, `finish`, whose workers take those that are there together: one wakes for all of them, one commit makes their
//! sessions durable, and they are answered together.
//!
//! What waits, waits in the heavy lane, where it has its turn and can be refused. So a request leaves that lane with a
//! permit, and there are only as many permits as hashes can be done in a moment ([`HashPace`](crate::accounts::HashPace)).

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use reactor::Bundle;
use service::lane::{
    Admission, Ask, Flow, Inbox, Lane, LaneError, LaneOptions, LaneStats, Permit, Wake, Wakeup,
    Workers,
};
use service::sparing;

use super::{Clerk, LaneSize};
use crate::accounts::{AccountError, Accounts, Admitted, InternalError, Proved};
use crate::audit::Audit;
use crate::limits::DEAR_HASHES_QUEUED_MAX;
use crate::metrics::Metrics;
use crate::pace::Pace;
use crate::work::{Done, Job, Reply, Request};

/// The lane of what hashes.
pub struct Heavy {
    /// Takes requests.
    pub lane: Lane<Job>,
    /// The figures of the lane that logins are finished in.
    pub finish: LaneStats,
    /// In the order in which they end: when nothing is queued any more, when no login is in flight.
    pub workers: [Workers; 2],
}

/// Starts the lane of what hashes, and the one where logins are finished, which has as many threads. `admission` says what
/// may wait and how many have permits; at most `in_flight_max`.
///
/// # Errors
/// When the system gives no more threads.
pub fn start_heavy(
    size: LaneSize,
    admission: Admission,
    in_flight_max: NonZeroUsize,
    accounts: Arc<Accounts>,
    metrics: Metrics,
    audit: Audit,
) -> Result<Heavy, LaneError> {
    let together_max = accounts.sessions.kept_together_max();
    let clerk = Arc::new(Clerk { accounts, pace: Pace::default(), metrics, audit });
    let finisher = Arc::clone(&clerk);
    let endings_max = in_flight_max.saturating_add(DEAR_HASHES_QUEUED_MAX.get() + 1);
    let options = LaneOptions::new("finish", size.threads, endings_max)?;
    let (finish, finish_workers) = Lane::start(&options, move |inbox| {
        let mut batch = Vec::with_capacity(together_max);
        while inbox.recv_batch(&mut batch, together_max) {
            finisher.finish_logins(&mut batch);
        }
    })?;
    let finish_stats = finish.stats();
    let finish = Arc::new(finish);
    let options = LaneOptions::new("heavy", size.threads, size.queue)?.admission(admission);
    let (lane, workers) = Lane::start(&options, move |inbox: &mut Inbox<Job>| {
        while let Some((job, permit)) = inbox.recv_with_permit() {
            match &job.request {
                Request::Authenticate(_) => clerk.begin_login(job, permit, &finish),
                _ => clerk.serve(job),
            }
        }
    })?;
    Ok(Heavy { lane, finish: finish_stats, workers: [workers, finish_workers] })
}

/// A login whose password was hashed.
struct Ending {
    login: InFlight,
    proved: Proved,
}

/// A login that has begun.
struct InFlight {
    job: Job,
    began: Instant,
    /// For as long as it may keep others out, who would wait for the same threads.
    permit: Option<Permit<Job>>,
}

impl service::lane::Job for Ending {}

impl Clerk {
    /// Begins a login, and leaves it to be finished when its password is hashed. Blocks for a look into the store.
    fn begin_login(&self, job: Job, permit: Permit<Job>, finish: &Arc<Lane<Ending>>) {
        let mut login = InFlight { job, began: clock::now(), permit: Some(permit) };
        let (flow, deadline) = (login.job.flow, login.job.deadline);
        let candidate = match &login.job.request {
            Request::Authenticate(request) if self.admits(&login.job, login.began) => {
                self.accounts.candidate(request, deadline)
            }
            _ => Err(AccountError::TimedOut),
        };
        match candidate {
            Ok(candidate) => {
                let finish = Arc::clone(finish);
                // It takes long, in few places of its own: usual ones do not wait for it.
                if self.accounts.waits_apart(&candidate) {
                    login.permit = None;
                }
                self.accounts.prove(candidate, flow, deadline, move |proved| {
                    // There are no more logins than permits and places of dear ones. Refused, its ticket answers.
                    let ending = Ending { login, proved };
                    if finish.try_queue(ending, &Ask::new(Flow::ONE)).is_err() {
                        sparing!(ERROR, "a login cannot be finished");
                    }
                    Wakeup::of(finish as Arc<dyn Wake>)
                });
            }
            Err(error) => self.answer_login(login, Err(error), &mut Bundle::default()),
        }
    }

    /// Logins whose passwords were hashed, judged, committed and answered together.
    fn finish_logins(&self, batch: &mut Vec<Ending>) {
        let mut bundle = Bundle::default();
        let (mut logins, mut admitted, mut late) = (Vec::new(), Vec::new(), Vec::new());
        for Ending { login, proved } in batch.drain(..) {
            let deadline = login.job.deadline;
            match apart(|| self.accounts.judge(proved)) {
                Ok(user) if clock::now() < deadline => {
                    logins.push(login);
                    admitted.push(user);
                }
                Ok(user) => {
                    self.answer_login(login, Err(AccountError::TimedOut), &mut bundle);
                    late.push(user);
                }
                Err(error) => self.answer_login(login, Err(error), &mut bundle),
            }
        }
        // Those who are refused wait for no commit.
        bundle.post();
        self.commit_logins(logins, admitted, &mut bundle);
        late.iter().for_each(|user| self.accounts.upgrade_late(user));
    }

    /// Logins of users who have proved who they are.
    fn commit_logins(
        &self,
        logins: Vec<InFlight>,
        admitted: Vec<Admitted>,
        bundle: &mut Bundle<Reply>,
    ) {
        // Of those whose time is shorter nobody waits any more if it should take longer.
        let Some(deadline) = logins.iter().map(|login| login.job.deadline).max() else { return };
        let mut unsettled = Vec::new();
        for (login, (user, opening)) in
            logins.into_iter().zip(self.accounts.admit(admitted, deadline))
        {
            match opening {
                Ok(opening) if !self.accounts.is_settled(&user, &opening) => {
                    unsettled.push((login, user, opening));
                }
                opening => {
                    let opened =
                        opening.and_then(|opening| self.accounts.settle(user, opening, deadline));
                    self.answer_login(login, opened.map(Done::Authenticated), bundle);
                }
            }
        }
        bundle.post();
        for (login, user, opening) in unsettled {
            let deadline = login.job.deadline;
            let opened = apart(|| self.accounts.settle(user, opening, deadline));
            self.answer_login(login, opened.map(Done::Authenticated), bundle);
            bundle.post();
        }
    }

    fn answer_login(
        &self,
        login: InFlight,
        outcome: Result<Done, AccountError>,
        bundle: &mut Bundle<Reply>,
    ) {
        let InFlight { job, began, permit } = login;
        self.record(&job, &outcome, None, began);
        job.ticket.answer_with(Reply { call: job.call, outcome }, bundle);
        drop(permit);
    }
}

/// Runs what concerns one of several, so that its panic, which the hook has logged, is not that of the others.
fn apart<T>(work: impl FnOnce() -> Result<T, AccountError>) -> Result<T, AccountError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(InternalError::Dropped.into()))
}

#[cfg(test)]
mod tests;

//! The threads of a lane: one request after the other, from its deadline to its answer; but session
//! checks that wait together are served together.
//!
//! Nobody waits while a login is hashed. A worker of the heavy lane begins it; when the hash is done, it is queued in a lane
//! of its own, `finish`, whose workers take those that are there together: one wakes for all of them, one commit makes their
//! sessions durable, and they are answered together.

mod checks;

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use reactor::Bundle;
use service::lane::{Inbox, Lane, LaneError, LaneOptions, LaneStats, Workers};
use service::sparing;

use crate::accounts::{AccountError, Accounts, Call as Bell, InternalError, Proved};
use crate::audit::{Audit, Entry};
use crate::metrics::Metrics;
use crate::pace::Pace;
use crate::store::limits::SESSIONS_TOGETHER_MAX;
use crate::work::{Call, Done, Job, Reply, Request};

/// The size of a lane.
#[derive(Clone, Copy, Debug)]
pub struct LaneSize {
    /// Its threads.
    pub threads: NonZeroUsize,
    /// Jobs that may wait.
    pub queue: NonZeroUsize,
}

/// Starts a lane whose workers serve requests with `accounts`.
///
/// # Errors
/// When the system gives no more threads.
pub fn start_lane(
    name: &'static str,
    size: LaneSize,
    accounts: Arc<Accounts>,
    metrics: Metrics,
    audit: Audit,
) -> Result<(Lane<Job>, Workers), LaneError> {
    let options = LaneOptions::new(name, size.threads, size.queue)?;
    let clerk = Clerk { accounts, pace: Pace::default(), metrics, audit };
    Lane::start(options, move |inbox| {
        let mut batch = Vec::with_capacity(SESSIONS_TOGETHER_MAX);
        while inbox.recv_like(&mut batch, SESSIONS_TOGETHER_MAX, are_checks) {
            match batch.len() {
                1 => batch.drain(..).for_each(|job| clerk.serve(job)),
                _ => clerk.serve_checks(&mut batch),
            }
        }
    })
}

/// The lane of what hashes.
pub struct Heavy {
    /// Takes requests.
    pub lane: Lane<Job>,
    /// The figures of the lane that logins are finished in.
    pub finish: LaneStats,
    /// In the order in which they end: when nothing is queued any more, when no login is in flight.
    pub workers: [Workers; 2],
}

/// Starts the lane of what hashes, and the one where logins are finished, which has as many threads. At most `in_flight`
/// logins are between the two.
///
/// # Errors
/// When the system gives no more threads.
pub fn start_heavy(
    size: LaneSize,
    in_flight: NonZeroUsize,
    accounts: Arc<Accounts>,
    metrics: Metrics,
    audit: Audit,
) -> Result<Heavy, LaneError> {
    let together_max = accounts.sessions.kept_together_max();
    let clerk = Arc::new(Clerk { accounts, pace: Pace::default(), metrics, audit });
    let finisher = Arc::clone(&clerk);
    let options = LaneOptions::new("finish", size.threads, in_flight)?;
    let (finish, finish_workers) = Lane::start(options, move |inbox| {
        let mut batch = Vec::with_capacity(together_max);
        while inbox.recv_batch(&mut batch, together_max) {
            finisher.finish_logins(&mut batch);
        }
    })?;
    let finish_stats = finish.stats();
    let (finish, places) = (Arc::new(finish), Arc::new(Places::new(in_flight)));
    let options = LaneOptions::new("heavy", size.threads, size.queue)?;
    let (lane, workers) = Lane::start(options, move |inbox: &mut Inbox<Job>| {
        while let Some(job) = inbox.recv() {
            match &job.request {
                Request::Authenticate(_) => clerk.begin_login(job, places.take(), &finish),
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
    place: Place,
}

fn are_checks(first: &Job, next: &Job) -> bool {
    first.request.as_check().is_some() && next.request.as_check().is_some()
}

/// What the workers of a lane have in common.
struct Clerk {
    accounts: Arc<Accounts>,
    pace: Pace,
    metrics: Metrics,
    audit: Audit,
}

impl Clerk {
    fn serve(&self, job: Job) {
        let began = clock::now();
        // What has expired in the queue, or will before it is done, is not worth a hash.
        let mut whose = None;
        let outcome = if self.admits(&job, began) {
            job.request.run(&self.accounts, job.deadline, &mut whose)
        } else {
            Err(AccountError::TimedOut)
        };
        self.record(&job, &outcome, whose, began);
        job.ticket.answer(Reply { call: job.call, outcome });
    }

    /// Begins a login, and leaves it to be finished when its password is hashed. Blocks for a look into the store.
    fn begin_login(&self, job: Job, place: Place, finish: &Arc<Lane<Ending>>) {
        let login = InFlight { job, began: clock::now(), place };
        let deadline = login.job.deadline;
        let candidate = match &login.job.request {
            Request::Authenticate(request) if self.admits(&login.job, login.began) => {
                self.accounts.candidate(request, deadline)
            }
            _ => Err(AccountError::TimedOut),
        };
        match candidate {
            Ok(candidate) => {
                let finish = Arc::clone(finish);
                self.accounts.prove(candidate, deadline, move |proved| {
                    // There are no more logins than places. Refused, its ticket answers.
                    if finish.try_queue(Ending { login, proved }).is_err() {
                        sparing!(ERROR, "a login cannot be finished");
                    }
                    Bell::on(finish)
                });
            }
            Err(error) => self.answer_login(login, Err(error), &mut Bundle::default()),
        }
    }

    /// Logins whose passwords were hashed, judged, committed and answered together.
    fn finish_logins(&self, batch: &mut Vec<Ending>) {
        let mut bundle = Bundle::default();
        let (mut logins, mut admitted) = (Vec::new(), Vec::new());
        for Ending { login, proved } in batch.drain(..) {
            let deadline = login.job.deadline;
            match apart(|| self.accounts.judge(proved, deadline)) {
                Ok(user) => {
                    logins.push(login);
                    admitted.push(user);
                }
                Err(error) => self.answer_login(login, Err(error), &mut bundle),
            }
        }
        // Those who are refused wait for no commit.
        bundle.post();
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
                    self.answer_login(login, opened.map(Done::Authenticated), &mut bundle);
                }
            }
        }
        bundle.post();
        for (login, user, opening) in unsettled {
            let deadline = login.job.deadline;
            let opened = apart(|| self.accounts.settle(user, opening, deadline));
            self.answer_login(login, opened.map(Done::Authenticated), &mut bundle);
            bundle.post();
        }
    }

    fn answer_login(
        &self,
        login: InFlight,
        outcome: Result<Done, AccountError>,
        bundle: &mut Bundle<Reply>,
    ) {
        let InFlight { job, began, place } = login;
        self.record(&job, &outcome, None, began);
        job.ticket.answer_with(Reply { call: job.call, outcome }, bundle);
        drop(place);
    }

    /// Notes what came of a request that began at `began`, in the audit log too.
    fn record(
        &self,
        job: &Job,
        outcome: &Result<Done, AccountError>,
        whose: Option<u64>,
        began: Instant,
    ) {
        let took = clock::since(began);
        if outcome.is_ok() {
            self.pace.served(took);
        }
        self.note(job.call, outcome, took);
        // Before the answer: what somebody was told is on its way into the log.
        if let Some(entry) = Entry::of(&job.request, outcome, whose) {
            self.audit.record(&entry);
        }
    }

    fn admits(&self, job: &Job, now: Instant) -> bool {
        self.pace.admits(job.deadline.saturating_duration_since(now))
    }

    /// Counts a request, and logs what an operator should know of it.
    fn note(&self, call: Call, outcome: &Result<Done, AccountError>, took: Duration) {
        self.metrics.served(call.message_type, outcome, took);
        let request = call.message_type.name();
        match outcome {
            Err(error @ AccountError::Internal(_)) => {
                sparing!(ERROR, request, %error, "a request failed");
            }
            Err(error @ AccountError::StoreUnavailable(_)) => {
                sparing!(WARN, request, %error, "the store was not there");
            }
            _ => {}
        }
    }
}

/// Runs what concerns one of several, so that its panic, which the hook has logged, is not that of the others.
fn apart<T>(work: impl FnOnce() -> Result<T, AccountError>) -> Result<T, AccountError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(InternalError::Dropped.into()))
}

/// How many logins may be in flight. What waits longer than that waits in the lane's queue, where it can expire.
struct Places {
    free: Mutex<usize>,
    bell: Condvar,
}

/// The right to be in flight.
struct Place(Arc<Places>);

impl Places {
    fn new(count: NonZeroUsize) -> Self {
        Self { free: Mutex::new(count.get()), bell: Condvar::new() }
    }

    /// Waits until there is one. Who has one does not wait for another, and is done by their deadline.
    fn take(self: &Arc<Self>) -> Place {
        let mut free = self.free.lock();
        while *free == 0 {
            self.bell.wait(&mut free);
        }
        *free -= 1;
        Place(Arc::clone(self))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *self.0.free.lock() += 1;
        self.0.bell.notify_one();
    }
}

#[cfg(test)]
mod tests;

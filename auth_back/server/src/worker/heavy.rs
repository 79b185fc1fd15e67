//! What hashes: registrations, logins, changes of passwords.
//!
//! Nobody waits while a password is hashed. A worker of the heavy lane begins a request; when its hash is done, it is queued
//! in a lane of its own, `finish`, whose workers take those that are there together: one wakes for all of them, one commit
//! makes their sessions or accounts durable, and they are answered together. A change of a password comes there twice, once
//! for each of its hashes.
//!
//! What waits, waits in the heavy lane, where it has its turn and can be refused. So a request leaves that lane with a
//! permit, and there are only as many permits as hashes can be done in a moment ([`HashPace`](hashing::HashPace)).

mod change_password;
mod in_flight;
mod login;
mod register;

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use hashing::limits::DEAR_HASHES_QUEUED_MAX;
use lane::{Admission, Inbox, Lane, LaneError, LaneOptions, LaneSize, LaneStats, Permit, Workers};
use reactor::Bundle;
use store::limits::COMMIT_TOGETHER_MAX;

use super::Clerk;
use crate::accounts::{AccountError, Accounts};
use crate::audit::Audit;
use crate::job::{Done, Job, Reply, Request};
use crate::login::Longer;
use crate::metrics::Metrics;
use crate::pace::Pace;
use in_flight::{Changing, Ending, InFlight, Stage};

/// The lane of what hashes.
pub struct Heavy {
    /// Takes requests.
    pub lane: Lane<Job>,
    /// The figures of the lane that requests are finished in.
    pub finish: LaneStats,
    /// In the order in which they end: when nothing is queued any more, when no request is in flight.
    pub workers: [Workers; 2],
}

/// Starts the lane of what hashes, and the one where it is finished, which has as many threads. `admission` says what
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
    let clerk = Arc::new(Clerk { accounts, pace: Pace::default(), metrics, audit });
    let finisher = Arc::clone(&clerk);
    let endings_max = in_flight_max.saturating_add(DEAR_HASHES_QUEUED_MAX.get() + 1);
    let options = LaneOptions::new("finish", size.threads, endings_max)?;
    let (finish, finish_workers) = Lane::start(&options, move |inbox| {
        let mut batch = Vec::with_capacity(COMMIT_TOGETHER_MAX);
        while inbox.recv_batch(&mut batch, COMMIT_TOGETHER_MAX) {
            finisher.finish(&mut batch);
        }
    })?;
    let finish_stats = finish.stats();
    let finish = Arc::new(finish);
    let options = LaneOptions::new("heavy", size.threads, size.queue)?.admission(admission);
    let (lane, workers) = Lane::start(&options, move |inbox: &mut Inbox<Job>| {
        while let Some((job, permit)) = inbox.recv_with_permit() {
            clerk.begin(job, permit, &finish);
        }
    })?;
    Ok(Heavy { lane, finish: finish_stats, workers: [workers, finish_workers] })
}

impl Clerk {
    /// Begins a request, and leaves it to be finished when its password is hashed. Blocks for looks into the store.
    fn begin(&self, job: Job, permit: Permit<Job>, finish: &Arc<Lane<Ending>>) {
        let (permit, finish) = (Some(permit), Arc::clone(finish));
        let asked = InFlight { job, began: clock::now(), whose: None, permit, finish };
        // What has expired in the queue, or will before it is done, is not worth a hash.
        if !self.admits(&asked.job, asked.began) {
            return self.tell(asked, Err(AccountError::TimedOut), &mut Bundle::default());
        }
        match &asked.job.request {
            Request::Authenticate(_) => self.begin_login(asked),
            Request::Register(_) => self.begin_registration(asked),
            Request::ChangePassword(_) => self.begin_change(asked),
            // Nothing else is sent here. It would be served all the same.
            _ => self.serve(asked.job),
        }
    }

    /// Requests whose passwords were hashed, committed and answered together. What waits for nobody is first, what may
    /// take long last; a panic in one kind is not that of the others.
    fn finish(&self, batch: &mut Vec<Ending>) {
        let (mut logins, mut registrations, mut sealed) = (Vec::new(), Vec::new(), Vec::new());
        let mut bundle = Bundle::default();
        for Ending { asked, stage } in batch.drain(..) {
            match stage {
                Stage::Login(login) => logins.push((login, asked)),
                Stage::Registration(sealed) => registrations.push((asked, sealed)),
                Stage::ChangePassword(Changing::Proved(proved)) => {
                    self.seal_new(asked, *proved, &mut bundle);
                }
                Stage::ChangePassword(Changing::Sealed(change)) => sealed.push((asked, *change)),
            }
        }
        let mut longer = Longer::default();
        one_kind(|| self.finish_logins(logins, &mut longer, &mut bundle));
        one_kind(|| self.finish_registrations(registrations, &mut bundle));
        for (asked, change) in sealed {
            one_kind(|| self.finish_change(asked, change, &mut bundle));
        }
        one_kind(|| self.finish_longer(longer, &mut bundle));
    }

    fn tell(
        &self,
        asked: InFlight,
        outcome: Result<Done, AccountError>,
        bundle: &mut Bundle<Reply>,
    ) {
        let InFlight { job, began, whose, permit, .. } = asked;
        self.record(&job, &outcome, whose, began);
        job.ticket.answer_with(Reply { call: job.call, outcome }, bundle);
        drop(permit);
    }
}

/// Runs what concerns one kind of several. After a panic, whoever was not told is told so by their tickets.
fn one_kind(work: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(work));
}

#[cfg(test)]
mod tests;

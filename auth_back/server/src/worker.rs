//! The threads of a lane: one request after the other, from its deadline to its answer; but session
//! checks that wait together are served together, and what hashes goes through two lanes (`heavy`).

mod checks;
mod heavy;

use std::sync::Arc;
use std::time::{Duration, Instant};

use lane::{Lane, LaneError, LaneOptions, Workers};
use service::sparing;

pub use heavy::{Heavy, start_heavy};

use lane::LaneSize;
use store::limits::SESSIONS_TOGETHER_MAX;

use crate::accounts::{AccountError, Accounts};
use crate::audit::{Audit, Entry};
use crate::job::{Done, Job, Reply};
use crate::metrics::Metrics;
use crate::pace::Pace;

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
    Lane::start(&options, move |inbox| {
        let mut batch = Vec::with_capacity(SESSIONS_TOGETHER_MAX);
        while inbox.recv_like(&mut batch, SESSIONS_TOGETHER_MAX, are_checks) {
            match batch.len() {
                1 => batch.drain(..).for_each(|job| clerk.serve(job)),
                _ => clerk.serve_checks(&mut batch),
            }
        }
    })
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

    /// Notes what came of a request that began at `began`, in the audit log too.
    fn record(
        &self,
        job: &Job,
        outcome: &Result<Done, AccountError>,
        whose: Option<u64>,
        began: Instant,
    ) {
        let took = clock::since(began);
        // What hashes has its own measure.
        if outcome.is_ok() && !job.request.is_heavy() {
            self.pace.served(took);
        }
        self.note(job, outcome, took);
        // Before the answer: what somebody was told is on its way into the log.
        if let Some(entry) = Entry::of(&job.request, outcome, whose) {
            self.audit.record(&entry.request_id(job.http_request_id.as_deref()));
        }
    }

    fn admits(&self, job: &Job, now: Instant) -> bool {
        self.pace.admits(job.deadline.saturating_duration_since(now))
    }

    /// Counts a request, and logs what an operator should know of it.
    fn note(&self, job: &Job, outcome: &Result<Done, AccountError>, took: Duration) {
        let message_type = job.call.message_type;
        self.metrics.served(message_type, outcome, took);
        let (request, request_id) = (message_type.name(), job.http_request_id.as_deref());
        match outcome {
            Err(error @ AccountError::Internal(_)) => {
                sparing!(ERROR, request_id, request, %error, "a request failed");
            }
            Err(error @ AccountError::StoreUnavailable(_)) => {
                sparing!(WARN, request_id, request, %error, "the store was not there");
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;

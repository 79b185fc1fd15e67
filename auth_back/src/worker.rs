//! The threads of a lane: one request after the other, from its deadline to its answer.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

use service::lane::{Lane, LaneError, LaneOptions, Niceness, Workers};
use service::log::Sparing;

use crate::accounts::{AccountError, Accounts};
use crate::audit::{Audit, Entry};
use crate::metrics::Metrics;
use crate::pace::Pace;
use crate::work::{Job, Reply};

/// Lines that a store that is away would have every request write.
static FAILED: Sparing = Sparing::new();
static STORE_AWAY: Sparing = Sparing::new();

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
    niceness: Niceness,
    accounts: Arc<Accounts>,
    metrics: Metrics,
    audit: Audit,
) -> Result<(Lane<Job>, Workers), LaneError> {
    let options = LaneOptions::new(name, size.threads, size.queue)?.niceness(niceness);
    let pace = Pace::default();
    Lane::start(options, move |inbox| {
        while let Some(job) = inbox.recv() {
            serve(job, &accounts, &pace, &metrics, &audit);
        }
    })
}

fn serve(job: Job, accounts: &Accounts, pace: &Pace, metrics: &Metrics, audit: &Audit) {
    let Job { request, deadline, call, ticket } = job;
    let began = Instant::now();
    // What has expired in the queue, or will before it is done, is not worth a hash.
    let mut whose = None;
    let outcome = if pace.admits(deadline.saturating_duration_since(began)) {
        request.run(accounts, deadline, &mut whose)
    } else {
        Err(AccountError::TimedOut)
    };
    if outcome.is_ok() {
        pace.served(began.elapsed());
    }
    metrics.served(call.message_type, &outcome, began.elapsed());
    match &outcome {
        Err(error @ AccountError::Internal(_)) => {
            if let Some(withheld) = FAILED.admit() {
                let request = call.message_type.name();
                tracing::error!(request, %error, withheld, "a request failed");
            }
        }
        Err(error @ AccountError::StoreUnavailable(_)) => {
            if let Some(withheld) = STORE_AWAY.admit() {
                let request = call.message_type.name();
                tracing::warn!(request, %error, withheld, "the store was not there");
            }
        }
        _ => {}
    }
    // Before the answer: what somebody was told is on its way into the log.
    if let Some(entry) = Entry::of(&request, &outcome, whose) {
        audit.record(&entry);
    }
    ticket.answer(Reply { call, outcome });
}

#[cfg(test)]
mod tests;

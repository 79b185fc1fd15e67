//! The threads of a lane: they take what waits, together, and have it served over one connection.
//!
//! That is what makes a blocking connection cheap under load: the more requests wait, the more of
//! them share one write, one read and one wake-up on each side.

use std::num::NonZeroUsize;
use std::sync::Arc;

use service::lane::{Inbox, Lane, LaneError, LaneOptions, Workers};

use crate::settings::LaneSize;
use crate::upstream::Upstreams;
use crate::work::Job;

/// Starts a lane whose workers have jobs served by `upstreams`.
///
/// # Errors
/// When the system gives no more threads.
pub fn start_lane(
    name: &'static str,
    size: LaneSize,
    upstreams: Arc<Upstreams>,
) -> Result<(Lane<Job>, Workers), LaneError> {
    let options = LaneOptions::new(name, size.threads, size.queue)?;
    Lane::start(options, move |inbox| work(inbox, size.batch, &upstreams))
}

fn work(inbox: &mut Inbox<Job>, batch_max: NonZeroUsize, upstreams: &Upstreams) {
    let mut batch = Vec::with_capacity(batch_max.get());
    while inbox.recv_batch(&mut batch, batch_max.get()) {
        upstreams.serve(&mut batch);
        debug_assert!(batch.is_empty(), "every job is answered");
    }
}

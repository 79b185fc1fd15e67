//! The threads of a lane: they take what waits, together, and have it served over one connection.
//!
//! That is what makes a blocking connection cheap under load: the more requests wait, the more of
//! them share one write, one read and one wake-up on each side.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use lane::{Admission, Lane, LaneError, LaneOptions, Workers};

use crate::in_flight::{InFlight, Window};
use crate::limits::IN_FLIGHT_MAX;
use crate::settings::LaneSize;
use crate::upstream::Upstreams;
use crate::work::Job;

/// Starts the lane of requests that do not hash. Its workers have jobs served by `upstreams`.
///
/// # Errors
/// When the system gives no more threads.
pub fn start_light(
    size: LaneSize,
    upstreams: Arc<Upstreams>,
) -> Result<(Lane<Job>, Workers), LaneError> {
    let options = LaneOptions::new("light", size.threads, size.queue)?;
    Lane::start(&options, move |inbox| {
        let mut batch = Vec::with_capacity(size.batch.get());
        while inbox.recv_batch(&mut batch, size.batch.get()) {
            serve(&mut batch, &upstreams);
        }
    })
}

/// Starts the lane of requests that hash. What would wait longer than `wait_max` is refused, and as many are with auth
/// servers as come back soon.
///
/// # Errors
/// When the system gives no more threads.
pub fn start_heavy(
    size: LaneSize,
    wait_max: Duration,
    upstreams: Arc<Upstreams>,
) -> Result<(Lane<Job>, Workers), LaneError> {
    let admission = Admission::new(wait_max, NonZeroUsize::MIN);
    let most = size.threads.get() * size.batch.get();
    let most = most.min(IN_FLIGHT_MAX * upstreams.addresses().count());
    let threads = Arc::clone(&upstreams);
    let window = Window::new(admission.clone(), move || threads.hash_threads(), most);
    let options = LaneOptions::new("heavy", size.threads, size.queue)?.admission(admission);
    Lane::start(&options, move |inbox| {
        let mut batch = Vec::with_capacity(size.batch.get());
        let begin = |job: &mut Job, permit| job.in_flight = Some(InFlight::new(&window, permit));
        while inbox.recv_batch_with_permits(&mut batch, size.batch.get(), begin) {
            serve(&mut batch, &upstreams);
        }
    })
}

fn serve(batch: &mut Vec<Job>, upstreams: &Upstreams) {
    upstreams.serve(batch);
    debug_assert!(batch.is_empty(), "every job is answered");
}

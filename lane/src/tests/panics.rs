//! Jobs that panic.

use super::*;

impl Job for Guarded {}

/// Tells of its end, as the jobs of a server answer their clients.
struct Guarded {
    panics: bool,
    dropped: mpsc::Sender<&'static str>,
    number: &'static str,
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.dropped.send(self.number);
    }
}

#[test]
fn a_panic_ends_its_job_and_not_its_worker() {
    let (dropped, ends) = mpsc::channel();
    let (lane, workers) = Lane::start(&options(1, 8), |inbox: &mut Inbox<Guarded>| {
        while let Some(job) = inbox.recv() {
            assert!(!job.panics, "a panic of the test's own");
        }
    })
    .expect("one thread");
    let submit = |number, panics| {
        let job = Guarded { panics, dropped: dropped.clone(), number };
        lane.try_submit(job).expect("room for eight");
    };
    submit("first", false);
    submit("panics", true);
    submit("after", false);
    let end = || ends.recv_timeout(PATIENCE);
    assert_eq!((end(), end(), end()), (Ok("first"), Ok("panics"), Ok("after")));
    let stats = lane.stats();
    drop(lane);
    workers.join();
    let snapshot = stats.snapshot();
    assert_eq!((snapshot.panics, snapshot.finished, snapshot.in_work), (1, 3, 0));
}

#[test]
fn a_batch_cut_off_by_a_panic_is_dropped_whole() {
    let (dropped, ends) = mpsc::channel();
    let start = Arc::new(Barrier::new(2));
    let at_start = Arc::clone(&start);
    let (lane, workers) = Lane::start(&options(1, 8), move |inbox: &mut Inbox<Guarded>| {
        at_start.wait();
        let mut batch = Vec::new();
        while inbox.recv_batch(&mut batch, 8) {
            for job in batch.drain(..) {
                assert!(!job.panics, "a panic of the test's own");
            }
        }
    })
    .expect("one thread");
    for (number, panics) in [("one", false), ("two", true), ("three", false)] {
        lane.try_submit(Guarded { panics, dropped: dropped.clone(), number }).expect("room");
    }
    drop(dropped);
    let stats = lane.stats();
    drop(lane);
    // Once for the worker that panics, once for the one that follows it.
    start.wait();
    start.wait();
    workers.join();
    let mut ends: Vec<_> = ends.iter().collect();
    ends.sort_unstable();
    assert_eq!(ends, ["one", "three", "two"]);
    assert_eq!((stats.snapshot().panics, stats.snapshot().finished), (1, 3));
}

#[test]
fn workers_that_panic_before_any_job_end_and_close_the_lane() {
    let (lane, workers) = Lane::start(&options(2, 2), |_: &mut Inbox<u32>| {
        panic!("a panic of the test's own");
    })
    .expect("two threads");
    workers.join();
    let rejected = lane.try_submit(7).expect_err("nobody is left");
    assert_eq!((rejected.job, rejected.why.why), (7, Why::Closed));
    let snapshot = lane.stats().snapshot();
    assert_eq!((snapshot.threads, snapshot.panics, snapshot.queued), (0, 2, 0));
}

//! Workers stand at gates that the tests open, so no test depends on who is faster.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Barrier, mpsc},
    thread,
    time::Duration,
};

use super::*;

mod admission;
mod panics;

/// Far beyond what any step here takes: only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

const ONE: Ask = Ask::new(Flow::ONE);

fn options(threads: usize, queue: usize) -> LaneOptions {
    let size = |size| NonZeroUsize::new(size).expect("a size of the test's own");
    LaneOptions::new("test", size(threads), size(queue)).expect("options of the test's own")
}

impl Job for () {}
impl Job for u32 {}
impl Job for usize {}
impl Job for &'static str {}

/// A job that reports when a worker starts it, and then waits until the test lets it go on.
struct Gated {
    started: mpsc::Sender<u32>,
    number: u32,
    gate: mpsc::Receiver<()>,
    refusals: Option<mpsc::Sender<(u32, Refused)>>,
}

impl Job for Gated {
    fn refuse(self, why: Refused) {
        if let Some(refusals) = self.refusals {
            let _ = refusals.send((self.number, why));
        }
    }
}

/// A lane with a gated job in work on its only thread.
fn busy_lane(
    queue: usize,
) -> (Lane<Gated>, Workers, mpsc::Sender<()>, mpsc::Receiver<u32>, impl Fn(u32) -> Gated) {
    let (lane, workers) = Lane::start(&options(1, queue), |inbox: &mut Inbox<Gated>| {
        while let Some(job) = inbox.recv() {
            let _ = job.started.send(job.number);
            let _ = job.gate.recv_timeout(PATIENCE);
        }
    })
    .expect("one thread");
    let (started, starts) = mpsc::channel();
    let (open, gate) = mpsc::channel();
    lane.try_submit(Gated { started: started.clone(), number: 0, gate, refusals: None })
        .expect("an empty lane");
    assert_eq!(starts.recv_timeout(PATIENCE), Ok(0));
    // The gates of these jobs stand open: their senders are gone.
    let job = move |number| Gated {
        started: started.clone(),
        number,
        gate: mpsc::channel().1,
        refusals: None,
    };
    (lane, workers, open, starts, job)
}

#[test]
fn a_full_lane_gives_the_job_back_and_a_drained_one_takes_it() {
    let (lane, workers, open, starts, job) = busy_lane(2);
    lane.try_submit(job(1)).expect("room for one");
    lane.try_submit(job(2)).expect("room for another");
    // It is known to be refused only once another was.
    let (refusals, refused) = mpsc::channel();
    lane.try_submit(Gated { refusals: Some(refusals), ..job(3) }).expect("not known yet");
    let why = Refused { why: Why::Full, retry_after: Duration::ZERO };
    assert_eq!(refused.recv_timeout(PATIENCE), Ok((3, why)));
    let rejected = lane.try_submit(job(4)).expect_err("the queue is full");
    assert_eq!((rejected.job.number, rejected.why), (4, why));
    assert_eq!(rejected.to_string(), "the lane does not take the job: full");

    let stats = lane.stats();
    let expected = LaneSnapshot {
        queue_capacity: 2,
        threads: 1,
        queued: 2,
        in_work: 1,
        accepted: 3,
        finished: 0,
        rejected: 2,
        panics: 0,
        parties: 1,
    };
    assert_eq!(stats.snapshot(), expected);

    drop(open);
    assert_eq!(starts.recv_timeout(PATIENCE), Ok(1));
    assert_eq!(starts.recv_timeout(PATIENCE), Ok(2));
    lane.try_submit(job(5)).expect("the queue has drained");
    drop(lane);
    workers.join_by(clock::now() + PATIENCE).expect("nothing holds the worker");
    assert_eq!(starts.recv_timeout(PATIENCE), Ok(5));
    let expected = LaneSnapshot {
        threads: 0,
        queued: 0,
        in_work: 0,
        accepted: 4,
        finished: 4,
        parties: 0,
        ..expected
    };
    assert_eq!(stats.snapshot(), expected);
}

#[test]
fn what_is_queued_is_done_before_the_workers_end() {
    let (lane, workers, open, starts, job) = busy_lane(8);
    for number in 1..=8 {
        lane.try_submit(job(number)).expect("room for eight");
    }
    drop((lane, job));
    drop(open);
    workers.join();
    assert_eq!(starts.iter().collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn waiting_for_workers_ends_at_the_deadline() {
    let (lane, workers, open, starts, job) = busy_lane(1);
    drop(lane);
    assert_eq!(workers.join_by(clock::now()), Err(StillRunning { threads: 1 }));
    drop((open, job));
    // The thread is left alone and ends by itself: the last sender of `starts` goes with it.
    assert_eq!(starts.recv_timeout(PATIENCE), Err(mpsc::RecvTimeoutError::Disconnected));
}

#[test]
fn a_batch_is_what_waits_and_no_more_than_its_maximum() {
    let (batches, taken) = mpsc::channel();
    let (open, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let (lane, workers) = Lane::start(&options(1, 8), move |inbox: &mut Inbox<u32>| {
        let mut batch = Vec::new();
        while inbox.recv_batch(&mut batch, 4) {
            let _ = batches.send(std::mem::take(&mut batch));
            let _ = gate.lock().recv_timeout(PATIENCE);
        }
    })
    .expect("one thread");
    let next = || taken.recv_timeout(PATIENCE).expect("a batch");

    lane.try_submit(0).expect("an empty lane");
    assert_eq!(next(), [0], "one job is not kept waiting for more");
    (1..=6).for_each(|job| lane.try_submit(job).expect("room for eight"));
    open.send(()).expect("the worker waits");
    assert_eq!(next(), [1, 2, 3, 4]);
    assert_eq!((lane.stats().snapshot().queued, lane.stats().snapshot().in_work), (2, 4));
    open.send(()).expect("the worker waits");
    assert_eq!(next(), [5, 6]);
    let stats = lane.stats();
    drop((open, lane));
    workers.join();
    assert_eq!(stats.snapshot().finished, 7);
}

#[test]
fn a_worker_can_look_for_more_without_waiting() {
    let (rows, taken) = mpsc::channel();
    let (open, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let (lane, workers) = Lane::start(&options(1, 8), move |inbox: &mut Inbox<u32>| {
        while let Some(first) = inbox.recv() {
            let _ = gate.lock().recv_timeout(PATIENCE);
            let mut row = vec![first];
            while let Some(next) = inbox.try_recv() {
                row.push(next);
            }
            let _ = rows.send(row);
        }
    })
    .expect("one thread");
    (0..3).for_each(|job| lane.try_submit(job).expect("room for eight"));
    open.send(()).expect("the worker waits");
    assert_eq!(taken.recv_timeout(PATIENCE).expect("a row"), [0, 1, 2]);
    lane.try_submit(3).expect("an empty lane");
    let stats = lane.stats();
    // What is queued when the lane closes is found either way.
    lane.try_submit(4).expect("room for eight");
    drop((open, lane));
    workers.join();
    assert_eq!(taken.iter().collect::<Vec<_>>().concat(), [3, 4]);
    assert_eq!((stats.snapshot().queued, stats.snapshot().finished), (0, 5));
}

#[test]
fn a_batch_leaves_jobs_of_another_kind_to_another_worker() {
    let (batches, taken) = mpsc::channel();
    let (open, gate) = mpsc::channel::<()>();
    let gate = Arc::new(Mutex::new(gate));
    let (lane, workers) = Lane::start(&options(3, 8), move |inbox: &mut Inbox<&'static str>| {
        let mut batch = Vec::new();
        while inbox.recv_like(&mut batch, 4, |first, next| first == next) {
            let _ = batches.send(std::mem::take(&mut batch));
            let _ = gate.lock().recv_timeout(PATIENCE);
        }
    })
    .expect("three threads");
    // All three hold a batch in the end, and no gate was opened: each worker has called the next.
    ["a", "a", "b", "a"]
        .into_iter()
        .for_each(|job| lane.try_queue(job, &ONE).expect("room for eight"));
    lane.notify();
    let mut seen: Vec<_> = Vec::new();
    while seen.iter().map(Vec::len).sum::<usize>() < 4 {
        seen.push(taken.recv_timeout(PATIENCE).expect("a batch"));
    }
    seen.sort_unstable();
    assert!(seen.iter().all(|batch| batch.iter().all(|job| *job == batch[0])), "{seen:?}");
    drop((open, lane));
    workers.join();
}

#[test]
fn jobs_queued_together_are_seen_together() {
    let (batches, taken) = mpsc::channel();
    let (lane, workers) = Lane::start(&options(2, 4), move |inbox: &mut Inbox<u32>| {
        let mut batch = Vec::new();
        while inbox.recv_batch(&mut batch, 4) {
            let _ = batches.send(std::mem::take(&mut batch));
        }
    })
    .expect("two threads");
    let other = lane.clone();
    (1..=3).for_each(|job| lane.try_queue(job, &ONE).expect("room for four"));
    other.try_submit(4).expect("room for one more");
    assert_eq!(
        taken.recv_timeout(PATIENCE).expect("a batch"),
        [4],
        "nobody was notified of the others"
    );
    assert_eq!(lane.stats().snapshot().queued, 3);
    lane.notify();
    assert_eq!(taken.recv_timeout(PATIENCE).expect("a batch"), [1, 2, 3]);
    other.try_queue(6, &ONE).expect("every place is free again");
    drop((lane, other));
    workers.join();
    assert_eq!(taken.iter().collect::<Vec<_>>(), [[6]], "dropping a clone notifies of what it has");
}

#[test]
fn no_job_is_left_behind_whoever_is_called() {
    check_none_is_left_behind(1);
    // Their workers come from large batches, and yield before they rest.
    check_none_is_left_behind(2 * limits::LANE_BUSY_BATCH_MIN);
}

/// Submitters queue so many jobs together, and wait for as many to be done.
fn check_none_is_left_behind(together: usize) {
    const SUBMITTERS: usize = 3;
    const JOBS: usize = 3_000;
    let (done, finished) = mpsc::channel();
    let options = options(3, SUBMITTERS * together);
    let (lane, workers) = Lane::start(&options, move |inbox: &mut Inbox<usize>| {
        let mut batch = Vec::new();
        while inbox.recv_batch(&mut batch, 2 * together) {
            for job in batch.drain(..) {
                let _ = done.send(job);
            }
        }
    })
    .expect("three threads");
    // Each submitter waits for what it has on its way, so a job that nobody is called for ends the test at
    // its patience.
    let turn = Arc::new(Mutex::new(finished));
    thread::scope(|scope| {
        for _ in 0..SUBMITTERS {
            let (lane, turn) = (lane.clone(), Arc::clone(&turn));
            scope.spawn(move || {
                for job in 0..JOBS {
                    for _ in 0..together {
                        lane.try_queue(job, &ONE).expect("a place for each of a submitter's jobs");
                    }
                    lane.notify();
                    for _ in 0..together {
                        turn.lock().recv_timeout(PATIENCE).expect("a job is done");
                    }
                }
            });
        }
    });
    let stats = lane.stats();
    drop(lane);
    workers.join();
    assert_eq!(stats.snapshot().finished, (SUBMITTERS * JOBS * together) as u64);
}

#[test]
fn every_thread_works_under_its_own_name_and_priority() {
    let together = Arc::new(Barrier::new(3));
    let (seen, workers_seen) = mpsc::channel();
    let own = rustix::process::getpriority_process(None).expect("a thread may ask");
    let nicer = (own + 1).clamp(1, 19);
    let niceness = u8::try_from(nicer).ok().and_then(Niceness::new).expect("1 to 19");
    let (lane, workers) = {
        let together = Arc::clone(&together);
        Lane::start(&options(3, 3).niceness(niceness), move |inbox: &mut Inbox<()>| {
            while inbox.recv().is_some() {
                // Each job holds its thread until every thread has one.
                together.wait();
                let name = thread::current().name().map(str::to_owned);
                let _ = seen.send((name, rustix::process::getpriority_process(None).ok()));
            }
        })
    }
    .expect("three threads");
    (0..3).for_each(|_| lane.try_submit(()).expect("room for three"));
    drop(lane);
    workers.join();
    let mut seen: Vec<_> = workers_seen.iter().collect();
    seen.sort();
    let expected = ["test-0", "test-1", "test-2"].map(|name| (Some(name.to_owned()), Some(nicer)));
    assert_eq!(seen, expected);
    let after = rustix::process::getpriority_process(None).expect("a thread may ask");
    assert_eq!(own, after, "the priority of other threads stays");
}

#[test]
fn options_are_checked() {
    fn check(name: &'static str, threads: usize, allowed: bool) {
        let threads = NonZeroUsize::new(threads).expect("not zero");
        let made = LaneOptions::new(name, threads, NonZeroUsize::MIN);
        assert_eq!(made.is_ok(), allowed, "{name:?} {threads}");
    }
    check("heavy", 8, true);
    check("ten-bytes0", 1024, true);
    check("eleven-byte", 1, false);
    check("", 1, false);
    check("Heavy", 1, false);
    check("heavy\n", 1, false);
    check("heavy", 1025, false);
    assert_eq!(Niceness::new(19).map(Niceness::get), Some(19));
    assert_eq!(Niceness::new(20), None);
}

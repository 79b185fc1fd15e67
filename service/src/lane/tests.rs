//! Workers stand at gates that the tests open, so no test depends on who is faster.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Barrier, mpsc},
    thread,
    time::Duration,
};

use super::*;

/// Far beyond what any step here takes: only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

const ONE: Ask = Ask::new(Flow::ONE);

fn options(threads: usize, queue: usize) -> LaneOptions {
    let size = |size| NonZeroUsize::new(size).expect("a size of the test's own");
    LaneOptions::new("test", size(threads), size(queue)).expect("options of the test's own")
}

impl Job for u32 {}
impl Job for usize {}
impl Job for &'static str {}
impl Job for Guarded {}

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
    check_none_is_left_behind(2 * crate::limits::LANE_BUSY_BATCH_MIN);
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

/// A job of a party, which tells what became of it.
struct Told {
    name: &'static str,
    ends: mpsc::Sender<(&'static str, Option<Why>)>,
}

impl Job for Told {
    fn refuse(self, refused: Refused) {
        let _ = self.ends.send((self.name, Some(refused.why)));
    }
}

/// A lane whose workers do a job for each message of the test.
struct Stepped {
    lane: Lane<Told>,
    workers: Workers,
    step: mpsc::Sender<()>,
    ends: mpsc::Receiver<(&'static str, Option<Why>)>,
    job: Box<dyn Fn(&'static str) -> Told>,
}

impl Stepped {
    fn start(queue: usize, admission: Admission) -> Self {
        let (step, steps) = mpsc::channel();
        let (sender, ends) = mpsc::channel();
        let steps = Mutex::new(steps);
        let worker = move |inbox: &mut Inbox<Told>| {
            while let Some(job) = inbox.recv() {
                if steps.lock().recv_timeout(PATIENCE).is_ok() {
                    let _ = job.ends.send((job.name, None));
                }
            }
        };
        let (lane, workers) =
            Lane::start(&options(1, queue).admission(admission), worker).expect("one thread");
        let job = Box::new(move |name| Told { name, ends: sender.clone() });
        Self { lane, workers, step, ends, job }
    }

    /// Queues jobs, each named as its party with a number behind it.
    fn queue(&self, names: &[&'static str], deadline: Duration) {
        let keys = |name: &str| Flow {
            class: Class::Stranger,
            parent: name.as_bytes()[0].into(),
            child: 0,
        };
        for &name in names {
            let ask = Ask::new(keys(name)).by(clock::now() + deadline);
            if let Err(rejected) = self.lane.try_queue((self.job)(name), &ask) {
                rejected.job.refuse(rejected.why);
            }
        }
        self.lane.notify();
    }

    /// What became of jobs, in order, until `served` of them were served.
    fn ends(&self, served: usize) -> Vec<(&'static str, Option<Why>)> {
        for _ in 0..served {
            self.step.send(()).expect("the worker waits for it");
        }
        let mut ends: Vec<_> = self.ends.try_iter().collect();
        while ends.iter().filter(|(_, why)| why.is_none()).count() < served {
            ends.push(self.ends.recv_timeout(PATIENCE).expect("it is served"));
        }
        ends
    }

    /// Waits until the worker has a job in hand.
    fn wait_until_in_work(&self) {
        self.wait_until(|in_work| in_work > 0);
    }

    /// Waits until it has none: it gives one back a moment after its end.
    fn wait_until_idle(&self) {
        self.wait_until(|in_work| in_work == 0);
    }

    fn wait_until(&self, holds: impl Fn(u64) -> bool) {
        let give_up = clock::now() + PATIENCE;
        while !holds(self.lane.stats().snapshot().in_work) {
            assert!(clock::now() < give_up, "the worker does not get there");
            thread::yield_now();
        }
    }
}

#[test]
fn who_has_many_waiting_is_served_in_turn_with_others_and_gives_up_places() {
    let stepped = Stepped::start(4, Admission::open());
    stepped.queue(&["a0"], PATIENCE);
    stepped.wait_until_in_work();
    stepped.queue(&["a1", "a2", "a3", "a4", "a5"], PATIENCE);
    stepped.queue(&["b1", "b2", "b3"], PATIENCE);
    let told = stepped.ends(0);
    let expected =
        [("a5", Why::Full), ("a4", Why::Evicted), ("a3", Why::Evicted), ("b3", Why::Full)];
    assert_eq!(told, expected.map(|(name, why)| (name, Some(why))));
    let served = stepped.ends(5).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(served, ["a0", "a1", "b1", "a2", "b2"]);
    assert_eq!(stepped.lane.stats().refused(Why::Evicted), 2);
    assert_eq!(stepped.lane.stats().waits(Class::Stranger).counts.iter().sum::<u64>(), 5);
    drop(stepped.lane);
    stepped.workers.join();
}

#[test]
fn who_is_known_to_be_refused_is_given_back_at_once() {
    let stepped = Stepped::start(2, Admission::open());
    stepped.queue(&["a0"], PATIENCE);
    stepped.wait_until_in_work();
    stepped.queue(&["a1", "a2"], PATIENCE);
    stepped.queue(&["a3"], PATIENCE);
    assert_eq!(stepped.ends(0), [("a3", Some(Why::Full))]);
    // Only of its own party; and a turn's worth of jobs is bounded too.
    let ask = |parent| Ask::new(Flow { class: Class::Stranger, parent, child: 0 });
    let rejected = stepped.lane.try_queue((stepped.job)("a4"), &ask(b'a'.into()));
    assert_eq!(rejected.expect_err("it would be refused").why.why, Why::Full);
    for _ in 0..2 {
        stepped.lane.try_queue((stepped.job)("b"), &ask(b'b'.into())).expect("another party");
    }
    let rejected = stepped.lane.try_queue((stepped.job)("b"), &ask(b'b'.into()));
    assert_eq!(rejected.expect_err("more than the whole queue").why.why, Why::Full);
}

#[test]
fn what_would_wait_too_long_is_refused_at_once() {
    let (ms, one) = (Duration::from_millis, NonZeroUsize::MIN);
    let admission = Admission::new(ms(700), one);
    let stepped = Stepped::start(64, admission.clone());
    admission.measured(ms(100), ms(100), clock::now());
    // It begins at once, whatever was measured.
    stepped.queue(&["a0"], ms(50));
    assert_eq!(stepped.ends(1), [("a0", None)]);
    stepped.wait_until_idle();
    stepped.queue(&["a1"], PATIENCE);
    stepped.wait_until_in_work();
    // The one in work, five before it, and itself are 700 ms.
    stepped.queue(&["b1", "b2", "b3", "b4", "b5", "b6", "b7"], PATIENCE);
    assert_eq!(stepped.ends(0), [("b7", Some(Why::TooLong))]);
    // Another party has its turn after the first of these, and not after all of them.
    stepped.queue(&["c1"], ms(350));
    stepped.queue(&["d1"], ms(350));
    assert_eq!(stepped.ends(0), [("d1", Some(Why::TooLong))], "after b1 and c1");
    let served = stepped.ends(3).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(served, ["a1", "b1", "c1"]);
}

#[test]
fn what_was_measured_long_ago_keeps_nobody_out() {
    let clock = clock::Movable::stopped();
    let admission = Admission::new(Duration::from_millis(700), NonZeroUsize::MIN);
    let stepped = Stepped::start(64, admission.clone());
    stepped.queue(&["a0"], PATIENCE);
    stepped.wait_until_in_work();
    let dear = Duration::from_secs(1);
    admission.measured(dear, dear, clock::now());
    clock.advance(crate::limits::LANE_PACE_KNOWN_FOR - Duration::from_millis(1));
    stepped.queue(&["a1"], PATIENCE);
    assert_eq!(stepped.ends(0), [("a1", Some(Why::TooLong))]);
    clock.advance(Duration::from_millis(1));
    stepped.queue(&["a2"], PATIENCE);
    assert_eq!(stepped.ends(2), [("a0", None), ("a2", None)]);
}

#[test]
fn what_has_waited_too_long_is_not_begun() {
    let clock = clock::Movable::stopped();
    let (wait_max, one) = (Duration::from_millis(700), NonZeroUsize::MIN);
    let stepped = Stepped::start(64, Admission::new(wait_max, one));
    stepped.queue(&["a0"], PATIENCE);
    stepped.wait_until_in_work();
    stepped.queue(&["a1", "a2"], PATIENCE);
    clock.advance(wait_max / 2);
    stepped.queue(&["a3"], PATIENCE);
    clock.advance(wait_max / 2 + Duration::from_millis(1));
    let ends = stepped.ends(2);
    let stale = Some(Why::Stale);
    assert_eq!(ends, [("a0", None), ("a1", stale), ("a2", stale), ("a3", None)]);
}

#[test]
fn no_more_are_in_work_than_the_window_lets() {
    let admission = Admission::new(Duration::MAX, NonZeroUsize::new(2).expect("not zero"));
    let (begun, begins) = mpsc::channel();
    let worker = move |inbox: &mut Inbox<u32>| {
        while let Some((job, permit)) = inbox.recv_with_permit() {
            let _ = begun.send((job, permit));
        }
    };
    let (lane, workers) =
        Lane::start(&options(3, 8).admission(admission.clone()), worker).expect("three threads");
    (0..5).for_each(|job| lane.try_submit(job).expect("room for eight"));
    let next = || begins.recv_timeout(PATIENCE).map(|(job, permit)| (job, Some(permit)));
    let (first, second) = (next().expect("the first"), next().expect("the second"));
    let snapshot = lane.stats().snapshot();
    assert_eq!((snapshot.in_work, snapshot.queued), (2, 3), "nobody takes a third");
    drop(first);
    let third = next().expect("a permit was free");
    assert_eq!(third.0, 2);
    // A wider window shows with the next permit that is given back.
    admission.set_window(NonZeroUsize::new(3).expect("not zero"));
    drop((second, third));
    let rest = [next().expect("the fourth"), next().expect("the last")];
    let mut numbers = rest.each_ref().map(|(job, _)| *job);
    numbers.sort_unstable();
    assert_eq!(numbers, [3, 4]);
    // The workers end, although permits are out.
    drop(lane);
    workers.join_by(clock::now() + PATIENCE).expect("nothing is left to do");
}

#[test]
fn a_lane_that_closes_serves_what_waits_for_a_permit() {
    let admission = Admission::new(Duration::MAX, NonZeroUsize::MIN);
    let (begun, begins) = mpsc::channel();
    let worker = move |inbox: &mut Inbox<u32>| {
        let mut batch = Vec::new();
        let begun = &begun;
        while inbox.recv_batch_with_permits(&mut batch, 8, |job, permit| {
            let _ = begun.send((*job, permit));
        }) {
            batch.clear();
        }
    };
    let (lane, workers) =
        Lane::start(&options(2, 8).admission(admission), worker).expect("two threads");
    (0..3).for_each(|job| lane.try_submit(job).expect("room for eight"));
    drop(lane);
    for expected in 0..3 {
        let (job, permit) = begins.recv_timeout(PATIENCE).expect("one after the other");
        assert_eq!(job, expected);
        drop(permit);
    }
    workers.join_by(clock::now() + PATIENCE).expect("nothing is left to do");
}

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

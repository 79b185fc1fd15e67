//! Who is let wait, whose turn it is, and how many are in work.

use super::*;

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

    /// The same, when nothing else is of interest.
    fn names(&self, served: usize) -> Vec<&'static str> {
        self.ends(served).into_iter().map(|(name, _)| name).collect()
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
    let served = stepped.names(5);
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
    let _clock = clock::Movable::stopped();
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
    let served = stepped.names(3);
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
    clock.advance(limits::LANE_PACE_KNOWN_FOR - Duration::from_millis(1));
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

#[test]
fn where_few_can_wait_what_is_in_work_counts() {
    let clock = clock::Movable::stopped();
    let (ms, one) = (Duration::from_millis, NonZeroUsize::MIN);
    let admission = Admission::new(ms(700), one);
    let stepped = Stepped::start(64, admission.clone());
    stepped.queue(&["a0"], PATIENCE);
    stepped.wait_until_in_work();
    admission.measured(ms(300), ms(300), clock::now());
    // The one in work, the one that waits and itself would be 900 ms.
    stepped.queue(&["a1", "a2"], PATIENCE);
    assert_eq!(stepped.ends(0), [("a2", Some(Why::TooLong))]);
    // The other has two, and this one none.
    stepped.queue(&["b1"], PATIENCE);
    assert_eq!(stepped.ends(0), [("a1", Some(Why::Evicted))]);
    // Now each has one.
    stepped.queue(&["a3", "b2", "c1"], PATIENCE);
    assert_eq!(stepped.ends(0), ["a3", "b2", "c1"].map(|name| (name, Some(Why::TooLong))));
    assert_eq!(stepped.ends(1), [("a0", None)]);
    stepped.wait_until(|in_work| in_work == 1 && stepped.lane.stats().snapshot().queued == 0);
    stepped.queue(&["a4", "b3"], PATIENCE);
    assert_eq!(stepped.ends(0), [("b3", Some(Why::TooLong))], "b1 is in work");
    // Of the one in work, 100 ms are left.
    clock.advance(ms(200));
    stepped.queue(&["b4"], PATIENCE);
    assert_eq!(stepped.ends(3), [("b1", None), ("a4", None), ("b4", None)]);
}

#[test]
fn free_places_are_for_as_many_as_come_together() {
    let ms = Duration::from_millis;
    let admission = Admission::new(ms(700), NonZeroUsize::new(4).expect("not zero"));
    let stepped = Stepped::start(64, admission.clone());
    admission.measured(ms(600), ms(600), clock::now());
    stepped.queue(&["a1", "a2", "a3", "a4", "a5"], PATIENCE);
    assert_eq!(stepped.ends(0), [("a5", Some(Why::TooLong))]);
    let served = stepped.names(4);
    assert_eq!(served, ["a1", "a2", "a3", "a4"]);
}

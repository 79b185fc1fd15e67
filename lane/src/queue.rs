//! What lies between those who submit jobs and those who take them: a bounded queue, and the workers
//! that sleep beside it.
//!
//! Waking a thread costs more than most jobs of the light lanes do, so it is done sparingly. One
//! sleeping worker at a time is woken; until it has come, nobody wakes another, and it takes whatever
//! has been queued meanwhile. If it leaves jobs behind, it wakes the next. So a burst is taken by as few
//! workers as it needs, in batches, and no job waits while a worker sleeps that nobody has woken.
//!
//! Falling asleep and being woken costs more than a look at the queue. So a worker that comes from a
//! large batch first lets others run, who may have jobs for it: under a flood it then seldom sleeps.
//!
//! What waits is refused here if it cannot be served in time ([`Admission`]), and served in turns ([`Backlog`]). Jobs
//! that are refused are handed back to be told so after the lock is released: telling may call on anything.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::{
    Ask, Flow, LaneOptions, Refused, Why,
    admission::{Admission, Pace},
    backlog::Backlog,
    in_work::InWork,
    job::Asked,
    stats::{Counters, Waited},
    turns::{Pushed, Waiting},
};
use crate::limits::{LANE_BUSY_BATCH_MIN, LANE_YIELDS};

/// A queue of at most `capacity` jobs. Its lock is held for as long as it takes to move jobs in or out.
///
/// Whoever has jobs hands them over together: a worker that looks for jobs meanwhile finds all of them or
/// none, and does not run off with the first.
pub(super) struct Queue<J> {
    capacity: usize,
    admission: Admission,
    counters: Arc<Counters>,
    /// Jobs in the queue, as of the last time that its lock was released.
    waiting: AtomicUsize,
    /// The flow whose own job was refused last because it has most of what waits. While the queue is full, its
    /// jobs need not ask for the lock.
    greedy: AtomicU64,
    /// How long it would have waited, in nanoseconds.
    greedy_wait_ns: AtomicU64,
    /// The last worker has ended.
    deserted: AtomicBool,
    state: Mutex<State<J>>,
    wakeup: Condvar,
}

struct State<J> {
    backlog: Backlog<J>,
    /// Jobs that were taken and are not done.
    in_work: usize,
    /// Whose they are, if that is asked here: not in lanes that refuse nothing for its wait.
    whose: Option<InWork>,
    /// Since when the next of them is under way, in such a lane: the last end, or the begin after a rest.
    next_since: Instant,
    /// Workers that sleep and were not woken.
    sleeping: usize,
    /// One was woken and has not come yet.
    woken: bool,
    /// Workers that have not ended.
    workers: usize,
    /// Nobody is left who could submit.
    closed: bool,
}

/// Jobs that are to be told why they are refused.
pub(super) type Refusals<J> = Vec<(J, Refused)>;

impl<J> Queue<J> {
    pub(super) fn new(options: &LaneOptions, counters: Arc<Counters>) -> Self {
        let capacity = options.queue.get();
        let state = State {
            backlog: Backlog::new(capacity),
            in_work: 0,
            whose: options.admission.bounds_waits().then(InWork::default),
            next_since: clock::now(),
            sleeping: 0,
            woken: false,
            workers: 0,
            closed: false,
        };
        Self {
            capacity,
            admission: options.admission.clone(),
            counters,
            waiting: AtomicUsize::new(0),
            greedy: AtomicU64::new(0),
            greedy_wait_ns: AtomicU64::new(0),
            deserted: AtomicBool::new(false),
            state: Mutex::new(state),
            wakeup: Condvar::new(),
        }
    }

    /// Whether a job need not be handed over, since it would be refused. Takes no lock.
    pub(super) fn refuses(&self, ask: &Ask, gathered: usize) -> Result<(), Refused> {
        let retry_after = || Duration::from_nanos(self.greedy_wait_ns.load(Ordering::Relaxed));
        let refused = |why| Err(Refused { why, retry_after: retry_after() });
        if self.deserted.load(Ordering::Relaxed) {
            return refused(Why::Closed);
        }
        let is_full = self.waiting.load(Ordering::Relaxed) >= self.capacity;
        if gathered >= self.capacity
            || (is_full && self.greedy.load(Ordering::Relaxed) == name(&ask.flow))
        {
            return refused(Why::Full);
        }
        Ok(())
    }

    /// Queues jobs, or puts them and those that have to go for them into `refusals`, and wakes a worker if one
    /// sleeps and none is on its way.
    pub(super) fn hand_over(&self, jobs: &mut Vec<Asked<J>>, refusals: &mut Refusals<J>) {
        let now = clock::now();
        let pace = self.admission.pace(now);
        let mut state = self.state.lock();
        if pace.is_none() && state.workers > 0 {
            state.backlog.push_all(jobs, now);
        }
        for (job, ask) in jobs.drain(..) {
            if state.workers == 0 {
                refusals.push((job, Refused { why: Why::Closed, retry_after: Duration::ZERO }));
                continue;
            }
            let Admitted { pushed, is_late, retry_after } = match pace {
                Some(pace) => self.admit(&mut state, job, &ask, pace, now),
                None => Admitted::at_any_time(state.backlog.push(job, &ask, now)),
            };
            let (job, why) = match pushed {
                Pushed::Waits => continue,
                Pushed::InsteadOf(gone) => (gone.job, Why::Evicted),
                Pushed::Full(job) if is_late => (job, Why::TooLong),
                Pushed::Full(job) => {
                    let wait_ns = u64::try_from(retry_after.as_nanos()).unwrap_or(u64::MAX);
                    self.greedy.store(name(&ask.flow), Ordering::Relaxed);
                    self.greedy_wait_ns.store(wait_ns, Ordering::Relaxed);
                    (job, Why::Full)
                }
            };
            refusals.push((job, Refused { why, retry_after }));
        }
        self.release(state);
        for (_, refused) in refusals {
            self.counters.refused(refused.why);
        }
    }

    /// Takes the job whose turn it is, and those after it up to `max` in all, for as long as they go with the
    /// first and may be in work together. Waits for the first; false when there are no more and will be none.
    /// `done` is how many the worker has had in hand.
    pub(super) fn take(
        &self,
        batch: &mut Vec<J>,
        max: usize,
        done: usize,
        goes_with: impl Fn(&J, &J) -> bool,
        refusals: &mut Refusals<J>,
    ) -> bool {
        let begin = batch.len();
        let mut state = self.state.lock();
        state.done(done);
        state = self.wait_for_a_job(state, done);
        loop {
            let now = clock::now();
            let mut waited = Waited::default();
            if state.whose.is_none() {
                let free = self.admission.window().saturating_sub(state.in_work);
                state.backlog.take_unsorted(batch, free.min(max), &goes_with, |waiting| {
                    let time = now.saturating_duration_since(waiting.since);
                    self.counters.waited(&mut waited, waiting.flow.class, time);
                });
                state.in_work += batch.len() - begin;
            }
            // Else in turns.
            let max = if batch.len() > begin { 0 } else { max };
            while batch.len() - begin < max && state.may_take(self.admission.window()) {
                let next = state.backlog.peek().expect("something may be taken");
                if batch.get(begin).is_some_and(|first| !goes_with(first, next)) {
                    break;
                }
                let waiting = state.backlog.pop().expect("it was there just now");
                let time = now.saturating_duration_since(waiting.since);
                self.counters.waited(&mut waited, waiting.flow.class, time);
                match self.in_vain(&waiting, now) {
                    Some(refused) => refusals.push((waiting.job, refused)),
                    None => {
                        state.taken(&waiting, now);
                        batch.push(waiting.job);
                    }
                }
            }
            self.counters.waited_all(&waited);
            if batch.len() > begin || !refusals.is_empty() {
                break;
            }
            if state.is_over() {
                return false;
            }
            state = self.sleep(state);
        }
        self.release(state);
        self.counters.taken((batch.len() - begin) as u64);
        for (_, refused) in refusals.iter() {
            self.counters.refused(refused.why);
        }
        true
    }

    /// The job whose turn it is, if it may be taken now. `done` as for [`take`](Self::take). A job that has waited
    /// in vain is not told apart: whoever asks in this way looks at its deadline.
    pub(super) fn try_take(&self, done: usize) -> Option<J> {
        let mut state = self.state.lock();
        state.done(done);
        let waiting = match state.may_take(self.admission.window()) {
            true => state.backlog.pop(),
            false => None,
        };
        let now = clock::now();
        if let Some(waiting) = &waiting {
            state.taken(waiting, now);
        }
        self.release(state);
        let Waiting { job, since, flow, .. } = waiting?;
        let time = now.saturating_duration_since(since);
        self.counters.waited_all(&Waited { class: Some(flow.class), time, jobs: 1 });
        self.counters.taken(1);
        Some(job)
    }

    /// A worker begins. Nothing is queued before the first has.
    pub(super) fn join(&self) {
        self.state.lock().workers += 1;
    }

    /// A worker has ended. With the last, jobs that are queued are dropped: nobody will take them.
    pub(super) fn leave(&self) {
        let mut state = self.state.lock();
        state.workers -= 1;
        if state.workers == 0 {
            self.deserted.store(true, Ordering::Relaxed);
            let jobs = state.backlog.drain();
            // Their tickets answer for them, and may call on anything.
            drop(state);
            drop(jobs);
            return;
        }
        // It may have been the one who was woken.
        self.release(state);
    }

    /// Jobs that were taken are done.
    pub(super) fn finish(&self, jobs: usize) {
        if jobs > 0 {
            let mut state = self.state.lock();
            state.done(jobs);
            self.release(state);
        }
    }

    /// Nobody submits any more: workers end when the queue is empty.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        self.release(state);
    }

    fn wait_for_a_job<'s>(
        &'s self,
        mut state: MutexGuard<'s, State<J>>,
        done: usize,
    ) -> MutexGuard<'s, State<J>> {
        let may_go_on =
            |state: &State<J>| state.may_take(self.admission.window()) || state.is_over();
        if may_go_on(&state) {
            return state;
        }
        // Others may wait for what this one has done.
        self.release(state);
        // The last job is not to lie on the stack for as long as no other comes.
        wipe::wipe_stack();
        state = self.state.lock();
        let mut yields = if done < LANE_BUSY_BATCH_MIN { 0 } else { LANE_YIELDS };
        while yields > 0 && !may_go_on(&state) {
            yields -= 1;
            drop(state);
            thread::yield_now();
            state = self.state.lock();
        }
        state
    }

    fn sleep<'s>(&'s self, mut state: MutexGuard<'s, State<J>>) -> MutexGuard<'s, State<J>> {
        state.sleeping += 1;
        while !state.woken && !state.is_over() {
            self.wakeup.wait(&mut state);
        }
        match std::mem::take(&mut state.woken) {
            // Whoever woke it has counted it out.
            true => {}
            false => state.sleeping -= 1,
        }
        state
    }

    /// Lets a job wait if it will be done in time, or can be in the place of another. One that begins at once is let
    /// through whatever was measured: whoever works on it sees better whether its time suffices.
    fn admit(
        &self,
        state: &mut State<J>,
        job: J,
        ask: &Ask,
        pace: Pace,
        now: Instant,
    ) -> Admitted<J> {
        if state.backlog.len() + state.in_work < self.admission.window() {
            return Admitted::at_any_time(state.backlog.push(job, ask, now));
        }
        let in_work = state.in_work;
        let under_way = now.saturating_duration_since(state.next_since);
        let turns = state.backlog.in_turns();
        let left = ask.deadline.map_or(Duration::MAX, |by| by.saturating_duration_since(now));
        let left = left.min(self.admission.wait_max());
        let (is_late, pushed) = match pace.units_before(ask.units, in_work, under_way, left) {
            Some(most) if turns.units_before(ask, most) <= most => {
                (false, turns.push(job, ask, now))
            }
            Some(most) => {
                let whose = state.whose.get_or_insert_default();
                whose.keep(in_work);
                (true, turns.push_instead(job, ask, now, most, whose))
            }
            None => (true, Pushed::Full(job)),
        };
        let retry_after = match pushed {
            Pushed::Waits => Duration::ZERO,
            // No more is counted than is of interest.
            _ => {
                let most = pace.units_in(self.admission.wait_max());
                pace.wait(in_work, under_way, turns.units_before(ask, most))
            }
        };
        Admitted { pushed, is_late, retry_after }
    }

    /// Whether a job has waited longer than any should: work has become slower since it came. To begin it now
    /// would answer it later than was promised.
    fn in_vain(&self, waiting: &Waiting<J>, now: Instant) -> Option<Refused> {
        let waited = now.saturating_duration_since(waiting.since);
        (waited > self.admission.wait_max())
            .then_some(Refused { why: Why::Stale, retry_after: self.admission.wait_max() })
    }

    /// Releases the lock, and wakes a worker if there is one to be woken; all of them when their work is over.
    fn release(&self, mut state: MutexGuard<'_, State<J>>) {
        let (wakes, is_over) = (state.wakes(self.admission.window()), state.is_over());
        self.waiting.store(state.backlog.len(), Ordering::Relaxed);
        self.counters.parties(state.backlog.parties());
        drop(state);
        if is_over {
            self.wakeup.notify_all();
        } else if wakes {
            self.wakeup.notify_one();
        }
    }
}

impl<J> State<J> {
    fn may_take(&self, window: usize) -> bool {
        !self.backlog.is_empty() && self.in_work < window
    }

    /// So many are done.
    fn done(&mut self, jobs: usize) {
        self.in_work -= jobs;
        if jobs > 0 && self.whose.is_some() {
            self.next_since = clock::now();
        }
    }

    /// A job is in work.
    fn taken(&mut self, waiting: &Waiting<J>, now: Instant) {
        self.in_work += 1;
        if let Some(whose) = &mut self.whose {
            if self.in_work == 1 {
                self.next_since = now;
            }
            whose.taken(&waiting.flow, waiting.units, self.in_work);
        }
    }

    /// Nothing waits, and nothing will.
    fn is_over(&self) -> bool {
        self.closed && self.backlog.is_empty()
    }

    /// Whether a worker is to be woken now; it then counts as woken.
    fn wakes(&mut self, window: usize) -> bool {
        let wakes = self.may_take(window) && self.sleeping > 0 && !self.woken;
        if wakes {
            self.woken = true;
            self.sleeping -= 1;
        }
        wakes
    }
}

/// What became of a job that was handed over.
struct Admitted<J> {
    pushed: Pushed<J>,
    /// It would wait too long in a place of its own.
    is_late: bool,
    /// How long such a job would have to wait, if one is refused.
    retry_after: Duration,
}

impl<J> Admitted<J> {
    /// Of a job whose wait has no bound.
    const fn at_any_time(pushed: Pushed<J>) -> Self {
        Self { pushed, is_late: false, retry_after: Duration::ZERO }
    }
}

/// A flow in eight bytes.
fn name(flow: &Flow) -> u64 {
    flow.child ^ flow.parent.rotate_left(32) ^ flow.class as u64
}

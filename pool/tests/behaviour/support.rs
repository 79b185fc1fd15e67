//! A pool whose time, connections and failures the test decides.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use pool::{AcquireError, Clock, Config, Event, Lent, Manager, Observer, Pool};

pub(crate) type TestPool = Pool<Factory, ManualClock>;
pub(crate) type TestLent<'pool> = Lent<'pool, Factory, ManualClock>;

/// Stands still until told otherwise, and counts how often it is read.
#[derive(Clone)]
pub(crate) struct ManualClock {
    start: Instant,
    passed_ms: Arc<AtomicU64>,
    /// How far behind the rough time is.
    lag_ms: Arc<AtomicU64>,
    reads: Arc<AtomicUsize>,
}

impl ManualClock {
    pub(crate) fn advance(&self, by: Duration) {
        self.passed_ms.fetch_add(u64::try_from(by.as_millis()).unwrap(), SeqCst);
    }

    /// From now on, the rough time is that far behind.
    pub(crate) fn lag(&self, by: Duration) {
        self.lag_ms.store(u64::try_from(by.as_millis()).unwrap(), SeqCst);
    }

    pub(crate) fn reads(&self) -> usize {
        self.reads.load(SeqCst)
    }

    /// The deadline `after` from now. Reading it is not counted.
    pub(crate) fn deadline(&self, after: Duration) -> Instant {
        self.start + Duration::from_millis(self.passed_ms.load(SeqCst)) + after
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        self.reads.fetch_add(1, SeqCst);
        self.deadline(Duration::ZERO)
    }

    fn now_roughly(&self) -> Instant {
        self.now() - Duration::from_millis(self.lag_ms.load(SeqCst))
    }
}

/// An item that knows whether it is in two hands, and how many of its kind there are.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) id: u64,
    pub(crate) broken: bool,
    pub(crate) panics_when_dropped: bool,
    in_use: AtomicBool,
    census: Arc<Census>,
}

impl Item {
    /// Uses the item; fails if somebody else does at the same time.
    pub(crate) fn exclusively(&self, work: impl FnOnce()) {
        assert!(!self.in_use.swap(true, SeqCst), "item {} is in two hands", self.id);
        work();
        self.in_use.store(false, SeqCst);
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        self.census.closed.lock().unwrap().push(self.id);
        self.census.alive.fetch_sub(1, SeqCst);
        assert!(!self.panics_when_dropped || thread::panicking(), "told to panic");
    }
}

#[derive(Debug, Default)]
pub(crate) struct Census {
    made: AtomicU64,
    alive: AtomicUsize,
    alive_max: AtomicUsize,
    closed: Mutex<Vec<u64>>,
}

impl Census {
    pub(crate) fn alive(&self) -> usize {
        self.alive.load(SeqCst)
    }

    pub(crate) fn alive_max(&self) -> usize {
        self.alive_max.load(SeqCst)
    }

    /// Which items have been closed, in that order.
    pub(crate) fn closed(&self) -> Vec<u64> {
        self.closed.lock().unwrap().clone()
    }
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("refused")]
pub(crate) struct Refused;

type OnConnect = dyn Fn(u64, Instant) -> Result<(), Refused> + Send + Sync;
type Judge = dyn Fn(&Item) -> bool + Send + Sync;

/// Numbers its items from 0.
pub(crate) struct Factory {
    census: Arc<Census>,
    on_connect: Box<OnConnect>,
    is_alive: Box<Judge>,
    is_broken: Box<Judge>,
}

impl Manager for Factory {
    type Item = Item;
    type Error = Refused;

    fn connect(&self, deadline: Instant) -> Result<Item, Refused> {
        let id = self.census.made.fetch_add(1, SeqCst);
        (self.on_connect)(id, deadline)?;
        let alive = self.census.alive.fetch_add(1, SeqCst) + 1;
        self.census.alive_max.fetch_max(alive, SeqCst);
        Ok(Item {
            id,
            broken: false,
            panics_when_dropped: false,
            in_use: AtomicBool::new(false),
            census: Arc::clone(&self.census),
        })
    }

    fn is_alive(&self, item: &mut Item, _deadline: Instant) -> bool {
        (self.is_alive)(item)
    }

    fn is_broken(&self, item: &Item) -> bool {
        (self.is_broken)(item)
    }
}

/// Writes each event down, without its durations.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Observer for Log {
    fn on_event(&self, event: Event<'_>) {
        let line = match event {
            Event::Connected { .. } => "connected".to_owned(),
            Event::ConnectFailed { error, .. } => format!("connect failed: {error}"),
            Event::Acquired { waited } => format!("acquired after {waited:?}"),
            Event::TimedOut { waited } => format!("timed out after {waited:?}"),
            Event::Released => "released".to_owned(),
            Event::Discarded { reason } => format!("discarded: {reason:?}"),
        };
        self.0.lock().unwrap().push(line);
    }
}

/// A pool with everything a test looks at.
pub(crate) struct World {
    pub(crate) pool: TestPool,
    pub(crate) clock: ManualClock,
    pub(crate) census: Arc<Census>,
    pub(crate) log: Log,
}

pub(crate) struct WorldBuilder {
    config: Config,
    on_connect: Box<OnConnect>,
    is_alive: Box<Judge>,
    is_broken: Box<Judge>,
}

impl World {
    /// `size` items that never age.
    pub(crate) fn untimed(size: usize) -> Self {
        Self::with(Config::new(size).unwrap().without_liveness_check()).build()
    }

    pub(crate) fn with(config: Config) -> WorldBuilder {
        WorldBuilder {
            config,
            on_connect: Box::new(|_, _| Ok(())),
            is_alive: Box::new(|_| true),
            is_broken: Box::new(|item| item.broken),
        }
    }

    pub(crate) fn far(&self) -> Instant {
        self.clock.deadline(HOUR)
    }

    pub(crate) fn acquire(&self) -> TestLent<'_> {
        self.pool.acquire(self.far()).unwrap()
    }

    pub(crate) fn expired(&self) -> Instant {
        self.clock.deadline(Duration::ZERO)
    }

    /// A thread that stands in the queue by the time this returns.
    pub(crate) fn queue<T: Send + 'static>(
        &self,
        deadline: Instant,
        then: impl FnOnce(Result<TestLent<'_>, AcquireError<Refused>>) -> T + Send + 'static,
    ) -> thread::JoinHandle<T> {
        let waiting = self.pool.stats().waiting;
        let pool = self.pool.clone();
        let thread = thread::spawn(move || then(pool.acquire(deadline)));
        await_that("one more waits", || self.pool.stats().waiting == waiting + 1);
        thread
    }

    /// Every permit is home, and as many items are alive as the pool holds.
    #[track_caller]
    pub(crate) fn check_all_home(&self) {
        let stats = self.pool.stats();
        assert_eq!((stats.lent, stats.waiting), (0, 0));
        assert_eq!(stats.idle, self.census.alive());
        assert!(self.census.alive_max() <= stats.size);
        assert_eq!(stats.connected, stats.discarded.total() + stats.idle as u64);
    }
}

impl WorldBuilder {
    pub(crate) fn on_connect(
        mut self,
        f: impl Fn(u64, Instant) -> Result<(), Refused> + Send + Sync + 'static,
    ) -> Self {
        self.on_connect = Box::new(f);
        self
    }

    pub(crate) fn on_liveness_check(
        mut self,
        f: impl Fn(&Item) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.is_alive = Box::new(f);
        self
    }

    pub(crate) fn on_return(mut self, f: impl Fn(&Item) -> bool + Send + Sync + 'static) -> Self {
        self.is_broken = Box::new(f);
        self
    }

    pub(crate) fn build(self) -> World {
        let census = Arc::new(Census::default());
        let factory = Factory {
            census: Arc::clone(&census),
            on_connect: self.on_connect,
            is_alive: self.is_alive,
            is_broken: self.is_broken,
        };
        let clock = ManualClock {
            start: clock::now(),
            passed_ms: Arc::default(),
            lag_ms: Arc::default(),
            reads: Arc::default(),
        };
        let log = Log::default();
        let pool = Pool::with_clock(factory, self.config, clock.clone(), log.clone());
        World { pool, clock, census, log }
    }
}

pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// Waits for a thread to end, and fails instead of hanging.
#[track_caller]
pub(crate) fn join<T>(thread: thread::JoinHandle<T>) -> T {
    await_that("the thread ends", || thread.is_finished());
    thread.join().unwrap()
}

/// Stops a thread at one place until the test lets it go on.
pub(crate) struct Gate {
    entered: mpsc::Sender<()>,
    proceed: Mutex<mpsc::Receiver<()>>,
}

impl Gate {
    /// The gate, what hears of an arrival, and what opens it once.
    pub(crate) fn new() -> (Self, mpsc::Receiver<()>, mpsc::Sender<()>) {
        let (entered, arrivals) = mpsc::channel();
        let (open, proceed) = mpsc::channel();
        (Self { entered, proceed: Mutex::new(proceed) }, arrivals, open)
    }

    pub(crate) fn pass(&self) {
        self.entered.send(()).unwrap();
        self.proceed.lock().unwrap().recv_timeout(PATIENCE).unwrap();
    }
}

/// Ends a test that would hang; no outcome depends on it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Lets other threads run until `condition` holds.
#[track_caller]
pub(crate) fn await_that(what: &str, condition: impl Fn() -> bool) {
    let patience = clock::now() + PATIENCE;
    while !condition() {
        assert!(clock::now() < patience, "in vain: {what}");
        thread::yield_now();
    }
}

/// Runs `f`, which must panic.
#[track_caller]
pub(crate) fn panics(f: impl FnOnce()) {
    assert!(catch_unwind(AssertUnwindSafe(f)).is_err(), "it should have panicked");
}

/// What an acquire came to, in a form that can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Lent(u64),
    TimedOut,
    Closed,
    Refused,
}

impl Outcome {
    pub(crate) fn of(result: &Result<TestLent<'_>, AcquireError<Refused>>) -> Self {
        match result {
            Ok(lent) => Self::Lent(lent.id),
            Err(AcquireError::TimedOut) => Self::TimedOut,
            Err(AcquireError::Closed) => Self::Closed,
            Err(AcquireError::Connect(Refused)) => Self::Refused,
        }
    }

    /// Gives a borrowed item straight back.
    pub(crate) fn of_brief(result: Result<TestLent<'_>, AcquireError<Refused>>) -> Self {
        let outcome = Self::of(&result);
        drop(result);
        outcome
    }
}

/// Compares, and gives a borrowed item straight back.
#[track_caller]
pub(crate) fn check(result: Result<TestLent<'_>, AcquireError<Refused>>, expected: Outcome) {
    assert_eq!(Outcome::of_brief(result), expected);
}

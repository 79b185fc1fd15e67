//! Which contents of Redis may be believed: the generation.
//!
//! Every key in Redis carries a generation, and the current one is a row in the database. When Redis
//! may hold what it should not, the number is raised, and nothing of the old one is ever read again.
//! That is the case when a revocation could not tell Redis (whoever revoked raises it), when it is open whether the
//! database has done one (the same, twice: the database may do it a little later), and when Redis
//! is another run than the one that the generation was begun with (whoever notices raises it): a server
//! that was restarted from an old snapshot, or promoted without the last writes, has old contents.
//!
//! A generation belongs to one [layout](super::layout) too. A server that keeps another takes it for one
//! of another Redis: else it could end a session in its own layout, and leave it in the other. While
//! servers of two layouts run side by side, each takes the generation from the other, so the database
//! has most of the work; but none is believed that it should not be.
//!
//! A server goes by the number that it read for [`GENERATION_LEASE`], counted from when it asked, and no longer once its
//! machine has slept. So
//! when a number is raised, the last server stops reading under the old one within a lease.
//! [`Known::settles_in`] is what is left of that.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use redis_pool::Instance;
use sparing::sparing;
use store::{CacheEra, Store, StoreError};

use super::layout::LAYOUT;
use super::limits::{
    DONE_LATE_MAX, FINISH_TIME, GENERATION_LEASE, GENERATION_MARGIN, GENERATION_RENEW,
    GENERATION_RETRY,
};

/// A generation, and since when it is known.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) generation: u64,
    /// The only run of Redis whose contents count.
    pub(super) instance: Arc<Instance>,
    /// When the database was last asked, and said so.
    pub(super) asked_at: Instant,
    fresh_until: Instant,
    /// How long this machine had slept when the database was last asked.
    slept: Duration,
    /// When it first said so: by then it had been raised.
    learned_at: Instant,
}

impl Known {
    /// How long another server may still read under an earlier generation.
    pub(super) fn settles_in(&self) -> Duration {
        let settled_at = self.learned_at + GENERATION_LEASE + GENERATION_MARGIN;
        settled_at.saturating_duration_since(clock::now())
    }

    fn is_fresh(&self, now: Instant) -> bool {
        // While it slept, others raised it and waited for the lease to end.
        now < self.fresh_until && clock::slept() < self.slept + clock::SLEEP_MIN
    }
}

/// What this server knows of the generation.
pub(super) struct Generations {
    store: Arc<dyn Store>,
    known: Mutex<Option<Known>>,
    /// Whether a thread is asking the database.
    asking: AtomicBool,
    /// A generation could not be begun or raised: lookups do not try it before this.
    retry_at: Mutex<Option<Instant>>,
    /// Revocations that are in the database, and may not be in Redis. Two counts and no flag: paying
    /// for those who came before must not pay for one who comes meanwhile.
    owed: AtomicU64,
    /// As many of them as a raised generation has made up for.
    paid: AtomicU64,
    late: Mutex<Late>,
}

/// Whether a revocation was done, or may yet be, whose requester was given no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Late {
    No,
    /// Nothing was raised since.
    Open,
    /// It was raised for what was done by then. From here on nothing more is done.
    Until(Instant),
}

impl Generations {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            known: Mutex::default(),
            asking: AtomicBool::new(false),
            retry_at: Mutex::default(),
            owed: AtomicU64::new(0),
            paid: AtomicU64::new(0),
            late: Mutex::new(Late::No),
        }
    }

    /// The generation to read and write under now. `None` when it is not known: then Redis is done
    /// without. Of those who find it stale one asks the database, and the others do not wait.
    pub(super) fn fresh(&self, deadline: Instant) -> Option<Known> {
        let now = clock::now();
        let known = self.known.lock().clone();
        if self.owes() && self.rests(now) {
            return None;
        }
        let known = known.filter(|known| known.is_fresh(now) && !self.owes());
        if known.as_ref().is_some_and(|known| now < known.asked_at + GENERATION_RENEW) {
            return known;
        }
        let Some(_turn) = Turn::take(&self.asking) else { return known };
        let known = match self.ask(deadline) {
            Ok(known) => Some(known),
            Err(error) => {
                tracing::debug!(%error, "the generation of the session cache is not known");
                known
            }
        };
        known.filter(|known| known.is_fresh(clock::now()))
    }

    /// The last that this server has learned, 0 for none.
    pub(super) fn last(&self) -> u64 {
        self.known.lock().as_ref().map_or(0, |known| known.generation)
    }

    /// The generation as it is now, for somebody who has just written to the database. Blocks.
    pub(super) fn current(&self) -> Result<Known, StoreError> {
        self.ask(clock::now() + FINISH_TIME).inspect_err(|_| self.owe())
    }

    /// Begins the next generation: Redis may hold what it should not. Blocks. After an error this
    /// server uses Redis no more until it has made up for it.
    pub(super) fn raise(&self) -> Result<Known, StoreError> {
        self.owe();
        self.ask(clock::now() + FINISH_TIME)
    }

    /// The database was asked for a revocation and gave no answer: it may have done it, or do it yet. That does not keep
    /// lookups from Redis, for nothing was acknowledged; [`make_up`](Self::make_up) sees to it.
    pub(super) fn doubt_revocation(&self) {
        *self.late.lock() = Late::Open;
    }

    /// Raises the generation if this server owes that, for what is certain or in doubt. Blocks. Called once a second: so
    /// much at the most do doubts cost everybody.
    pub(super) fn make_up(&self) -> Result<(), StoreError> {
        self.make_up_for(|late, now| match late {
            Late::No => false,
            Late::Open => true,
            Late::Until(at) => at <= now,
        })
    }

    /// The same for somebody who does not come again: what may be done later is raised for now.
    pub(super) fn make_up_at_last(&self) -> Result<(), StoreError> {
        self.make_up_for(|late, _| late != Late::No)
    }

    fn make_up_for(&self, is_due: fn(Late, Instant) -> bool) -> Result<(), StoreError> {
        let began = clock::now();
        if !is_due(*self.late.lock(), began) {
            return if self.owes() { self.ask(began + FINISH_TIME).map(drop) } else { Ok(()) };
        }
        self.owe();
        let raised = self.ask(began + FINISH_TIME);
        let mut late = self.late.lock();
        *late = match *late {
            // The database may have hung again, with what it was asked for before.
            _ if raised.is_err() => Late::Open,
            // Also for those that came meanwhile: they had waited for long.
            Late::Open => Late::Until(clock::now() + DONE_LATE_MAX),
            Late::Until(at) if at <= began => Late::No,
            other => other,
        };
        raised.map(drop)
    }

    fn owe(&self) {
        self.owed.fetch_add(1, Ordering::AcqRel);
    }

    /// Redis is `instance`, which is not what `known` says; the connection that showed it was made
    /// after `known` was asked for. Begins a generation with it, unless somebody else has.
    pub(super) fn begin(&self, known: &Known, instance: &Instance, deadline: Instant) {
        let (asked_at, slept) = (clock::now(), clock::slept());
        if self.rests(asked_at) {
            return;
        }
        let instance = in_our_layout(instance);
        match self.store.begin_cache_era(known.generation, &instance, deadline) {
            Ok(true) => {
                let generation = known.generation + 1;
                sparing!(INFO, generation, "Redis is another than before");
                self.learn(&CacheEra { generation, instance }, asked_at, slept);
            }
            Ok(false) => self.doubt(known.generation),
            Err(error) => {
                tracing::debug!(%error, "no generation of the session cache was begun");
                *self.retry_at.lock() = Some(asked_at + GENERATION_RETRY);
            }
        }
    }

    /// Whether the database has just refused a new generation.
    fn rests(&self, now: Instant) -> bool {
        self.retry_at.lock().is_some_and(|retry_at| now < retry_at)
    }

    /// Has the next who comes ask the database.
    fn doubt(&self, generation: u64) {
        let mut known = self.known.lock();
        // What is forgotten is only that it is fresh: since when it is known still counts.
        if let Some(known) = known.as_mut().filter(|known| known.generation == generation) {
            known.fresh_until = known.learned_at;
        }
    }

    fn ask(&self, deadline: Instant) -> Result<Known, StoreError> {
        if self.owes() {
            let owed = self.owed.load(Ordering::Acquire);
            self.store.end_cache_era(deadline).inspect_err(|_| {
                *self.retry_at.lock() = Some(clock::now() + GENERATION_RETRY);
            })?;
            self.paid.fetch_max(owed, Ordering::AcqRel);
        }
        let (asked_at, slept) = (clock::now(), clock::slept());
        let era = self.store.cache_era(deadline)?;
        Ok(self.learn(&era, asked_at, slept))
    }

    /// Whether Redis may hold what it should not, as far as this server knows.
    fn owes(&self) -> bool {
        self.paid.load(Ordering::Acquire) < self.owed.load(Ordering::Acquire)
    }

    fn learn(&self, era: &CacheEra, asked_at: Instant, slept: Duration) -> Known {
        let fresh_until = asked_at + GENERATION_LEASE;
        let mut known = self.known.lock();
        let newer = match known.take() {
            // Numbers only rise, so this answer was overtaken by another.
            Some(known) if known.generation > era.generation => known,
            Some(known) if known.generation == era.generation => {
                let (asked_at, fresh_until) =
                    (known.asked_at.max(asked_at), known.fresh_until.max(fresh_until));
                Known { asked_at, fresh_until, slept: known.slept.max(slept), ..known }
            }
            _ => Known {
                generation: era.generation,
                instance: Arc::new(of_our_layout(&era.instance)),
                asked_at,
                fresh_until,
                slept,
                learned_at: clock::now(),
            },
        };
        known.insert(newer).clone()
    }
}

/// What the database has of a generation that was begun with `instance`.
fn in_our_layout(instance: &Instance) -> String {
    format!("{LAYOUT}:{}", instance.as_str())
}

/// The inverse. A generation of another layout, or one that nobody has begun, is of no instance.
fn of_our_layout(text: &str) -> Instance {
    let instance = text.strip_prefix(LAYOUT).and_then(|rest| rest.strip_prefix(':'));
    Instance::from_text(instance.unwrap_or_default().to_owned())
}

/// The right to do what one thread at a time does.
struct Turn<'a>(&'a AtomicBool);

impl<'a> Turn<'a> {
    fn take(taken: &'a AtomicBool) -> Option<Self> {
        (!taken.swap(true, Ordering::Acquire)).then(|| Self(taken))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

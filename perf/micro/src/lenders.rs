//! Pools of four numbers that cost nothing to make, to check or to give back: what is left is the pool.
//!
//! Each is as fast as its documentation says how to make it:
//!
//! - **r2d2**: `test_on_check_out(false)`, neither lifetime nor idle timeout (so no reaper), filled at the
//!   start.
//! - **deadpool** is for async code. A thread uses it through `block_on`; futures-executor's is the
//!   cheapest one (it parks the thread that calls and needs no runtime; tokio's would enter a runtime each
//!   time). No timeouts, because those need a runtime. Both kinds are here: `managed`, which makes and
//!   recycles items, and `unmanaged`, which only lends what it was given.
//! - **ours**: `ageless` as for arenas (nothing to check, no clock), `timed` as for connections, with the
//!   default liveness window, so each borrow reads the clock.

use std::convert::Infallible;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Items in each pool.
pub const ITEMS: usize = 4;

/// A pool that lends numbers.
pub trait Lender: Sync {
    const NAME: &'static str;

    /// Borrows an item, tells `acquired`, does `work` with it, and gives it back.
    fn borrow(&self, acquired: impl FnOnce(), work: impl FnOnce(&mut u64));
}

/// The least that such a pool must do: two rounds of a mutex around a vector. It cannot wait, so it runs
/// uncontended only; with it, figures of two machines can be compared.
pub struct Floor(parking_lot::Mutex<Vec<u64>>);

impl Floor {
    pub fn filled() -> Self {
        Self(parking_lot::Mutex::new(vec![0; ITEMS]))
    }
}

impl Lender for Floor {
    const NAME: &'static str = "mutex around a vector";

    fn borrow(&self, acquired: impl FnOnce(), work: impl FnOnce(&mut u64)) {
        let item = self.0.lock().pop();
        acquired();
        let mut item = item.expect("more items than threads");
        work(&mut item);
        self.0.lock().push(item);
    }
}

struct Numbers;

impl pool::Manager for Numbers {
    type Item = u64;
    type Error = Infallible;

    fn connect(&self, _deadline: Instant) -> Result<u64, Infallible> {
        Ok(0)
    }
}

fn ours(config: pool::Config) -> (pool::Pool<Numbers>, Instant) {
    let deadline = Instant::now() + Duration::from_secs(24 * 60 * 60);
    let pool = pool::Pool::new(Numbers, config);
    pool.prefill(ITEMS, deadline).expect("numbers can be made");
    (pool, deadline)
}

fn borrow_ours(
    (pool, deadline): &(pool::Pool<Numbers>, Instant),
    acquired: impl FnOnce(),
    work: impl FnOnce(&mut u64),
) {
    let mut lent = pool.acquire(*deadline).expect("a day is enough");
    acquired();
    work(&mut lent);
}

pub struct Ageless((pool::Pool<Numbers>, Instant));

impl Ageless {
    pub fn filled() -> Self {
        let config = pool::Config::new(ITEMS).expect("a valid size");
        Self(ours(config.without_liveness_check()))
    }
}

impl Lender for Ageless {
    const NAME: &'static str = "pool, ageless items";

    fn borrow(&self, acquired: impl FnOnce(), work: impl FnOnce(&mut u64)) {
        borrow_ours(&self.0, acquired, work);
    }
}

pub struct Timed((pool::Pool<Numbers>, Instant));

impl Timed {
    pub fn filled() -> Self {
        Self(ours(pool::Config::new(ITEMS).expect("a valid size")))
    }
}

impl Lender for Timed {
    const NAME: &'static str = "pool, items that age";

    fn borrow(&self, acquired: impl FnOnce(), work: impl FnOnce(&mut u64)) {
        borrow_ours(&self.0, acquired, work);
    }
}

impl r2d2::ManageConnection for Numbers {
    type Connection = u64;
    type Error = Infallible;

    fn connect(&self) -> Result<u64, Infallible> {
        Ok(0)
    }

    fn is_valid(&self, _item: &mut u64) -> Result<(), Infallible> {
        Ok(())
    }

    fn has_broken(&self, _item: &mut u64) -> bool {
        false
    }
}

pub struct R2d2(r2d2::Pool<Numbers>);

impl R2d2 {
    pub fn filled() -> Self {
        let size = u32::try_from(ITEMS).expect("a small number");
        let pool = r2d2::Pool::builder()
            .max_size(size)
            .test_on_check_out(false)
            .max_lifetime(None)
            .idle_timeout(None)
            .error_handler(Box::new(r2d2::NopErrorHandler))
            .build(Numbers)
            .expect("numbers can be made");
        Self(pool)
    }
}

impl Lender for R2d2 {
    const NAME: &'static str = "r2d2";

    fn borrow(&self, acquired: impl FnOnce(), work: impl FnOnce(&mut u64)) {
        let mut lent = self.0.get().expect("half a minute is enough");
        acquired();
        work(&mut lent);
    }
}

impl deadpool::managed::Manager for Numbers {
    type Type = u64;
    type Error = Infallible;

    async fn create(&self) -> Result<u64, Infallible> {
        Ok(0)
    }

    async fn recycle(
        &self,
        _item: &mut u64,
        _metrics: &deadpool::managed::Metrics,
    ) -> deadpool::managed::RecycleResult<Infallible> {
        Ok(())
    }
}

pub struct DeadpoolManaged(deadpool::managed::Pool<Numbers>);

impl DeadpoolManaged {
    pub fn filled() -> Self {
        let pool = deadpool::managed::Pool::builder(Numbers)
            .max_size(ITEMS)
            .queue_mode(deadpool::managed::QueueMode::Lifo)
            .build()
            .expect("no timeout that would need a runtime");
        let borrowed = [(); ITEMS]
            .map(|()| futures_executor::block_on(pool.get()).expect("numbers can be made"));
        drop(black_box(borrowed));
        Self(pool)
    }
}

impl Lender for DeadpoolManaged {
    const NAME: &'static str = "deadpool, managed, block_on";

    fn borrow(&self, acquired: impl FnOnce(), work: impl FnOnce(&mut u64)) {
        let mut lent = futures_executor::block_on(self.0.get()).expect("it waits");
        acquired();
        work(&mut lent);
    }
}

pub struct DeadpoolUnmanaged(deadpool::unmanaged::Pool<u64>);

impl DeadpoolUnmanaged {
    pub fn filled() -> Self {
        Self(deadpool::unmanaged::Pool::from(vec![0; ITEMS]))
    }
}

impl Lender for DeadpoolUnmanaged {
    const NAME: &'static str = "deadpool, unmanaged, block_on";

    fn borrow(&self, acquired: impl FnOnce(), work: impl FnOnce(&mut u64)) {
        let mut lent = futures_executor::block_on(self.0.get()).expect("it waits");
        acquired();
        work(&mut lent);
    }
}

//! An arena on loan to a login, and what becomes of the traces of its hash.
//!
//! To wipe an arena is to write all of it once more, a tenth of what a hash takes. While logins queue for arenas, the
//! next hash overwrites what the last one has left, at once. So an arena is wiped when nobody waits for it. An arena
//! that lies in the pool unused is always clean.

use std::iter;
use std::ops::{Deref, DerefMut};
use std::time::Instant;

use pool::{Lent, Pool};

use crate::credentials::{Arena, ArenaManager};

/// An arena that goes back to its pool when this is dropped: wiped, or to somebody who waits for it.
pub(super) struct Room<'a> {
    arenas: &'a Pool<ArenaManager>,
    /// There until this is dropped.
    lent: Option<Lent<ArenaManager>>,
}

impl<'a> Room<'a> {
    /// Waits for an arena until `deadline`.
    pub(super) fn acquire(
        arenas: &'a Pool<ArenaManager>,
        deadline: Instant,
    ) -> Result<Self, pool::AcquireError<<ArenaManager as pool::Manager>::Error>> {
        let mut lent = arenas.acquire(deadline)?;
        lent.keep_traces(true);
        Ok(Self { arenas, lent: Some(lent) })
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        let Some(mut lent) = self.lent.take() else { return };
        if std::thread::panicking() {
            // The pool drops the arena, which wipes itself.
            return;
        }
        lent.keep_traces(false);
        if self.arenas.stats().waiting == 0 {
            lent.wipe();
            return;
        }
        drop(lent);
        // Whoever waited may have given up in between, and then it lies there, perhaps among others, of which none
        // says which it is; to wipe a clean one takes no time. Whoever has come in between waits for the wiping.
        let mut idle: Vec<_> = iter::from_fn(|| self.arenas.try_acquire()).collect();
        idle.iter_mut().for_each(|arena| arena.wipe());
    }
}

impl Deref for Room<'_> {
    type Target = Arena;

    fn deref(&self) -> &Arena {
        self.lent.as_ref().expect("lent until it is dropped")
    }
}

impl DerefMut for Room<'_> {
    fn deref_mut(&mut self) -> &mut Arena {
        self.lent.as_mut().expect("lent until it is dropped")
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::credentials::{HashEngine, Params, Password, Salt};

    fn patient() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[test]
    fn an_arena_is_clean_unless_somebody_waits_for_it() {
        let params = Params::in_record(64, 1, 1).unwrap();
        let manager = ArenaManager::new(HashEngine::Simd, params);
        let config = pool::Config::new(1).unwrap().without_liveness_check();
        let arenas = &Pool::new(manager, config);
        let hash = |room: &mut Room<'_>| {
            let password = Password::for_login("correct horse").unwrap();
            room.hash(&password, &Salt([7; 16]), params).unwrap();
        };
        let is_clean = || arenas.try_acquire().unwrap().is_wiped();

        let mut room = Room::acquire(arenas, patient()).unwrap();
        hash(&mut room);
        let leaves_traces = !room.is_wiped();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                let mut room = Room::acquire(arenas, patient()).unwrap();
                let was_clean = room.is_wiped();
                hash(&mut room);
                was_clean
            });
            while arenas.stats().waiting == 0 {
                thread::yield_now();
            }
            drop(room);
            assert_eq!(waiter.join().unwrap(), !leaves_traces);
        });
        assert!(is_clean());
    }
}

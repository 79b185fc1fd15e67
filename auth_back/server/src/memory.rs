//! Whether the memory that is set fits the memory that there is.
//!
//! Arenas are allocated at start and stay. In a container that is smaller than they are, the kernel would
//! kill the server instead of letting it fail: at start at best, under load at worst. So the sum is made
//! first.

use std::fmt;
use std::num::NonZeroUsize;

use hashing::limits::ANNEX_KIB_MAX;
use hashing::{HashEngine, Params};
use service::hardening::UsableMemory;
use service::settings::format_bytes;

use crate::accounts::arenas_kib;
use crate::limits::{
    ARENAS_AT_START, ARENAS_AT_START_IN_TWOS, HASHES_PER_THREAD_MAX, MEMORY_HEADROOM,
};
use crate::settings::{EngineChoice, Settings};

const ONE: NonZeroUsize = NonZeroUsize::MIN;

/// What the settings come to, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// For hashing: as much as all arenas, or those that are compared at start.
    pub arenas_bytes: u64,
    /// How much of it each arena is.
    arena_bytes: u64,
    /// For counting attempts, when that is full.
    throttle_bytes: u64,
}

/// The settings do not fit. Whoever made them, or gave the memory, is at fault.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{needs} are more than the {} that this process may use ({}): lower --hash-threads or --hashes-per-thread, choose an --argon2 \
     with less memory (auth_back calibrate shows some), or give it more memory",
    format_bytes(memory.bytes),
    memory.source
)]
pub struct DoesNotFit {
    needs: Needs,
    memory: UsableMemory,
}

impl Needs {
    /// What a server with these settings and that work factor needs, if each of its threads hashes so many at a time.
    #[must_use]
    pub fn of(settings: &Settings, params: Params, per_thread: NonZeroUsize) -> Self {
        let count = settings.hash_threads.saturating_mul(per_thread).get();
        let at_start = if per_thread == ONE { ARENAS_AT_START } else { ARENAS_AT_START_IN_TWOS };
        let count = count.max(at_start);
        Self {
            arenas_bytes: arenas_kib(params, count).saturating_mul(1_024),
            arena_bytes: u64::from(params.m_kib()) * 1_024,
            throttle_bytes: settings.guard.memory,
        }
    }

    /// How many hashes at a time each thread computes: as set, or, where that is left to us, two where that is faster
    /// and fits.
    #[must_use]
    pub fn per_thread(
        settings: &Settings,
        params: Params,
        memory: Option<UsableMemory>,
    ) -> NonZeroUsize {
        settings.hashes_per_thread.unwrap_or_else(|| {
            let gains =
                settings.hash_engine == EngineChoice::Auto && HashEngine::Simd.gains_from_two();
            if gains && Self::of(settings, params, HASHES_PER_THREAD_MAX).check(memory).is_ok() {
                HASHES_PER_THREAD_MAX
            } else {
                ONE
            }
        })
    }

    /// All of it.
    fn total(&self) -> u64 {
        self.arenas_bytes.saturating_add(self.throttle_bytes).saturating_add(MEMORY_HEADROOM)
    }

    /// Compares with the memory that there is. Where that is not known, everything fits.
    ///
    /// # Errors
    /// [`DoesNotFit`], with the sum.
    pub fn check(self, memory: Option<UsableMemory>) -> Result<(), DoesNotFit> {
        match memory {
            Some(memory) if self.total() > memory.bytes => Err(DoesNotFit { needs: self, memory }),
            _ => Ok(()),
        }
    }

    /// Whether there is no room for a hash that needs more memory than an arena.
    #[must_use]
    pub fn leaves_no_annex(&self, memory: Option<UsableMemory>) -> bool {
        let annex = u64::from(ANNEX_KIB_MAX) * 1_024;
        memory.is_some_and(|memory| self.total().saturating_add(annex) > memory.bytes)
    }
}

impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} for {} arenas of {}, {} for --throttle-memory and {} for everything else",
            format_bytes(self.arenas_bytes),
            self.arenas_bytes / self.arena_bytes,
            format_bytes(self.arena_bytes),
            format_bytes(self.throttle_bytes),
            format_bytes(MEMORY_HEADROOM)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::tests::read as settings_of;

    fn settings(flags: &[&str]) -> Settings {
        settings_of(flags).unwrap()
    }

    const MIB: u64 = 1 << 20;

    #[test]
    fn what_does_not_fit_is_said_with_the_sum() {
        let needs =
            Needs { arenas_bytes: 4 * 19 * MIB, arena_bytes: 19 * MIB, throttle_bytes: 32 * MIB };
        let total = 76 * MIB + 32 * MIB + MEMORY_HEADROOM;
        let memory = |bytes| Some(UsableMemory { bytes, source: "memory.max" });
        assert_eq!(needs.check(memory(total)), Ok(()));
        assert_eq!(needs.check(None), Ok(()));
        let error = needs.check(memory(total - 1)).unwrap_err().to_string();
        assert!(
            error.starts_with("76MiB for 4 arenas of 19MiB, 32MiB for --throttle-memory"),
            "{error}"
        );
        assert!(error.contains("(memory.max)") && error.contains("--hash-threads"), "{error}");
        assert!(needs.leaves_no_annex(memory(total)));
        assert!(!needs.leaves_no_annex(memory(total + 128 * MIB)));
        assert!(!needs.leaves_no_annex(None));
    }

    #[test]
    fn two_at_a_time_where_that_is_faster_and_fits() {
        let check = |flags: &[&str], bytes: Option<u64>, expected: usize| {
            let settings = settings(flags);
            let memory = bytes.map(|bytes| UsableMemory { bytes, source: "memory.max" });
            let per_thread = Needs::per_thread(&settings, settings.rules.params, memory);
            assert_eq!(per_thread.get(), expected, "{flags:?} {bytes:?}");
        };
        let faster = if HashEngine::Simd.gains_from_two() { 2 } else { 1 };
        let needs = |flags: &[&str], per_thread| {
            let settings = settings(flags);
            Needs::of(&settings, settings.rules.params, per_thread).total()
        };
        let threads = &["--hash-threads=8"];
        let enough = needs(threads, HASHES_PER_THREAD_MAX);
        assert_eq!(enough - needs(threads, ONE), 8 * 19 * MIB);
        check(threads, None, faster);
        check(threads, Some(enough), faster);
        check(threads, Some(enough - 1), 1);
        check(&["--hash-engine=reference"], None, 1);
        check(&["--hashes-per-thread=1"], None, 1);
        check(&["--hashes-per-thread=2"], Some(1), 2);
        // What is compared at start is there too.
        let one_thread = &["--hash-threads=1"];
        let started = [ONE, HASHES_PER_THREAD_MAX].map(|count| needs(one_thread, count));
        assert_eq!(started[1] - started[0], 19 * MIB);
    }

    #[test]
    fn sums_do_not_overflow() {
        let needs = Needs { arenas_bytes: u64::MAX, arena_bytes: 1, throttle_bytes: u64::MAX };
        assert!(needs.check(Some(UsableMemory { bytes: 1, source: "" })).is_err());
    }
}

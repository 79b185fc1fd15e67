//! Which logins are taken for those of somebody known, as far as a front can tell.
//!
//! A login may show a marker of an earlier one ([`Device`]). Whether it is real, only auth_back knows, which has the
//! keys; but which of two requests is sent on first is decided here. So a front remembers:
//!
//! - **markers that logins were answered with.** Who shows one of these is known, until the front ends or as many
//!   others have logged in since;
//! - **networks whose last marker came to nothing**, for a minute. A marker that is not remembered, since another front
//!   was told it or this one was started anew, is taken at its word otherwise.
//!
//! So whoever makes markers up gets one request a minute from each network among those who are known. A user who
//! mistypes a password is judged by their network for a minute, as everybody is without a marker.
//!
//! Tables of fixed size, without locks: an entry that is lost to another, or read while it is replaced, costs somebody
//! a turn and nothing else. Entries are hashes under a random key: a marker cannot be read out of them.

use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use addresses::Source;
use foldhash::quality::RandomState;

use crate::limits::{DOUBT_SECONDS, DOUBTS, MARKERS};
use crate::token::Device;

/// What is remembered. Shared by loops and workers.
#[derive(Debug)]
pub struct Markers {
    hasher: RandomState,
    epoch: Instant,
    /// At its own place each: the hash of a marker, 0 for none.
    seen: Box<[AtomicU64]>,
    /// At its own place each: half the hash of a network, and the second in which it was noted; 0 for none.
    doubted: Box<[AtomicU64]>,
}

impl Default for Markers {
    fn default() -> Self {
        let table = |entries| std::iter::repeat_with(AtomicU64::default).take(entries).collect();
        Self {
            hasher: RandomState::default(),
            epoch: clock::now(),
            seen: table(MARKERS),
            doubted: table(DOUBTS),
        }
    }
}

impl Markers {
    /// Whether a login from this network that shows this marker is taken for known.
    #[must_use]
    pub fn are_believed(&self, device: &Device, from: Source, now: Instant) -> bool {
        self.has_seen(device) || !self.doubts(from, now)
    }

    /// A login was answered with this marker.
    pub fn remember(&self, device: &Device) {
        let hash = self.hash(device);
        place(&self.seen, hash).store(hash, Ordering::Relaxed);
    }

    /// A login from this network that showed a marker was refused.
    pub fn doubt(&self, device: &Device, from: Source, now: Instant) {
        if !self.has_seen(device) {
            let hash = self.hasher.hash_one(from);
            let note = hash & HASH_BITS | u64::from(self.second(now));
            place(&self.doubted, hash).store(note, Ordering::Relaxed);
        }
    }

    fn has_seen(&self, device: &Device) -> bool {
        let hash = self.hash(device);
        place(&self.seen, hash).load(Ordering::Relaxed) == hash
    }

    fn doubts(&self, from: Source, now: Instant) -> bool {
        let hash = self.hasher.hash_one(from);
        let note = place(&self.doubted, hash).load(Ordering::Relaxed);
        let noted_in = u32::try_from(note & !HASH_BITS).unwrap_or_default();
        note != 0
            && note & HASH_BITS == hash & HASH_BITS
            && self.second(now).saturating_sub(noted_in) < DOUBT_SECONDS
    }

    fn hash(&self, device: &Device) -> u64 {
        self.hasher.hash_one(device.expose().as_bytes()).max(1)
    }

    /// Whole seconds since a second before this was made; a century fits.
    fn second(&self, now: Instant) -> u32 {
        let seconds = now.saturating_duration_since(self.epoch).as_secs();
        u32::try_from(seconds).unwrap_or(u32::MAX).saturating_add(1)
    }
}

/// The half of a hash that a note holds.
const HASH_BITS: u64 = u64::MAX << 32;

fn place(table: &[AtomicU64], hash: u64) -> &AtomicU64 {
    // Sizes are powers of two; the low bits are not in a note.
    let mask = table.len() - 1;
    &table[usize::try_from(hash & mask as u64).unwrap_or_default()]
}

const _: () = assert!(MARKERS.is_power_of_two() && DOUBTS.is_power_of_two());
const _: () = assert!(DOUBTS <= 1 << 32);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn device(text: &str) -> Device {
        Device::new(text.as_bytes()).expect("a marker of the test's own")
    }

    fn source(text: &str) -> Source {
        Source::of(text.parse().expect("an address"))
    }

    #[test]
    fn a_marker_is_believed_until_one_of_its_network_came_to_nothing() {
        let (markers, now) = (Markers::default(), clock::now());
        let (real, made_up) = (device("gdev_real"), device("gdev_made-up"));
        let (here, elsewhere) = (source("192.0.2.1"), source("192.0.2.2"));
        assert!(markers.are_believed(&made_up, here, now));
        markers.doubt(&made_up, here, now);
        assert!(!markers.are_believed(&made_up, here, now));
        assert!(!markers.are_believed(&real, here, now), "it has not been seen");
        assert!(markers.are_believed(&real, elsewhere, now));
        markers.remember(&real);
        assert!(markers.are_believed(&real, here, now));
        let minute = Duration::from_secs(DOUBT_SECONDS.into());
        assert!(!markers.are_believed(&made_up, here, now + minute - Duration::from_secs(1)));
        assert!(markers.are_believed(&made_up, here, now + minute + Duration::from_secs(1)));
    }

    #[test]
    fn a_wrong_password_does_not_count_against_a_marker_that_was_seen() {
        let (markers, now) = (Markers::default(), clock::now());
        let (real, here) = (device("gdev_real"), source("192.0.2.1"));
        markers.remember(&real);
        markers.doubt(&real, here, now);
        assert!(markers.are_believed(&device("gdev_other"), here, now));
    }

    #[test]
    fn the_tables_do_not_grow() {
        let (markers, now) = (Markers::default(), clock::now());
        for number in 0..2 * MARKERS {
            markers.remember(&device(&format!("gdev_{number}")));
        }
        let last = device(&format!("gdev_{}", 2 * MARKERS - 1));
        assert!(markers.has_seen(&last));
        let known = (0..2 * MARKERS).filter(|n| markers.has_seen(&device(&format!("gdev_{n}"))));
        let known = known.count();
        assert!((MARKERS / 2..=MARKERS).contains(&known), "{known}");
        assert!(markers.are_believed(&device("gdev_new"), source("192.0.2.1"), now));
    }
}

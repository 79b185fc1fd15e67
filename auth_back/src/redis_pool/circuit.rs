//! Keeps callers from a server that does not answer.

use std::time::Instant;

use parking_lot::Mutex;

use super::limits::REST;

/// Closed: all pass. Broken: all are kept away, but for one each [`REST`].
#[derive(Debug, Default)]
pub(super) struct Circuit {
    /// When it is broken: the next moment at which one may try.
    try_at: Mutex<Option<Instant>>,
}

impl Circuit {
    /// Whether a caller may try now. Of those who come to a broken circuit at its time, one may.
    pub(super) fn admits(&self, now: Instant) -> bool {
        let mut try_at = self.try_at.lock();
        match *try_at {
            None => true,
            Some(at) if now < at => false,
            Some(_) => {
                *try_at = Some(now + REST);
                true
            }
        }
    }

    /// A try failed. True if all was well before.
    pub(super) fn breaks(&self, now: Instant) -> bool {
        self.try_at.lock().replace(now + REST).is_none()
    }

    /// A try succeeded. True if it was broken before.
    pub(super) fn mends(&self) -> bool {
        self.try_at.lock().take().is_some()
    }

    pub(super) fn is_broken(&self) -> bool {
        self.try_at.lock().is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_broken_circuit_admits_one_a_time() {
        let circuit = Circuit::default();
        let start = clock::now();
        let check = |after_ms, expected: [bool; 2]| {
            let now = start + Duration::from_millis(after_ms);
            assert_eq!([circuit.admits(now), circuit.admits(now)], expected, "after {after_ms} ms");
        };
        check(0, [true, true]);
        assert!(circuit.breaks(start));
        assert!(!circuit.breaks(start), "it was broken already");
        let rest = u64::try_from(REST.as_millis()).unwrap();
        check(0, [false, false]);
        check(rest - 1, [false, false]);
        check(rest, [true, false]);
        check(2 * rest - 1, [false, false]);
        check(2 * rest, [true, false]);
        assert!(circuit.is_broken());
        assert!(circuit.mends());
        assert!(!circuit.mends() && !circuit.is_broken());
        check(0, [true, true]);
    }
}

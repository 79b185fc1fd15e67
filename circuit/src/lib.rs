//! Keeps callers from a server that does not answer.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Closed: all pass. Broken, after so many failures in a row: all are kept away, but for one each `rest`.
#[derive(Debug)]
pub struct Circuit {
    rest: Duration,
    failures_max: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Failures in a row.
    failures: u32,
    /// When it is broken: the next moment at which one may try.
    try_at: Option<Instant>,
}

impl Circuit {
    /// A closed one, which the failure number `failures_max` in a row breaks.
    pub fn new(rest: Duration, failures_max: u32) -> Self {
        Self { rest, failures_max, state: Mutex::default() }
    }

    /// Whether a caller may try now. Of those who come to a broken circuit at its time, one may.
    pub fn admits(&self, now: Instant) -> bool {
        let mut state = self.state.lock();
        match state.try_at {
            None => true,
            Some(at) if now < at => false,
            Some(_) => {
                state.try_at = Some(now + self.rest);
                true
            }
        }
    }

    /// A try failed. True if that breaks it.
    pub fn failed(&self, now: Instant) -> bool {
        let mut state = self.state.lock();
        state.failures = state.failures.saturating_add(1);
        state.failures >= self.failures_max && state.try_at.replace(now + self.rest).is_none()
    }

    /// A try succeeded. True if it was broken before.
    pub fn mends(&self) -> bool {
        let mut state = self.state.lock();
        state.failures = 0;
        state.try_at.take().is_some()
    }

    /// Whether callers are kept away.
    pub fn is_broken(&self) -> bool {
        self.state.lock().try_at.is_some()
    }
}

#[cfg(test)]
mod tests {
    use unix_time::millis;

    use super::*;

    const REST: Duration = Duration::from_secs(1);

    #[test]
    fn failures_in_a_row_break_it() {
        let circuit = Circuit::new(REST, 3);
        let now = clock::now();
        assert!(!circuit.failed(now) && !circuit.failed(now));
        assert!(!circuit.mends(), "it was not broken");
        assert!(!circuit.failed(now) && !circuit.failed(now), "they count from the last success");
        assert!(circuit.admits(now));
        assert!(circuit.failed(now) && circuit.is_broken());
        assert!(!circuit.admits(now));
        // Those that were on their way prolong its rest.
        assert!(!circuit.failed(now + REST / 2));
        assert!(!circuit.admits(now + REST) && circuit.admits(now + REST + REST / 2));
    }

    #[test]
    fn a_broken_circuit_admits_one_a_time() {
        let circuit = Circuit::new(REST, 1);
        let start = clock::now();
        let check = |after_ms, expected: [bool; 2]| {
            let now = start + Duration::from_millis(after_ms);
            assert_eq!([circuit.admits(now), circuit.admits(now)], expected, "after {after_ms} ms");
        };
        check(0, [true, true]);
        assert!(circuit.failed(start));
        assert!(!circuit.failed(start), "it was broken already");
        let rest = millis(REST);
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

//! When requests are due. Times are durations since the start of the run.

use std::time::Duration;

/// A constant rate for a time, of which the first part is not measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    rate: f64,
    unmeasured: u64,
    total: u64,
}

impl Schedule {
    /// # Errors
    /// What is no positive rate or time, or comes to no request.
    pub(crate) fn new(rate: f64, warm_up: f64, seconds: f64) -> Result<Self, String> {
        if !(rate.is_finite() && rate > 0.0 && seconds.is_finite() && seconds > 0.0) {
            return Err("--rate and --seconds are numbers above 0".to_owned());
        }
        if !(warm_up.is_finite() && warm_up >= 0.0) {
            return Err("--warm-up is a number of seconds".to_owned());
        }
        let unmeasured = (rate * warm_up) as u64;
        let total = unmeasured + (rate * seconds) as u64;
        if total == unmeasured {
            return Err("no request is due in --seconds at --rate".to_owned());
        }
        Ok(Self { rate, unmeasured, total })
    }

    /// When the request of this number, from 0, is due.
    pub(crate) fn due(&self, number: u64) -> Duration {
        Duration::from_secs_f64(number as f64 / self.rate)
    }

    /// How many requests there are in all.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// How many of them are measured.
    pub(crate) fn measured(&self) -> u64 {
        self.total - self.unmeasured
    }

    pub(crate) fn is_measured(&self, number: u64) -> bool {
        number >= self.unmeasured
    }

    /// When the measured part begins.
    pub(crate) fn measured_from(&self) -> Duration {
        self.due(self.unmeasured)
    }

    pub(crate) fn rate(&self) -> f64 {
        self.rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_due_at_even_intervals_and_the_first_part_is_not_measured() {
        let schedule = Schedule::new(1000.0, 0.5, 2.0).expect("valid");
        assert_eq!((schedule.total(), schedule.measured()), (2500, 2000));
        assert_eq!(schedule.due(1), Duration::from_millis(1));
        assert_eq!(schedule.due(2499), Duration::from_millis(2499));
        assert_eq!((schedule.is_measured(499), schedule.is_measured(500)), (false, true));
        assert_eq!(schedule.measured_from(), Duration::from_millis(500));
    }

    #[test]
    fn what_comes_to_nothing_is_refused() {
        for (rate, warm_up, seconds) in [
            (0.0, 0.0, 1.0),
            (-1.0, 0.0, 1.0),
            (f64::NAN, 0.0, 1.0),
            (1.0, -1.0, 1.0),
            (0.5, 0.0, 1.0),
        ] {
            assert!(Schedule::new(rate, warm_up, seconds).is_err(), "{rate} {warm_up} {seconds}");
        }
    }
}

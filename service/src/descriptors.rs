//! Whether the file descriptors that the settings can take fit those that the process may have.
//!
//! Each connection of a client takes one. If clients could take all of them, the server could reach no other server and
//! no operator could reach it. So the sum is made at start, and clients stop short of what everything else needs.

use sparing::rare;
use std::fmt;
use std::ops::RangeInclusive;

use crate::settings::SettingError;
use crate::settings::values::Values;

/// A number of connections of clients, as it was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// How many.
    pub count: usize,
    /// Whether somebody asked for that number; otherwise it is the default.
    pub given: bool,
}

impl Wanted {
    /// The setting that it is read from, in every program.
    pub const SETTING: &'static str = "connections-max";

    /// Reads it.
    ///
    /// # Errors
    /// When it is not a number within `range`.
    pub fn read(values: &Values<'_>, range: RangeInclusive<usize>) -> Result<Self, SettingError> {
        let count = values.integer(Self::SETTING, range)?;
        Ok(Self { count, given: values.is_given(Self::SETTING) })
    }
}

/// Something that takes descriptors, and how many at the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consumer {
    /// What it is, as a phrase for the log.
    pub what: &'static str,
    /// Descriptors that it takes at the most.
    pub count: usize,
}

/// How many connections of clients there may be beside `others`, with `limit` descriptors in all; `None` is no limit.
/// A default that does not fit is lowered, with a warning. Logs the sum, one line for each consumer.
///
/// # Errors
/// [`DoesNotFit`] when a given number does not fit, or not a single client does.
pub fn share_out(
    wanted: Wanted,
    others: &[Consumer],
    limit: Option<u64>,
) -> Result<usize, DoesNotFit> {
    let clients = fit(wanted, others, limit)?;
    if clients < wanted.count {
        rare!(
            "once, at the start",
            WARN,
            wanted = wanted.count,
            lowered_to = clients,
            limit,
            "--connections-max is lowered from its default: no more files may be open (ulimit -n, LimitNOFILE)"
        );
    }
    let clients = Consumer { what: "connections of clients", count: clients };
    for Consumer { what, count } in [clients].iter().chain(others) {
        rare!("once, at the start", INFO, what, count, "file descriptors");
    }
    Ok(clients.count)
}

fn fit(wanted: Wanted, others: &[Consumer], limit: Option<u64>) -> Result<usize, DoesNotFit> {
    let Some(limit) = limit else { return Ok(wanted.count) };
    let needed: usize = others.iter().map(|consumer| consumer.count).sum();
    let room = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(needed);
    match wanted {
        Wanted { count, .. } if count <= room => Ok(count),
        Wanted { given: false, .. } if room > 0 => Ok(room),
        _ => Err(DoesNotFit { wanted: wanted.count, room, limit, others: others.to_vec() }),
    }
}

/// The descriptors do not suffice. Whoever set the number, or the limit, is at fault.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "--connections-max {wanted} does not fit: this process may have {limit} files open (ulimit -n, LimitNOFILE), and needs \
     {}; {}",
    Sum(others),
    Advice(*room)
)]
pub struct DoesNotFit {
    wanted: usize,
    room: usize,
    limit: u64,
    others: Vec<Consumer>,
}

struct Sum<'a>(&'a [Consumer]);

impl fmt::Display for Sum<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Consumer { what, count }) in self.0.iter().enumerate() {
            let before = if index == 0 { "" } else { ", " };
            write!(f, "{before}{count} for {what}")?;
        }
        Ok(())
    }
}

struct Advice(usize);

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("raise the limit"),
            room => write!(f, "raise the limit, or set it to {room} at the most"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHERS: [Consumer; 2] =
        [Consumer { what: "auth servers", count: 9 }, Consumer { what: "operators", count: 16 }];

    #[test]
    fn what_is_given_has_to_fit_and_the_default_is_lowered() {
        #[track_caller]
        fn check(count: usize, given: bool, limit: Option<u64>, expected: Option<usize>) {
            let fitted = fit(Wanted { count, given }, &OTHERS, limit);
            assert_eq!(fitted.ok(), expected, "{count} {given} {limit:?}");
        }
        check(65_536, false, None, Some(65_536));
        check(65_536, true, None, Some(65_536));
        check(100, true, Some(125), Some(100));
        check(100, false, Some(125), Some(100));
        check(101, true, Some(125), None);
        check(101, false, Some(125), Some(100));
        check(65_536, false, Some(26), Some(1));
        check(65_536, false, Some(25), None);
        check(1, false, Some(0), None);
        check(1, true, Some(u64::MAX), Some(1));
    }

    #[test]
    fn the_error_has_the_sum_and_what_to_do() {
        let says = |wanted, limit| {
            let error = fit(Wanted { count: wanted, given: true }, &OTHERS, Some(limit));
            error.expect_err("it does not fit").to_string()
        };
        assert_eq!(
            says(1000, 125),
            "--connections-max 1000 does not fit: this process may have 125 files open (ulimit -n, LimitNOFILE), and \
             needs 9 for auth servers, 16 for operators; raise the limit, or set it to 100 at the most"
        );
        assert!(says(1, 20).ends_with("16 for operators; raise the limit"), "{}", says(1, 20));
    }
}

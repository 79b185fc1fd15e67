//! Successes of one account from one network, told together.
//!
//! The first is written at once. Those that follow within [`AUDIT_REPEATS_TIME`] are one line more, when that time
//! is over: the last of them in full, with how many it stands for, when the first of these was, and the ids of
//! their sessions. So of each success it is known whose it was, from which network, when to the minute, and which
//! session it began or ended; what is not kept of those between the first and the last are their exact times,
//! user agents and request ids. A line that has [`AUDIT_REPEATS_SESSIONS_MAX`] ids is written before its time, so
//! none is left out.
//!
//! A network is an IPv4 address, or a /48 of IPv6: who has one chooses addresses in it at will.
//!
//! Memory is bounded: when [`AUDIT_REPEATS_MAX`] accounts and networks are being watched, others are written line by
//! line.

use std::collections::{HashMap, VecDeque};
use std::time::{Instant, SystemTime};

use addresses::Source;
use foldhash::fast::RandomState;

use super::entry::{Entry, Event};
use super::line::render_repeated;
use crate::limits::{AUDIT_REPEATS_MAX, AUDIT_REPEATS_SESSIONS_MAX, AUDIT_REPEATS_TIME};

/// What of a success tells whether it is one more of the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct Success {
    key: Key,
    session_id: Option<u64>,
    at: SystemTime,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    event: Event,
    user_id: u64,
    network: Option<Source>,
}

/// Owned by the thread that writes.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    watched: HashMap<Key, Held, RandomState>,
    /// In the order in which their time is over.
    order: VecDeque<(Instant, Key)>,
}

/// What has come again since the first.
#[derive(Debug, Default)]
struct Held {
    /// The line of the last.
    last: Option<Box<str>>,
    count: u64,
    since: Option<SystemTime>,
    /// Of all but the last.
    session_ids: Vec<u64>,
    last_session_id: Option<u64>,
}

/// A line, and how many entries it tells of.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) text: Box<str>,
    pub(super) entries: u64,
}

impl Success {
    /// None for what is no success of a user.
    pub(super) fn of(entry: &Entry<'_>, at: SystemTime) -> Option<Self> {
        let network = entry.client.map(|address| Source::of(address).site());
        let key = Key { event: entry.event, user_id: entry.user_id?, network };
        Some(Self { key, session_id: entry.session_id, at })
    }
}

impl Repeats {
    /// Takes the line of a success. Returns the line that is to be written now, if there is one.
    pub(super) fn take(&mut self, text: Box<str>, success: Success, now: Instant) -> Option<Told> {
        if let Some(held) = self.watched.get_mut(&success.key) {
            return held.take(text, success);
        }
        if self.watched.len() < AUDIT_REPEATS_MAX {
            self.watched.insert(success.key, Held::default());
            self.order.push_back((now + AUDIT_REPEATS_TIME, success.key));
        }
        Some(Told { text, entries: 1 })
    }

    /// The next line whose time is over at `now`; `None` when there is none any more.
    pub(super) fn next_due(&mut self, now: Instant) -> Option<Told> {
        while self.order.front().is_some_and(|(due_at, _)| *due_at <= now) {
            if let Some(told) = self.end_first() {
                return Some(told);
            }
        }
        None
    }

    /// The next line, whether its time is over or not; `None` when there is none any more.
    pub(super) fn next_of_all(&mut self) -> Option<Told> {
        while !self.order.is_empty() {
            if let Some(told) = self.end_first() {
                return Some(told);
            }
        }
        None
    }

    fn end_first(&mut self) -> Option<Told> {
        let (_, key) = self.order.pop_front()?;
        self.watched.remove(&key)?.tell()
    }
}

impl Held {
    fn take(&mut self, text: Box<str>, success: Success) -> Option<Told> {
        self.session_ids.extend(self.last_session_id.take());
        self.last_session_id = success.session_id;
        self.last = Some(text);
        self.count += 1;
        self.since.get_or_insert(success.at);
        // One more is that of the last.
        if self.session_ids.len() + 1 >= AUDIT_REPEATS_SESSIONS_MAX { self.tell() } else { None }
    }

    /// The line of all that is held, which is held no more.
    fn tell(&mut self) -> Option<Told> {
        let Self { last, count, since, session_ids, .. } = std::mem::take(self);
        let (text, since) = (last?, since?);
        // One alone is told as it is.
        let text =
            if count == 1 { text } else { render_repeated(&text, count, since, &session_ids) };
        Some(Told { text, entries: count })
    }
}

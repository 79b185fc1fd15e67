//! Whose jobs are in work.

use std::collections::VecDeque;

use super::flow::Flow;
use super::turns::key;

/// The flows of what was taken last, as many as are in work.
///
/// Whoever is done says so without a name, and what was taken first is mostly done first. While a job takes much longer than
/// those that were taken after it, one of these counts in its place.
#[derive(Debug, Default)]
pub(super) struct InWork {
    /// A key, and what the job costs.
    taken: VecDeque<((usize, u64, u64), u32)>,
}

impl InWork {
    /// A job was taken; with it, `in_work` are.
    pub(super) fn taken(&mut self, flow: &Flow, units: u32, in_work: usize) {
        self.taken.push_back((key(flow), units));
        self.keep(in_work);
    }

    /// So many are in work.
    pub(super) fn keep(&mut self, in_work: usize) {
        let done = self.taken.len().saturating_sub(in_work);
        self.taken.drain(..done);
    }

    pub(super) fn of_class(&self, class: usize) -> u64 {
        self.units(|key| key.0 == class).into()
    }

    /// Of both classes.
    pub(super) fn of_parent(&self, parent: u64) -> u32 {
        self.units(|key| key.1 == parent)
    }

    pub(super) fn of_flow(&self, flow: (usize, u64, u64)) -> u32 {
        self.units(|key| *key == flow)
    }

    /// Looks at all: they are as many as a window lets through, some dozens.
    fn units(&self, counts: impl Fn(&(usize, u64, u64)) -> bool) -> u32 {
        self.taken.iter().filter(|(key, _)| counts(key)).map(|(_, units)| units).sum()
    }
}

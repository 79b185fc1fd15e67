//! Whose jobs are in work.

use std::collections::{HashMap, VecDeque};

use foldhash::fast::RandomState;

use super::flow::{Flow, key};

/// The flows of what was taken last, as many as are in work.
///
/// Whoever is done says so without a name, and what was taken first is mostly done first. While a job takes much longer than
/// those that were taken after it, one of these counts in its place.
#[derive(Debug, Default)]
pub(super) struct InWork {
    /// A key, and what the job costs.
    taken: VecDeque<((usize, u64, u64), u32)>,
    /// What these cost together, by class and by parent, which is asked for each that waits.
    classes: [u64; 2],
    parents: HashMap<u64, u32, RandomState>,
}

impl InWork {
    /// A job was taken; with it, `in_work` are.
    pub(super) fn taken(&mut self, flow: &Flow, units: u32, in_work: usize) {
        let key = key(flow);
        self.taken.push_back((key, units));
        self.classes[key.0] += u64::from(units);
        *self.parents.entry(key.1).or_default() += units;
        self.keep(in_work);
    }

    /// So many are in work.
    pub(super) fn keep(&mut self, in_work: usize) {
        let done = self.taken.len().saturating_sub(in_work);
        for ((class, parent, _), units) in self.taken.drain(..done) {
            self.classes[class] -= u64::from(units);
            let of_parent = self.parents.get_mut(&parent).expect("it was counted in");
            *of_parent -= units;
            if *of_parent == 0 {
                self.parents.remove(&parent);
            }
        }
    }

    pub(super) fn of_class(&self, class: usize) -> u64 {
        self.classes[class]
    }

    /// Of both classes.
    pub(super) fn of_parent(&self, parent: u64) -> u32 {
        self.parents.get(&parent).copied().unwrap_or(0)
    }

    /// Looks at all: they are as many as a window lets through.
    pub(super) fn of_flow(&self, flow: (usize, u64, u64)) -> u32 {
        self.taken.iter().filter(|(key, _)| *key == flow).map(|(_, units)| units).sum()
    }
}

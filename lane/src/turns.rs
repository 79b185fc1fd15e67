//! In which order jobs are served, and which of them has to go when there is no room: fair queueing by deficit
//! round robin (Shreedhar and Varghese, "Efficient Fair Queuing using Deficit Round-Robin", 1995), on three
//! levels.
//!
//! ```text
//! class (known, stranger)     one job each in turn, while both wait
//!   parent (address, /48)     in turn, a unit each
//!     flow (/56, account)     in turn, a unit each
//!       jobs                  in the order in which they came
//! ```
//!
//! A parent or a flow is there only while a job of it waits, so there are never more of them than jobs. A visit
//! gives it a credit of one unit; it is served when the credit is what its next job costs. So of two parents that
//! wait all the time, neither is served more than one unit ahead of the other if all jobs cost one, and three if
//! some cost two.
//!
//! When all places are taken, the newest job of the longest flow of the longest parent makes room, unless that is
//! no fairer than to refuse the newcomer ([`Turns::push`]). A class that has less than half of what waits takes
//! its place from the other class.
//!
//! Where few can wait and be in time, what is in work is most of what a parent has. So a newcomer that would be too
//! late takes a place by what others have waiting and in work together ([`Turns::push_instead`]).
//!
//! No lock and no clock: the queue around it has both.

mod giving_way;

use std::collections::HashMap;
use std::time::Instant;

use foldhash::fast::RandomState;

use super::flow::{Ask, Flow, key};
use super::in_work::InWork;
use super::rings::{Nodes, Ring};

/// Jobs that wait, at most so many as there are places.
pub(super) struct Turns<J> {
    capacity: usize,
    len: usize,
    jobs: Nodes<InTurn<J>>,
    flows: Nodes<FlowState>,
    parents: Nodes<ParentState>,
    // Their keys are hashes already, under a seed that nobody knows.
    flow_ids: HashMap<(usize, u64, u64), u32, RandomState>,
    parent_ids: HashMap<(usize, u64), u32, RandomState>,
    classes: [ClassState; 2],
    /// The class whose turn it is.
    turn: usize,
}

/// A job that waits.
#[derive(Debug)]
pub(super) struct Waiting<J> {
    pub(super) job: J,
    /// Since when.
    pub(super) since: Instant,
    /// Of which flow.
    pub(super) flow: Flow,
    pub(super) units: u32,
}

impl<J> Waiting<J> {
    pub(super) const fn new(job: J, ask: &Ask, since: Instant) -> Self {
        Self { job, since, flow: ask.flow, units: ask.units.get() }
    }
}

/// A job on the ring of its flow.
struct InTurn<J> {
    waiting: Waiting<J>,
    flow_id: u32,
}

struct FlowState {
    key: (usize, u64, u64),
    parent_id: u32,
    jobs: Ring,
    /// What its jobs cost together.
    units: u32,
    credit: u32,
}

struct ParentState {
    key: (usize, u64),
    flows: Ring,
    /// What the jobs of its flows cost together.
    units: u32,
    credit: u32,
}

#[derive(Default)]
struct ClassState {
    parents: Ring,
    units: u64,
    /// At `n - 1`: how many parents have `n` units or more.
    at_least: Vec<u32>,
}

/// What became of a job that was to wait.
#[derive(Debug)]
pub(super) enum Pushed<J> {
    /// It waits.
    Waits,
    /// It waits, and this one has made room for it.
    InsteadOf(Waiting<J>),
    /// There is no place for it.
    Full(J),
}

impl<J> Turns<J> {
    pub(super) fn new(capacity: usize) -> Self {
        let two = |_| RandomState::default();
        Self {
            capacity,
            len: 0,
            jobs: Nodes::with_capacity(capacity),
            flows: Nodes::with_capacity(capacity),
            parents: Nodes::with_capacity(capacity),
            // Half full at the most, so that they are never rebuilt.
            flow_ids: HashMap::with_capacity_and_hasher(2 * capacity, two(())),
            parent_ids: HashMap::with_capacity_and_hasher(2 * capacity, two(())),
            classes: Default::default(),
            turn: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Parents of which a job waits.
    pub(super) fn parties(&self) -> usize {
        self.parent_ids.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Lets a job wait, if there is a place or one that is better given to it.
    pub(super) fn push(&mut self, job: J, ask: &Ask, since: Instant) -> Pushed<J> {
        if self.len < self.capacity {
            self.append(Waiting::new(job, ask, since));
            return Pushed::Waits;
        }
        match self.longest_but(ask) {
            Some(flow_id) => self.replace_newest(flow_id, job, ask, since),
            None => Pushed::Full(job),
        }
    }

    /// Lets a job wait that may have `most` units before it and has more, if another should rather go and it then is
    /// in time: one of a party that has more than its own will have, waiting and in work together.
    pub(super) fn push_instead(
        &mut self,
        job: J,
        ask: &Ask,
        since: Instant,
        most: u64,
        in_work: &InWork,
    ) -> Pushed<J> {
        match self.greediest_but(ask, most, in_work) {
            Some(flow_id) => self.replace_newest(flow_id, job, ask, since),
            None => Pushed::Full(job),
        }
    }

    /// The job whose turn it is.
    pub(super) fn peek(&mut self) -> Option<&J> {
        self.next().map(|id| &self.jobs.get(id).waiting.job)
    }

    /// Takes the job whose turn it is.
    pub(super) fn pop(&mut self) -> Option<Waiting<J>> {
        let id = self.next()?;
        let &InTurn { waiting: Waiting { units, .. }, flow_id } = self.jobs.get(id);
        let flow = self.flows.get_mut(flow_id);
        flow.credit -= units;
        let (parent_id, class) = (flow.parent_id, flow.key.0);
        let parent = self.parents.get_mut(parent_id);
        parent.credit -= units;
        // Whose turn is over goes to the end, before it may be the one that is taken off.
        self.flows.rotate(&mut parent.flows);
        self.parents.rotate(&mut self.classes[class].parents);
        self.turn = 1 - class;
        Some(self.take(id))
    }

    /// What is served before a job that would come now, in units; no more is counted than it takes to exceed
    /// `most`.
    ///
    /// Each other flow of its parent has as many turns before it as its own flow has, and each other parent as
    /// many as its own; the other class has as many as all of these together.
    pub(super) fn units_before(&self, ask: &Ask, most: u64) -> u64 {
        let (class, units) = (ask.flow.class as usize, u64::from(ask.units.get()));
        let parent = self.parent_ids.get(&(class, ask.flow.parent)).map(|&id| self.parents.get(id));
        let mut ahead = self.units_before_in_parent(ask, most);
        if ahead > most {
            return ahead;
        }
        let turns = usize::try_from(ahead + units).unwrap_or(usize::MAX);
        let own_parent = parent.map_or(0, |parent| parent.units as usize);
        for (turn, &parents) in self.classes[class].at_least.iter().take(turns).enumerate() {
            ahead += u64::from(parents) - u64::from(turn < own_parent);
            // From here on no parent has as much.
            if parents == 0 || ahead > most {
                break;
            }
        }
        ahead + self.classes[1 - class].units.min(ahead + units)
    }

    /// The same, of its own parent only.
    fn units_before_in_parent(&self, ask: &Ask, most: u64) -> u64 {
        let (class, units) = (ask.flow.class as usize, u64::from(ask.units.get()));
        let flow_id = self.flow_ids.get(&key(&ask.flow)).copied();
        let own = flow_id.map_or(0, |id| self.flows.get(id).units.into());
        let parent = self.parent_ids.get(&(class, ask.flow.parent)).map(|&id| self.parents.get(id));
        let mut ahead: u64 = own;
        for other in parent.into_iter().flat_map(|parent| self.flows.iter(parent.flows)) {
            if ahead > most {
                break;
            }
            if Some(other) != flow_id {
                ahead += u64::from(self.flows.get(other).units).min(own + units);
            }
        }
        ahead
    }

    /// Everything that waits, in no particular order.
    pub(super) fn drain(&mut self) -> Vec<J> {
        std::iter::from_fn(|| self.pop()).map(|waiting| waiting.job).collect()
    }

    /// The job whose turn it is. Asking again finds the same one, unless another is evicted.
    fn next(&mut self) -> Option<u32> {
        let class = match self.classes[self.turn].parents.is_empty() {
            true => 1 - self.turn,
            false => self.turn,
        };
        loop {
            let parent_id = self.classes[class].parents.first()?;
            let (job, units) = self.next_of(parent_id);
            let parent = self.parents.get_mut(parent_id);
            if earns(&mut parent.credit, units) {
                return Some(job);
            }
            self.parents.rotate(&mut self.classes[class].parents);
        }
    }

    /// The job whose turn it is among those of one parent, and what it costs.
    fn next_of(&mut self, parent_id: u32) -> (u32, u32) {
        let parent = self.parents.get_mut(parent_id);
        loop {
            let flow_id = parent.flows.first().expect("a parent is there while a flow of it is");
            let flow = self.flows.get_mut(flow_id);
            let job = flow.jobs.first().expect("a flow is there while a job of it waits");
            let units = self.jobs.get(job).waiting.units;
            if earns(&mut flow.credit, units) {
                return (job, units);
            }
            self.flows.rotate(&mut parent.flows);
        }
    }

    /// Lets a job wait. The caller knows that there is a place.
    pub(super) fn append(&mut self, waiting: Waiting<J>) {
        debug_assert!(self.len < self.capacity, "there is a place");
        let (key, units) = (key(&waiting.flow), waiting.units);
        let parents = &mut self.classes[key.0].parents;
        let parent_id = *self.parent_ids.entry((key.0, key.1)).or_insert_with(|| {
            let key = (key.0, key.1);
            let parent = ParentState { key, flows: Ring::default(), units: 0, credit: 0 };
            let id = self.parents.insert(parent);
            self.parents.push_back(parents, id);
            id
        });
        let parent = self.parents.get_mut(parent_id);
        let flow_id = *self.flow_ids.entry(key).or_insert_with(|| {
            let flow = FlowState { key, parent_id, jobs: Ring::default(), units: 0, credit: 0 };
            let id = self.flows.insert(flow);
            self.flows.push_back(&mut parent.flows, id);
            id
        });
        let flow = self.flows.get_mut(flow_id);
        let job = self.jobs.insert(InTurn { waiting, flow_id });
        self.jobs.push_back(&mut flow.jobs, job);
        self.count(flow_id, units);
        self.len += 1;
    }

    /// Takes the newest job of a flow out and lets another wait.
    fn replace_newest(&mut self, flow_id: u32, job: J, ask: &Ask, since: Instant) -> Pushed<J> {
        let evicted = self.take(self.newest(flow_id));
        self.append(Waiting::new(job, ask, since));
        Pushed::InsteadOf(evicted)
    }

    fn newest(&self, flow_id: u32) -> u32 {
        let newest = self.jobs.last(self.flows.get(flow_id).jobs);
        newest.expect("a flow is there while a job of it waits")
    }

    /// A flow has so many units more.
    fn count(&mut self, flow_id: u32, units: u32) {
        let flow = self.flows.get_mut(flow_id);
        flow.units += units;
        let parent = self.parents.get_mut(flow.parent_id);
        self.classes[flow.key.0].grow(parent.units, units);
        parent.units += units;
    }

    /// A flow has so many units less.
    fn uncount(&mut self, flow_id: u32, units: u32) {
        let flow = self.flows.get_mut(flow_id);
        flow.units -= units;
        let parent = self.parents.get_mut(flow.parent_id);
        parent.units -= units;
        self.classes[flow.key.0].shrink(parent.units, units);
    }

    /// Takes a job out, wherever it is, and with the last of them its flow and parent.
    fn take(&mut self, id: u32) -> Waiting<J> {
        let &InTurn { waiting: Waiting { units, .. }, flow_id } = self.jobs.get(id);
        self.uncount(flow_id, units);
        let flow = self.flows.get_mut(flow_id);
        self.jobs.unlink(&mut flow.jobs, id);
        let (parent_id, key, is_last) = (flow.parent_id, flow.key, flow.jobs.is_empty());
        let parent = self.parents.get_mut(parent_id);
        if is_last {
            self.flows.unlink(&mut parent.flows, flow_id);
            self.flows.remove(flow_id);
            self.flow_ids.remove(&key);
        }
        if parent.flows.is_empty() {
            self.parents.unlink(&mut self.classes[key.0].parents, parent_id);
            let parent = self.parents.remove(parent_id);
            self.parent_ids.remove(&parent.key);
        }
        self.len -= 1;
        self.jobs.remove(id).waiting
    }
}

impl ClassState {
    /// A parent that had `had` units has `more` more.
    fn grow(&mut self, had: u32, more: u32) {
        self.units += u64::from(more);
        let (from, to) = (had as usize, (had + more) as usize);
        if self.at_least.len() < to {
            self.at_least.resize(to, 0);
        }
        self.at_least[from..to].iter_mut().for_each(|parents| *parents += 1);
    }

    /// A parent that has `left` units had `less` more.
    fn shrink(&mut self, left: u32, less: u32) {
        self.units -= u64::from(less);
        let (from, to) = (left as usize, (left + less) as usize);
        self.at_least[from..to].iter_mut().for_each(|parents| *parents -= 1);
    }
}

/// A visit: gives a unit of credit if the next job costs more than there is. Whether it can be served.
fn earns(credit: &mut u32, units: u32) -> bool {
    if *credit < units {
        *credit += 1;
    }
    *credit >= units
}

#[cfg(test)]
mod tests;

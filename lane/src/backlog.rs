//! What waits in a lane.
//!
//! Whose turn it is matters when more waits than is taken at once. Else all are taken together whatever their order is,
//! and to keep turns would cost more than the rest of the way through a lane. So jobs come into a plain list, and
//! are sorted into turns when more are there than somebody takes.

use std::collections::VecDeque;
use std::time::Instant;

use super::flow::Ask;
use super::job::Asked;
use super::turns::{Pushed, Turns, Waiting};
use crate::limits::LANE_UNSORTED_MAX;

/// Jobs that wait, at most so many as there are places.
pub(super) struct Backlog<J> {
    capacity: usize,
    /// In the order in which they came. Empty if [`turns`](Self::turns) is not.
    unsorted: VecDeque<Waiting<J>>,
    turns: Turns<J>,
}

impl<J> Backlog<J> {
    pub(super) fn new(capacity: usize) -> Self {
        let unsorted = VecDeque::with_capacity(LANE_UNSORTED_MAX.min(capacity));
        Self { capacity, unsorted, turns: Turns::new(capacity) }
    }

    pub(super) fn len(&self) -> usize {
        self.unsorted.len() + self.turns.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.unsorted.is_empty() && self.turns.is_empty()
    }

    /// Parents of which a job waits in turn.
    pub(super) fn parties(&self) -> usize {
        self.turns.parties()
    }

    /// Lets a job wait, if there is a place or one that is better given to it.
    pub(super) fn push(&mut self, job: J, ask: &Ask, since: Instant) -> Pushed<J> {
        if self.takes_unsorted(1) {
            self.unsorted.push_back(Waiting::new(job, ask, since));
            return Pushed::Waits;
        }
        self.in_turns().push(job, ask, since)
    }

    /// Lets all of them wait, if there are places and turns do not matter yet; leaves them alone if not.
    pub(super) fn push_all(&mut self, jobs: &mut Vec<Asked<J>>, since: Instant) {
        if self.takes_unsorted(jobs.len()) {
            self.unsorted.extend(jobs.drain(..).map(|(job, ask)| Waiting::new(job, &ask, since)));
        }
    }

    fn takes_unsorted(&self, count: usize) -> bool {
        self.turns.is_empty() && self.unsorted.len() + count <= self.capacity.min(LANE_UNSORTED_MAX)
    }

    /// All that waits, in turns.
    pub(super) fn in_turns(&mut self) -> &mut Turns<J> {
        self.unsorted.drain(..).for_each(|waiting| self.turns.append(waiting));
        &mut self.turns
    }

    /// Takes all that waits into `batch` if it is no more than `max` and goes with the first, so that turns do not matter;
    /// else sorts it. `told` hears of each.
    pub(super) fn take_unsorted(
        &mut self,
        batch: &mut Vec<J>,
        max: usize,
        goes_with: impl Fn(&J, &J) -> bool,
        mut told: impl FnMut(&Waiting<J>),
    ) {
        let Some(first) = self.unsorted.front() else { return };
        let mut others = self.unsorted.iter().skip(1);
        if self.unsorted.len() > max || !others.all(|other| goes_with(&first.job, &other.job)) {
            self.in_turns();
            return;
        }
        self.unsorted.iter().for_each(&mut told);
        batch.extend(self.unsorted.drain(..).map(|waiting| waiting.job));
    }

    /// The job whose turn it is.
    pub(super) fn peek(&mut self) -> Option<&J> {
        self.in_turns().peek()
    }

    /// Takes the job whose turn it is.
    pub(super) fn pop(&mut self) -> Option<Waiting<J>> {
        self.in_turns().pop()
    }

    /// Everything that waits, in no particular order.
    pub(super) fn drain(&mut self) -> Vec<J> {
        self.in_turns().drain()
    }
}

#[cfg(test)]
mod tests {
    use super::super::flow::{Class, Flow};
    use super::*;

    fn ask(parent: u64) -> Ask {
        Ask::new(Flow { class: Class::Stranger, parent, child: 0 })
    }

    /// A backlog of jobs that are named as their parties, with a number behind it.
    fn backlog(capacity: usize, names: &[&'static str]) -> Backlog<&'static str> {
        let mut backlog = Backlog::new(capacity);
        for name in names {
            let pushed = backlog.push(*name, &ask(name.as_bytes()[0].into()), clock::now());
            assert!(matches!(pushed, Pushed::Waits));
        }
        backlog
    }

    fn take(backlog: &mut Backlog<&'static str>, max: usize) -> Vec<&'static str> {
        let (mut batch, mut told) = (Vec::new(), 0);
        let same_letter = |one: &&str, other: &&str| one.ends_with('x') == other.ends_with('x');
        backlog.take_unsorted(&mut batch, max, same_letter, |_| told += 1);
        assert_eq!(told, batch.len());
        batch
    }

    #[test]
    fn what_is_taken_at_once_keeps_its_order_and_what_is_more_has_turns() {
        let names = ["a1", "a2", "a3", "b1"];
        let mut few = backlog(8, &names);
        assert_eq!(few.parties(), 0, "nobody asks");
        assert_eq!(take(&mut few, 4), names);
        assert!(few.is_empty());

        let mut more = backlog(8, &names);
        assert_eq!(take(&mut more, 3), [""; 0], "it has turns now");
        assert_eq!((more.len(), more.parties()), (4, 2));
        assert!(matches!(more.push("c1", &ask(b'c'.into()), clock::now()), Pushed::Waits));
        let served: Vec<_> = std::iter::from_fn(|| more.pop()).map(|job| job.job).collect();
        assert_eq!(served, ["a1", "b1", "c1", "a2", "a3"]);
    }

    #[test]
    fn what_does_not_go_together_has_turns() {
        let mut backlog = backlog(8, &["a1", "a2x", "a3", "b1"]);
        assert_eq!(take(&mut backlog, 8), [""; 0]);
        assert_eq!(backlog.parties(), 2);
        let served: Vec<_> = std::iter::from_fn(|| backlog.pop()).map(|job| job.job).collect();
        assert_eq!(served, ["a1", "b1", "a2x", "a3"]);
    }

    #[test]
    fn a_full_one_has_turns() {
        let mut full = backlog(3, &["a1", "a2", "a3"]);
        let mut jobs = vec![("b1", ask(b'b'.into()))];
        full.push_all(&mut jobs, clock::now());
        assert_eq!(jobs.len(), 1, "there is no place");
        let Pushed::InsteadOf(gone) = full.push("b1", &ask(b'b'.into()), clock::now()) else {
            panic!("a has three")
        };
        assert_eq!((gone.job, full.len()), ("a3", 3));
        assert_eq!(take(&mut full, 8), [""; 0], "they have turns");

        let jobs = |count| (0..count).map(|_| ("a", ask(b'a'.into()))).collect::<Vec<_>>();
        let mut many = Backlog::new(2 * LANE_UNSORTED_MAX);
        many.push_all(&mut jobs(LANE_UNSORTED_MAX), clock::now());
        let mut more = jobs(1);
        many.push_all(&mut more, clock::now());
        assert_eq!((many.unsorted.len(), more.len()), (LANE_UNSORTED_MAX, 1));
        assert!(matches!(many.push("a", &ask(b'a'.into()), clock::now()), Pushed::Waits));
        assert_eq!((many.unsorted.len(), many.len()), (0, LANE_UNSORTED_MAX + 1));
        assert_eq!(many.drain().len(), LANE_UNSORTED_MAX + 1);
    }
}

//! Random histories of the queue, one step at a time: every order of hand-off, time-out and close that
//! threads could bring about, without threads.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Takes a permit, or joins the queue if there is none.
    Arrive,
    /// Gives back one of the permits that are out.
    Give(usize),
    /// Closes the item of one of the permits that are out, and gives it back.
    GiveNil(usize),
    /// A waiter wakes up, looks at its desk, and waits on if there is nothing.
    Wake(usize),
    /// A waiter wakes up at its deadline.
    TimeOut(usize),
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        30 => Just(Step::Arrive),
        20 => any::<usize>().prop_map(Step::Give),
        10 => any::<usize>().prop_map(Step::GiveNil),
        20 => any::<usize>().prop_map(Step::Wake),
        10 => any::<usize>().prop_map(Step::TimeOut),
        1 => Just(Step::Close),
    ]
}

/// The ledger, and what the threads around it would hold.
struct Play {
    ledger: Ledger<u64>,
    made: u64,
    /// Permits that are out. Nil ones are filled at once, as if connecting took no time.
    out: Vec<Slot<u64>>,
    /// Tickets of those who wait, in the order of their arrival.
    waiting: Vec<Ticket>,
    /// Those who have been served and do not know it yet, in the order of service.
    served: Vec<Ticket>,
}

impl Play {
    fn new(size: usize) -> Self {
        let ledger = Ledger::new(size, None);
        Self { ledger, made: 0, out: Vec::new(), waiting: Vec::new(), served: Vec::new() }
    }

    fn hold(&mut self, slot: Slot<u64>) {
        let item = slot.unwrap_or_else(|| {
            self.made += 1;
            Box::new(Pooled { item: self.made, expires_at: None, idle_since: None })
        });
        self.out.push(Some(item));
    }

    fn arrive(&mut self) {
        match self.ledger.take(None) {
            Taken::Permit(slot) => {
                assert!(self.waiting.is_empty(), "a newcomer overtook a waiter");
                self.hold(slot);
            }
            Taken::Exhausted => {
                let (ticket, _) = self.ledger.enqueue();
                self.waiting.push(ticket);
            }
            Taken::Overdue(_) => panic!("nothing ages here"),
            Taken::Closed => assert!(!self.ledger.is_open()),
        }
    }

    fn give(&mut self, slot: Slot<u64>) {
        let had_item = slot.is_some();
        let given = self.ledger.give(slot);
        assert!(given.overdue.is_none(), "nothing ages here");
        let is_open = self.ledger.is_open();
        assert_eq!(given.refused.is_some(), had_item && !is_open);
        assert_eq!(given.bell.is_some(), is_open && !self.waiting.is_empty());
        if is_open && !self.waiting.is_empty() {
            let longest = self.waiting.remove(0);
            let bell = &self.ledger.desks[longest.0].bell;
            assert!(given.bell.is_some_and(|rung| Arc::ptr_eq(&rung, bell)), "the wrong bell");
            self.served.push(longest);
        }
    }

    /// One that is not served must be told to wait on, or that the pool is closed.
    fn wake(&mut self, index: usize, at_deadline: bool) {
        let served = self.served.len();
        if served + self.waiting.len() == 0 {
            return;
        }
        let index = index % (served + self.waiting.len());
        if index < served {
            let ticket = self.served.remove(index);
            match self.ledger.turn(ticket) {
                Some(Turn::Served(slot)) if at_deadline => self.give(slot),
                Some(Turn::Served(slot)) => self.hold(slot),
                Some(Turn::Closed) | None => panic!("what was handed over is lost"),
            }
        } else {
            let ticket = self.waiting[index - served];
            match self.ledger.turn(ticket) {
                Some(Turn::Served(_)) => panic!("served out of order"),
                Some(Turn::Closed) => assert!(!self.ledger.is_open()),
                None if at_deadline => self.ledger.withdraw(ticket),
                None => return,
            }
            self.waiting.remove(index - served);
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Arrive => self.arrive(),
            Step::Give(index) | Step::GiveNil(index) if !self.out.is_empty() => {
                let item = self.out.remove(index % self.out.len());
                self.give(item.filter(|_| matches!(step, Step::Give(_))));
            }
            Step::Give(_) | Step::GiveNil(_) => {}
            Step::Wake(index) => self.wake(index, false),
            Step::TimeOut(index) => self.wake(index, true),
            Step::Close => {
                let waiting = if self.ledger.is_open() { self.waiting.len() } else { 0 };
                let (_, bells) = self.ledger.close();
                assert_eq!(bells.len(), waiting, "each waiter's bell is rung once");
            }
        }
    }

    fn check(&self) {
        let ledger = &self.ledger;
        assert_eq!(
            ledger.out(),
            self.out.len() + self.served.len(),
            "a permit is lost, or doubled"
        );
        assert_eq!(ledger.waiting(), if ledger.is_open() { self.waiting.len() } else { 0 });
        assert!(ledger.waiting() == 0 || ledger.nil + ledger.idle.len() == 0, "waiting in vain");
        assert_eq!(
            ledger.desks.len(),
            ledger.free_desks.len() + self.waiting.len() + self.served.len(),
            "a desk is lost, or doubled"
        );
        let out = self.out.iter().flatten();
        let mut items: Vec<_> = ledger.idle.iter().chain(out).map(|pooled| pooled.item).collect();
        items.sort_unstable();
        items.dedup();
        assert_eq!(items.len(), ledger.idle.len() + self.out.len(), "an item is in two hands");
    }
}

proptest! {
    #[test]
    fn no_history_loses_a_permit_or_an_order(size in 1..4_usize, steps in vec(step(), 0..300)) {
        let mut play = Play::new(size);
        for step in steps {
            play.step(step);
            play.check();
        }
    }
}

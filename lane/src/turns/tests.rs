//! Against a plain list of what waits: random arrivals and departures from seeds.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use super::super::flow::Class;
use super::*;

const SEEDS: u64 = 10_000;
const STEPS: usize = 60;

/// splitmix64 (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", 2014).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

fn flow(class: Class, parent: u64, child: u64) -> Flow {
    Flow { class, parent, child }
}

fn ask(flow: Flow, units: u32) -> Ask {
    Ask::new(flow).units(NonZeroU32::new(units).expect("not zero"))
}

/// What waits, in the order in which it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Listed {
    number: u64,
    flow: Flow,
    units: u32,
}

#[derive(Default)]
struct List(Vec<Listed>);

type Party = (usize, u64);

fn party(flow: &Flow) -> Party {
    (flow.class as usize, flow.parent)
}

impl List {
    fn units(&self, counted: impl Fn(&Flow) -> bool) -> u32 {
        self.0.iter().filter(|job| counted(&job.flow)).map(|job| job.units).sum()
    }

    fn of_party(&self, of: Party) -> u32 {
        self.units(|flow| party(flow) == of)
    }

    fn of_flow(&self, of: &Flow) -> u32 {
        self.units(|flow| flow == of)
    }

    fn parties(&self) -> BTreeSet<Party> {
        self.0.iter().map(|job| party(&job.flow)).collect()
    }

    fn remove(&mut self, number: u64) -> Listed {
        let place = self.0.iter().position(|job| job.number == number).expect("it waits");
        self.0.remove(place)
    }

    /// Whether there is anybody who should rather go than a newcomer of this flow.
    fn someone_should_go(&self, flow: &Flow, units: u32) -> bool {
        let class = flow.class as usize;
        let of_class = |class| self.units(|flow| flow.class as usize == class);
        if of_class(class) < of_class(1 - class) {
            return true;
        }
        let (own_party, own_flow) = (self.of_party(party(flow)), self.of_flow(flow));
        self.0.iter().any(|job| {
            let of = party(&job.flow);
            of.0 == class
                && (self.of_party(of) > own_party + units
                    || (of == party(flow) && self.of_flow(&job.flow) > own_flow + units))
        })
    }

    /// That the one who went is the newest of a longest flow of a longest party, of the right class.
    fn check_evicted(&self, gone: &Listed, newcomer: &Flow) {
        let class = gone.flow.class as usize;
        let of_class = |class| self.units(|flow| flow.class as usize == class);
        if class != newcomer.class as usize {
            assert!(of_class(class) > of_class(1 - class), "the other class had less than half");
        }
        let (of, length) = (party(&gone.flow), self.of_party(party(&gone.flow)));
        if of != party(newcomer) {
            let others = self.parties();
            let longest = others.iter().filter(|other| other.0 == class);
            let longest = longest.map(|&other| self.of_party(other)).max();
            assert_eq!(longest, Some(length), "of a longest party");
        }
        for job in self.0.iter().filter(|job| party(&job.flow) == of) {
            assert!(self.of_flow(&job.flow) <= self.of_flow(&gone.flow), "of a longest flow");
            assert!(job.flow != gone.flow || job.number <= gone.number, "the newest");
        }
    }
}

/// How much each of two parties of one class was served since both wait.
#[derive(Default)]
struct Scores(BTreeMap<(Party, Party), [u32; 2]>);

impl Scores {
    fn served(&mut self, served: &Listed, list: &List, most_units: u32) {
        let who = party(&served.flow);
        let waiting = list.parties();
        self.0.retain(|(one, other), _| waiting.contains(one) && waiting.contains(other));
        for &other in waiting.iter().filter(|&&other| other != who && other.0 == who.0) {
            let (pair, place) = if who < other { ((who, other), 0) } else { ((other, who), 1) };
            let score = self.0.entry(pair).or_default();
            score[place] += served.units;
            // A job may have been paid for in part before the other came.
            assert!(
                score[0].abs_diff(score[1]) < 2 * most_units,
                "{pair:?} were served {score:?} while both waited"
            );
        }
    }
}

fn check_seed(seed: u64) {
    let mut chance = Chance(seed);
    let capacity = usize::try_from(1 + chance.below(12)).expect("small");
    let (parents, children) = (1 + chance.below(5), 1 + chance.below(3));
    let (knows_some, most_units) = (chance.one_in(2), 1 + u32::from(chance.one_in(2)));
    let arrivals = 1 + chance.below(4);
    let mut turns = Turns::new(capacity);
    let (mut list, mut scores) = (List::default(), Scores::default());
    let (mut ended, mut number) = (BTreeSet::new(), 0);
    for _ in 0..STEPS {
        if chance.below(5) < arrivals {
            number += 1;
            let class = if knows_some && chance.one_in(3) { Class::Known } else { Class::Stranger };
            // The first parent is greedy.
            let parent = if chance.one_in(2) { 0 } else { chance.below(parents) };
            let flow = flow(class, parent, chance.below(children));
            let units = 1 + u32::try_from(chance.below(most_units.into())).expect("1 or 2");
            let job = Listed { number, flow, units };
            let is_full = list.0.len() == capacity;
            match turns.push(number, &ask(flow, units), clock::now()) {
                Pushed::Waits => {
                    assert!(
                        !is_full,
                        "places are never exceeded, and none is refused to a lone one"
                    );
                    list.0.push(job);
                }
                Pushed::InsteadOf(gone) => {
                    assert!(is_full && list.someone_should_go(&flow, units));
                    let listed = list.0.iter().find(|job| job.number == gone.job);
                    list.check_evicted(listed.expect("it waits"), &flow);
                    assert!(ended.insert(list.remove(gone.job).number), "each job ends once");
                    list.0.push(job);
                    // Who was evicted did not wait all the time.
                    scores.0.clear();
                }
                Pushed::Full(refused) => {
                    assert!(
                        is_full && !list.someone_should_go(&flow, units),
                        "{:?} {flow:?}",
                        list.0
                    );
                    assert!(ended.insert(refused), "each job ends once");
                }
            }
        } else if let Some(served) = turns.pop() {
            let waited = list.parties();
            let job = list.remove(served.job);
            assert!(waited.contains(&party(&job.flow)));
            assert!(ended.insert(job.number), "each job ends once");
            let oldest = list.0.iter().find(|other| other.flow == job.flow);
            assert!(oldest.is_none_or(|other| other.number > job.number), "in order within a flow");
            scores.served(&job, &list, most_units);
        } else {
            assert!(list.0.is_empty(), "something waits, and nobody has the turn");
        }
        assert_eq!(turns.len(), list.0.len());
    }
    for served in turns.drain() {
        assert!(ended.insert(list.remove(served).number), "each job ends once");
    }
    assert!(list.0.is_empty() && ended.len() as u64 == number);
    assert_eq!((turns.flow_ids.len(), turns.parent_ids.len()), (0, 0));
    assert_eq!(turns.classes.iter().map(|class| class.units).sum::<u64>(), 0);
    assert!(turns.classes.iter().flat_map(|class| &class.at_least).all(|&parents| parents == 0));
}

#[test]
fn turns_agree_with_a_plain_list() {
    for seed in 0..SEEDS {
        let checked = std::panic::catch_unwind(|| check_seed(seed));
        assert!(checked.is_ok(), "seed {seed}");
    }
}

/// How far a newcomer's wait is from what was said, when nobody comes after it.
#[test]
fn a_wait_is_told_beforehand() {
    for seed in 0..SEEDS {
        let mut chance = Chance(seed);
        let (parents, children) = (1 + chance.below(6), 1 + chance.below(4));
        let mut turns = Turns::new(100);
        let random_ask = |chance: &mut Chance| {
            let class = if chance.one_in(4) { Class::Known } else { Class::Stranger };
            let parent = if chance.one_in(2) { 0 } else { chance.below(parents) };
            ask(flow(class, parent, chance.below(children)), 1)
        };
        for number in 0..chance.below(60) {
            let ask = random_ask(&mut chance);
            assert!(matches!(turns.push(number, &ask, clock::now()), Pushed::Waits));
            if chance.one_in(4) {
                turns.pop();
            }
        }
        let ask = random_ask(&mut chance);
        let told = turns.units_before(&ask, u64::MAX);
        assert!(turns.units_before(&ask, told / 2) >= told / 2, "seed {seed}: cut short too early");
        turns.push(u64::MAX, &ask, clock::now());
        let found = (0..).take_while(|_| turns.pop().map(|job| job.job) != Some(u64::MAX)).count();
        // Each other party may be a turn before or after it, in both classes.
        let slack = 2 * (parents + children) + 1;
        let found = found as u64;
        assert!(told.abs_diff(found) <= slack, "seed {seed}: told {told}, found {found}");
    }
}

/// Newcomers that are too late, beside parties that have some in work.
#[test]
fn who_is_late_takes_the_place_of_who_has_more() {
    let mut taken = 0;
    for seed in 0..SEEDS {
        let checked = std::panic::catch_unwind(|| check_late(seed));
        taken += u32::from(checked.unwrap_or_else(|_| panic!("seed {seed}")));
    }
    assert!(taken > 500, "the seeds come to this case: {taken}");
}

/// Whether the newcomer had a place.
fn check_late(seed: u64) -> bool {
    let mut chance = Chance(seed);
    let (parents, children) = (1 + chance.below(4), 1 + chance.below(2));
    let most_units = 1 + chance.below(2);
    let random = |chance: &mut Chance, number| {
        let class = if chance.one_in(4) { Class::Known } else { Class::Stranger };
        let parent = if chance.one_in(2) { 0 } else { chance.below(parents) };
        let units = 1 + u32::try_from(chance.below(most_units)).expect("1 or 2");
        Listed { number, flow: flow(class, parent, chance.below(children)), units }
    };
    let (mut turns, mut waiting) = (Turns::new(16), List::default());
    for number in 0..chance.below(7) {
        let job = random(&mut chance, number);
        let pushed = turns.push(number, &ask(job.flow, job.units), clock::now());
        assert!(matches!(pushed, Pushed::Waits));
        waiting.0.push(job);
    }
    let (mut in_work, mut begun) = (InWork::default(), List::default());
    for number in 0..chance.below(4) {
        let job = random(&mut chance, number);
        begun.0.push(job);
        in_work.taken(&job.flow, job.units, begun.0.len());
    }
    let new = random(&mut chance, 100);
    let new_ask = ask(new.flow, new.units);
    let before = turns.units_before(&new_ask, u64::MAX);
    if before == 0 {
        return false;
    }
    let most = before.saturating_sub(1 + chance.below(2));
    let gone = match turns.push_instead(new.number, &new_ask, clock::now(), most, &in_work) {
        Pushed::Waits => panic!("it was late"),
        Pushed::Full(number) => {
            assert_eq!(number, new.number);
            assert_eq!(turns.units_before(&new_ask, u64::MAX), before, "nothing has changed");
            return false;
        }
        Pushed::InsteadOf(gone) => waiting.remove(gone.job),
    };
    let has = |counted: &dyn Fn(&Flow) -> bool| waiting.units(counted) + begun.units(counted);
    let network = |of: Flow| has(&|flow| flow.parent == of.parent);
    let of_flow = |of: Flow| has(&|flow| *flow == of);
    let of_class = |of: Flow| has(&|flow| flow.class == of.class);
    if gone.flow.parent != new.flow.parent {
        let least = network(new.flow) + new.units;
        let had = network(gone.flow) + gone.units;
        let class_had = of_class(gone.flow) + gone.units;
        match gone.flow.class == new.flow.class {
            true => assert!(had > least),
            false if class_had > of_class(new.flow) + new.units => assert!(had >= least),
            false => assert!(had > least && class_had >= of_class(new.flow)),
        }
    } else {
        assert_eq!(gone.flow.class, new.flow.class);
        assert!(of_flow(gone.flow) + gone.units > of_flow(new.flow) + new.units);
    }
    let newest = waiting.0.iter().filter(|job| job.flow == gone.flow).map(|job| job.number).max();
    assert!(newest.is_none_or(|number| number < gone.number), "the newest of its flow");
    // The one who went comes again at once. It must not have the place back, whatever its wait may be.
    let back = turns.push_instead(
        gone.number,
        &ask(gone.flow, gone.units),
        clock::now(),
        u64::MAX,
        &in_work,
    );
    if let Pushed::InsteadOf(again) = back {
        assert!(again.job != new.number, "they take it from each other");
    }
    true
}

/// A network that is known and a stranger at once has not two shares.
#[test]
fn a_network_in_both_classes_leaves_the_place_to_who_has_none() {
    let check = |in_work: Class, waits: (Class, u64), new: (Class, u64), takes_it: bool| {
        let mut turns = Turns::new(8);
        let mut begun = InWork::default();
        begun.taken(&flow(in_work, 1, 0), 1, 1);
        turns.push("waits", &Ask::new(flow(waits.0, waits.1, 0)), clock::now());
        let ask = Ask::new(flow(new.0, new.1, 0));
        let pushed = turns.push_instead("new", &ask, clock::now(), 0, &begun);
        assert_eq!(
            matches!(pushed, Pushed::InsteadOf(_)),
            takes_it,
            "{in_work:?} {waits:?} {new:?}"
        );
    };
    let (known, stranger) = (Class::Known, Class::Stranger);
    check(known, (stranger, 1), (stranger, 2), true);
    check(stranger, (known, 1), (stranger, 2), true);
    check(stranger, (stranger, 2), (known, 1), false);
    // Who is known and has none comes before a stranger who has one.
    check(stranger, (stranger, 2), (known, 3), true);
    check(stranger, (known, 2), (stranger, 3), false);
}

#[test]
fn a_lone_party_has_every_place() {
    let mut turns = Turns::new(8);
    let ask = Ask::new(flow(Class::Stranger, 1, 1));
    for number in 0..8 {
        assert!(matches!(turns.push(number, &ask, clock::now()), Pushed::Waits));
    }
    assert!(matches!(turns.push(8, &ask, clock::now()), Pushed::Full(8)), "its own newest");
    let served: Vec<_> = std::iter::from_fn(|| turns.pop()).map(|job| job.job).collect();
    assert_eq!(served, [0, 1, 2, 3, 4, 5, 6, 7], "in order");
}

#[test]
fn many_networks_of_strangers_leave_half_to_those_who_are_known() {
    let mut turns = Turns::new(8);
    for network in 0..100 {
        let _ = turns.push("stranger", &Ask::new(flow(Class::Stranger, network, 0)), clock::now());
    }
    for account in 0..100 {
        let _ = turns.push("known", &Ask::new(flow(Class::Known, 7, account)), clock::now());
    }
    let served: Vec<_> = std::iter::from_fn(|| turns.pop()).map(|job| job.job).collect();
    let known = served.iter().filter(|&&who| who == "known").count();
    assert_eq!(known, 4, "{served:?}");
    assert!(served.windows(2).all(|two| two[0] != two[1]), "in turn: {served:?}");
}

#[test]
fn peeking_changes_nothing() {
    let mut turns = Turns::new(8);
    for (number, parent, units) in [(0, 1, 2), (1, 2, 2), (2, 1, 1), (3, 3, 1)] {
        turns.push(number, &ask(flow(Class::Stranger, parent, 0), units), clock::now());
    }
    let mut served = Vec::new();
    while let Some(&next) = turns.peek() {
        assert_eq!(turns.peek(), Some(&next));
        assert_eq!(turns.pop().map(|job| job.job), Some(next));
        served.push(next);
    }
    // The two that cost two units get them in two rounds.
    assert_eq!(served, [3, 0, 1, 2]);
}

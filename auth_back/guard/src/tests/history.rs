//! The rules are written twice: in Rust (`bucket.rs`, `local.rs`) and in Lua (`scripts/`). The same random
//! history of attempts is put to both, and every answer compared. A history that fails is made as short as
//! it can be, and printed.

use std::fmt;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{TestError, TestRunner};
use redis_pool::Use;
use redis_pool::testing::Redis;

use super::*;
use crate::bucket::Outcome;
use crate::local::LocalTicket;
use crate::shared::SharedTicket;

/// Enough for every rule to be met in most of them.
const STEPS_MAX: usize = 120;
const HISTORIES: u32 = 256;

const NAMES: [&str; 4] = ["ada", "bob", "eve", "kim"];
/// Two of IPv4, and of IPv6 two in one /56, one more in their /48, and one elsewhere.
const ADDRESSES: [&str; 6] = [
    "192.0.2.1",
    "192.0.2.2",
    "2001:db8:0:100::1",
    "2001:db8:0:101::1",
    "2001:db8:0:200::1",
    "2001:db8:1::1",
];
/// Tenths of a second: around every wait and every time to be forgotten.
const TIMES: [u32; 22] = [
    0,
    1,
    9,
    10,
    11,
    20,
    36,
    37,
    38,
    150,
    300,
    599,
    600,
    601,
    6_000,
    35_999,
    36_000,
    36_001,
    864_000,
    29 * 864_000,
    30 * 864_000,
    31 * 864_000,
];

/// So many of these are short: a network that has used up its allowance has some of it again after a minute.
const SHORT: usize = 14;

/// Limits that a short history gets to.
fn shared_rules() -> Arc<RwLock<Rules>> {
    Arc::new(RwLock::new(Rules::of(rules().numbers())))
}

fn rules() -> GuardRules {
    GuardRules {
        free: 2,
        delay_max: Duration::from_secs(60),
        account_failures: 5,
        network_per_minute: 1,
        ..guard_rules()
    }
}

#[derive(Clone, Debug)]
enum Step {
    Pass(u32),
    /// An attempt to log in.
    Try {
        name: usize,
        address: usize,
        /// With a live session instead of nothing.
        session: Option<u64>,
        exempt: bool,
        /// Whether the server knows them from elsewhere.
        is_known: bool,
    },
    Register {
        address: usize,
    },
    /// One of those in flight turns out to cost more.
    Charge {
        which: usize,
        cost: u32,
    },
    /// What comes of one of those in flight; none for a wrong guess.
    End {
        which: usize,
        outcome: Option<Outcome>,
    },
}

#[derive(Clone)]
struct History(Vec<Step>);

/// What an attempt is answered with.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Through { is_known: bool },
    No(No),
}

fn step() -> impl Strategy<Value = Step> {
    // One of each is met more often than others: limits of networks are ten times those of accounts.
    let name = prop_oneof![2 => Just(0), 3 => 0..NAMES.len()];
    let address = prop_oneof![2 => Just(0), 2 => Just(2), 3 => 0..ADDRESSES.len()];
    let session = prop_oneof![3 => Just(None), 1 => (1_u64..3).prop_map(Some)];
    let rarely = || prop::bool::weighted(0.15);
    let attempt = (name, address.clone(), session, rarely(), rarely()).prop_map(
        |(name, address, session, exempt, is_known)| Step::Try {
            name,
            address,
            session,
            exempt,
            is_known,
        },
    );
    let outcome = prop_oneof![
        5 => Just(None),
        1 => Just(Some(Outcome::Right)),
        1 => Just(Some(Outcome::Nothing)),
        1 => Just(Some(Outcome::Held)),
    ];
    let ends = (0..4_usize, outcome).prop_map(|(which, outcome)| Step::End { which, outcome });
    prop_oneof![
        8 => attempt,
        2 => address.prop_map(|address| Step::Register { address }),
        2 => prop::sample::select(&TIMES[..SHORT]).prop_map(Step::Pass),
        1 => prop::sample::select(&TIMES[..]).prop_map(Step::Pass),
        1 => (0..4_usize, 1_u32..9).prop_map(|(which, cost)| Step::Charge { which, cost }),
        6 => ends,
    ]
}

#[test]
fn rust_and_lua_answer_the_same() {
    let redis = Redis::start();
    let pool = || RedisPool::new(redis.url(), 2, Use::Guesses).unwrap();
    let shared = Shared::new(pool(), shared_rules()).unwrap();
    let mut runner = TestRunner::new(ProptestConfig {
        cases: HISTORIES,
        max_shrink_iters: 4_000,
        source_file: Some(file!()),
        ..ProptestConfig::default()
    });
    let histories = vec(step(), 1..STEPS_MAX).prop_map(History);
    let judged = runner.run(&histories, |history| {
        loop {
            ::redis::cmd("FLUSHALL").exec(&mut redis.connect()).unwrap();
            match play(&history, &shared) {
                Ok(()) => return Ok(()),
                Err(Fault::Differs(what)) => return Err(TestCaseError::fail(what)),
                // On a machine that is busy it may not answer in time. What it had counted by then is not known.
                Err(Fault::Away) => thread::sleep(redis_pool::limits::REST),
            }
        }
    });
    match judged {
        Ok(()) => {}
        Err(TestError::Fail(reason, history)) => panic!("{reason}\n{history}"),
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
}

enum Fault {
    Differs(String),
    Away,
}

/// Puts a history to both.
fn play(History(steps): &History, shared: &Shared) -> Result<(), Fault> {
    let local = Local::new(rules().memory, shared_rules()).unwrap();
    let mut now = Tick::from_raw(1);
    let mut in_flight: Vec<(LocalTicket, SharedTicket)> = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        match step {
            Step::Pass(tenths) => now = now.plus(time::Span::from_raw(*tenths)),
            Step::Try { name, address, session, exempt, is_known } => {
                let username = Username::new(NAMES[*name]).unwrap();
                let source = source(*address);
                let buckets = match session {
                    None => Buckets::of_stranger(&username, source, *exempt),
                    Some(id) => Buckets::of_known(&username, Known::Session(*id), source),
                };
                attempt(number, &buckets, *is_known, now, &local, shared, &mut in_flight)?;
            }
            Step::Register { address } => {
                let buckets = Buckets::of_registration(source(*address), false);
                attempt(number, &buckets, false, now, &local, shared, &mut in_flight)?;
            }
            Step::Charge { which, cost } => {
                if let Some((here, there)) = in_flight.get_mut(*which) {
                    let more = local.charge_of(*cost);
                    local.charge_more(here, more);
                    shared.charge_more(there, more);
                }
            }
            Step::End { which, outcome } => {
                if *which < in_flight.len() {
                    let (here, there) = in_flight.remove(*which);
                    if let Some(outcome) = outcome {
                        local.settle(&here, *outcome);
                        shared.settle(&there, *outcome);
                    }
                }
            }
        }
        if !shared.redis().is_up() {
            return Err(Fault::Away);
        }
    }
    Ok(())
}

fn source(address: usize) -> Source {
    Source::of(ADDRESSES[address].parse().unwrap())
}

fn attempt(
    number: usize,
    buckets: &Buckets<'_>,
    is_known: bool,
    now: Tick,
    local: &Local,
    shared: &Shared,
    in_flight: &mut Vec<(LocalTicket, SharedTicket)>,
) -> Result<(), Fault> {
    let here = local.reserve(buckets, is_known, now);
    let there = match shared.reserve_at(buckets, is_known, now.raw().into()) {
        Ok(ticket) => Ok(ticket),
        Err(SharedNo::No(no)) => Err(no),
        Err(SharedNo::Away) => return Err(Fault::Away),
    };
    let said = |said: Result<bool, &No>| match said {
        Ok(is_known) => Said::Through { is_known },
        Err(no) => Said::No(*no),
    };
    let rust = said(here.as_ref().map(|ticket| ticket.is_known));
    let lua = said(there.as_ref().map(|ticket| ticket.is_known));
    if rust != lua {
        let what = format!("step {}: Rust says {rust:?}, and Lua {lua:?}", number + 1);
        return Err(Fault::Differs(what));
    }
    if let (Ok(here), Ok(there)) = (here, there) {
        in_flight.push((here, there));
    }
    Ok(())
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass(tenths) => write!(f, "{}.{} s pass", tenths / 10, tenths % 10),
            Self::Try { name, address, session, exempt, is_known } => {
                write!(f, "{} from {}", NAMES[*name], ADDRESSES[*address])?;
                if let Some(id) = session {
                    write!(f, ", with session {id}")?;
                }
                if *exempt {
                    f.write_str(", which is exempt")?;
                }
                if *is_known {
                    f.write_str(", known from elsewhere")?;
                }
                Ok(())
            }
            Self::Register { address } => write!(f, "a registration from {}", ADDRESSES[*address]),
            Self::Charge { which, cost } => write!(f, "number {which} in flight costs {cost}"),
            Self::End { which, outcome } => match outcome {
                None => write!(f, "number {which} in flight was a wrong guess"),
                Some(outcome) => write!(f, "number {which} in flight came to {outcome:?}"),
            },
        }
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.0.iter().enumerate() {
            writeln!(f, "{:3}  {step}", number + 1)?;
        }
        Ok(())
    }
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{self}")
    }
}

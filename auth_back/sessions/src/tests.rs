//! Two servers over one database and one real Redis that forgets, fails and comes back changed.

mod notes;
mod together;
mod unanswered;

use std::collections::{HashMap, HashSet};
use std::thread;

use redis::Commands as _;
use redis_pool::Use;
use redis_pool::testing::Redis;
use server_time::Now;
use store::testing::{Fault, patient};
use store::{SessionRow, Sessions as _, Users as _};
use unix_time::unix_ms;

use super::cache::{Copy, Ticket};
use super::generation::Generations;
use super::layout::LAYOUT;
use super::limits::{GENERATION_LEASE, GENERATION_MARGIN, NOTES_PER_IDLE_TIME};
use super::*;
use crate::testing::{Fixture, rules};

/// A database with a user, a Redis, and two servers that share both.
struct Bench {
    fixture: Fixture,
    redis: Redis,
    servers: [SessionKeeper; 2],
    user_id: u64,
    next_id: std::cell::Cell<u64>,
}

type Digest = [u8; 32];

impl Bench {
    fn new() -> Self {
        let fixture = Fixture::new();
        let user_id = fixture.store.add_user("ada");
        let redis = Redis::start();
        let server = || {
            let pool = RedisPool::new(redis.url(), 4, Use::Sessions).unwrap();
            let rules = SessionRules { lease: Duration::ZERO, per_user: 5, ..rules() };
            SessionKeeper::new(Arc::clone(&fixture.store) as _, Some(pool), LiveRules::fixed(rules))
        };
        let servers = [server(), server()];
        Self { fixture, redis, servers, user_id, next_id: std::cell::Cell::new(1) }
    }

    /// Begins a session of the user's, in the user's epoch.
    fn begin_for(&self, user_id: u64) -> Digest {
        let id = self.next_id.replace(self.next_id.get() + 1);
        let mut token_digest = [7; 32];
        token_digest[..8].copy_from_slice(&id.to_be_bytes());
        let epoch =
            self.fixture.store.user_by_id(user_id, patient()).unwrap().unwrap().session_epoch;
        let ends_at_ms = now_ms() + 3_600_000;
        let new = NewSession {
            session_id: id,
            token_digest,
            user_id,
            epoch,
            created_at_ms: now_ms(),
            expires_at_ms: self.servers[0].expiry(now_ms(), ends_at_ms),
            ends_at_ms,
            client_address: None,
            user_agent: None,
        };
        let gone = self.servers[0].keep(&[new], patient()).remove(0).unwrap();
        self.servers[0].settle(&gone).unwrap();
        token_digest
    }

    fn begin(&self) -> Digest {
        self.begin_for(self.user_id)
    }

    fn find(&self, server: usize, digest: &Digest) -> bool {
        self.servers[server].find(digest, now(), patient()).unwrap().is_some()
    }

    #[track_caller]
    fn check(&self, digest: &Digest, expected: bool) {
        for server in [0, 1, 0, 1] {
            // Twice: what is missing in Redis is settled by the look at it alone.
            for _ in 0..2 {
                let wrong: fn(&Sighting) -> bool =
                    if expected { |seen| *seen == Sighting::Dead } else { is_live };
                let seen = self.find_together(server, &[*digest, [0; 32]]);
                assert!(!wrong(&seen[0]), "server {server}: {seen:?}");
                assert!(!is_live(&seen[1]), "there is no such session");
                assert_eq!(self.find(server, digest), expected, "server {server}");
            }
        }
    }

    /// What the first step shows.
    fn find_together(&self, server: usize, digests: &[Digest]) -> Vec<Sighting> {
        self.servers[server].look_up(digests, now(), patient()).unwrap().sightings
    }

    /// Asks until both servers find the session in Redis, which a rest may keep them from.
    fn until_cached(&self, digest: &Digest) {
        for server in [0, 1] {
            let give_up = patient();
            loop {
                self.fixture.store.take_calls();
                assert!(self.find(server, digest), "it is live");
                if !self.fixture.store.take_calls().contains(&"session") {
                    break;
                }
                assert!(clock::now() < give_up, "Redis is not used");
                thread::sleep(Duration::from_millis(5));
            }
        }
    }

    /// What a server knows that missed a session, found it in the database, and has not brought it yet.
    fn slow_fill(&self, digest: &Digest) -> (Ticket, SessionRow) {
        let give_up = patient();
        let ticket = loop {
            assert!(clock::now() < give_up, "Redis is not used");
            let copies = self.cache(1).find(&[*digest], patient());
            let ticket = copies.and_then(|copies| {
                assert_eq!(copies.rows, [None], "it was not missing");
                self.cache(1).ticket(copies.known, true, patient())
            });
            match ticket {
                Some(ticket) => break ticket,
                None => thread::sleep(Duration::from_millis(5)),
            }
        };
        let row = self.fixture.store.session(digest, now_ms(), patient()).unwrap().unwrap();
        (ticket, row)
    }

    /// Brings a session that was missing.
    fn fill(&self, ticket: &Ticket, digest: &Digest, row: &SessionRow) {
        let copy = Copy { digest: *digest, row: row.clone(), is_missing: true };
        self.cache(1).update(ticket, &[copy], patient());
    }

    fn cache(&self, server: usize) -> &Cache {
        self.servers[server].cache.as_ref().unwrap()
    }

    fn set(&self, name: &str, value: &str) {
        redis::cmd("CONFIG")
            .arg("SET")
            .arg(name)
            .arg(value)
            .exec(&mut self.redis.connect())
            .unwrap();
    }
}

fn is_live(seen: &Sighting) -> bool {
    matches!(seen, Sighting::Live(_))
}

fn now() -> Now {
    Now::certain(now_ms())
}

fn now_ms() -> u64 {
    unix_ms(clock::wall())
}

#[test]
fn a_session_is_found_in_redis_once_it_was_found_in_the_database() {
    let bench = Bench::new();
    let digest = bench.begin();
    let row = bench.servers[0].find(&digest, now(), patient()).unwrap();
    bench.until_cached(&digest);
    let cached = bench.servers[0].find(&digest, now(), patient()).unwrap();
    assert_eq!(cached, row);
    assert_eq!(row.unwrap().username, "ada");
}

#[test]
fn what_has_ended_is_found_nowhere() {
    let bench = Bench::new();
    let [one, by_id, others] = [0; 3].map(|_| bench.begin());
    for digest in [&one, &by_id, &others] {
        bench.until_cached(digest);
    }
    bench.servers[0].end(&one, patient()).unwrap();
    bench.check(&one, false);
    let ended = bench.servers[1].end_by_id(bench.user_id, 2, patient()).unwrap();
    assert!(ended.is_some());
    bench.check(&by_id, false);
    bench.check(&others, true);
    bench.servers[0].end_all(bench.user_id, patient()).unwrap().expect("the user is there");
    bench.check(&others, false);

    let digest = bench.begin();
    bench.until_cached(&digest);
    let user = bench.fixture.store.user_by_id(bench.user_id, patient()).unwrap().unwrap();
    let change = PasswordChange {
        user_id: bench.user_id,
        old: &user.password_record,
        new: "another",
        epoch: user.session_epoch,
    };
    assert!(bench.servers[1].change_password(&change, patient()).unwrap().is_some());
    bench.check(&digest, false);
    assert!(bench.servers[1].change_password(&change, patient()).unwrap().is_none());
}

#[test]
fn a_session_that_made_room_is_found_nowhere() {
    let bench = Bench::new();
    let first = bench.begin();
    bench.until_cached(&first);
    for _ in 0..4 {
        bench.begin();
    }
    bench.check(&first, true);
    bench.begin();
    bench.check(&first, false);
}

/// Ends a session while another server is about to bring it to Redis.
#[track_caller]
fn check_late_fill(end: impl FnOnce(&Bench, &Digest)) {
    let bench = Bench::new();
    let digest = bench.begin();
    let (ticket, row) = bench.slow_fill(&digest);
    end(&bench, &digest);
    bench.fill(&ticket, &digest, &row);
    bench.check(&digest, false);
}

#[test]
fn a_fill_that_comes_after_the_end_is_refused() {
    check_late_fill(|bench, digest| {
        bench.servers[0].end(digest, patient()).unwrap();
    });
    check_late_fill(|bench, _| {
        bench.servers[0].end_all(bench.user_id, patient()).unwrap();
    });
    // All ended, and begun again: the user's epoch is here by way of a newer session.
    check_late_fill(|bench, _| {
        bench.fixture.store.raise_session_epoch(bench.user_id, patient()).unwrap();
        bench.until_cached(&bench.begin());
    });
}

#[test]
fn a_fill_that_comes_too_late_is_refused() {
    let bench = Bench::new();
    let digest = bench.begin();
    let (mut ticket, row) = bench.slow_fill(&digest);
    let is_filled = |ticket: &Ticket| {
        bench.fill(ticket, &digest, &row);
        bench.cache(1).find(&[digest], patient()).unwrap().rows[0].is_some()
    };
    let missed_at_ms = ticket.missed_at_ms().unwrap();
    ticket.set_missed_at_ms(missed_at_ms - millis(limits::FILL_LATE_MAX) - 1);
    assert!(!is_filled(&ticket));
    ticket.set_missed_at_ms(missed_at_ms + 60_000);
    assert!(!is_filled(&ticket), "the clock was set back since");
    ticket.set_missed_at_ms(missed_at_ms);
    assert!(is_filled(&ticket));
}

#[test]
fn a_fill_of_an_earlier_generation_is_never_seen() {
    let bench = Bench::new();
    let digest = bench.begin();
    let (ticket, row) = bench.slow_fill(&digest);
    // A revocation that cannot tell Redis leaves no tombstone there.
    bench.set("maxmemory", "1");
    let settles_in = bench.servers[0].end(&digest, patient()).unwrap();
    bench.set("maxmemory", "0");
    assert!(settles_in > Duration::ZERO);
    bench.fill(&ticket, &digest, &row);
    check_gone_within(&bench, &digest, settles_in);
}

/// The other server may go by the old generation for a while, but no longer than was said.
#[track_caller]
fn check_gone_within(bench: &Bench, digest: &Digest, settles_in: Duration) {
    let settled_at = clock::now() + settles_in;
    loop {
        let asked_at = clock::now();
        let found = bench.find(1, digest);
        assert!(!found || asked_at < settled_at, "found after it was settled");
        if asked_at >= settled_at {
            break;
        }
    }
    bench.check(digest, false);
}

#[test]
fn a_redis_that_cannot_be_told_is_not_believed() {
    let bench = Bench::new();
    let [one, other] = [0; 2].map(|_| bench.begin());
    bench.until_cached(&one);
    bench.until_cached(&other);
    // Writes fail, reads do not.
    bench.set("maxmemory", "1");
    let settles_in = bench.servers[0].end(&one, patient()).unwrap();
    assert!(settles_in >= GENERATION_LEASE, "{settles_in:?}");
    check_gone_within(&bench, &one, settles_in);
    bench.set("maxmemory", "0");
    bench.until_cached(&other);
    bench.set("maxmemory", "1");
    let settles_in = bench.servers[1].end_all(bench.user_id, patient()).unwrap().unwrap();
    assert!(settles_in >= GENERATION_LEASE, "{settles_in:?}");
    check_gone_within(&bench, &other, settles_in);
}

/// The row is gone, and Redis has the session: an end that failed half way.
#[test]
fn what_an_end_that_failed_half_way_has_left_is_forgotten() {
    let bench = Bench::new();
    let digest = bench.begin();
    bench.until_cached(&digest);
    bench.fixture.store.delete_session(&digest, patient()).unwrap();
    assert_eq!(bench.servers[1].end_by_id(bench.user_id, 1, patient()).unwrap(), None);
    assert!(bench.find(0, &digest), "nobody has told Redis");
    let settles_in = bench.servers[1].forget_copies().unwrap();
    check_gone_within(&bench, &digest, settles_in);
}

#[test]
fn a_generation_that_is_old_needs_no_wait() {
    let bench = Bench::new();
    let digest = bench.begin();
    bench.until_cached(&digest);
    thread::sleep(GENERATION_LEASE + GENERATION_MARGIN);
    assert_eq!(bench.servers[0].end(&digest, patient()).unwrap(), Duration::ZERO);
}

#[test]
fn without_redis_sessions_begin_and_end() {
    let bench = Bench::new();
    let [kept, ended] = [0; 2].map(|_| bench.begin());
    bench.until_cached(&ended);
    bench.redis.kill();
    bench.check(&kept, true);
    let settles_in = bench.servers[0].end(&ended, patient()).unwrap();
    assert!(settles_in >= GENERATION_LEASE, "{settles_in:?}");
    bench.check(&ended, false);
    let begun = bench.begin();
    bench.check(&begun, true);
    bench.redis.start_again();
    bench.until_cached(&kept);
    bench.check(&ended, false);
}

#[test]
fn a_redis_restored_from_an_old_snapshot_is_not_believed() {
    let bench = Bench::new();
    let [one, all, kept] = [0; 3].map(|_| bench.begin());
    bench.until_cached(&one);
    bench.redis.save();
    bench.servers[0].end(&one, patient()).unwrap();
    bench.redis.kill();
    bench.redis.start_again();
    let held: u64 = redis::cmd("DBSIZE").query(&mut bench.redis.connect()).unwrap();
    assert!(held > 0, "the snapshot is there");
    bench.check(&one, false);
    bench.until_cached(&kept);
    bench.check(&one, false);

    bench.until_cached(&all);
    bench.redis.save();
    bench.servers[1].end_all(bench.user_id, patient()).unwrap();
    bench.redis.kill();
    bench.redis.start_again();
    let fresh = bench.begin();
    bench.until_cached(&fresh);
    bench.check(&all, false);
}

#[test]
fn what_another_layout_has_is_not_believed() {
    let bench = Bench::new();
    let [ended, kept] = [0; 2].map(|_| bench.begin());
    bench.until_cached(&ended);
    // A server of the first layout has begun a generation: it named the instance alone.
    let era = bench.fixture.store.cache_era(patient()).unwrap();
    let instance = era.instance.strip_prefix(&format!("{LAYOUT}:")).unwrap();
    assert!(bench.fixture.store.begin_cache_era(era.generation, instance, patient()).unwrap());
    let settles_in = bench.servers[0].end(&ended, patient()).unwrap();
    check_gone_within(&bench, &ended, settles_in);
    bench.until_cached(&kept);
    let ours = bench.fixture.store.cache_era(patient()).unwrap();
    assert!(ours.generation > era.generation + 1, "{ours:?}");
    assert_eq!(ours.instance, era.instance);
}

#[test]
fn an_emptied_redis_is_filled_again() {
    let bench = Bench::new();
    let digest = bench.begin();
    bench.until_cached(&digest);
    redis::cmd("FLUSHALL").exec(&mut bench.redis.connect()).unwrap();
    redis::cmd("SCRIPT").arg("FLUSH").exec(&mut bench.redis.connect()).unwrap();
    bench.check(&digest, true);
    bench.until_cached(&digest);
    bench.servers[0].end(&digest, patient()).unwrap();
    redis::cmd("FLUSHALL").exec(&mut bench.redis.connect()).unwrap();
    bench.check(&digest, false);
}

/// The server that ended a session died before it told Redis. The next note that it was seen finds out.
#[test]
fn a_session_that_ended_behind_the_back_of_redis_ends_with_the_next_note() {
    let behind: [fn(&Bench, &Digest); 2] = [
        |bench, digest| {
            bench.fixture.store.delete_session(digest, patient()).unwrap();
        },
        |bench, _| {
            bench.fixture.store.raise_session_epoch(bench.user_id, patient()).unwrap();
        },
    ];
    for end in behind {
        let bench = Bench::new();
        let digest = bench.begin();
        bench.until_cached(&digest);
        end(&bench, &digest);
        let due = now_ms() + millis(rules().idle / NOTES_PER_IDLE_TIME);
        assert_eq!(bench.servers[1].find(&digest, Now::certain(due), patient()).unwrap(), None);
        bench.check(&digest, false);
    }
}

#[test]
fn a_note_that_a_session_was_seen_reaches_redis() {
    let bench = Bench::new();
    let digest = bench.begin();
    bench.until_cached(&digest);
    let seen_at = now_ms() + millis(rules().idle / NOTES_PER_IDLE_TIME);
    let noted = bench.servers[0].find(&digest, Now::certain(seen_at), patient()).unwrap().unwrap();
    assert_eq!(noted.last_seen_at_ms, seen_at);
    assert_eq!(noted.expires_at_ms, seen_at + millis(rules().idle));
    bench.fixture.store.take_calls();
    let other = bench.servers[1].find(&digest, Now::certain(seen_at), patient()).unwrap().unwrap();
    assert_eq!(other, noted);
    let calls = bench.fixture.store.take_calls();
    assert!(!calls.contains(&"session") && !calls.contains(&"refresh_session"), "{calls:?}");
    // Its keys live as long as it does now.
    let ttl: i64 = bench.redis.connect().pttl(key_of(&bench, "s:")).unwrap();
    assert!(ttl.unsigned_abs() > millis(rules().idle), "{ttl}");
}

/// The one key of this kind.
fn key_of(bench: &Bench, kind: &str) -> String {
    let keys: Vec<String> = bench.redis.connect().keys(format!("{LAYOUT}:*:{kind}*")).unwrap();
    let [key] = &keys[..] else { panic!("{keys:?}") };
    key.clone()
}

#[test]
fn a_database_that_fails_after_the_commit_is_made_up_for() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let generations = Generations::new(Arc::clone(store) as _);
    let before = generations.fresh(patient()).unwrap().generation;
    store.set_fault(Some(Fault::Unavailable));
    assert!(generations.current().is_err());
    assert!(generations.fresh(patient()).is_none(), "Redis must not be used");
    // What failed is not tried by every lookup.
    store.take_calls();
    assert!(generations.fresh(patient()).is_none());
    assert!(store.take_calls().is_empty());
    store.set_fault(None);
    generations.make_up().unwrap();
    assert_eq!(generations.fresh(patient()).unwrap().generation, before + 1);
    assert_eq!(generations.fresh(patient()).unwrap().generation, before + 1, "paid once");
    store.set_fault(Some(Fault::Unavailable));
    assert!(generations.raise().is_err());
    assert!(generations.fresh(patient()).is_none());
    store.set_fault(None);
    assert_eq!(generations.current().unwrap().generation, before + 2);
}

#[test]
fn after_a_run_of_everything_redis_holds_no_orphans_and_no_dead() {
    for seed in 1..=4 {
        let bench = Bench::new();
        let users = [bench.user_id, bench.fixture.store.add_user("bob")];
        bench.until_cached(&bench.begin());
        let mut chance = Chance(seed);
        let mut begun = Vec::new();
        for _ in 0..300 {
            let server = &bench.servers[chance.below(2)];
            let user_id = users[chance.below(2)];
            let some = begun.get(chance.below(begun.len().max(1))).copied();
            match (chance.below(20), some) {
                (0..5, _) | (_, None) => begun.push(bench.begin_for(user_id)),
                (5..13, Some(digest)) => {
                    server.find(&digest, now(), patient()).unwrap();
                }
                (13..15, Some(digest)) => {
                    let due = now_ms() + 180_000 * (1 + chance.below(3) as u64);
                    {
                        server.find(&digest, Now::certain(due), patient()).unwrap();
                    };
                }
                (15..18, Some(digest)) => {
                    server.end(&digest, patient()).unwrap();
                }
                (18, _) if chance.below(2) == 0 => server.write_notes(),
                (18, _) => {
                    server.end_by_id(user_id, 1 + chance.below(60) as u64, patient()).unwrap();
                }
                _ => {
                    server.end_all(user_id, patient()).unwrap();
                }
            }
        }
        bench.servers.iter().for_each(SessionKeeper::write_notes);
        for digest in &begun {
            let live = bench.fixture.store.session(digest, now_ms(), patient()).unwrap().is_some();
            bench.check(digest, live);
        }
        check_keys(&bench);
    }
}

/// Every session is in its user's index, every entry of an index has its session, all will go, and none
/// before what depends on it.
fn check_keys(bench: &Bench) {
    let mut redis = bench.redis.connect();
    let keys: HashSet<String> = redis.keys("*").unwrap();
    let ttls: HashMap<&str, i64> =
        keys.iter().map(|key| (key.as_str(), redis.pttl(key).unwrap())).collect();
    assert!(ttls.values().all(|ttl| *ttl > 0), "{ttls:?}");
    let mut indexed = HashSet::new();
    for index in keys.iter().filter(|key| key.contains(":i:")) {
        let digests: Vec<String> = redis.zrange(index, 0, -1).unwrap();
        assert!(!digests.is_empty());
        for digest in digests {
            let session = index[..index.find(":i:").unwrap()].to_owned() + ":s:" + &digest;
            assert!(keys.contains(&session), "{index} has the orphan {digest}");
            // Two looks at a clock that goes on.
            assert!(ttls[index.as_str()] >= ttls[session.as_str()] - 1_000, "{ttls:?}");
            let user = index.replace(":i:", ":u:");
            assert!(ttls[user.as_str()] >= ttls[session.as_str()] - 1_000, "{ttls:?}");
            indexed.insert(session);
        }
    }
    let sessions: HashSet<String> =
        keys.iter().filter(|key| key.contains(":s:")).cloned().collect();
    assert!(!sessions.is_empty(), "nothing was looked at");
    assert_eq!(sessions, indexed, "sessions without an entry in an index");
}

/// Numbers that look random and are the same each time: xorshift64*.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap() % bound
    }
}

/// While it slept, another server may have raised the generation, waited for the lease, and acknowledged a revocation.
#[test]
fn a_machine_that_has_slept_asks_for_the_generation_anew() {
    let clock = clock::Movable::stopped();
    let fixture = Fixture::new();
    let generations = Generations::new(Arc::clone(&fixture.store) as _);
    assert!(generations.fresh(patient()).is_some());
    fixture.store.set_fault(Some(Fault::Unavailable));
    assert!(generations.fresh(patient()).is_some(), "it was asked just now");
    clock.sleep(clock::SLEEP_MIN);
    assert!(generations.fresh(patient()).is_none());
    fixture.store.set_fault(None);
    assert!(generations.fresh(patient()).is_some());
    assert!(generations.fresh(patient()).is_some());
}

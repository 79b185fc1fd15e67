//! Sessions in use, and a store that does not take that they are.

use store::Operators as _;
use store::limits::SESSIONS_TOGETHER_MAX;

use super::*;

/// When the next note of every session is due that was seen by `since_ms`.
fn due(since_ms: u64) -> u64 {
    since_ms + millis(rules().idle / NOTES_PER_IDLE_TIME)
}

const WITH_REDIS: bool = true;

/// Two servers over one database, with a Redis or without.
fn bench(with_redis: bool) -> Bench {
    let mut bench = Bench::new();
    if !with_redis {
        bench.servers = [0; 2].map(|_| {
            let rules = bench.servers[0].rules();
            SessionKeeper::new(Arc::clone(&bench.fixture.store) as _, None, LiveRules::fixed(rules))
        });
    }
    bench
}

impl Bench {
    /// Begins two sessions in the same millisecond.
    fn begin_two(&self) -> [Digest; 2] {
        let both = [0; 2].map(|_| self.begin());
        for column in ["created_at_ms", "last_seen_at_ms", "expires_at_ms", "ends_at_ms"] {
            let all = format!("UPDATE session SET {column} = (SELECT MIN({column}) FROM session)");
            self.fixture.store.execute(&all);
        }
        both
    }
}

#[track_caller]
fn check_found(server: &SessionKeeper, digest: &Digest, now_ms: u64, expected: Option<bool>) {
    let found = match server.find(digest, Now::certain(now_ms), patient()) {
        Ok(found) => Some(found.is_some()),
        Err(StoreError::Unavailable(_)) => None,
        Err(error) => panic!("{error}"),
    };
    assert_eq!(found, expected);
}

const LIVE: Option<bool> = Some(true);
const DEAD: Option<bool> = Some(false);
const UNKNOWN: Option<bool> = None;

#[test]
fn a_store_that_takes_no_notes_ends_nobodys_session() {
    for with_redis in [false, WITH_REDIS] {
        let bench = bench(with_redis);
        let [first, second] = &bench.servers;
        let digests = [0; 4].map(|_| bench.begin());
        if with_redis {
            digests.iter().for_each(|digest| bench.until_cached(digest));
        }
        bench.fixture.store.set_fault(Some(Fault::ReadOnly));
        // As long as the sessions would live unseen, and half of that longer.
        let mut at_ms = now_ms();
        for _ in 0..15 {
            at_ms = due(at_ms);
            bench.fixture.store.take_calls();
            for digest in &digests {
                check_found(first, digest, at_ms, LIVE);
                check_found(second, digest, at_ms, LIVE);
            }
            let sightings =
                first.look_up(&digests, Now::certain(at_ms), patient()).unwrap().sightings;
            assert!(sightings.iter().all(is_live), "{sightings:?}");
            let tried = bench.fixture.store.take_calls().contains(&"refresh_sessions");
            assert!(!tried, "no check waits for a write");
            assert!(first.notes.write_all(&*first.store, at_ms).is_err());
        }
        assert_eq!(first.notes.pending(), digests.len());
        assert!(first.notes.failed() >= 15 * digests.len() as u64);

        bench.fixture.store.set_fault(None);
        for server in &bench.servers {
            server.notes.write_all(&*server.store, at_ms).unwrap();
            assert_eq!(server.notes.pending(), 0);
        }
        for digest in &digests {
            let row = bench.fixture.store.session(digest, at_ms, patient()).unwrap().unwrap();
            assert_eq!(
                (row.last_seen_at_ms, row.expires_at_ms),
                (at_ms, first.expiry(at_ms, row.ends_at_ms))
            );
            check_found(second, digest, at_ms, LIVE);
        }
        let written: u64 = bench.servers.iter().map(|server| server.notes.written()).sum();
        assert_eq!(written, digests.len() as u64, "of two servers one notes it");
    }
}

#[test]
fn a_session_that_nobody_uses_ends_on_time() {
    for with_redis in [false, WITH_REDIS] {
        let bench = bench(with_redis);
        let [first, second] = &bench.servers;
        let [unused, used] = bench.begin_two();
        let row = bench.fixture.store.session(&unused, now_ms(), patient()).unwrap().unwrap();
        let ends_ms = row.expires_at_ms;
        assert_eq!(ends_ms, first.expiry(row.created_at_ms, row.ends_at_ms));
        // The first server has a note of each that is not written; the second knows nothing of that.
        check_found(first, &used, ends_ms - 1, LIVE);
        check_found(first, &used, ends_ms, LIVE);
        for server in &bench.servers {
            // Without a note.
            let owner = |at_ms| server.owner(&unused, Now::certain(at_ms), patient()).unwrap();
            assert_eq!((owner(ends_ms - 1), owner(ends_ms)), (Some(bench.user_id), None));
            check_found(server, &unused, ends_ms, DEAD);
        }
        if !with_redis {
            check_found(second, &used, ends_ms, DEAD);
        }
        first.notes.write_all(&*first.store, ends_ms).unwrap();
        check_found(second, &used, ends_ms, LIVE);
        for server in &bench.servers {
            check_found(server, &unused, ends_ms, DEAD);
        }
        // And so does the other one, in the end.
        let seen_ms = ends_ms;
        let ends_ms = first.expiry(seen_ms - 1, row.ends_at_ms);
        for server in &bench.servers {
            assert!(server.owner(&used, Now::certain(ends_ms - 1), patient()).unwrap().is_some());
            check_found(server, &used, ends_ms, DEAD);
        }
    }
}

#[test]
fn while_notes_are_refused_a_row_that_has_idled_out_proves_nothing() {
    let bench = bench(!WITH_REDIS);
    let [first, second] = &bench.servers;
    let [elsewhere, here] = bench.begin_two();
    let row = bench.fixture.store.session(&elsewhere, now_ms(), patient()).unwrap().unwrap();
    bench.fixture.store.set_fault(Some(Fault::ReadOnly));
    let over_ms = row.expires_at_ms;
    check_found(first, &elsewhere, over_ms - 1, LIVE);
    check_found(second, &here, over_ms - 1, LIVE);
    check_found(second, &elsewhere, over_ms, DEAD);
    // From the first refusal on, the second server knows that others may have seen what is not written.
    assert!(second.notes.write_all(&*second.store, over_ms).is_err());
    check_found(second, &elsewhere, over_ms, UNKNOWN);
    check_found(first, &elsewhere, over_ms, LIVE);
    // What has reached its end, or was ended, has.
    check_found(second, &elsewhere, row.ends_at_ms, DEAD);
    check_found(second, &[9; 32], over_ms, DEAD);
    bench.fixture.store.set_fault(None);
    bench.fixture.store.delete_session(&here, patient()).unwrap();
    bench.fixture.store.set_fault(Some(Fault::ReadOnly));
    check_found(second, &here, over_ms, DEAD);

    bench.fixture.store.set_fault(None);
    first.notes.write_all(&*first.store, over_ms).unwrap();
    second.notes.write_all(&*second.store, over_ms).unwrap();
    check_found(second, &elsewhere, over_ms, LIVE);
}

#[test]
fn after_what_was_refused_has_expired_nothing_is_doubted() {
    let bench = bench(!WITH_REDIS);
    let [first, _] = &bench.servers;
    let [used, unused] = bench.begin_two();
    let row = bench.fixture.store.session(&unused, now_ms(), patient()).unwrap().unwrap();
    bench.fixture.store.set_fault(Some(Fault::ReadOnly));
    check_found(first, &used, row.expires_at_ms - 1, LIVE);
    assert!(first.notes.write_all(&*first.store, row.expires_at_ms).is_err());
    check_found(first, &unused, row.expires_at_ms, UNKNOWN);
    // The store still takes nothing, but this server has nothing for it any more.
    let over_ms = first.expiry(row.expires_at_ms - 1, row.ends_at_ms);
    first.notes.write_all(&*first.store, over_ms).unwrap();
    assert_eq!((first.notes.pending(), first.notes.dropped()), (0, 1));
    check_found(first, &unused, over_ms, DEAD);
    check_found(first, &used, over_ms, DEAD);
}

/// Ends a session while a note of it waits to be written, in each way that there is.
#[test]
fn a_note_brings_nothing_back() {
    type End = fn(&Bench, &Digest);
    let ends: [End; 6] = [
        |bench, digest| assert!(bench.servers[1].end(digest, patient()).is_ok()),
        |bench, _| {
            let ended = bench.servers[1].end_by_id(bench.user_id, 1, patient()).unwrap();
            assert!(ended.is_some());
        },
        |bench, _| {
            let ended = bench.servers[1].end_all(bench.user_id, patient()).unwrap();
            assert!(ended.is_some());
        },
        |bench, _| {
            let user = bench.fixture.store.user_by_id(bench.user_id, patient()).unwrap().unwrap();
            let (old, epoch) = (&*user.password_record, user.session_epoch);
            let change = PasswordChange { user_id: bench.user_id, old, new: "another", epoch };
            bench.servers[1].change_password(&change, patient()).unwrap().unwrap();
        },
        |bench, _| {
            let epoch =
                u32::from(bench.fixture.store.disable_user(bench.user_id, 5, patient()).unwrap());
            bench.servers[1].settle_all(bench.user_id, epoch).unwrap();
        },
        // Five more make it one too many.
        |bench, _| (0..5).for_each(|_| assert_ne!(bench.begin(), [0; 32])),
    ];
    for (number, end) in ends.into_iter().enumerate() {
        for with_redis in [false, WITH_REDIS] {
            let bench = bench(with_redis);
            let digest = bench.begin();
            if with_redis {
                bench.until_cached(&digest);
            }
            let seen_ms = due(now_ms());
            check_found(&bench.servers[0], &digest, seen_ms, LIVE);
            assert_eq!(bench.servers[0].notes.pending(), 1);
            end(&bench, &digest);
            for _ in 0..2 {
                for server in &bench.servers {
                    for at_ms in [now_ms(), seen_ms, due(seen_ms)] {
                        let found = server.find(&digest, Now::certain(at_ms), patient()).unwrap();
                        assert!(found.is_none(), "end {number}, Redis {with_redis}, {found:?}");
                    }
                }
                bench.servers[0].notes.write_all(&*bench.fixture.store, seen_ms).unwrap();
            }
            assert_eq!(bench.servers[0].notes.pending(), 0);
            let superseded = bench.servers[0].notes.superseded();
            assert_eq!((bench.servers[0].notes.written(), superseded), (0, 1), "end {number}");
        }
    }
}

/// A note is forgotten once it is written; a row that was read just before shows nothing of it.
#[test]
fn a_note_that_is_written_meanwhile_counts() {
    let bench = bench(!WITH_REDIS);
    let digest = bench.begin();
    let row = bench.fixture.store.session(&digest, now_ms(), patient()).unwrap().unwrap();
    let over_ms = row.expires_at_ms;
    let [first, _] = &bench.servers;
    check_found(first, &digest, over_ms - 1, LIVE);
    let (notes, store) = (Arc::clone(&first.notes), Arc::clone(&first.store));
    bench.fixture.store.after_session(move || notes.write_all(&*store, over_ms).unwrap());
    check_found(first, &digest, over_ms, LIVE);
    assert_eq!(first.notes.written(), 1);
}

#[test]
fn when_all_are_due_at_once_few_transactions_follow() {
    const SESSIONS: usize = 400;
    for with_redis in [false, WITH_REDIS] {
        let bench = bench(with_redis);
        let mut digests = Vec::new();
        while digests.len() < SESSIONS {
            let user_id = bench.fixture.store.add_user(&format!("user{}", digests.len()));
            digests.extend([0; 5].map(|_| bench.begin_for(user_id)));
        }
        let batches = SESSIONS.div_ceil(SESSIONS_TOGETHER_MAX);
        let look_up_all = |at_ms| {
            bench.fixture.store.take_calls();
            for batch in digests.chunks(SESSIONS_TOGETHER_MAX) {
                let lookup =
                    bench.servers[0].look_up(batch, Now::certain(at_ms), patient()).unwrap();
                let mut sightings = lookup.sightings;
                if let Some(unresolved) = lookup.unresolved {
                    let resolved = bench.servers[0]
                        .resolve(unresolved, Now::certain(at_ms), patient())
                        .unwrap();
                    bench.servers[0].update_copies(&resolved.stale, patient());
                    sightings = resolved.sightings;
                }
                assert!(sightings.iter().all(is_live), "{sightings:?}");
            }
            let mut calls = bench.fixture.store.take_calls();
            calls.retain(|call| *call != "cache_era" && *call != "begin_cache_era");
            calls
        };
        let scripts_sent = || {
            let info: String =
                redis::cmd("INFO").arg("commandstats").query(&mut bench.redis.connect()).unwrap();
            let calls =
                info.lines().find_map(|line| line.strip_prefix("cmdstat_script|load:calls="));
            calls.map_or(0, |calls| calls.split(',').next().unwrap().parse().unwrap())
        };
        if with_redis {
            bench.until_cached(&bench.begin());
            let before = scripts_sent();
            assert_eq!(look_up_all(now_ms()), vec!["sessions"; batches], "Redis misses them all");
            assert_eq!(scripts_sent() - before, batches, "and is filled in one go for each batch");
            assert_eq!(look_up_all(now_ms()), [""; 0], "now it has them");
        }
        let before = scripts_sent();
        let due_ms = due(now_ms());
        assert_eq!(look_up_all(due_ms), vec!["sessions"; batches]);
        assert_eq!(scripts_sent() - before, if with_redis { batches } else { 0 });
        assert_eq!(bench.servers[0].notes.pending(), SESSIONS);
        bench.servers[0].notes.write_all(&*bench.fixture.store, due_ms).unwrap();
        let calls = bench.fixture.store.take_calls();
        assert_eq!(calls, vec!["refresh_sessions"; batches], "{SESSIONS} notes");
        assert_eq!(bench.servers[0].notes.written(), SESSIONS as u64);
    }
}

#[test]
fn sessions_that_were_begun_together_are_not_due_together_for_ever() {
    let rules = rules();
    let longest = millis(rules.idle / NOTES_PER_IDLE_TIME);
    let mut sum = 0;
    let mut spread = [0; 10];
    for number in 0_u64..1_000 {
        let mut digest = [7; 32];
        digest[..8].copy_from_slice(&number.to_be_bytes());
        let interval = rules.note_interval_ms(&digest, 1_700_000_000_000);
        assert!((longest / 2..=longest).contains(&interval), "{interval}");
        assert_eq!(
            interval,
            rules.note_interval_ms(&digest, 1_700_000_000_000),
            "for every server"
        );
        sum += interval;
        spread[usize::try_from((interval - longest / 2) * 10 / (longest / 2 + 1)).unwrap()] += 1;
    }
    let mean = sum / 1_000;
    assert!((longest * 7 / 10..longest * 8 / 10).contains(&mean), "{mean} of {longest}");
    assert!(spread.iter().all(|count| (60..140).contains(count)), "{spread:?}");
    // The longest idle time that there can be.
    let rules = SessionRules { idle: limits::IDLE_MAX, ..rules };
    let longest = millis(rules.idle / NOTES_PER_IDLE_TIME);
    assert!(rules.note_interval_ms(&[0xff; 32], 1) >= longest / 2);
}

#[test]
fn a_generation_that_cannot_be_begun_is_not_tried_by_each_check() {
    let bench = bench(WITH_REDIS);
    let digest = bench.begin();
    bench.until_cached(&digest);
    bench.redis.kill();
    bench.redis.start_again();
    bench.fixture.store.set_fault(Some(Fault::ReadOnly));
    bench.fixture.store.take_calls();
    let give_up = patient();
    let mut calls = Vec::new();
    while !calls.contains(&"begin_cache_era") {
        assert!(clock::now() < give_up, "the other Redis is not noticed");
        assert!(bench.find(0, &digest));
        calls.extend(bench.fixture.store.take_calls());
        thread::sleep(Duration::from_millis(1));
    }
    let began = clock::now();
    for _ in 0..50 {
        assert!(bench.find(0, &digest));
    }
    let calls = bench.fixture.store.take_calls();
    let tries = calls.iter().filter(|call| **call == "begin_cache_era").count();
    assert!(tries as u64 <= clock::since(began).as_secs(), "{tries}");
    bench.fixture.store.set_fault(None);
    bench.until_cached(&digest);
}

//! Many sessions in one look.

use super::*;

#[test]
fn sessions_are_found_together_in_redis() {
    let bench = Bench::new();
    let [first, second, missing] = [0; 3].map(|_| bench.begin());
    for digest in [&first, &second] {
        bench.until_cached(digest);
    }
    let row = |digest| bench.fixture.store.session(digest, now_ms(), patient()).unwrap().unwrap();
    let (first_row, second_row) = (row(&first), row(&second));
    bench.fixture.store.take_calls();
    let seen = bench.find_together(0, &[second, missing, first, [0; 32], second]);
    let [first_row, second_row] = [first_row, second_row].map(Sighting::Live);
    let unresolved = Sighting::Unresolved;
    let expected = [second_row.clone(), unresolved.clone(), first_row, unresolved, second_row];
    assert_eq!(seen, expected);
    let calls = bench.fixture.store.take_calls();
    assert!(!calls.iter().any(|call| call.starts_with("session")), "{calls:?}");

    let due = now_ms() + millis(rules().idle / NOTES_PER_IDLE_TIME);
    let seen = bench.servers[0].look_up(&[first], Now::certain(due), patient()).unwrap().sightings;
    assert_eq!(seen, [Sighting::Unresolved], "it has to be compared with the database");
    let over = now_ms() + 3_700_000;
    let seen = bench.servers[0].look_up(&[first], Now::certain(over), patient()).unwrap().sightings;
    assert_eq!(seen, [Sighting::Unresolved], "the database may know of a later end");
}

#[test]
fn sessions_of_several_users_are_found_together() {
    let bench = Bench::new();
    let others = ["bob", "cyd"].map(|name| bench.fixture.store.add_user(name));
    let users = [bench.user_id, others[0], others[1], bench.user_id];
    // All these digests begin alike, so their sessions share one note of whose they are.
    let digests = users.map(|user_id| bench.begin_for(user_id));
    digests.iter().for_each(|digest| bench.until_cached(digest));
    let check = |live: [bool; 4]| {
        for server in [0, 1, 0, 1] {
            let seen = bench.find_together(server, &digests);
            for ((sighting, user_id), live) in seen.iter().zip(users).zip(live) {
                match sighting {
                    Sighting::Live(row) => assert!(live && row.user_id == user_id, "{seen:?}"),
                    _ => assert!(!live, "{seen:?}"),
                }
            }
        }
    };
    check([true; 4]);
    // An epoch alone decides, whether it came with the sessions or after them: here it is raised behind the
    // back of the index, from which an end of all sessions knows what to delete.
    let mut redis = bench.redis.connect();
    for (user_id, left) in
        [(others[1], [true, true, false, true]), (bench.user_id, [false, true, false, false])]
    {
        let key = format!("{LAYOUT}:{}:u:{user_id:016x}", bench.servers[0].generation());
        let _: () = redis.set(&key, format!("{:08x}", 9)).unwrap();
        check(left);
        let _: () = redis.del(&key).unwrap();
        check(left);
    }
}

#[test]
fn without_redis_sessions_are_found_together_in_the_database() {
    let bench = Bench::new();
    let [live, ended] = [0; 2].map(|_| bench.begin());
    bench.servers[0].end(&ended, patient()).unwrap();
    bench.until_cached(&live);
    bench.redis.kill();
    // A connection that is already made finds out first.
    for _ in 0..3 {
        let seen = bench.find_together(1, &[live, ended, [0; 32]]);
        assert!(is_live(&seen[0]), "{seen:?}");
        assert_eq!(seen[1..], [Sighting::Dead, Sighting::Dead]);
    }
}

#[test]
fn to_look_for_nothing_is_no_failure() {
    let bench = Bench::new();
    bench.until_cached(&bench.begin());
    assert_eq!(bench.find_together(0, &[]), []);
    assert_eq!(bench.servers[0].redis().unwrap().failures(), 0);
}

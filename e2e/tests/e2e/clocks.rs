//! docs/clocks.md: wall clocks that are wrong, of the servers, of the database, while they run and when they start.

use e2e::{Client, FakeClock, MariaDb, Server, Store, System, until};

use crate::PASSWORD;
use crate::pages::{Page, shell_succeeds};

const PAGE: &str = include_str!("../../../docs/clocks.md");

const DAY: i64 = 86_400;

const DOUBTED: &str = "auth_back_clock_doubted";
const OFFSET: &str = "auth_back_clock_offset_seconds";
const WITHHELD: &str = "auth_back_purges_withheld_total";

/// Every answer is auth_back's, and sessions idle out quickly.
const FLAGS: [&str; 4] = ["--lease", "0ms", "--session-idle", "3s"];

fn until_doubted(auth: &Server, expected: bool, mut meanwhile: impl FnMut()) {
    until("the clock to be asked", || {
        meanwhile();
        (auth.metric(DOUBTED) == f64::from(expected)).then_some(())
    });
}

/// Waits for a round of the purge.
fn until_withheld(auth: &Server) {
    let before = auth.metric(WITHHELD);
    until("the purge to begin and delete nothing", || {
        (auth.metric(WITHHELD) > before).then_some(())
    });
}

fn logged_in(user: &Client, name: &str) -> String {
    user.register(name, PASSWORD).assert_status(200);
    user.log_in(name, PASSWORD)
}

/// The clock is a day ahead while the purge comes by, then right again.
fn ahead_and_right_again(mut system: System, clock: &FakeClock) {
    let user = system.client();
    let before = logged_in(&user, "ada");
    user.session(&before).assert_status(200);

    clock.set(DAY);
    until_doubted(system.auth(), true, || ());
    // By that time it has ended; by the other one it has not.
    let answer = user.session(&before).assert_status(503);
    assert!(answer.field("Retry-After").is_some(), "{answer:?}");
    assert_eq!(answer.problem_code(), "store_unavailable");
    user.products(Some(&before)).assert_status(503);
    user.session("no token of ours").assert_status(401);
    let meanwhile = user.log_in("ada", PASSWORD);
    until_withheld(system.auth());
    system.auth().ops().get("/readyz", None).assert_status(200);
    let log = system.auth().log();
    assert_eq!(log.matches("the store's clock JUMPED and is not believed yet").count(), 1, "{log}");

    clock.set(0);
    until_doubted(system.auth(), false, || ());
    for token in [&before, &meanwhile] {
        user.session(token).assert_status(200);
    }
    assert!(system.auth().log().contains("the store's clock is right again"));
    // At start there is nothing that it could be compared with: it is believed, and nothing is deleted.
    clock.set(DAY);
    assert!(system.auth().stop().success());
    system.auth().start_again();
    system.until_ready();
    user.session(&before).assert_status(401);
    until_withheld(system.auth());
    clock.set(0);
    until_doubted(system.auth(), true, || ());
    user.session(&before).assert_status(503);
    assert!(system.auth().stop().success());
    system.auth().start_again();
    system.until_ready();
    for token in [&before, &meanwhile] {
        user.session(token).assert_status(200);
    }
    assert!(system.auth().stop().success());
}

#[test]
fn a_clock_that_is_a_day_ahead_for_a_while_loses_no_session_on_sqlite() {
    let clock = FakeClock::right();
    let system = System::builder().wrapper(&clock.wrapper()).auth_flags(&FLAGS[..2]).start();
    ahead_and_right_again(system, &clock);
}

#[test]
fn a_database_that_is_a_day_ahead_for_a_while_loses_no_session() {
    let clock = FakeClock::right();
    let mariadb = MariaDb::start_with_variables(clock.variables());
    let store = Store::MariaDb(mariadb.database_of_account());
    let system = System::builder().store(store).auth_flags(&FLAGS[..2]).start();
    ahead_and_right_again(system, &clock);
}

/// The clock is a day behind, then right again: who has idled out is not let in, and who is in use stays.
fn behind_and_right_again(mut system: System, clock: &FakeClock) {
    let user = system.client();
    let used = logged_in(&user, "ada");
    let unused = logged_in(&user, "eve");
    let uses = || {
        user.session(&used).assert_status(200);
    };
    until("a session to idle out", || {
        uses();
        // To look at it is to use it, so its owner looks at a list.
        let listed = system.operator(&["user", "sessions", "eve"]).succeed();
        listed.trim().is_empty().then_some(())
    });
    clock.set(-DAY);
    until_doubted(system.auth(), true, uses);
    user.session(&unused).assert_status(503);
    let ids: Vec<String> = (0..3).map(|_| logged_in_anew(&user, &used)).collect();
    clock.set(0);
    until_doubted(system.auth(), false, uses);
    user.session(&unused).assert_status(401);
    uses();
    let mut distinct = ids.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), ids.len(), "{ids:?}");
    assert!(system.auth().stop().success());
}

/// Logs in once more, and returns the id of that session.
fn logged_in_anew(user: &Client, used: &str) -> String {
    user.session(used).assert_status(200);
    let token = user.log_in("ada", PASSWORD);
    let listed = user.sessions(&token).assert_status(200).json();
    let sessions = listed["sessions"].as_array().expect("a list").clone();
    let current = sessions.iter().find(|session| session["current"] == true);
    current.expect("the one that asks")["id"].to_string()
}

#[test]
fn a_clock_that_is_a_day_behind_for_a_while_revives_no_session_on_sqlite() {
    let clock = FakeClock::right();
    let system = System::builder().wrapper(&clock.wrapper()).auth_flags(&FLAGS).start();
    behind_and_right_again(system, &clock);
}

#[test]
fn a_database_that_is_a_day_behind_for_a_while_revives_no_session() {
    let clock = FakeClock::right();
    let mariadb = MariaDb::start_with_variables(clock.variables());
    let store = Store::MariaDb(mariadb.database_of_account());
    let system = System::builder().store(store).auth_flags(&FLAGS).start();
    behind_and_right_again(system, &clock);
}

/// With a database, the clocks of the servers decide nothing, whatever they show.
#[test]
fn servers_with_a_wrong_clock_go_by_the_database() {
    let mariadb = MariaDb::start();
    for seconds in [DAY, -DAY] {
        let clock = FakeClock::wrong_by(seconds);
        let store = Store::MariaDb(mariadb.database_of_account());
        let mut system = System::builder()
            .store(store)
            .wrapper(&clock.wrapper())
            .auth_flags(&FLAGS[..2])
            .start();
        let user = system.client();
        let token = logged_in(&user, "ada");
        clock.set(0);
        until("the clock to be asked", || {
            user.session(&token).assert_status(200);
            (system.auth().metric(OFFSET).abs() < 5.0).then_some(())
        });
        clock.set(seconds);
        until("the clock to be asked", || {
            let off = system.auth().metric(OFFSET);
            ((off - seconds as f64).abs() < 5.0).then_some(())
        });
        assert_eq!(system.auth().metric(DOUBTED), 0.0);
        user.session(&token).assert_status(200);
        let log = system.auth().log();
        assert!(log.contains("this machine's clock differs from the database's"), "{log}");
        assert!(system.auth().stop().success());
    }
}

/// docs/clocks.md: what the store says, and what this machine says.
#[test]
fn the_page_says_how_to_find_out_what_time_it_is() {
    let mariadb = MariaDb::start();
    let store = Store::MariaDb(mariadb.database_of_account());
    let mut system = System::builder().store(store).start();
    let ops = system.auth().ops_address().to_string();
    let page = Page::new(PAGE, &[("127.0.0.1:9051", &ops)]);
    let [sql] = page.blocks("sql")[..] else { panic!("one statement") };
    mariadb.run(sql.trim_end_matches(';'));
    let [lines] = page.blocks("sh")[..] else { panic!("one block") };
    let printed = shell_succeeds(lines, system.scratch());
    for metric in [DOUBTED, OFFSET, WITHHELD] {
        assert!(printed.contains(&format!("\n{metric} ")), "{metric}: {printed}");
    }
    assert!(system.auth().stop().success());
}

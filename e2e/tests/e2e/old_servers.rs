//! docs/upgrade.md, with the programs of an earlier commit: users register, log in, ask and log out while one server after
//! the other is replaced.
//!
//! No answer is 500, no session is lost, and no registration that was acknowledged. A server that is replaced refuses
//! connections for a moment, and whoever meets that tries the other front, as a balancer does.
//!
//! These tests need programs that are not built from this tree. `./test --long` builds them and runs these.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use e2e::fault_proxy::Random;
use e2e::{
    Answer, Binaries, Client, Database, Program, Redis, Scratch, Server, StopOnDrop, Store, System,
    until,
};
use mysql::prelude::Queryable as _;
use serde_json::json;

use crate::PASSWORD;
use crate::pages::{Page, shell_succeeds};

const PAGE: &str = include_str!("../../../docs/upgrade.md");

/// Names the directory that has a directory for each [`Release`], with its auth_back and http_front.
const OLD: &str = "GATEHOUSE_TEST_OLD_BINARIES";

/// Users that there are before the upgrade.
const USERS: usize = 50;

/// How often each kind of request is answered with success after a step, before the next one.
const SERVED: usize = 15;

/// An earlier release, by the schema that it has.
#[derive(Clone, Copy, Debug)]
enum Release {
    /// It knows nothing of who may run on which schema: it may go on running on a newer one, and starts on none.
    Schema4 = 4,
    /// The one before today's: it may start too.
    Schema6 = 6,
}

impl Release {
    fn binaries(self) -> Binaries {
        let directory = env::var_os(OLD).unwrap_or_else(|| panic!("{OLD} is not set"));
        let name = format!("schema-{}", self as u32);
        Binaries::in_directory(PathBuf::from(directory).join(name))
    }
}

fn new() -> Binaries {
    Binaries::of_tests()
}

#[test]
#[ignore = "./test --long builds the programs of earlier commits for it"]
fn fronts_are_replaced_first_on_mariadb() {
    let database = Database::new();
    let mut site = Site::on_mariadb(Release::Schema4, &database, None);
    site.under_load(|site, load| {
        site.replace_fronts(load);
        migrate(site, load);
        load.goes_on("old auth servers have the new schema");
        site.replace_auths(load);
    });
    site.check_refusal("this program knows up to 4");
}

#[test]
#[ignore = "./test --long builds the programs of earlier commits for it"]
fn auth_servers_are_replaced_first_on_mariadb_and_redis() {
    let (database, redis) = (Database::new(), Redis::start());
    let mut site = Site::on_mariadb(Release::Schema4, &database, Some(&redis));
    site.under_load(|site, load| {
        migrate(site, load);
        load.goes_on("old servers have the new schema");
        site.replace_auths(load);
        site.replace_fronts(load);
    });
}

#[test]
#[ignore = "./test --long builds the programs of earlier commits for it"]
fn a_release_is_taken_back_on_mariadb() {
    let database = Database::new();
    let mut site = Site::on_mariadb(Release::Schema6, &database, None);
    site.under_load(|site, load| {
        migrate(site, load);
        site.replace_auths(load);
        site.take_back(load);
        site.replace_fronts(load);
    });
    // A later schema that takes it no more.
    let sql = "UPDATE schema_migration SET oldest = 7 WHERE version = 7";
    database.connect().query_drop(sql).expect("the table is there");
    site.check_refusal("start a newer release");
}

#[test]
#[ignore = "./test --long builds the programs of earlier commits for it"]
fn the_front_is_replaced_first_on_sqlite() {
    let mut site = Site::on_sqlite(Release::Schema4);
    site.under_load(|site, load| {
        site.replace_fronts(load);
        site.replace_auths(load);
    });
    assert!(site.rest.auth().stop().success());
    site.check_refusal("this program knows up to 4");
}

#[test]
#[ignore = "./test --long builds the programs of earlier commits for it"]
fn the_auth_server_is_replaced_first_and_taken_back_on_sqlite() {
    let mut site = Site::on_sqlite(Release::Schema6);
    site.under_load(|site, load| {
        site.replace_auths(load);
        site.take_back(load);
        site.replace_fronts(load);
    });
}

/// Runs the commands of the page.
fn migrate(site: &Site, load: &Load) {
    let page = Page::new(PAGE, &[]);
    let blocks = page.blocks("sh");
    let [migrate] = blocks[..] else { panic!("{blocks:?}") };
    let (data, store) = (site.scratch.at("data"), site.rest.store_url());
    let lines = format!("export AUTH_BACK_DATA={data} AUTH_BACK_STORE={store}\n{migrate}");
    let run = || shell_succeeds(&lines, site.scratch.path());
    let is_of_4 = matches!(site.release, Release::Schema4);
    load.meets_schema_4.store(is_of_4, Ordering::SeqCst);
    let told = run();
    // What was asked meanwhile is answered.
    load.goes_on("the migration was done");
    load.meets_schema_4.store(false, Ordering::SeqCst);
    let brought = format!("was brought from schema version {} to 7", site.release as u32);
    assert!(told.contains(&brought), "{told}");
    let told = run();
    assert!(told.contains("has this program's schema"), "{told}");
}

/// The servers, of whichever release.
struct Site {
    /// The one that is replaced.
    release: Release,
    /// An auth server, where there are two.
    first: Option<System>,
    /// An auth server, and the fronts of both.
    rest: System,
    scratch: Scratch,
}

impl Site {
    /// Two of each, all of the earlier release.
    fn on_mariadb(release: Release, database: &Database, redis: Option<&Redis>) -> Self {
        let scratch = Scratch::new("upgrade").expect("a directory can be made");
        let system = |node| {
            let mut builder =
                all_old(release, &scratch).store(Store::At(database.url().to_owned()));
            if let Some(redis) = redis {
                builder = builder.auth_flags(&["--sessions", &redis.url()]);
            }
            // They take none by themselves.
            builder.auth_flags(&["--node", node])
        };
        let first = system("0.1").fronts(0).start();
        let both = system("0.2").foreign_auth(first.auth_address()).auths(1);
        Self { release, rest: both.fronts(2).start(), first: Some(first), scratch }
    }

    /// One of each.
    fn on_sqlite(release: Release) -> Self {
        let scratch = Scratch::new("upgrade").expect("a directory can be made");
        Self { release, rest: all_old(release, &scratch).start(), first: None, scratch }
    }

    /// Does `work` while users do what users do, and looks whether all is there that was said to be.
    fn under_load(&mut self, work: impl FnOnce(&mut Self, &Load)) {
        let fronts = 0..self.rest.fronts().len();
        let fronts: Vec<_> = fronts.map(|front| self.rest.client_of(front)).collect();
        let load = Load::new(fronts);
        for number in 0..USERS {
            load.register(&format!("before-{number}"), &mut Random::new(0));
        }
        thread::scope(|scope| {
            let _stop = StopOnDrop(&load.is_over);
            for (number, act) in Load::ACTS.into_iter().enumerate() {
                let load = &load;
                scope.spawn(move || load.again_and_again(number, act));
            }
            load.goes_on("all servers are of the earlier release");
            work(self, &load);
        });
        load.check_that_nothing_is_lost();
    }

    fn replace_fronts(&mut self, load: &Load) {
        for number in 0..self.rest.fronts().len() {
            start_as(&mut self.rest.fronts()[number], &new());
            load.goes_on("a front was replaced");
        }
    }

    fn replace_auths(&mut self, load: &Load) {
        for system in self.first.iter_mut().chain([&mut self.rest]) {
            start_as(system.auth(), &new());
            load.goes_on("an auth server was replaced");
        }
    }

    /// A server of the release before serves on the newer schema.
    fn take_back(&mut self, load: &Load) {
        for binaries in [self.release.binaries(), new()] {
            start_as(self.rest.auth(), &binaries);
            load.goes_on("an auth server was taken back, or replaced again");
        }
    }

    /// A server of the earlier release does not start on the schema of today.
    fn check_refusal(&self, words: &str) {
        let (data, store) = (self.scratch.at("data"), self.rest.store_url());
        let flags = ["--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0", "--data", &data];
        // One that serves would do so for ever.
        let mut start = Command::new("timeout");
        start.arg("60").arg(self.release.binaries().of(Program::AuthBack));
        let ended = start.args(flags).args(["--store", store]).output().expect("it runs");
        let errors = String::from_utf8(ended.stderr).expect("it writes UTF-8");
        assert!(!ended.status.success(), "{errors}");
        assert!(errors.contains(words), "{errors}");
    }
}

fn all_old(release: Release, scratch: &Scratch) -> e2e::Builder {
    let builder = System::builder().data(scratch.path().join("data"));
    // Whether it is fast is another question, on a busy machine.
    let patient = ["--request-timeout", "30s", "--heavy-queue", "1000"];
    let binaries = release.binaries();
    builder.auth_binaries(&binaries).front_binaries(&binaries).front_flags(&patient)
}

/// Replaces a server while it serves.
fn start_as(server: &mut Server, binaries: &Binaries) {
    assert!(server.stop().success(), "{}", server.log());
    server.set_binaries(binaries);
    server.start_again();
    let runs = fs::read_link(format!("/proc/{}/exe", server.pid())).expect("it runs");
    let expected = binaries.of(server.program()).canonicalize().expect("it is there");
    assert_eq!(runs, expected);
}

/// Users who go on whatever is replaced.
struct Load {
    fronts: Vec<Client>,
    registered: Mutex<Vec<String>>,
    /// Users and the tokens of sessions that nobody ends.
    sessions: Mutex<Vec<(String, String)>>,
    counts: [AtomicUsize; 4],
    /// Whether a migration meets servers of schema 4.
    meets_schema_4: AtomicBool,
    is_over: AtomicBool,
}

impl Load {
    const ACTS: [fn(&Self, &mut Random) -> bool; 4] =
        [Self::register_one, Self::log_in_one, Self::check_one, Self::log_one_out];

    fn new(fronts: Vec<Client>) -> Self {
        Self {
            fronts,
            registered: Mutex::default(),
            sessions: Mutex::default(),
            counts: [const { AtomicUsize::new(0) }; 4],
            meets_schema_4: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
        }
    }

    fn again_and_again(&self, number: usize, act: fn(&Self, &mut Random) -> bool) {
        let _stop = StopOnDrop(&self.is_over);
        let mut random = Random::new(number as u64);
        while !self.is_over() {
            if act(self, &mut random) {
                self.counts[number].fetch_add(1, Ordering::SeqCst);
            }
        }
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// Every kind of request is answered with success, now that it is so.
    fn goes_on(&self, now_that: &str) {
        let counts = || self.counts.each_ref().map(|count| count.load(Ordering::SeqCst));
        let before = counts();
        until(&format!("users to be served: {now_that}"), || {
            let mut now = counts().into_iter().zip(before);
            let is_served = now.all(|(now, before)| now >= before + SERVED);
            (is_served || self.is_over()).then_some(())
        });
    }

    /// An answer of any front; none where nobody knows it, or nobody is there.
    #[track_caller]
    fn post(
        &self,
        path: &str,
        body: &serde_json::Value,
        token: Option<&str>,
        random: &mut Random,
    ) -> Option<Answer> {
        let path = format!("/open_api/v1/{path}");
        let answer = self.front(random).try_post(&path, body, token).ok()?;
        self.known(answer)
    }

    /// What says something: a 503 does not. Every other answer has to be the right one, but for those of servers of
    /// schema 4 at the moment of the migration: they took errors for defects that they had not foreseen.
    fn known(&self, answer: Answer) -> Option<Answer> {
        let may_fail = self.meets_schema_4.load(Ordering::SeqCst);
        let says_nothing = answer.status == 503 || answer.status == 500 && may_fail;
        (!says_nothing).then_some(answer)
    }

    fn front(&self, random: &mut Random) -> &Client {
        &self.fronts[drawn(random, self.fronts.len())]
    }

    /// One of so many that nobody comes to have more sessions than one may.
    fn anybody(&self, random: &mut Random) -> String {
        let registered = locked(&self.registered);
        registered[drawn(random, registered.len())].clone()
    }

    fn register_one(&self, random: &mut Random) -> bool {
        self.register(&format!("during-{}", random.number()), random);
        true
    }

    /// Until it is known to have been done.
    fn register(&self, name: &str, random: &mut Random) {
        let body = json!({ "username": name, "password": PASSWORD });
        let mut is_unknown = false;
        let is_done = until("a registration", || {
            let answer = self.post("register", &body, None, random);
            is_unknown |= answer.is_none();
            match answer {
                Some(answer) => {
                    // One that was cut off was done.
                    let is_there = answer.status == 409 && is_unknown;
                    assert!(answer.status == 200 || is_there, "{answer:?}");
                    Some(true)
                }
                None => self.is_over().then_some(false),
            }
        });
        if is_done {
            locked(&self.registered).push(name.to_owned());
        }
    }

    fn log_in_one(&self, random: &mut Random) -> bool {
        let name = self.anybody(random);
        let Some(token) = self.log_in(&name, random) else { return false };
        locked(&self.sessions).push((name, token));
        true
    }

    fn log_in(&self, name: &str, random: &mut Random) -> Option<String> {
        let body = json!({ "username": name, "password": PASSWORD });
        let answer = self.post("authenticate", &body, None, random)?;
        Some(answer.assert_status(200).text_at("token"))
    }

    fn check_one(&self, random: &mut Random) -> bool {
        let (name, token) = {
            let sessions = locked(&self.sessions);
            if sessions.is_empty() {
                return false;
            }
            sessions[drawn(random, sessions.len())].clone()
        };
        let answer = self.front(random).try_get("/open_api/v1/session", Some(&token)).ok();
        let Some(answer) = answer.and_then(|answer| self.known(answer)) else { return false };
        assert_eq!(answer.assert_status(200).text_at("username"), name);
        true
    }

    fn log_one_out(&self, random: &mut Random) -> bool {
        let name = self.anybody(random);
        let Some(token) = self.log_in(&name, random) else { return false };
        let is_dead = |answer: Option<Answer>, expected: &[u16]| {
            let answer = answer.and_then(|answer| self.known(answer));
            assert!(answer.iter().all(|it| expected.contains(&it.status)), "{answer:?}");
            answer.is_some()
        };
        let products = "/open_api/v1/products";
        for front in &self.fronts {
            is_dead(front.try_get(products, Some(&token)).ok(), &[200]);
        }
        let Some(answer) = self.post("logout", &json!({}), Some(&token), random) else {
            return false;
        };
        answer.assert_status(200);
        for front in &self.fronts {
            is_dead(front.try_get(products, Some(&token)).ok(), &[401]);
        }
        true
    }

    fn check_that_nothing_is_lost(&self) {
        let (registered, sessions) = (locked(&self.registered), locked(&self.sessions));
        eprintln!("{} users, {} sessions", registered.len(), sessions.len());
        let fronts = || self.fronts.iter().cycle();
        for ((name, token), front) in sessions.iter().zip(fronts()) {
            let answer = front.session(token).assert_status(200);
            assert_eq!(answer.text_at("username"), *name);
        }
        for (name, front) in registered.iter().zip(fronts()) {
            let _token = front.log_in(name, PASSWORD);
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn drawn(random: &mut Random, bound: usize) -> usize {
    usize::try_from(random.within(0..=bound as u64 - 1)).expect("it is below the bound")
}

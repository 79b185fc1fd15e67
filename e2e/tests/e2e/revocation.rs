//! What has been acknowledged as ended is dead on every front: many users at once, each of whom logs
//! in, uses the session on both fronts, and ends it in one of the ways that there are. Bystanders ask
//! both fronts for the products with everybody's tokens all the while.
//!
//! No request that was *sent* after the acknowledgement may be answered 200, and none before the end
//! was asked for 401. With sessions in the database, and with Redis that stays, goes, comes back empty,
//! or comes back with an old snapshot; and with a database that hangs, which leaves it open whether a session was ended.
//!
//! A machine whose disk stands still has a database that hangs too. So what is answered 503 is asked again in every play,
//! and it is a fault unless the database was as slow to a [`Witness`].

use std::{
    sync::{
        Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use e2e::{Answer, Client, Database, MariaDb, Redis, StopOnDrop, Store, System, until};
use mysql::{Conn, prelude::Queryable as _};
use serde_json::Value;
use store::limits::{IO_TIMEOUT, STATEMENT_TIMEOUT};

/// Each round waits a quarter of a second for leases to run, so many users are needed to keep two cores
/// busy.
const USERS: usize = 100;
const BYSTANDERS: usize = 2;

/// What is asked of the system, and the ways to disturb it.
const ROUNDS: usize = 10_000;
const FEWER_ROUNDS: usize = 2_000;

#[test]
fn sessions_in_the_database() {
    let system = two_of_each(&[]);
    play(system, ROUNDS, Quiet::No, &mut []);
}

#[test]
fn sessions_in_redis() {
    let redis = Redis::start();
    let system = two_of_each(&["--sessions", &redis.url()]);
    play(system, ROUNDS, Quiet::No, &mut []);
    assert!(redis.info("keyspace_hits") > 4 * ROUNDS as u64, "it was asked");
}

#[test]
fn redis_is_restarted_empty() {
    let redis = Redis::start();
    let system = two_of_each(&["--sessions", &redis.url()]);
    let mut restart = || {
        redis.kill();
        redis.start_empty();
    };
    play(system, ROUNDS, Quiet::No, &mut [&mut restart]);
    assert!(redis.info("keyspace_hits") > 0, "it was asked again");
}

#[test]
fn redis_is_stopped() {
    let redis = Redis::start();
    let system = two_of_each(&["--sessions", &redis.url()]);
    play(system, ROUNDS, Quiet::No, &mut [&mut || redis.kill()]);
}

#[test]
fn redis_comes_and_goes() {
    let redis = Redis::start();
    let system = two_of_each(&["--sessions", &redis.url()]);
    let stop = || redis.kill();
    let start = || redis.start_empty();
    let [mut s1, mut s2, mut s3] = [stop; 3];
    let [mut b1, mut b2, mut b3] = [start; 3];
    play(
        system,
        FEWER_ROUNDS,
        Quiet::No,
        &mut [&mut s1, &mut b1, &mut s2, &mut b2, &mut s3, &mut b3],
    );
}

#[test]
fn redis_is_restored_from_old_snapshots() {
    let redis = Redis::start();
    let system = two_of_each(&["--sessions", &redis.url()]);
    let save = || redis.save();
    let restore = || {
        redis.kill();
        redis.start_again();
    };
    let [mut s1, mut s2] = [save; 2];
    let [mut r1, mut r2, mut r3] = [restore; 3];
    play(system, FEWER_ROUNDS, Quiet::No, &mut [&mut s1, &mut r1, &mut r2, &mut s2, &mut r3]);
    assert!(redis.ask("DBSIZE") != ":0");
}

#[test]
fn redis_is_restored_from_an_old_snapshot_that_nobody_noticed() {
    let redis = Redis::start();
    let system = two_of_each(&["--sessions", &redis.url()]);
    let mut save = || redis.save();
    let mut restore = || {
        redis.kill();
        redis.start_again();
        // Bystanders go on asking.
        until("Redis to be asked again", || (redis.info("keyspace_hits") > 0).then_some(()));
    };
    play(system, FEWER_ROUNDS, Quiet::Yes, &mut [&mut save, &mut restore]);
}

#[test]
fn redis_that_refuses_to_be_told() {
    let redis = Redis::start();
    let system = two_of_each(&["--sessions", &redis.url()]);
    // Writes fail, reads go on.
    let set =
        |memory: &str| assert_eq!(redis.ask(&format!("CONFIG SET maxmemory {memory}")), "+OK");
    let [mut full, mut free] = ["1", "0"].map(|memory| move || set(memory));
    play(system, FEWER_ROUNDS, Quiet::No, &mut [&mut full, &mut free]);
}

/// For longer than the servers wait for an answer: what had been asked for is then done, and nobody is told.
#[test]
fn the_database_hangs() {
    let redis = Redis::start();
    let mariadb = MariaDb::start();
    let system = two_on(mariadb.database(), &["--sessions", &redis.url()]);
    let hang = || {
        mariadb.pause();
        thread::sleep(IO_TIMEOUT + Duration::from_millis(500));
        mariadb.resume();
    };
    let [mut h1, mut h2, mut h3] = [hang; 3];
    let unanswered = play(system, FEWER_ROUNDS, Quiet::No, &mut [&mut h1, &mut h2, &mut h3]);
    let Unanswered { all, ends, untold } = unanswered;
    eprintln!("503 {all} times, in {ends} rounds for the end, which was done in {untold} of them");
    // Of some twenty statements that each of the three pauses catches, a few are ends.
    assert!(untold > 0, "{ends} ends got no answer, and none of them was done");
}

fn two_of_each(flags: &[&str]) -> Played {
    two_on(Database::new(), flags)
}

fn two_on(database: Database, flags: &[&str]) -> Played {
    let system = System::builder()
        .store(Store::At(database.url().to_owned()))
        .fronts(2)
        .auths(2)
        .auth_flags(flags)
        // Whether it is fast is another question, on a busy machine.
        .front_flags(&["--request-timeout", "30s", "--heavy-queue", "1000"])
        .start();
    // Not before: a first server wants an empty database.
    let witness = Witness::new(&database);
    Played { system, witness, _database: database }
}

/// A system to play with, and a witness of its database.
struct Played {
    system: System,
    witness: Witness,
    // After the system, which uses it.
    _database: Database,
}

/// Commits over and over, and so learns for how long the database has none commit.
struct Witness(Conn);

impl Witness {
    fn new(database: &Database) -> Self {
        let mut connection = database.connect();
        connection.query_drop("CREATE TABLE witness (number INT)").expect("a table can be made");
        connection.query_drop("INSERT INTO witness VALUES (0)").expect("a row can be added");
        Self(connection)
    }

    /// The longest that a commit took.
    fn look_on(mut self, over: &AtomicBool) -> Duration {
        let mut longest = Duration::ZERO;
        while !over.load(Ordering::Relaxed) {
            let began = Instant::now();
            self.0.query_drop("UPDATE witness SET number = number + 1").expect("it commits");
            longest = longest.max(began.elapsed());
            thread::sleep(WITNESS_PAUSE);
        }
        longest
    }
}

/// A lease of the generation and one of a front, and as much again.
const SETTLES_IN: Duration = Duration::from_secs(1);

const WITNESS_PAUSE: Duration = Duration::from_millis(20);

/// The database ends a statement that takes longer. A witness that comes a little later sees less of the same wait.
const SLOW_MIN: Duration = STATEMENT_TIMEOUT.saturating_sub(Duration::from_millis(300));

/// How often the store did not answer in time.
#[derive(Debug)]
struct Unanswered {
    all: usize,
    /// Rounds whose end it was that got no answer at first.
    ends: usize,
    /// Those of them in which the session had ended by that, which only a retry told.
    untold: usize,
}

/// Whether no session ends during a disturbance. A session that ends while Redis is away makes every
/// server forget what Redis had, which is one way to be safe; without one, another has to do.
#[derive(Clone, Copy)]
enum Quiet {
    Yes,
    No,
}

/// Plays so many rounds, and in between, at equal distances, each of the disturbances.
fn play(
    Played { system, witness, _database }: Played,
    rounds: usize,
    quiet: Quiet,
    disturbances: &mut [&mut (dyn FnMut() + Send)],
) -> Unanswered {
    let stage = Stage {
        fronts: [system.client_of(0), system.client_of(1)],
        shown: [const { Mutex::new(None) }; USERS],
        dead: Mutex::default(),
        gate: RwLock::default(),
        rounds,
        begun: AtomicUsize::new(0),
        done: AtomicUsize::new(0),
        unanswered: AtomicUsize::new(0),
        unanswered_ends: AtomicUsize::new(0),
        untold_ends: AtomicUsize::new(0),
    };
    let over = AtomicBool::new(false);
    let longest = thread::scope(|scope| {
        // A panic anywhere ends the others too.
        let stop = StopOnDrop(&over);
        let over = &over;
        let witness = scope.spawn(move || witness.look_on(over));
        for number in 0..BYSTANDERS {
            let stage = &stage;
            scope.spawn(move || {
                let _stop = StopOnDrop(over);
                stage.look_on(Chance::new(number), over);
            });
        }
        let users: Vec<_> = (0..USERS)
            .map(|number| {
                let stage = &stage;
                scope.spawn(move || {
                    let guard = StopOnDrop(over);
                    User::new(number).play(stage, over);
                    std::mem::forget(guard);
                })
            })
            .collect();
        let parts = disturbances.len() + 1;
        for (part, disturb) in disturbances.iter_mut().enumerate() {
            let at = rounds * (part + 1) / parts;
            // Each round may take its time; thousands together take what the machine takes.
            let mut done = 0;
            while done < at && !over.load(Ordering::Relaxed) {
                done = until("the rounds to go on", || {
                    let now = stage.done.load(Ordering::Relaxed);
                    (now > done || over.load(Ordering::Relaxed)).then_some(now)
                });
            }
            match quiet {
                Quiet::Yes => {
                    let _none_ends = stage.gate.write().unwrap_or_else(PoisonError::into_inner);
                    disturb();
                }
                Quiet::No => disturb(),
            }
        }
        for user in users {
            user.join().expect("a user is content");
        }
        drop(stop);
        witness.join().expect("the witness commits")
    });
    assert_eq!(stage.done.load(Ordering::Relaxed), rounds);
    let [all, ends, untold] = [&stage.unanswered, &stage.unanswered_ends, &stage.untold_ends]
        .map(|count| count.load(Ordering::Relaxed));
    assert!(all == 0 || longest >= SLOW_MIN, "503 {all} times; no commit took over {longest:?}");
    Unanswered { all, ends, untold }
}

struct Stage {
    fronts: [Client; 2],
    /// The session that each user is playing with.
    shown: [Mutex<Option<Shown>>; USERS],
    /// Tokens whose end was acknowledged, at any time.
    dead: Mutex<Vec<String>>,
    /// Shared by those who end a session, and taken by a disturbance during which none is to end.
    gate: RwLock<()>,
    rounds: usize,
    begun: AtomicUsize,
    done: AtomicUsize,
    /// As [`Unanswered`] says.
    unanswered: AtomicUsize,
    unanswered_ends: AtomicUsize,
    untold_ends: AtomicUsize,
}

#[derive(Clone)]
struct Shown {
    token: String,
    state: std::sync::Arc<AtomicU8>,
}

/// The session is used, and nobody has asked to end it.
const LIVE: u8 = 0;
/// Somebody has asked to end it.
const ENDING: u8 = 1;
/// That it ended has been acknowledged.
const DEAD: u8 = 2;

impl Stage {
    fn look_on(&self, mut chance: Chance, over: &AtomicBool) {
        while !over.load(Ordering::Relaxed) {
            self.ask_for_a_dead_one(&mut chance);
            let shown = self.shown[chance.below(USERS)].lock();
            let shown = shown.unwrap_or_else(PoisonError::into_inner).clone();
            let Some(Shown { token, state }) = shown else {
                thread::yield_now();
                continue;
            };
            let mut before = LIVE;
            let answer = self.ask(|| {
                before = state.load(Ordering::SeqCst);
                self.fronts[chance.below(2)].products(Some(&token))
            });
            let after = state.load(Ordering::SeqCst);
            match answer.status {
                200 => assert!(before != DEAD, "alive after its end was acknowledged: {answer:?}"),
                401 => assert!(after != LIVE, "dead before its end was asked for: {answer:?}"),
                _ => panic!("{answer:?}"),
            }
        }
    }

    /// What has ended stays ended, whatever Redis has come back with.
    fn ask_for_a_dead_one(&self, chance: &mut Chance) {
        let dead = self.dead.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(token) = dead.get(chance.below(dead.len().max(1))).cloned() else { return };
        drop(dead);
        self.ask(|| self.fronts[chance.below(2)].products(Some(&token))).assert_status(401);
    }

    /// Asks again while the store does not answer.
    fn ask(&self, mut ask: impl FnMut() -> Answer) -> Answer {
        self.ask_counting(&mut ask).0
    }

    /// The same, and how often it was asked in vain.
    fn ask_counting(&self, mut ask: impl FnMut() -> Answer) -> (Answer, usize) {
        let mut in_vain = 0;
        let answer = until("the store to answer", || {
            let answer = ask();
            if answer.status == 503 {
                in_vain += 1;
                return None;
            }
            Some(answer)
        });
        self.unanswered.fetch_add(in_vain, Ordering::Relaxed);
        (answer, in_vain)
    }

    fn log_in(&self, front: &Client, name: &str, password: &str) -> String {
        self.ask(|| front.authenticate(name, password)).assert_status(200).text_at("token")
    }

    fn show(&self, user: usize, token: &str) -> std::sync::Arc<AtomicU8> {
        let state = std::sync::Arc::new(AtomicU8::new(LIVE));
        let shown = Shown { token: token.to_owned(), state: std::sync::Arc::clone(&state) };
        *self.shown[user].lock().unwrap_or_else(PoisonError::into_inner) = Some(shown);
        state
    }
}

struct User {
    number: usize,
    name: String,
    password: String,
    chance: Chance,
}

impl User {
    fn new(number: usize) -> Self {
        Self {
            number,
            name: format!("user-{number}"),
            password: "correct horse battery 0".to_owned(),
            chance: Chance::new(1_000 + number),
        }
    }

    fn play(&mut self, stage: &Stage, over: &AtomicBool) {
        let registered =
            stage.ask_counting(|| stage.fronts[0].register(&self.name, &self.password));
        match registered {
            (answer, 0) => drop(answer.assert_status(200)),
            // The first was done.
            (answer, _) => assert!([200, 409].contains(&answer.status), "{answer:?}"),
        }
        loop {
            let round = stage.begun.fetch_add(1, Ordering::Relaxed);
            if round >= stage.rounds || over.load(Ordering::Relaxed) {
                return;
            }
            self.round(round, stage);
            stage.done.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn round(&mut self, round: usize, stage: &Stage) {
        let front = |chance: &mut Chance| &stage.fronts[chance.below(2)];
        let token = stage.log_in(front(&mut self.chance), &self.name, &self.password);
        let state = stage.show(self.number, &token);
        // Either both fronts have leases when it ends, or it is asked for the first time as it ends.
        let leased = self.chance.below(2) == 0;
        if leased {
            for front in &stage.fronts {
                stage.ask(|| front.products(Some(&token))).assert_status(200);
            }
        }
        let here = front(&mut self.chance);
        // Another session of the user, which ends or stays with the first.
        let end = round % 4;
        let other = (end == 1 || end == 2).then(|| stage.log_in(here, &self.name, &self.password));
        if let Some(other) = &other {
            stage.ask(|| here.products(Some(other))).assert_status(200);
        }
        let id = (end == 2).then(|| own_id(&stage.ask(|| here.sessions(&token))));
        let gate = stage.gate.read().unwrap_or_else(PoisonError::into_inner);
        state.store(ENDING, Ordering::SeqCst);
        let new_password = format!("correct horse battery {}", round + 1);
        let (answer, in_vain) = thread::scope(|scope| {
            if !leased {
                let there = front(&mut self.chance);
                scope.spawn(|| {
                    let status = stage.ask(|| there.products(Some(&token))).status;
                    assert!(status == 200 || status == 401, "{status}");
                });
            }
            stage.ask_counting(|| match end {
                0 => here.logout(&token),
                1 => here.logout_everywhere(&token),
                2 => here.revoke_session(
                    other.as_ref().expect("another was begun"),
                    id.as_ref().expect("it was listed"),
                ),
                _ => here.change_password(&token, &self.password, &new_password),
            })
        });
        // Otherwise the first was done, and nobody was told.
        let is_acknowledged = in_vain == 0 || answer.status == 200;
        if is_acknowledged {
            answer.clone().assert_status(200);
        } else {
            stage.untold_ends.fetch_add(1, Ordering::Relaxed);
            assert!([401, 404].contains(&answer.status), "{end}: {answer:?}");
            let ended = [Some(&token), other.as_ref().filter(|_| end == 1)];
            for front in &stage.fronts {
                for ended in ended.into_iter().flatten() {
                    until("the session to be over", || {
                        let answer = stage.ask(|| front.products(Some(ended)));
                        (answer.status == 401).then_some(())
                    });
                }
            }
            // The other server may go by the generation before for a moment, and the other front by its lease after that.
            thread::sleep(SETTLES_IN);
        }
        stage.unanswered_ends.fetch_add(usize::from(in_vain > 0), Ordering::Relaxed);
        state.store(DEAD, Ordering::SeqCst);
        drop(gate);
        stage.dead.lock().unwrap_or_else(PoisonError::into_inner).push(token.clone());
        let fresh = (end == 3 && is_acknowledged).then(|| answer.text_at("token"));
        for front in &stage.fronts {
            stage.ask(|| front.products(Some(&token))).assert_status(401);
            if let Some(other) = other.as_ref().filter(|_| end == 1) {
                stage.ask(|| front.products(Some(other))).assert_status(401);
            }
            if let Some(lives) = fresh.as_ref().or(other.as_ref().filter(|_| end == 2)) {
                stage.ask(|| front.products(Some(lives))).assert_status(200);
            }
        }
        if end == 3 {
            self.password = new_password;
        }
    }
}

/// The id of the session that asked for the list.
fn own_id(list: &Answer) -> String {
    let list = list.clone().assert_status(200).json();
    let sessions = list["sessions"].as_array().expect("a list");
    let own = sessions.iter().find(|session| session["current"] == Value::Bool(true));
    own.expect("the session that asks is in it")["id"].as_str().expect("ids are texts").to_owned()
}

/// Numbers that look random and are the same each time: xorshift64*.
struct Chance(u64);

impl Chance {
    fn new(seed: usize) -> Self {
        Self(seed as u64 * 2 + 1)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).expect("31 bits") % bound
    }
}

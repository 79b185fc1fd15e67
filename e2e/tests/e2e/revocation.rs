//! What has been acknowledged as ended is dead on every front: many users at once, each of whom logs
//! in, uses the session on both fronts, and ends it in one of the ways that there are. Bystanders ask
//! both fronts for the products with everybody's tokens all the while.
//!
//! No request that was *sent* after the acknowledgement may be answered 200, and none before the end
//! was asked for 401. With sessions in the database, and with Redis that stays, goes, comes back empty,
//! or comes back with an old snapshot.

use std::{
    sync::{
        Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering},
    },
    thread,
};

use e2e::{Answer, Client, Database, Redis, StopOnDrop, Store, System, until};
use serde_json::Value;

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
    play(&system, ROUNDS, Quiet::No, &mut []);
}

#[test]
fn sessions_in_redis() {
    let redis = Redis::start();
    let system = two_of_each(&["--sessions", &redis.url()]);
    play(&system, ROUNDS, Quiet::No, &mut []);
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
    play(&system, ROUNDS, Quiet::No, &mut [&mut restart]);
    assert!(redis.info("keyspace_hits") > 0, "it was asked again");
}

#[test]
fn redis_is_stopped() {
    let redis = Redis::start();
    let system = two_of_each(&["--sessions", &redis.url()]);
    play(&system, ROUNDS, Quiet::No, &mut [&mut || redis.kill()]);
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
        &system,
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
    play(&system, FEWER_ROUNDS, Quiet::No, &mut [&mut s1, &mut r1, &mut r2, &mut s2, &mut r3]);
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
    play(&system, FEWER_ROUNDS, Quiet::Yes, &mut [&mut save, &mut restore]);
}

#[test]
fn redis_that_refuses_to_be_told() {
    let redis = Redis::start();
    let system = two_of_each(&["--sessions", &redis.url()]);
    // Writes fail, reads go on.
    let set =
        |memory: &str| assert_eq!(redis.ask(&format!("CONFIG SET maxmemory {memory}")), "+OK");
    let [mut full, mut free] = ["1", "0"].map(|memory| move || set(memory));
    play(&system, FEWER_ROUNDS, Quiet::No, &mut [&mut full, &mut free]);
}

fn two_of_each(flags: &[&str]) -> System {
    System::builder()
        .store(Store::MariaDb(Database::new()))
        .fronts(2)
        .auths(2)
        .auth_flags(flags)
        // Whether it is fast is another question, on a busy machine.
        .front_flags(&["--request-timeout", "30s", "--heavy-queue", "1000"])
        .start()
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
    system: &System,
    rounds: usize,
    quiet: Quiet,
    disturbances: &mut [&mut (dyn FnMut() + Send)],
) {
    let stage = Stage {
        fronts: [system.client_of(0), system.client_of(1)],
        shown: [const { Mutex::new(None) }; USERS],
        dead: Mutex::default(),
        gate: RwLock::default(),
        rounds,
        begun: AtomicUsize::new(0),
        done: AtomicUsize::new(0),
    };
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        // A panic anywhere ends the others too.
        let stop = StopOnDrop(&over);
        for number in 0..BYSTANDERS {
            let (stage, over) = (&stage, &over);
            scope.spawn(move || {
                let _stop = StopOnDrop(over);
                stage.look_on(Chance::new(number), over);
            });
        }
        let users: Vec<_> = (0..USERS)
            .map(|number| {
                let (stage, over) = (&stage, &over);
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
    });
    assert_eq!(stage.done.load(Ordering::Relaxed), rounds);
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
            let before = state.load(Ordering::SeqCst);
            let answer = self.fronts[chance.below(2)].products(Some(&token));
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
        self.fronts[chance.below(2)].products(Some(&token)).assert_status(401);
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
        stage.fronts[0].register(&self.name, &self.password).assert_status(200);
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
        let token = front(&mut self.chance).log_in(&self.name, &self.password);
        let state = stage.show(self.number, &token);
        // Either both fronts have leases when it ends, or it is asked for the first time as it ends.
        let leased = self.chance.below(2) == 0;
        if leased {
            for front in &stage.fronts {
                front.products(Some(&token)).assert_status(200);
            }
        }
        let here = front(&mut self.chance);
        // Another session of the user, which ends or stays with the first.
        let end = round % 4;
        let other = (end == 1 || end == 2).then(|| here.log_in(&self.name, &self.password));
        if let Some(other) = &other {
            here.products(Some(other)).assert_status(200);
        }
        let id = (end == 2).then(|| own_id(&here.sessions(&token)));
        let gate = stage.gate.read().unwrap_or_else(PoisonError::into_inner);
        state.store(ENDING, Ordering::SeqCst);
        let fresh = thread::scope(|scope| {
            if !leased {
                let there = front(&mut self.chance);
                scope.spawn(|| {
                    let status = there.products(Some(&token)).status;
                    assert!(status == 200 || status == 401, "{status}");
                });
            }
            self.end(round, here, &token, other.as_deref(), id.as_deref())
        });
        state.store(DEAD, Ordering::SeqCst);
        drop(gate);
        stage.dead.lock().unwrap_or_else(PoisonError::into_inner).push(token.clone());
        for front in &stage.fronts {
            front.products(Some(&token)).assert_status(401);
            if let Some(other) = other.as_ref().filter(|_| end == 1) {
                front.products(Some(other)).assert_status(401);
            }
            if let Some(fresh) = &fresh {
                front.products(Some(fresh)).assert_status(200);
            }
        }
    }

    /// Ends the session of `token` in the way that is due. Returns the token of one that lives on.
    fn end(
        &mut self,
        round: usize,
        here: &Client,
        token: &str,
        other: Option<&str>,
        id: Option<&str>,
    ) -> Option<String> {
        match round % 4 {
            0 => here.logout(token).assert_status(200),
            1 => here.logout_everywhere(token).assert_status(200),
            2 => {
                let by = other.expect("another was begun");
                here.revoke_session(by, id.expect("it was listed")).assert_status(200);
                return Some(by.to_owned());
            }
            _ => {
                let new = format!("correct horse battery {}", round + 1);
                let changed = here.change_password(token, &self.password, &new).assert_status(200);
                self.password = new;
                return Some(changed.text_at("token"));
            }
        };
        None
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

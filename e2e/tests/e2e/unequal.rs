//! What has been acknowledged as ended is dead on every front, where servers are not alike: settings change while they
//! run, one is killed and comes back, one stands still for longer than its leases run, one does not reach Redis, and
//! commands are given other settings than servers have.
//!
//! Two auth servers on one MariaDB and one Redis, a front of its own before each. Users log in, use the session on both
//! fronts, and end it: by a logout at either front, or by an operator's command. From then on no front may answer 200, and
//! one whose server serves has to answer 401. Bystanders ask with everybody's tokens all the while, and later: what comes
//! back brings nothing back.
//!
//! `./test` plays as many rounds as one cycle of disturbances takes, `./test --long` 10,000.

use std::array;
use std::env;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use e2e::fault_proxy::{Ending, FaultProxy, Random};
use e2e::{Answer, Client, Database, Operator, Redis, Scratch, StopOnDrop, Store, System, until};
use mysql::prelude::Queryable as _;

/// Names how many rounds are to be played.
const ROUNDS: &str = "GATEHOUSE_TEST_ROUNDS";

/// Who plays where rounds are counted, and where one cycle is enough. Each round waits for leases to run.
const MANY_USERS: usize = 64;
const FEW_USERS: usize = 12;

/// How long a user waits for a front whose server is away. What a front says on a lease, it says at once; an answer that
/// takes longer decides nothing.
const IMPATIENCE: Duration = Duration::from_millis(250);

/// Between two questions to a front whose server is away.
const AWAY_PAUSE: Duration = Duration::from_millis(10);

/// How long a server says nothing of itself: longer than its leases run, and longer than others wait for it.
const BEYOND_ITS_LEASES_MS: u64 = 2_000;
const BEYOND_ITS_ROW_MS: u64 = 11_000;

/// How often a server that nobody disturbs may know no answer: on a busy machine a statement may take longer than it may.
const UNEXPLAINED_MAX: u64 = 50;

const SEED: u64 = 14;

/// The ways that sessions end in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Logout,
    LogoutOfAll,
    Revoke,
    SetPassword,
    Disable,
}

/// What ends the session of each of twenty rounds that follow each other. A command costs the start of a process.
const ENDS: [End; 20] = {
    let mut ends = [End::Logout; 20];
    ends[1] = End::Revoke;
    ends[5] = End::SetPassword;
    ends[9] = End::Disable;
    ends[13] = End::LogoutOfAll;
    ends
};

/// In the order of [`Stage::ended`].
const ENDS_NAMED: [End; 5] =
    [End::Logout, End::LogoutOfAll, End::Revoke, End::SetPassword, End::Disable];

/// A user who only shows whether a server serves.
const PROBE: &str = "probe";
const FIRST_PASSWORD: &str = "correct horse battery 0";

#[test]
fn what_was_ended_is_dead_whatever_servers_do() {
    let wanted: Option<usize> =
        env::var(ROUNDS).ok().map(|rounds| rounds.parse().expect("a number of rounds"));
    let scratch = Scratch::new("unequal").expect("a directory can be made");
    let (database, redis) = (Database::new(), Redis::start());
    let to_redis = FaultProxy::before(redis.address());
    let server = |redis_url: &str| {
        System::builder()
            .data(scratch.path().join("data"))
            .store(Store::At(database.url().to_owned()))
            .auth_flags(&["--sessions", redis_url])
            // A logout takes as long as leases run, and whether it is fast is another question, on a busy machine.
            .front_flags(&["--request-timeout", "30s", "--heavy-queue", "1000"])
            .start()
    };
    let (mut killed, paused) =
        (server(&redis.url()), server(&format!("redis://{}/0", to_redis.address())));
    let stage = Stage {
        sides: [&killed, &paused].map(|system| Side::of(system.client())),
        operators: &paused,
        redis_url: redis.url(),
        users: if wanted.is_some() { MANY_USERS } else { FEW_USERS },
        shown: array::from_fn(|_| Mutex::default()),
        dead: Mutex::default(),
        begun: AtomicUsize::new(0),
        done: AtomicUsize::new(0),
        over: AtomicBool::new(false),
        leased: AtomicUsize::new(0),
        refused: AtomicUsize::new(0),
        ended: array::from_fn(|_| AtomicUsize::new(0)),
    };
    stage.sides[0].front.register(PROBE, FIRST_PASSWORD).assert_status(200);
    thread::scope(|scope| {
        for side in 0..2 {
            let stage = &stage;
            scope.spawn(move || stage.until_over(|| stage.look_on(side)));
        }
        for number in 0..stage.users {
            let stage = &stage;
            scope.spawn(move || stage.until_over(|| User::new(number).play(stage)));
        }
        let _stop = StopOnDrop(&stage.over);
        let mut disturber = Disturber {
            stage: &stage,
            killed: &mut killed,
            paused: &paused,
            to_redis: &to_redis,
            database: &database,
        };
        let mut cycle = 0;
        while cycle == 0 || (stage.done() < wanted.unwrap_or(0) && !stage.is_over()) {
            disturber.cycle(wanted.is_some() && cycle % 2 == 1);
            cycle += 1;
        }
    });
    let ended = stage.ended.each_ref().map(|count| count.load(Ordering::Relaxed));
    let (done, leased) = (stage.done(), stage.leased.load(Ordering::Relaxed));
    eprintln!("{done} rounds, {leased} leased on both fronts; {ENDS_NAMED:?}: {ended:?}");
    // Nothing of this was passed over.
    assert!(ended.iter().all(|count| *count >= done / 40), "{ended:?} of {done}");
    assert!(leased > done / 20, "{leased} of {done}");
    assert!(stage.refused.load(Ordering::Relaxed) > done, "of {done}");
    // Whatever servers have been through.
    for token in locked(&stage.dead).iter().rev().take(1_000) {
        for Side { front, .. } in &stage.sides {
            until("an answer", || {
                let answer = front.products(Some(token));
                (answer.status != 503).then(|| answer.assert_status(401))
            });
        }
    }
}

/// A front and the server behind it.
struct Side {
    front: Client,
    impatient: Client,
    /// How often its server was disturbed and served again, added; odd while it may not serve.
    disturbances: AtomicU64,
    /// Answers 503 while nobody disturbed it.
    unexplained: AtomicU64,
}

impl Side {
    fn of(front: Client) -> Self {
        let impatient = front.patient_for(IMPATIENCE);
        let (disturbances, unexplained) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { front, impatient, disturbances, unexplained }
    }

    /// An answer, and whether the server may have been disturbed meanwhile.
    fn ask(&self, ask: impl FnOnce(&Client) -> Answer) -> (Answer, bool) {
        let before = self.disturbances.load(Ordering::SeqCst);
        let answer = ask(&self.front);
        let after = self.disturbances.load(Ordering::SeqCst);
        (answer, !before.is_multiple_of(2) || before != after)
    }

    /// An answer; none if nobody knows it, because the server was disturbed or has too much to do.
    #[track_caller]
    fn answer(&self, ask: impl FnOnce(&Client) -> Answer) -> Option<Answer> {
        let (answer, is_disturbed) = self.ask(ask);
        if answer.status == 503 {
            let unexplained = u64::from(!is_disturbed);
            let before = self.unexplained.fetch_add(unexplained, Ordering::Relaxed);
            assert!(before + unexplained <= UNEXPLAINED_MAX, "{answer:?}");
            return None;
        }
        Some(answer)
    }

    /// What the front says of a session; none if it does not know.
    #[track_caller]
    fn products(&self, token: &str) -> Option<Answer> {
        if self.serves() {
            return self.answer(|front| front.products(Some(token)));
        }
        let answer = self.impatient.try_get("/open_api/v1/products", Some(token));
        answer.ok().filter(|answer| answer.status != 503)
    }

    fn serves(&self) -> bool {
        self.disturbances.load(Ordering::SeqCst).is_multiple_of(2)
    }
}

struct Stage<'s> {
    sides: [Side; 2],
    /// Whose commands are given.
    operators: &'s System,
    redis_url: String,
    users: usize,
    /// The session that each user is playing with.
    shown: [Mutex<Option<Shown>>; MANY_USERS],
    /// Tokens whose end was acknowledged, at any time.
    dead: Mutex<Vec<String>>,
    begun: AtomicUsize,
    done: AtomicUsize,
    over: AtomicBool,
    /// Sessions that both fronts had answered 200 for when they ended.
    leased: AtomicUsize,
    /// Answers 401 at once after an end.
    refused: AtomicUsize,
    ended: [AtomicUsize; 5],
}

#[derive(Clone)]
struct Shown {
    token: String,
    state: Arc<AtomicU8>,
}

/// The session is used, and nobody has asked to end it.
const LIVE: u8 = 0;
/// Somebody has asked to end it.
const ENDING: u8 = 1;
/// That it ended has been acknowledged.
const DEAD: u8 = 2;

impl Stage<'_> {
    fn done(&self) -> usize {
        self.done.load(Ordering::SeqCst)
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Does something until all is over. A panic of it makes it over for the others too.
    fn until_over(&self, play: impl FnOnce()) {
        let _stop = StopOnDrop(&self.over);
        play();
    }

    /// As many rounds end as most users can play while others wait for a server that is away; or all is over.
    fn some_rounds(&self) {
        let enough = self.done() + self.users * 2 / 3;
        until("the rounds to go on", || (self.done() >= enough || self.is_over()).then_some(()));
    }

    /// A side whose server serves, as far as anybody knows.
    fn side(&self, random: &mut Random) -> &Side {
        let [drawn, other] = if random.within(0..=1) == 0 { [0, 1] } else { [1, 0] };
        if self.sides[drawn].serves() { &self.sides[drawn] } else { &self.sides[other] }
    }

    /// Asks one front with all tokens.
    fn look_on(&self, side: usize) {
        let mut random = Random::of(SEED, side as u64);
        let side = &self.sides[side];
        while !self.is_over() {
            let dead = {
                let dead = locked(&self.dead);
                dead.get(drawn(&mut random, dead.len().max(1))).cloned()
            };
            if let Some(token) = dead {
                match side.answer(|front| front.products(Some(&token))) {
                    Some(answer) => drop(answer.assert_status(401)),
                    // A front whose server is away says so at once.
                    None => thread::sleep(AWAY_PAUSE),
                }
            }
            let shown = locked(&self.shown[drawn(&mut random, self.users)]).clone();
            let Some(Shown { token, state }) = shown else {
                thread::yield_now();
                continue;
            };
            let before = state.load(Ordering::SeqCst);
            let answer = side.answer(|front| front.products(Some(&token)));
            let after = state.load(Ordering::SeqCst);
            match answer.as_ref().map(|answer| answer.status) {
                None => {}
                Some(200) => assert!(before != DEAD, "alive after its end: {answer:?}"),
                Some(401) => assert!(after != LIVE, "dead before its end: {answer:?}"),
                Some(_) => panic!("{answer:?}"),
            }
        }
    }

    /// A command of an operator, who has given it settings that no server has.
    fn command(&self, random: &mut Random, words: &[&str], input: &str) {
        let with_redis = |operator: Operator| {
            let set = format!("AUTH_BACK_SESSIONS={}", self.redis_url);
            operator.without_flag("--sessions").behind(&["env", &set])
        };
        let operator =
            |lease: &[&str]| self.operators.operator(&[lease, &["user"], words].concat());
        let operator = match random.within(0..=2) {
            0 => operator(&[]),
            1 => operator(&["--lease", "0ms"]).without_flag("--sessions"),
            _ => with_redis(operator(&["--lease", "20ms"])),
        };
        let told = operator.input(input).run();
        assert_eq!(told.code, Some(0), "{words:?}: {told:?}");
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn drawn(random: &mut Random, bound: usize) -> usize {
    usize::try_from(random.within(0..=bound as u64 - 1)).expect("it is below the bound")
}

struct User {
    number: usize,
    name: String,
    password: String,
    random: Random,
}

impl User {
    fn new(number: usize) -> Self {
        Self {
            number,
            name: format!("user-{number}"),
            password: FIRST_PASSWORD.to_owned(),
            random: Random::of(SEED, 1_000 + number as u64),
        }
    }

    fn play(&mut self, stage: &Stage<'_>) {
        // A registration that was cut off may have been done.
        until("a registration", || {
            let side = stage.side(&mut self.random);
            let answer = side.answer(|front| front.register(&self.name, &self.password))?;
            assert!(matches!(answer.status, 200 | 409), "{answer:?}");
            Some(())
        });
        while !stage.is_over() {
            self.round(stage);
        }
    }

    fn round(&mut self, stage: &Stage<'_>) {
        let round = stage.begun.fetch_add(1, Ordering::Relaxed);
        let token = self.log_in(stage);
        let state = Arc::new(AtomicU8::new(LIVE));
        let shown = Shown { token: token.clone(), state: Arc::clone(&state) };
        *locked(&stage.shown[self.number]) = Some(shown);
        let mut live = 0;
        for side in &stage.sides {
            if let Some(answer) = side.products(&token) {
                live += 1;
                answer.assert_status(200);
            }
        }
        let end = ENDS[round % ENDS.len()];
        state.store(ENDING, Ordering::SeqCst);
        self.end(end, &token, stage);
        state.store(DEAD, Ordering::SeqCst);
        for side in &stage.sides {
            if let Some(answer) = side.products(&token) {
                assert_eq!(answer.status, 401, "after {end:?} in round {round}: {answer:?}");
                stage.refused.fetch_add(1, Ordering::Relaxed);
            }
        }
        locked(&stage.dead).push(token);
        if end == End::Disable {
            stage.command(&mut self.random, &["enable", &self.name], "");
        }
        stage.leased.fetch_add(live / 2, Ordering::Relaxed);
        let at = ENDS_NAMED.iter().position(|known| *known == end).expect("all are named");
        stage.ended[at].fetch_add(1, Ordering::Relaxed);
        stage.done.fetch_add(1, Ordering::SeqCst);
    }

    fn log_in(&mut self, stage: &Stage<'_>) -> String {
        until("a login", || {
            let side = stage.side(&mut self.random);
            let answer = side.answer(|front| front.authenticate(&self.name, &self.password))?;
            Some(answer.assert_status(200).text_at("token"))
        })
    }

    /// Returns when it was said that the session has ended.
    fn end(&mut self, end: End, token: &str, stage: &Stage<'_>) {
        let name = self.name.clone();
        match end {
            // Of one that was cut off nothing is known. Sent again, it is answered 200 again.
            End::Logout => until("a logout", || {
                let side = stage.side(&mut self.random);
                side.answer(|front| front.logout(token)).map(|answer| {
                    answer.assert_status(200);
                })
            }),
            // Sent again after one that was done, it finds no session. Then the command ends it, for all that anybody knows.
            End::LogoutOfAll => {
                let side = stage.side(&mut self.random);
                match side.answer(|front| front.logout_everywhere(token)) {
                    Some(answer) => drop(answer.assert_status(200)),
                    None => stage.command(&mut self.random, &["revoke", &name, "--all"], ""),
                }
            }
            End::Revoke => stage.command(&mut self.random, &["revoke", &name, "--all"], ""),
            End::Disable => stage.command(&mut self.random, &["disable", &name], ""),
            End::SetPassword => {
                let number: u64 = self.random.within(1..=u64::MAX);
                self.password = format!("correct horse battery {number}");
                let words = ["set-password", &name, "--password-stdin"];
                stage.command(&mut self.random, &words, &self.password.clone());
            }
        }
    }
}

/// Does to servers what makes them unequal.
struct Disturber<'d, 's> {
    stage: &'d Stage<'s>,
    killed: &'d mut System,
    paused: &'d System,
    to_redis: &'d FaultProxy,
    database: &'d Database,
}

/// Which server a disturbance is of.
const KILLED: usize = 0;
const PAUSED: usize = 1;

impl Disturber<'_, '_> {
    /// Everything once. A server is away for longer than its leases run, or for longer than others wait for it.
    fn cycle(&mut self, is_long: bool) {
        let away_ms = if is_long { BEYOND_ITS_ROW_MS } else { BEYOND_ITS_LEASES_MS };
        let stage = self.stage;
        self.set("lease=600ms");
        stage.some_rounds();

        self.away(KILLED);
        self.killed.auth().kill();
        stage.some_rounds();
        if is_long {
            self.until_one_is_silent(away_ms);
        }
        self.killed.auth().start_again();
        self.back(KILLED);
        stage.some_rounds();

        self.away(PAUSED);
        self.pause();
        self.until_one_is_silent(away_ms);
        stage.some_rounds();
        self.resume();
        self.back(PAUSED);
        stage.some_rounds();

        self.set("lease=100ms");
        stage.some_rounds();

        // Longer leases while one knows of no such thing.
        self.away(PAUSED);
        self.pause();
        let setting = self.begin_to_set("lease=800ms");
        self.until_one_is_silent(BEYOND_ITS_LEASES_MS);
        stage.some_rounds();
        self.resume();
        assert_ends_well(setting);
        self.back(PAUSED);
        stage.some_rounds();

        // Shorter ones while one is away that gave longer ones.
        self.away(KILLED);
        self.killed.auth().kill();
        let setting = self.begin_to_set("lease=250ms");
        stage.some_rounds();
        self.killed.auth().start_again();
        assert_ends_well(setting);
        self.back(KILLED);
        stage.some_rounds();

        // One that does not reach Redis serves on.
        self.to_redis.refuse();
        self.to_redis.end_all(Ending::Reset);
        stage.some_rounds();
        self.to_redis.accept_again();
        self.to_redis.heal();
        stage.some_rounds();
    }

    fn away(&self, side: usize) {
        self.stage.sides[side].disturbances.fetch_add(1, Ordering::SeqCst);
    }

    /// Its front answers again, and so does it.
    fn back(&self, side: usize) {
        let system = if side == KILLED { &*self.killed } else { self.paused };
        system.until_ready();
        let side = &self.stage.sides[side];
        until("the server to serve again", || {
            let answer = side.front.authenticate(PROBE, FIRST_PASSWORD);
            (answer.status == 200).then_some(())
        });
        side.disturbances.fetch_add(1, Ordering::SeqCst);
    }

    fn pause(&self) {
        self.paused.servers().next().expect("the auth server is the first").pause();
    }

    fn resume(&self) {
        self.paused.servers().next().expect("the auth server is the first").resume();
    }

    /// Of two servers one has said nothing in the database for so long.
    fn until_one_is_silent(&self, for_ms: u64) {
        let sql = format!(
            "SELECT COUNT(*) FROM server WHERE serves = 1 AND run <> REPEAT(CHAR(0), 16) \
             AND renewed_ms > UNIX_TIMESTAMP(NOW(3)) * 1000 - {for_ms}"
        );
        let mut database = self.database.connect();
        until("a server to be silent", || {
            let heard: Option<u64> = database.query_first(&sql).expect("the table is there");
            (heard == Some(1) || self.stage.is_over()).then_some(())
        });
    }

    fn set(&self, pair: &str) {
        let told = self.paused.operator(&["deployment", "set", pair]).run();
        assert_eq!(told.code, Some(0), "{told:?}");
    }

    /// Returns when the database has it; the command waits for servers.
    fn begin_to_set(&self, pair: &str) -> std::process::Child {
        let mut database = self.database.connect();
        let mut revision = move || -> Option<u64> {
            database.query_first("SELECT revision FROM deployment").expect("the table is there")
        };
        let before = revision();
        let command = self.paused.operator(&["deployment", "set", pair]).begin();
        until("it to be written", || (revision() > before).then_some(()));
        command
    }
}

#[track_caller]
fn assert_ends_well(command: std::process::Child) {
    let ended = command.wait_with_output().expect("it can be waited for");
    assert!(ended.status.success(), "{ended:?}");
}

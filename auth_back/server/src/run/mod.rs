//! Putting the server together, and taking it down in order.
//!
//! Start: the ops listener, keys, store and its schema, arenas, lanes, then the loops, then the line that says
//! where. What may pass is waited for without a limit, and the ops listener says for what. Signals that ask to stop end a
//! start at once. Stop: everything is served until fronts have noticed; then the loop finishes what has arrived; with it the
//! last submitters of the lanes go, so the workers end; then what is written last; the ops listener goes last, so that an
//! operator can watch. [`service::lifetime`] says by when.

mod observing;

use std::error::Error;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use credentials::ids::UserId;
use credentials::{KeyId, PepperKeyring, Ring as _, TokenKeyring};
use guard::unlocks::UnlockReader;
use guard::{Guard, GuardNumbers};
use hashing::limits::{ANNEX_KIB_MAX, HASHES_IN_FLIGHT_PER_THREAD_MAX};
use hashing::{Annex, Arena, ArenaManager, HashEngine, HashPace, Hashers, HashersOptions, Params};
use lane::{Admission, FlowKeys, LaneSize};
use pool::Pool;
use reactor::Limits;
use redis_pool::{Use, Watch};
use server_time::limits::TIME_ASK_INTERVAL;
use server_time::{ServerTime, Timekeeper};
use service::hardening::{open_files_max, usable_memory};
use service::lifetime::Lifetime;
use service::metrics::Registry;
use service::ops::{self, OpsServer, Probe, Readiness, Serves};
use service::process::{self, bind};
use service::ready::Ready;
use service::settings::Raw;
use service::{rare, sparing};
use sessions::{NoteWriter, SessionKeeper};
use store::{Cause, KeyList, Migrated, Store};

use crate::accounts::{Accounts, Decoy, Rules, Upgrades, arenas_kib};
use crate::audit::{Audit, AuditError, OpenedAudit, OperatorsLog};
use crate::data_directory::{self, SqliteLog};
use crate::descriptors;
use crate::installation::{Joined, Keeper, ServerMember, View, join};
use crate::janitor::Janitor;
use crate::keyrings::{Bell, LiveRing, Refresher, register};
use crate::limits::{
    ARENAS_TIME_MAX, HEAVY_THREADS_PER_HASH, KEY_LOOKUP_TIME_MAX, PROBE_INTERVAL, PROBE_TIME_MAX,
    PURGE_INTERVAL, REDIS_LOOK_TIME_MAX, RPC_BUFFER_BYTES_MAX, START_WAIT_LINE_INTERVAL,
    STORE_CALL_TIME_MAX,
};
use crate::memory::{DoesNotFit, Needs};
use crate::metrics::Metrics;
use crate::node::{Identity, Instance};
use crate::opening::{self, Lacking, Opened};
use crate::rpc::{Conversation, Desk, Lanes, Turns};
use crate::settings::{EngineChoice, PROGRAM, Settings};
use crate::worker::{start_heavy, start_lane};

/// Serves until a signal says to stop.
///
/// # Errors
/// Why the server did not start.
pub fn serve(raw: &Raw, settings: &Settings) -> Result<(), Box<dyn Error>> {
    let log = settings.log.clone().start()?;
    process::log_settings(raw);
    process::prepare(settings.core_dumps);
    data_directory::warn(settings);
    let mut registry = Registry::new(PROGRAM.name());
    process::observe(&mut registry, &log);
    let mut lifetime = Lifetime::begin(log, settings.pid_file.as_deref())?;
    let metrics = Metrics::new(&mut registry);

    let connections_max = descriptors::clients(settings, open_files_max())?;
    let per_thread = check_memory(settings)?;
    let readiness = Readiness::unknown();
    let ops_listener = bind(settings.ops_listen, NonZeroUsize::MIN)?;
    let ops = OpsServer::start(ops_listener, registry, readiness.clone())?;
    let (bell, ear) = Bell::new();
    // Nothing is known of hashes yet, so there is one in flight for each thread.
    let admission = Admission::new(settings.queue_time_max, settings.hash_threads);
    let pace = Arc::new(HashPace::new(
        settings.hash_threads,
        admission.clone(),
        metrics.hash_seconds.clone(),
    ));
    let (accounts, joined) = open_accounts(settings, per_thread, pace, &bell, &readiness)?;
    let accounts = Arc::new(accounts);
    let member = ServerMember::new(&joined, Arc::new(SelfView(Arc::clone(&accounts))));
    let standing = member.standing();
    let mut keeper = Keeper::start(joined.holder, member, Arc::clone(&accounts.time))?;
    let (audit, opened_audit) = open_audit(settings)?;
    // Not before: to fronts, a port that nobody serves is worse than none.
    let listener = bind(settings.listen, NonZeroUsize::MIN)?;

    let heavy_size = LaneSize { threads: heavy_threads(settings), queue: settings.heavy_queue };
    let heavy = start_heavy(
        heavy_size,
        admission,
        in_flight_max(settings),
        Arc::clone(&accounts),
        metrics.clone(),
        audit.clone(),
    )?;
    let (light, light_workers) =
        start_lane("light", settings.light, Arc::clone(&accounts), metrics.clone(), audit.clone())?;
    let mut registry = ops.registry();
    for lane in accounts.hashers.stats() {
        registry.observe_lane(&lane);
    }
    registry.observe_lane(&heavy.lane.stats());
    registry.observe_lane(&heavy.finish);
    registry.observe_lane(&light.stats());
    observing::observe(&mut registry, &accounts, &audit);
    let sqlite_log = SqliteLog::of(&settings.store);
    sqlite_log.observe(&mut registry);
    drop(registry);

    let limits = Limits {
        connections_max,
        // All connections are of fronts, and there may be one front only.
        connections_per_address_max: connections_max,
        buffer_bytes_max: RPC_BUFFER_BYTES_MAX,
    };
    let lanes = Lanes { heavy: heavy.lane, light };
    let (accept_v1, hash_threads) = (settings.accept_v1, settings.hash_threads);
    let turns = Turns::new(FlowKeys::default(), Arc::clone(&accounts.token_keys));
    let rpc = reactor::start::<Conversation, _>("rpc", listener, limits, move |_, mailbox| Desk {
        mailbox,
        lanes: lanes.clone(),
        turns: turns.clone(),
        accept_v1,
        hash_threads,
        metrics: metrics.clone(),
        draining: false,
    })?;
    ops::observe_reactor(&mut ops.registry(), "rpc", &rpc.counters());

    let notes = Arc::clone(accounts.sessions.notes());
    let (store, time) = (|| Arc::clone(&accounts.store), || Arc::clone(&accounts.time));
    let note_writer = NoteWriter::start(store(), notes, time())?;
    let mut timekeeper = Timekeeper::start(time(), store(), TIME_ASK_INTERVAL)?;
    let mut janitor = Janitor::start(store(), time(), PURGE_INTERVAL)?;
    let (peppers, token_keys) = (Arc::clone(&accounts.peppers), Arc::clone(&accounts.token_keys));
    let mut refresher =
        Refresher::start(ear, peppers, token_keys, read_unlocks(settings, &accounts))?;
    let (keeping, stopping) = (Arc::clone(&accounts), Arc::clone(&accounts));
    let mut watch =
        Watch::start(observing::redis_pools(&accounts), move || keeping.sessions.make_up())?;
    let mut probe = Probe::start("probe", PROBE_INTERVAL, readiness.clone(), move || {
        sqlite_log.warn_if_long();
        accounts.health(clock::now() + PROBE_TIME_MAX).map_err(|error| error.to_string())?;
        standing.check()?;
        Ok(if !accounts.store.condition().takes_writes {
            Serves::Part("reads only: the store takes no writes")
        } else if accounts.ids.next(accounts.time.now().to_system_time()).is_err() {
            // After an outage of some seconds, until the node is renewed.
            Serves::Part("reads only: no ids can be made at present")
        } else {
            Serves::All
        })
    })?;

    let places = [("rpc", rpc.local_addr()), ("ops", ops.local_addr())];
    lifetime.listening(&Ready::new(PROGRAM.name(), places)?, Box::new(rpc.heartbeat()))?;
    let audit_writer = opened_audit.start()?;
    let (at, ops_at) = (rpc.local_addr(), ops.local_addr());
    rare!("once, at the start", INFO, rpc = %at, ops = %ops_at, build = %PROGRAM.build(), "listening");

    let reload = || {
        audit_writer.reopen();
        bell.ring();
    };
    let by = lifetime.serve(settings.stop_times, &readiness, reload, || rpc.drain());
    rare!("once, at the end", INFO, "stopping");
    probe.ask_to_end();
    watch.ask_to_end();
    timekeeper.ask_to_end();
    janitor.ask_to_end();
    refresher.ask_to_end();
    rpc.shut_down(by.grace());
    let [heavy_workers, finish_workers] = heavy.workers;
    by.join("heavy", heavy_workers);
    by.join("finish", finish_workers);
    by.join("light", light_workers);
    // Nobody ends sessions any more, and nobody will come back to it.
    stopping.sessions.make_up_at_last();
    // Nobody makes ids any more.
    keeper.ask_to_end();
    // Nothing is left that would add to them.
    audit_writer.stop(by.end_by);
    note_writer.stop(by.end_by);
    keeper.end_by(by.end_by);
    probe.end_by(by.end_by);
    watch.end_by(by.end_by);
    timekeeper.end_by(by.end_by);
    janitor.end_by(by.end_by);
    refresher.end_by(by.end_by);
    ops.shut_down(by.end_by);
    rare!("once, at the end", INFO, "stopped");
    Ok(())
}

/// Forgets failures at the accounts that operators have unlocked.
fn read_unlocks(settings: &Settings, accounts: &Accounts) -> impl FnMut() + Send + 'static {
    let (mut reader, guard) = (UnlockReader::of(&settings.data), Arc::clone(&accounts.guard));
    move || {
        reader.read_new(|username, addresses| {
            guard.unlock_here(username, addresses, clock::now());
            sparing!(INFO, "failures at an account are forgotten, because an operator unlocked it");
        });
    }
}

fn open_audit(settings: &Settings) -> Result<(Audit, OpenedAudit), AuditError> {
    let opened = Audit::open(&settings.audit, settings.audit_turning)?;
    rare!("once, at the start", INFO, to = %settings.audit, "audit log");
    // Made by this user, and not by the one who gives the first command.
    if let Err(error) = OperatorsLog::open(&settings.audit) {
        rare!("once, at the start", WARN, %error, "operators' commands cannot be told");
    }
    Ok(opened)
}

fn open_accounts(
    settings: &Settings,
    per_thread: NonZeroUsize,
    pace: Arc<HashPace>,
    bell: &Bell,
    readiness: &Readiness,
) -> Result<(Accounts, Joined), Box<dyn Error>> {
    let Rules { params, .. } = settings.rules;
    let [redis_of_sessions, redis_of_guesses] = [
        opening::redis_that_lets_us_in(settings, Use::Sessions)?,
        opening::redis_that_lets_us_in(settings, Use::Guesses)?,
    ];
    // After Redis, which frees nothing large, and before whatever does: from then on the allocator serves
    // large pieces from its heap, which it has to clear, and the limiter's tables would be resident at once.
    let guard = match redis_of_guesses {
        Some(redis) => Guard::sharing(settings.guard.clone(), redis)?,
        None => Guard::new(settings.guard.clone())?,
    };
    // The longest piece of work of a start. Everything up to the arenas goes on meanwhile.
    let (choice, threads) = (settings.hash_engine, settings.hash_threads);
    let engine = thread::Builder::new()
        .name("engines".to_owned())
        .spawn(move || choose_engine(choice, params, threads, per_thread))?;
    let Kept { store, time, peppers, token_keys } = open_store(settings, readiness)?;
    let [known, listing, lists] = [0; 3].map(|_| Arc::clone(&store));
    let [known_at, listed_at] = [0; 2].map(|_| Arc::clone(&time));
    let peppers = LiveRing::new(peppers, settings.pepper_keys.clone(), bell.clone(), move |ring| {
        let now_ms = known_at.now().ms();
        Ok(register::admit(ring, &*known, now_ms, clock::now() + STORE_CALL_TIME_MAX)?)
    });
    let token_keys =
        LiveRing::new(token_keys, settings.token_keys.clone(), bell.clone(), move |ring| {
            let now_ms = listed_at.now().ms();
            Ok(register::admit(ring, &*listing, now_ms, clock::now() + STORE_CALL_TIME_MAX)?)
        })
        .listed_by(move |id| {
            let rows = lists.keys(KeyList::TokenKeys, clock::now() + KEY_LOOKUP_TIME_MAX).ok()?;
            Some(rows.iter().any(|row| row.id == id.get()))
        });

    let (engine, made) = engine.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    // Two at a time only where that is faster, also if the fast engine was found wrong.
    let count = if engine.gains_from_two() { threads.saturating_mul(per_thread) } else { threads };
    let count = count.get();
    let kib = arenas_kib(params, count);
    let annex_kib = ANNEX_KIB_MAX;
    rare!(
        "once, at the start",
        INFO,
        %params,
        ?engine,
        arenas = count,
        kib,
        annex_kib,
        "memory for hashing"
    );
    let missing = count.saturating_sub(made.len());
    let arenas = Pool::new(
        ArenaManager::new(engine, params).with_made(made),
        pool::Config::new(count)?.without_liveness_check(),
    );
    // Nobody else has any yet, so this waits for the kernel alone.
    let deadline = clock::now() + ARENAS_TIME_MAX;
    prefill(&arenas, count, missing, deadline)?;
    let passwords = opening::password_rules(settings)?;
    // Last of what takes long: from here on somebody has to renew the node every few seconds.
    let joined = join_others(settings, &store, &time, readiness)?;
    let ids = joined.holder.ids();
    let decoy = if settings.uniform_auth_errors {
        let user_id = UserId::from(ids.next(time.now().to_system_time())?);
        let mut arena = arenas.acquire(deadline)?;
        Some(Decoy::new(user_id, params, &mut arena)?)
    } else {
        None
    };
    let hashers = Hashers::start(HashersOptions {
        arenas: arenas.clone(),
        annex: Annex::new(engine),
        threads,
        // Requests wait for their hashes without a thread; who finishes a login may have its record hashed anew.
        callers: in_flight_max(settings).saturating_add(heavy_threads(settings).get()),
        pace,
    })?;
    guard.follow(joined.guesses);
    let rules = joined.rules.clone();
    let accounts = Accounts {
        sessions: SessionKeeper::new(Arc::clone(&store), redis_of_sessions, rules),
        store,
        time,
        arenas,
        hashers,
        peppers: Arc::new(peppers),
        token_keys: Arc::new(token_keys),
        guard: Arc::new(guard),
        decoy,
        ids,
        passwords,
        upgrades: Upgrades::new(settings.rehash_rate),
        rules: settings.rules,
    };
    Ok((accounts, joined))
}

/// This server as it looks to the others.
struct SelfView(Arc<Accounts>);

impl View for SelfView {
    fn about(&self) -> String {
        let list = |keys: &[KeyId]| {
            keys.iter().map(|id| id.get().to_string()).collect::<Vec<_>>().join(", ")
        };
        let (peppers, token_keys) = (self.0.peppers.current(), self.0.token_keys.current());
        format!("peppers {}; token keys {}", list(&peppers.ids()), list(&token_keys.keys().ids()))
    }

    fn redis_run(&self) -> Option<String> {
        let redis = self.0.sessions.redis()?;
        let run = redis.run(clock::now() + REDIS_LOOK_TIME_MAX, |connection| {
            Ok(connection.instance().as_str().to_owned())
        });
        Some(run.unwrap_or_default())
    }

    fn follow(&self, guesses: GuardNumbers) {
        self.0.guard.follow(guesses);
    }
}

/// Which server this is. One that cannot keep a file for it is another one at each start, and takes another node.
fn instance(settings: &Settings) -> Result<Instance, Box<dyn Error>> {
    let found = opening::make_private_directory(&settings.data)
        .and_then(|()| Ok(Instance::of_server(&settings.data)?));
    found.or_else(|error| {
        let data = settings.data.display();
        rare!("once, at the start", WARN, %error, %data, "the file `instance` cannot be kept: after a kill this server is another one");
        Ok(Instance::of_nobody()?)
    })
}

/// A store, its clock and its keys.
struct Kept {
    store: Arc<dyn Store>,
    time: Arc<ServerTime>,
    peppers: PepperKeyring,
    token_keys: TokenKeyring,
}

/// The store, the peppers that its records are sealed under, and the keys that its sessions are signed under. Waits
/// without a limit while the store is away.
fn open_store(settings: &Settings, readiness: &Readiness) -> Result<Kept, Box<dyn Error>> {
    let lacking = if settings.migrates() { Lacking::Migrate } else { Lacking::MakeInEmpty };
    let place = &settings.store;
    let mut waiting = Waiting::for_store(readiness);
    let open = || {
        let deadline = clock::now() + STORE_CALL_TIME_MAX;
        // First: a copy is not brought up to date either.
        opening::check_in_use(settings)?;
        let Opened { store, migrated } = opening::store(settings, lacking, deadline)?;
        match migrated {
            None => {}
            Some(Migrated { from: 0, to }) => {
                let schema = to;
                rare!("once in the life of a store", WARN, %place, schema, "a NEW, EMPTY store was made");
            }
            Some(Migrated { from, to }) => {
                rare!("once a release", INFO, %place, from, to, "the store's schema was brought up to date");
            }
        }
        let soon = || clock::now() + STORE_CALL_TIME_MAX;
        let time = Arc::new(ServerTime::ask_first(&*store, soon())?);
        let now_ms = time.now().ms();
        let peppers = opening::peppers(settings, &*store, now_ms, soon())?;
        let token_keys = opening::token_keys(settings, &*store, now_ms, soon())?;
        Ok((store, time, peppers, token_keys))
    };
    let (store, time, peppers, token_keys) = opening::until_there(open, |cause| {
        waiting.tell(cause);
        true
    })?;
    Ok(Kept { store, time, peppers, token_keys })
}

/// Takes this server's place among others. Waits without a limit while the store is away.
fn join_others(
    settings: &Settings,
    store: &Arc<dyn Store>,
    time: &ServerTime,
    readiness: &Readiness,
) -> Result<Joined, Box<dyn Error>> {
    // From here on nobody else of this directory is this server.
    let instance = instance(settings)?;
    let identity = Arc::new(Identity { instance, serves: true, wish: settings.node });
    let per_user = settings.rules.sessions.per_user;
    let mut waiting = Waiting::for_store(readiness);
    let joined = opening::until_there(
        || join(store, time, &identity, &settings.shared, per_user),
        |cause| {
            waiting.tell(cause);
            true
        },
    )?;
    let (node, rules) = (joined.holder.node(), joined.rules.now());
    rare!("once, at the start", INFO, %node, ?rules, "goes by the settings of the database");
    Ok(joined)
}

/// A start that waits: tells the log when it begins to and once in a while, and whoever asks whether it is ready.
struct Waiting<'r> {
    readiness: &'r Readiness,
    since: Instant,
    told_at: Option<Instant>,
}

impl<'r> Waiting<'r> {
    fn for_store(readiness: &'r Readiness) -> Self {
        readiness.starting("it opens the store");
        Self { readiness, since: clock::now(), told_at: None }
    }

    fn tell(&mut self, cause: &Cause) {
        self.readiness.starting(&format!("it waits for the store: {cause}"));
        let now = clock::now();
        if self.told_at.is_some_and(|at| now < at + START_WAIT_LINE_INTERVAL) {
            return;
        }
        self.told_at = Some(now);
        let seconds = (now - self.since).as_secs();
        rare!("once a minute of a start", WARN, %cause, seconds, "waits for the store, as long as it takes");
    }
}

fn in_flight_max(settings: &Settings) -> NonZeroUsize {
    settings.hash_threads.saturating_mul(HASHES_IN_FLIGHT_PER_THREAD_MAX)
}

fn heavy_threads(settings: &Settings) -> NonZeroUsize {
    settings.hash_threads.saturating_mul(HEAVY_THREADS_PER_HASH)
}

/// Each arena that is `missing` is made by a thread of its own: the kernel has to clear the memory, which takes as
/// long as half a hash.
fn prefill(
    arenas: &Pool<ArenaManager>,
    count: usize,
    missing: usize,
    deadline: Instant,
) -> Result<(), Box<dyn Error>> {
    thread::scope(|scope| {
        let one = || arenas.prefill(count, deadline);
        let threads = (1..missing)
            .map(|_| thread::Builder::new().name("arenas".to_owned()).spawn_scoped(scope, one))
            .collect::<Result<Vec<_>, _>>()?;
        let mut made = one();
        for thread in threads {
            let other = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            made = made.and(other);
        }
        Ok(made?)
    })
}

/// How many hashes each thread computes at a time, if there is the memory for it.
fn check_memory(settings: &Settings) -> Result<NonZeroUsize, DoesNotFit> {
    let (params, memory) = (settings.rules.params, usable_memory());
    let per_thread = Needs::per_thread(settings, params, memory);
    let needs = Needs::of(settings, params, per_thread);
    needs.check(memory)?;
    if needs.leaves_no_annex(memory) {
        rare!(
            "once, at the start",
            WARN,
            %needs,
            annex_kib = ANNEX_KIB_MAX,
            "too little memory for imported hashes and old records that need more than an arena"
        );
    }
    Ok(per_thread)
}

/// The engine, and up to `arenas` of its arenas.
fn choose_engine(
    choice: EngineChoice,
    params: Params,
    threads: NonZeroUsize,
    per_thread: NonZeroUsize,
) -> (HashEngine, Vec<Arena>) {
    let in_twos = per_thread > NonZeroUsize::MIN && HashEngine::Simd.gains_from_two();
    let arenas = if in_twos { threads.saturating_mul(per_thread) } else { threads }.get();
    match choice {
        EngineChoice::Reference => (HashEngine::Reference, Vec::new()),
        EngineChoice::Auto => {
            HashEngine::fastest_correct(params, arenas, in_twos).unwrap_or_else(|fault| {
                rare!(
                    "once, at the start",
                    ERROR,
                    %fault,
                    "the fast hash engine is NOT used; logins cost up to twice the time"
                );
                (HashEngine::Reference, Vec::new())
            })
        }
    }
}

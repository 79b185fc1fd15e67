//! Both servers together, over one store.

use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use crate::error::Error;
use crate::limits::{HANG_GUARD, POLL_PAUSE};
use crate::process::{Waited, wait_for};
use crate::program::{Binaries, Program};
use crate::readiness::status;
use crate::recipe::{Environment, Log, Recipe};
use crate::scratch::Scratch;
use crate::server::Server;

/// Hashing that costs nothing to speak of, for tests that are not about hashing. The policy of
/// auth_back refuses it without the second flag.
const CHEAP_ARGON2: [&str; 3] = ["--argon2", "m=8,t=1,p=1", "--allow-weak-argon2"];

/// Longer than any wait of a test.
const QUEUE_TIME_MAX: [&str; 2] = ["--queue-time-max", "60s"];

/// Running servers, their store and their scratch directory. Dropping it ends and removes all.
#[derive(Debug)]
pub struct System {
    fronts: Vec<Server>,
    auths: Vec<Server>,
    interrupt: Option<Arc<UnixStream>>,
    // After the servers: they are dropped in the order of declaration, and still write.
    _store: Store,
    data: PathBuf,
    scratch: Scratch,
    store_url: String,
}

/// Where users and sessions are kept.
#[derive(Debug)]
pub enum Store {
    /// A file in the scratch directory.
    Sqlite,
    /// A database of its own on a MariaDB server.
    #[cfg(feature = "database")]
    MariaDb(crate::database::Database),
    /// What `--store` takes.
    At(String),
    /// Where the servers' own settings say.
    AsSet,
}

/// What is to be started. See [`System::builder`] and [`System::plain`].
#[derive(Debug)]
pub struct Builder {
    store: Store,
    data: Option<PathBuf>,
    fronts: usize,
    auths: usize,
    foreign_auth: Option<SocketAddr>,
    cheap_hashing: bool,
    front: Recipe,
    auth: Recipe,
}

impl System {
    /// One server of each kind, SQLite, cheap hashing.
    #[must_use]
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// The same, to be changed before it starts. For tests: the servers see no settings of the environment,
    /// log to files, and are those of [`Binaries::of_tests`].
    #[must_use]
    pub fn builder() -> Builder {
        let recipe = |program| Recipe::for_test(program, PathBuf::new());
        Builder {
            store: Store::Sqlite,
            data: None,
            fronts: 1,
            auths: 1,
            foreign_auth: None,
            cheap_hashing: true,
            front: recipe(Program::HttpFront),
            auth: recipe(Program::AuthBack),
        }
    }

    /// One server of each kind as an operator starts them: with the settings that the environment has, their
    /// logs on standard error, and their data under `data`.
    #[must_use]
    pub fn plain(binaries: &Binaries, data: PathBuf) -> Builder {
        let recipe = |program| Recipe::plain(program, binaries.clone());
        Builder {
            store: Store::AsSet,
            data: Some(data),
            fronts: 1,
            auths: 1,
            foreign_auth: None,
            cheap_hashing: false,
            front: recipe(Program::HttpFront),
            auth: recipe(Program::AuthBack),
        }
    }

    /// The http_front, or the first of several.
    #[must_use]
    pub fn front(&mut self) -> &mut Server {
        &mut self.fronts[0]
    }

    /// The auth_back, or the first of several.
    #[must_use]
    pub fn auth(&mut self) -> &mut Server {
        &mut self.auths[0]
    }

    /// Every http_front.
    #[must_use]
    pub fn fronts(&mut self) -> &mut [Server] {
        &mut self.fronts
    }

    /// Every auth_back.
    #[must_use]
    pub fn auths(&mut self) -> &mut [Server] {
        &mut self.auths
    }

    pub(crate) fn first_auth(&self) -> &Server {
        &self.auths[0]
    }

    /// Where the http_front with this index serves.
    #[must_use]
    pub fn front_address(&self, front: usize) -> SocketAddr {
        self.fronts[front].address()
    }

    /// Where the first auth_back serves.
    #[must_use]
    pub fn auth_address(&self) -> SocketAddr {
        self.auths[0].address()
    }

    /// A directory that goes when the system does.
    #[must_use]
    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// Where the auth servers keep their keys.
    #[must_use]
    pub fn keys(&self) -> PathBuf {
        self.data.join("keys")
    }

    /// The store, as `--store` names it.
    #[must_use]
    pub fn store_url(&self) -> &str {
        &self.store_url
    }

    /// Waits until every http_front can serve.
    pub fn until_ready(&self) {
        self.try_until_ready().unwrap_or_else(|error| panic!("{error}"));
    }

    fn try_until_ready(&self) -> Result<(), Error> {
        let give_up = Instant::now() + HANG_GUARD;
        for front in &self.fronts {
            while !status(front.ops_address(), "/readyz").is_ok_and(|status| status == 200) {
                self.check_all_run()?;
                let program = "the system".to_owned();
                if Instant::now() >= give_up {
                    let seconds = HANG_GUARD.as_secs();
                    return Err(Error::NotReady { program, seconds, log: String::new() });
                }
                let interrupt = self.interrupt.as_ref().map(|interrupt| interrupt.as_fd());
                let pause = Some(Instant::now() + POLL_PAUSE);
                if let Ok(Waited::Ready(_)) = wait_for(interrupt.as_slice(), pause) {
                    return Err(Error::Interrupted { program });
                }
            }
        }
        Ok(())
    }

    /// Whether no server has ended by itself.
    ///
    /// # Errors
    ///
    /// When one has.
    pub fn check_all_run(&self) -> Result<(), Error> {
        match self.servers().find(|server| server.has_ended()) {
            None => Ok(()),
            Some(server) => Err(Error::Ended { program: server.program().name().to_owned() }),
        }
    }

    /// Every server.
    pub fn servers(&self) -> impl Iterator<Item = &Server> {
        self.auths.iter().chain(&self.fronts)
    }

    /// Asks all to stop, in order: first the fronts, which finish what they have begun with auth_back's
    /// help. Blocks for as long as that takes. Whether all ended well.
    pub fn stop(&mut self) -> bool {
        let mut well = true;
        for server in self.fronts.iter_mut().chain(&mut self.auths) {
            well &= server.stop_patiently().is_none_or(|status| status.success());
        }
        well
    }
}

impl Builder {
    /// Keeps users and sessions in `store`.
    #[must_use]
    pub fn store(self, store: Store) -> Self {
        Self { store, ..self }
    }

    /// Starts this many fronts.
    #[must_use]
    pub fn fronts(self, fronts: usize) -> Self {
        Self { fronts, ..self }
    }

    /// Starts this many auth servers, over one store and one set of keys.
    #[must_use]
    pub fn auths(self, auths: usize) -> Self {
        Self { auths, ..self }
    }

    /// Starts no auth_back and sends every http_front to the one at `address`.
    #[must_use]
    pub fn foreign_auth(self, address: SocketAddr) -> Self {
        Self { auths: 0, foreign_auth: Some(address), ..self }
    }

    /// Hashes passwords at the strength that is the default.
    #[must_use]
    pub fn default_hashing(self) -> Self {
        Self { cheap_hashing: false, ..self }
    }

    /// Adds flags to every http_front.
    #[must_use]
    pub fn front_flags(mut self, flags: &[&str]) -> Self {
        self.front.flags.extend(flags.iter().copied().map(ToOwned::to_owned));
        self
    }

    /// Adds flags to every auth_back.
    #[must_use]
    pub fn auth_flags(mut self, flags: &[&str]) -> Self {
        self.auth.flags.extend(flags.iter().copied().map(ToOwned::to_owned));
        self
    }

    /// Has every http_front be one of these.
    #[must_use]
    pub fn front_binaries(mut self, binaries: &Binaries) -> Self {
        self.front.binaries = binaries.clone();
        self
    }

    /// Has every auth_back be one of these.
    #[must_use]
    pub fn auth_binaries(mut self, binaries: &Binaries) -> Self {
        self.auth.binaries = binaries.clone();
        self
    }

    /// Lets every http_front open this many files, sockets among them.
    #[must_use]
    pub fn front_open_files(mut self, files: u32) -> Self {
        self.front.open_files = Some(files);
        self
    }

    /// Lets every auth_back open this many files, sockets among them.
    #[must_use]
    pub fn auth_open_files(mut self, files: u32) -> Self {
        self.auth.open_files = Some(files);
        self
    }

    /// Lets every auth_back outlive [`Server::limit_files`].
    #[must_use]
    pub fn auth_outlives_file_limit(mut self) -> Self {
        self.auth.outlives_file_limit = true;
        self
    }

    /// Where every http_front serves, and where its operations listener is.
    #[must_use]
    pub fn front_listens(mut self, listen: Option<String>, ops_listen: Option<String>) -> Self {
        (self.front.listen, self.front.ops_listen) = (listen, ops_listen);
        self
    }

    /// The same of every auth_back.
    #[must_use]
    pub fn auth_listens(mut self, listen: Option<String>, ops_listen: Option<String>) -> Self {
        (self.auth.listen, self.auth.ops_listen) = (listen, ops_listen);
        self
    }

    /// Has every auth_back keep its keys and its SQLite file under `data`, which outlives the system.
    #[must_use]
    pub fn data(self, data: PathBuf) -> Self {
        let store = Store::At(format!("sqlite:{}", data.join("users.sqlite").display()));
        Self { store, data: Some(data), ..self }
    }

    /// Puts these words before every server's command line.
    #[must_use]
    pub fn wrapper(mut self, words: &[String]) -> Self {
        self.front.wrapper = words.to_vec();
        self.auth.wrapper = words.to_vec();
        self
    }

    /// Gives the start up, stopping in order what has been started, when this becomes readable.
    #[must_use]
    pub fn interrupted_by(mut self, interrupt: &Arc<UnixStream>) -> Self {
        self.front.interrupt = Some(Arc::clone(interrupt));
        self.auth.interrupt = Some(Arc::clone(interrupt));
        self
    }

    /// Starts everything and waits until it can serve.
    #[must_use]
    pub fn start(self) -> System {
        self.try_start().unwrap_or_else(|error| panic!("{error}"))
    }

    /// Starts everything and waits until it can serve.
    ///
    /// # Errors
    ///
    /// When a server does not start or is not ready, or the start was interrupted. Nothing of it runs then.
    pub fn try_start(mut self) -> Result<System, Error> {
        let scratch = Scratch::new("system")?;
        let store = std::mem::replace(&mut self.store, Store::AsSet);
        let store_url = match &store {
            Store::Sqlite => format!("sqlite:{}", scratch.at("gatehouse.db")),
            #[cfg(feature = "database")]
            Store::MariaDb(database) => database.url().to_owned(),
            Store::At(url) => url.clone(),
            Store::AsSet => String::new(),
        };
        let mut system = System {
            fronts: Vec::new(),
            auths: Vec::new(),
            interrupt: self.front.interrupt.clone(),
            _store: store,
            data: self.data.take().unwrap_or_else(|| scratch.path().join("data")),
            scratch,
            store_url,
        };
        let started = self.start_servers(&mut system);
        // What hangs would not stop either, and is killed.
        if matches!(&started, Err(error) if !matches!(error, Error::NotReady { .. })) {
            system.stop();
        }
        started.map(|()| system)
    }

    fn start_servers(&self, system: &mut System) -> Result<(), Error> {
        for number in 0..self.auths {
            let server = Server::start(self.auth_recipe(number, system))?;
            system.auths.push(server);
        }
        let addresses = system.auths.iter().map(Server::address).chain(self.foreign_auth);
        let addresses: Vec<_> = addresses.map(|address| address.to_string()).collect();
        for number in 0..self.fronts {
            let own = ["--auth".to_owned(), addresses.join(",")];
            let server = Server::start(started_as(&self.front, number, own.into(), system))?;
            system.fronts.push(server);
        }
        system.try_until_ready()
    }

    fn auth_recipe(&self, number: usize, system: &System) -> Recipe {
        let mut own = vec!["--data".to_owned(), system.data.display().to_string()];
        if !system.store_url.is_empty() {
            own.extend(["--store".to_owned(), system.store_url.clone()]);
        }
        if self.cheap_hashing {
            own.extend(CHEAP_ARGON2.map(ToOwned::to_owned));
        }
        started_as(&self.auth, number, own, system)
    }
}

/// The recipe of one of several servers, with these flags before those that all of them have.
fn started_as(recipe: &Recipe, number: usize, mut own: Vec<String>, system: &System) -> Recipe {
    let log = match &recipe.log {
        Log::Inherited => Log::Inherited,
        Log::File(_) => {
            let name = format!("{}_{number}.log", recipe.program.name());
            Log::File(system.scratch().join(name))
        }
    };
    // How fast this machine hashes beside all other tests decides no test, unless it is about that.
    let is_set = recipe.flags.iter().any(|flag| flag == QUEUE_TIME_MAX[0]);
    if recipe.environment == Environment::WithoutSettings && !is_set {
        own.extend(QUEUE_TIME_MAX.map(ToOwned::to_owned));
    }
    own.extend_from_slice(&recipe.flags);
    Recipe { flags: own, log, ..recipe.clone() }
}

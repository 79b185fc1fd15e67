//! Both servers together, over one store.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::{
    binaries::Program,
    client::Client,
    mariadb::Database,
    raw::RawConnection,
    server::{Recipe, Server},
    wait::until,
};

/// Hashing that costs nothing to speak of, for tests that are not about hashing. The policy of
/// auth_back refuses it without the second flag.
const CHEAP_ARGON2: [&str; 3] = ["--argon2", "m=8,t=1,p=1", "--allow-weak-argon2"];

/// Running servers, their store and their scratch directory. Dropping it ends and removes all.
#[derive(Debug)]
pub struct System {
    fronts: Vec<Server>,
    auths: Vec<Server>,
    // After the servers: they are dropped in the order of declaration, and still write.
    _database: Option<Database>,
    scratch: TempDir,
    store_url: String,
}

/// Where users and sessions are kept.
#[derive(Debug)]
pub enum Store {
    /// A file in the scratch directory.
    Sqlite,
    /// A database of its own on a MariaDB server.
    MariaDb(Database),
}

/// What is to be started. See [`System::builder`].
#[derive(Debug)]
pub struct Builder {
    store: Store,
    fronts: usize,
    auths: usize,
    foreign_auth: Option<SocketAddr>,
    cheap_hashing: bool,
    front_flags: Vec<String>,
    auth_flags: Vec<String>,
    front_open_files: Option<u32>,
    auth_open_files: Option<u32>,
}

impl System {
    /// One server of each kind, SQLite, cheap hashing.
    #[must_use]
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// The same, to be changed before it starts.
    #[must_use]
    pub fn builder() -> Builder {
        Builder {
            store: Store::Sqlite,
            fronts: 1,
            auths: 1,
            foreign_auth: None,
            cheap_hashing: true,
            front_flags: Vec::new(),
            auth_flags: Vec::new(),
            front_open_files: None,
            auth_open_files: None,
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

    /// A user of the first http_front.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client_of(0)
    }

    /// A user of the http_front with this index.
    #[must_use]
    pub fn client_of(&self, front: usize) -> Client {
        Client::new(self.fronts[front].address())
    }

    /// A bare connection to the first http_front.
    #[must_use]
    pub fn raw_http(&self) -> RawConnection {
        RawConnection::open(self.fronts[0].address())
    }

    /// A bare connection to the first auth_back.
    #[must_use]
    pub fn raw_auth(&self) -> RawConnection {
        RawConnection::open(self.auths[0].address())
    }

    /// A directory that goes when the system does.
    #[must_use]
    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// Where the auth servers keep their keys.
    #[must_use]
    pub fn keys(&self) -> PathBuf {
        self.scratch().join("data").join("keys")
    }

    /// The store, as `--store` names it.
    #[must_use]
    pub fn store_url(&self) -> &str {
        &self.store_url
    }

    /// Waits until every http_front can serve.
    pub fn until_ready(&self) {
        for front in &self.fronts {
            let ops = front.ops();
            until("readiness", || (ops.try_get("/readyz", None).ok()?.status == 200).then_some(()));
        }
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

    /// Starts this many auth servers, over one store and one set of keys, each a node of its own.
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
        self.front_flags.extend(flags.iter().copied().map(ToOwned::to_owned));
        self
    }

    /// Adds flags to every auth_back.
    #[must_use]
    pub fn auth_flags(mut self, flags: &[&str]) -> Self {
        self.auth_flags.extend(flags.iter().copied().map(ToOwned::to_owned));
        self
    }

    /// Lets every http_front open this many files, sockets among them.
    #[must_use]
    pub fn front_open_files(self, files: u32) -> Self {
        Self { front_open_files: Some(files), ..self }
    }

    /// Lets every auth_back open this many files, sockets among them.
    #[must_use]
    pub fn auth_open_files(self, files: u32) -> Self {
        Self { auth_open_files: Some(files), ..self }
    }

    /// Starts everything and waits until it can serve.
    #[must_use]
    pub fn start(self) -> System {
        let scratch = tempfile::tempdir().expect("a scratch directory can be made");
        let at = |name: &str| scratch.path().join(name);
        let (url, database) = match self.store {
            Store::Sqlite => (format!("sqlite:{}", at("gatehouse.db").display()), None),
            Store::MariaDb(database) => (database.url().to_owned(), Some(database)),
        };
        let start_auth = |number: usize| {
            let mut recipe = Recipe::new(Program::AuthBack, at(&format!("auth_back_{number}.log")));
            let data = at("data").display().to_string();
            let node = format!("0.{number}");
            let own = ["--data", &data, "--store", &url, "--node", &node];
            recipe.flags = own.map(ToOwned::to_owned).to_vec();
            if self.cheap_hashing {
                recipe.flags.extend(CHEAP_ARGON2.map(ToOwned::to_owned));
            }
            recipe.flags.extend_from_slice(&self.auth_flags);
            recipe.open_files = self.auth_open_files;
            Server::start(recipe)
        };
        let auths: Vec<Server> = (0..self.auths).map(start_auth).collect();
        let addresses = auths.iter().map(Server::address).chain(self.foreign_auth);
        let addresses: Vec<String> = addresses.map(|address| address.to_string()).collect();
        let start_front = |number: usize| {
            let log = at(&format!("http_front_{number}.log"));
            let mut recipe = Recipe::new(Program::HttpFront, log);
            recipe.flags = vec!["--auth".to_owned(), addresses.join(",")];
            recipe.flags.extend_from_slice(&self.front_flags);
            recipe.open_files = self.front_open_files;
            Server::start(recipe)
        };
        let fronts = (0..self.fronts).map(start_front).collect();
        let system = System { fronts, auths, _database: database, scratch, store_url: url };
        system.until_ready();
        system
    }
}

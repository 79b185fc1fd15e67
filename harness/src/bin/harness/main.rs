//! The harness for shells and for Python: starts what its first word says, tells where it is, and keeps it
//! until it is asked to stop.

mod failure;
mod keep;
mod options;

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use harness::{Binaries, Error, MariaDb, Program, Recipe, Redis, Scratch, Server, Store, System};

use failure::Failure;
use keep::{Kept, Owner, write_out};
use options::Options;

const USAGE: &str = "\
Starts private servers and keeps them until standard input is closed or a signal comes.

  harness mariadb [FLAG...]     a MariaDB with an empty database `gatehouse`
  harness redis [FLAG...]       a Redis that keeps nothing
  harness system [--store sqlite|mysql] [--sessions store|redis] [--data DIRECTORY] [--wrap WORD]...
                                both servers of Gatehouse, from the directory that this program is in
  harness server http_front|auth_back [FLAG...]
                                one of them

All of it is on ports of the system's choice, and in a directory that is removed at the end. FLAGs go to the
server. The servers of Gatehouse take settings from the environment too, and log to standard error. WORDs come
before their command lines.

Standard output gets a line KEY=VALUE for each thing to know once all of it serves, and is closed then. SIGINT,
SIGTERM, SIGHUP and the end of standard input stop it in order, with exit code 0. When something ends by
itself, the rest is stopped, and the exit code is 1. It is 2 for words that are not understood.

  harness run --data DIRECTORY [--http-listen A] [--ops-listen A] [--auth-listen A] [--auth-ops-listen A]

is what ./run calls: both servers where they are by default, and one line, `ready http://ADDRESS`. Standard
input is left alone.
";

/// Where a server is to be that nobody knows yet.
const ANY_PORT: &str = "127.0.0.1:0";

/// More than the default of 151, which a store with many connections reaches.
const MARIADB_CONNECTIONS: &str = "--max-connections=500";

fn main() -> ExitCode {
    let mut words = env::args().skip(1);
    let command = words.next().unwrap_or_default();
    match run(&command, words.collect()) {
        Ok(()) | Err(Failure::Error(Error::Interrupted { .. })) => ExitCode::SUCCESS,
        Err(failure) => {
            let speaker = if command == "run" { "run" } else { "harness" };
            eprintln!("{speaker}: {failure}");
            ExitCode::from(if matches!(failure, Failure::Usage(_)) { 2 } else { 1 })
        }
    }
}

fn run(command: &str, words: Vec<String>) -> Result<(), Failure> {
    match command {
        "mariadb" => {
            let owner = Owner::with_input()?;
            let flags = [MARIADB_CONNECTIONS.to_owned()].into_iter().chain(words).collect();
            let mut kept = Kept::default();
            kept.keep_mariadb(MariaDb::start_with(flags)?, "");
            kept.tell()?;
            kept.until_asked(&owner)
        }
        "redis" => {
            let owner = Owner::with_input()?;
            let mut kept = Kept::default();
            kept.keep_redis(Redis::start_with(words)?, "");
            kept.tell()?;
            kept.until_asked(&owner)
        }
        "system" => {
            let options = Options::parse(words, &["--store", "--sessions", "--data", "--wrap"])?;
            private_system(&options)
        }
        "server" => one_server(words),
        "run" => {
            let known =
                ["--data", "--http-listen", "--ops-listen", "--auth-listen", "--auth-ops-listen"];
            as_an_operator(&Options::parse(words, &known)?)
        }
        "--help" => Ok(write_out(USAGE)?),
        other => Err(Failure::Usage(format!("no such command: {other:?}"))),
    }
}

/// Both servers and what they need, for those who measure.
fn private_system(options: &Options) -> Result<(), Failure> {
    let owner = Owner::with_input()?;
    let mut kept = Kept::default();
    let store = match options.one("--store").unwrap_or("sqlite") {
        "sqlite" => Store::AsSet,
        "mysql" => {
            let server = MariaDb::start_with(vec![MARIADB_CONNECTIONS.to_owned()])?;
            let store = Store::At(format!("{}/gatehouse", server.url()));
            kept.keep_mariadb(server, "mariadb_");
            store
        }
        other => return Err(Failure::Usage(format!("--store is sqlite or mysql, not {other:?}"))),
    };
    let mut sessions = Vec::new();
    match options.one("--sessions").unwrap_or("store") {
        "store" => {}
        "redis" => {
            let server = Redis::start_with(Vec::new())?;
            sessions = vec!["--sessions".to_owned(), server.url()];
            kept.keep_redis(server, "redis_");
        }
        other => {
            return Err(Failure::Usage(format!("--sessions is store or redis, not {other:?}")));
        }
    }
    let scratch = Scratch::new("data")?;
    let data = options.one("--data").map_or_else(|| scratch.path().to_owned(), PathBuf::from);
    let any_port = || Some(ANY_PORT.to_owned());
    let system = System::plain(&Binaries::beside_this_program()?, data)
        .store(store)
        .auth_flags(&sessions.iter().map(String::as_str).collect::<Vec<_>>())
        .front_listens(any_port(), any_port())
        .auth_listens(any_port(), any_port())
        .wrapper(&options.all("--wrap"))
        .interrupted_by(owner.signals())
        .try_start()?;
    kept.keep_system(system);
    kept.tell()?;
    kept.until_asked(&owner)
}

/// One server alone, which need not be ready: a front without an auth_back never is.
fn one_server(words: Vec<String>) -> Result<(), Failure> {
    let owner = Owner::with_input()?;
    let mut words = words.into_iter();
    let name = words.next().unwrap_or_default();
    let program = [Program::HttpFront, Program::AuthBack].into_iter().find(|it| it.name() == name);
    let program = program.ok_or_else(|| {
        Failure::Usage(format!("a server is http_front or auth_back, not {name:?}"))
    })?;
    let recipe = Recipe {
        listen: Some(ANY_PORT.to_owned()),
        ops_listen: Some(ANY_PORT.to_owned()),
        flags: words.collect(),
        interrupt: Some(owner.signals().clone()),
        ..Recipe::plain(program, Binaries::beside_this_program()?)
    };
    let mut kept = Kept::default();
    kept.keep_server(Server::start(recipe)?);
    kept.tell()?;
    kept.until_asked(&owner)
}

/// Both servers as `./run` promises them.
fn as_an_operator(options: &Options) -> Result<(), Failure> {
    let owner = Owner::without_input()?;
    let data = options.one("--data");
    let data = data.ok_or_else(|| Failure::Usage("--data is needed".to_owned()))?;
    let listen = |option| options.one(option).map(str::to_owned);
    let system = System::plain(&Binaries::beside_this_program()?, PathBuf::from(data))
        .front_listens(listen("--http-listen"), listen("--ops-listen"))
        .auth_listens(listen("--auth-listen"), listen("--auth-ops-listen"))
        .interrupted_by(owner.signals())
        .try_start()?;
    write_out(&format!("ready http://{}\n", system.front_address(0)))?;
    let mut kept = Kept::default();
    kept.keep_system(system);
    kept.until_asked(&owner)
}

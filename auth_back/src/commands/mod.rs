//! What an operator can have this program do instead of serving: its subcommands.
//!
//! Each is one entry of `COMMANDS` and one file here. They take the same settings as the server,
//! by flag, variable and file, so `auth_back --config FILE COMMAND` works on what the server with that
//! file works on. What a command finds goes to standard output, everything else to standard error.

mod backup;
mod breached;
mod calibrate;
mod confirm;
mod deployment;
mod export;
mod import;
mod interrupt;
mod keys;
mod migrate;
mod node;
mod pepper;
mod progress;
mod restored;
mod token_key;
mod user;
mod users_file;

use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::{ArgMatches, Command};
use credentials::KeysError;
use ownership::{self, MixedOwners, NotTheOwner};
use server_time::ServerTime;
use service::process::{self, Exit, Failure};
use service::signals;
use store::{Store, StoreError, StoreUrl};

use self::backup::OtherTools;
use self::confirm::Unconfirmed;
use self::deployment::Unsettable;
use self::interrupt::Interrupted;
use self::restored::{KeysLacking, StillRunning};
use crate::audit::{AuditTarget, OperatorsLog};
use crate::installation::deployment::look;
use crate::limits::{COMMAND_STORE_PATIENCE, COMMAND_STORE_RETRY, STORE_PATIENCE, STORE_RETRY};
use crate::opening::{self, Lacking, Opened};
use crate::server::serve;
use crate::settings::{PROGRAM, Settings, SharedRules};

/// A subcommand.
struct Subcommand {
    /// Its name, its arguments and its help.
    command: fn() -> Command,
    /// Does it. Blocks until it is done.
    run: fn(&ArgMatches, &Settings) -> Done,
    /// What the audit log has to know of it.
    telling: fn(&ArgMatches) -> Telling,
}

/// What the audit log has to know of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Telling {
    /// Nothing: it neither reads nor changes what the server works on.
    No,
    /// What came of it. It changes nothing, so it is done also where that cannot be told.
    After,
    /// That it begins, before it does, and what came of it. It changes something, or hands out what is worth an
    /// attack: where it cannot be told, it is not done.
    Before,
}

/// How a command ended; the error is for the operator to read.
type Done = Result<(), Box<dyn Error>>;

const COMMANDS: &[Subcommand] = &[
    backup::COMMAND,
    restored::COMMAND,
    breached::COMMAND,
    migrate::COMMAND,
    user::COMMAND,
    import::COMMAND,
    export::COMMAND,
    pepper::COMMAND,
    token_key::COMMAND,
    deployment::COMMAND,
    calibrate::COMMAND,
];

/// What commands call the argument that says which user they are about.
const USERNAME: &str = "username";

/// Runs the program: serves until a signal says to stop or, given a subcommand, does that.
#[must_use]
pub fn main() -> ExitCode {
    let commands = COMMANDS.iter().map(|subcommand| (subcommand.command)());
    process::run(
        &PROGRAM,
        PROGRAM.command().subcommands(commands),
        Settings::read,
        |raw, settings| match raw.subcommand() {
            None => serve(raw, settings).map_err(|error| {
                Failure::new(opening::exit_of(&*error).unwrap_or(Exit::Refused), error)
            }),
            Some((name, arguments)) => run(name, arguments, settings).map_err(|error| {
                let exit = opening::exit_of(&*error).or_else(|| exit_of(&*error));
                Failure::new(exit.unwrap_or(Exit::Failed), error)
            }),
        },
    )
}

fn run(name: &str, arguments: &ArgMatches, settings: &Settings) -> Done {
    process::prepare(settings.core_dumps);
    signals::outlive_hangups()?;
    let known = COMMANDS.iter().find(|known| (known.command)().get_name() == name);
    let command = known.expect("the parser takes no others");
    let telling = (command.telling)(arguments);
    if telling == Telling::No {
        return (command.run)(arguments, settings);
    }
    check_owners(settings)?;
    // Before the audit log is opened, which would leave a file in a place that was mistyped.
    if name == migrate::NAME {
        opening::make_private_directory(&settings.data)?;
    } else {
        opening::check_place(settings)?;
    }
    tell_around(&settings.audit, &words(name, arguments), telling, || {
        (command.run)(arguments, settings)
    })
}

/// Refuses whoever would leave files behind that the server cannot read.
fn check_owners(settings: &Settings) -> Result<(), NotTheOwner> {
    if let StoreUrl::Sqlite(path) = &settings.store {
        ownership::check_works_on(path, &settings.data)?;
    }
    OperatorsLog::check_owner(&settings.audit)
}

/// Of an error because the command was given by the wrong user or without an answer, or was stopped, how the process
/// ends.
fn exit_of(error: &(dyn Error + 'static)) -> Option<Exit> {
    if let Some(interrupted) = error.downcast_ref::<Interrupted>() {
        return Some(interrupted.exit());
    }
    if error.is::<user::RedisAway>() {
        return Some(Exit::TryAgain);
    }
    let is_refused = matches!(error.downcast_ref(), Some(KeysError::Owner(_)))
        || matches!(error.downcast_ref(), Some(Unconfirmed::NobodyToAsk))
        || error.is::<Unsettable>()
        || error.is::<NotTheOwner>()
        || error.is::<OtherTools>()
        || error.is::<StillRunning>()
        || error.is::<KeysLacking>()
        || error.is::<MixedOwners>();
    is_refused.then_some(Exit::Refused)
}

/// Does what a command does, and tells the audit log of it as `telling` says.
fn tell_around(
    target: &AuditTarget,
    words: &str,
    telling: Telling,
    run: impl FnOnce() -> Done,
) -> Done {
    let uid = rustix::process::getuid().as_raw();
    let log = OperatorsLog::open(target).and_then(|mut log| {
        if telling == Telling::Before {
            log.tell(words, uid, "begun")?;
        }
        Ok(log)
    });
    let log = match log {
        Ok(log) => Some(log),
        Err(why) if telling == Telling::Before => {
            return Err(format!("nothing was done, because {why}. {WAYS_OUT}").into());
        }
        Err(why) => {
            tell(&format!("what is done here is not told: {why}"));
            None
        }
    };
    let done = run();
    let outcome = match &done {
        Ok(()) => "ok",
        Err(error) if error.is::<Interrupted>() => "interrupted",
        Err(_) => "failed",
    };
    match log.map_or(Ok(()), |mut log| log.tell(words, uid, outcome)) {
        Err(why) if done.is_ok() && telling == Telling::Before => {
            Err(format!("it is done, but its end is not told: {why}").into())
        }
        Err(why) => {
            tell(&format!("its end is not told: {why}"));
            done
        }
        Ok(()) => done,
    }
}

/// What an operator can do whose command cannot be told.
const WAYS_OUT: &str =
    "Make room or mend its rights; or give --audit - to have its lines on standard error";

/// Of a command with subcommands, the ones that only read are told afterwards.
fn before_unless(arguments: &ArgMatches, reading: &[&str]) -> Telling {
    match arguments.subcommand_name() {
        Some(name) if reading.contains(&name) => Telling::After,
        _ => Telling::Before,
    }
}

/// The command as the audit log tells it: its words, and the user that it was about. No other argument:
/// one might be a secret some day.
fn words(name: &str, arguments: &ArgMatches) -> String {
    let mut words = name.to_owned();
    let mut arguments = arguments;
    while let Some((next, inner)) = arguments.subcommand() {
        words.push(' ');
        words.push_str(next);
        arguments = inner;
    }
    if let Ok(Some(username)) = arguments.try_get_one::<String>(USERNAME) {
        words.push(' ');
        words.push_str(username);
    }
    words
}

/// Prints a line of what a command found. `println!` would panic when the reader (`| head -1`) has gone.
fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}

/// Says something to the operator, on standard error. It may be closed; the exit code says what matters.
fn tell(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Opens the store as it is, and says so when it has to wait for it.
fn open_store(settings: &Settings) -> Result<Arc<dyn Store>, Box<dyn Error>> {
    open_store_that(settings, Lacking::Refuse).map(|opened| opened.store)
}

fn open_store_that(settings: &Settings, lacking: Lacking) -> Result<Opened, Box<dyn Error>> {
    let (deadline, mut told) = (store_deadline(), String::new());
    opening::until_there(
        || opening::store(settings, lacking, deadline),
        |cause| {
            let cause = cause.to_string();
            if cause != told {
                let seconds = STORE_PATIENCE.as_secs();
                tell(&format!(
                    "the store cannot be used yet, trying again for {seconds} s: {cause}"
                ));
                told = cause;
            }
            clock::now() + STORE_RETRY < deadline
        },
    )
}

/// What all servers do alike: the database says so, whatever this command was given.
fn rules_of(settings: &Settings, store: &dyn Store) -> Result<SharedRules, Box<dyn Error>> {
    let per_user = settings.rules.sessions.per_user;
    let (rules, differing) = look(store, &settings.shared, per_user)?;
    for one in differing {
        tell(&format!("{one}: the database counts"));
    }
    Ok(rules)
}

/// When a command stops waiting for the store to come up.
fn store_deadline() -> Instant {
    clock::now() + STORE_PATIENCE
}

/// Calls the store, and again for a while when it is away. For calls that may be made twice.
fn patiently<T>(mut call: impl FnMut(Instant) -> Result<T, StoreError>) -> Result<T, StoreError> {
    let deadline = clock::now() + COMMAND_STORE_PATIENCE;
    loop {
        match call(deadline) {
            Err(StoreError::Unavailable(cause))
                if clock::now() + COMMAND_STORE_RETRY < deadline
                    && interrupt::signal().is_none() =>
            {
                tell(&format!("the store is away, trying again: {cause}"));
                interrupt::sleep(COMMAND_STORE_RETRY);
            }
            outcome => return outcome,
        }
    }
}

/// What time the store has: the wall clock of whose machine a command runs on decides nothing.
fn store_ms(store: &dyn Store) -> Result<u64, StoreError> {
    patiently(|deadline| store.time(deadline))
}

/// The same, for a command that goes on for longer.
fn server_time(store: &dyn Store) -> Result<Arc<ServerTime>, StoreError> {
    patiently(|deadline| ServerTime::ask_first(store, deadline)).map(Arc::new)
}

/// JSON in printable ASCII: no terminal obeys what somebody put into a name.
fn ascii_json(value: &impl serde::Serialize) -> String {
    use std::fmt::Write as _;
    let json = serde_json::to_string(value).expect("texts and numbers are always JSON");
    let mut ascii = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            ' '..='~' => ascii.push(character),
            // Beyond ASCII is text, and within text an escape means the same.
            _ => character.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
                let _ = write!(ascii, "\\u{unit:04x}");
            }),
        }
    }
    ascii
}

#[cfg(test)]
mod tests {
    use clap::Arg;

    use super::*;

    #[test]
    fn the_audit_log_tells_a_command_and_its_user_and_no_other_argument() {
        let check = |line: &[&str], expected: &str| {
            let disable = Command::new("disable").arg(Arg::new(USERNAME)).arg(Arg::new("why"));
            let command = Command::new("auth_back")
                .subcommand(Command::new("migrate"))
                .subcommand(Command::new("user").subcommand(disable));
            let matches = command.get_matches_from(line);
            let (name, arguments) = matches.subcommand().unwrap();
            assert_eq!(words(name, arguments), expected);
        };
        check(&["auth_back", "migrate"], "migrate");
        check(&["auth_back", "user", "disable", "ada", "s3cret"], "user disable ada");
        check(&["auth_back", "user", "disable"], "user disable");
    }

    #[test]
    fn what_changes_something_is_told_before_it_begins() {
        #[track_caller]
        fn check(line: &str, expected: Telling) {
            let commands = COMMANDS.iter().map(|known| (known.command)());
            let program = Command::new("auth_back").subcommands(commands);
            let words = std::iter::once("auth_back").chain(line.split(' '));
            let matches = program.get_matches_from(words);
            let (name, arguments) = matches.subcommand().unwrap();
            let known = COMMANDS.iter().find(|known| (known.command)().get_name() == name).unwrap();
            assert_eq!((known.telling)(arguments), expected, "{line}");
        }
        for line in ["breached build --from a --to b", "calibrate"] {
            check(line, Telling::No);
        }
        for line in [
            "user list",
            "user list ad --state disabled",
            "user show ada",
            "user sessions ada",
            "pepper status",
            "token-key status",
            "deployment show",
            "deployment show --json",
            "import users.csv --dry-run",
        ] {
            check(line, Telling::After);
        }
        for line in [
            "migrate",
            "backup /somewhere",
            "restored",
            "user add ada",
            "user disable ada",
            "user enable ada",
            "user unlock ada",
            "user set-password ada",
            "user revoke ada --all",
            "import users.csv",
            "export users.csv",
            "pepper rotate",
            "pepper rewrap",
            "pepper retire 1",
            "token-key rotate",
            "token-key retire 1",
            "deployment set lease=1s",
        ] {
            check(line, Telling::Before);
        }
    }
}

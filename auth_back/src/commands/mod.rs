//! What an operator can have this program do instead of serving: its subcommands.
//!
//! Each is one entry of `COMMANDS` and one file here. They take the same settings as the server,
//! by flag, variable and file, so `auth_back --config FILE COMMAND` works on what the server with that
//! file works on. What a command finds goes to standard output, everything else to standard error.

mod backup;
mod breached;
mod calibrate;
mod confirm;
mod console;
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
mod store_access;
mod subcommand;
mod token_key;
mod user;
mod users_file;

use std::error::Error;
use std::process::ExitCode;

use clap::ArgMatches;
use credentials::KeysError;
use ownership::{self, MixedOwners, NotTheOwner};
use server::audit::{AuditTarget, OperatorsLog};
use server::opening;
use server::run::serve;
use server::settings::{PROGRAM, Settings};
use service::process::{self, Exit, Failure};
use service::signals;
use store::StoreUrl;

use self::backup::OtherTools;
use self::confirm::Unconfirmed;
use self::console::tell;
use self::deployment::Unsettable;
use self::interrupt::Interrupted;
use self::restored::{KeysLacking, StillRunning};
use self::subcommand::{Done, Subcommand, Telling, USERNAME};

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

/// Runs the program: serves until a signal says to stop or, given a subcommand, does that.
#[must_use]
pub(crate) fn main() -> ExitCode {
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

#[cfg(test)]
mod tests {
    use clap::{Arg, Command};

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

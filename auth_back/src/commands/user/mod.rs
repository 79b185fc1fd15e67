//! `auth_back user`: what operators do with single users, and how they find them, on the database directly, while servers run.
//!
//! What ends sessions goes the way that a server's own revocations go ([`SessionKeeper`]), and is told as
//! done when no front answers for them any more: for how long one may, the store says ([`LiveRules::asked`]).

mod list;
mod operator;
mod password;
mod shown;
mod unlock;

use std::sync::Arc;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use self::operator::Operator;
pub(super) use self::unlock::RedisAway;
use credentials::Username;
use redis_pool::RedisPool;
use server::installation;
use server::limits::AGE_MAX;
use server::opening;
use server::settings::Settings;
use sessions::{LiveRules, SessionKeeper};

use super::console::tell;
use super::keys;
use super::store_access::{open_store, rules_of, server_time};
use super::subcommand::{Done, Subcommand, USERNAME, before_unless};

pub(super) const COMMAND: Subcommand = Subcommand {
    command,
    run,
    telling: |arguments| before_unless(arguments, &["list", "show", "sessions"]),
};

fn command() -> Command {
    let one = |name: &'static str, about: &'static str| {
        Command::new(name)
            .about(about)
            .arg(Arg::new(USERNAME).value_name("USERNAME").required(true).help("Who"))
            .arg(keys::json_switch())
    };
    let password = || {
        Arg::new("password-stdin")
            .long("password-stdin")
            .action(ArgAction::SetTrue)
            .help("Read the password from standard input, one line; without it, it is asked for on the terminal")
    };
    Command::new("user")
        .about("Look after single users")
        .subcommand_required(true)
        .subcommand(
            one("add", "Register somebody")
                .arg(Arg::new("name").long("name").value_name("TEXT").help("What they are called"))
                .arg(
                    Arg::new("age")
                        .long("age")
                        .value_name("YEARS")
                        .value_parser(value_parser!(u8).range(0..=i64::from(AGE_MAX)))
                        .help("How old they are"),
                )
                .arg(password()),
        )
        .subcommand(list::command())
        .subcommand(one("show", "Print what is kept of somebody; never a hash"))
        .subcommand(one("disable", "Keep somebody out, and end their sessions"))
        .subcommand(one("enable", "Let somebody in again"))
        .subcommand(unlock::command(one(
            unlock::NAME,
            "Forget the wrong guesses at somebody's account, so that they may try again at once",
        )))
        .subcommand(
            one("set-password", "Replace somebody's password, and end their sessions")
                .arg(password()),
        )
        .subcommand(one("sessions", "List somebody's live sessions, newest first"))
        .subcommand(
            one("revoke", "End one of somebody's sessions, or all")
                .arg(
                    Arg::new("session")
                        .value_name("SESSION_ID")
                        .value_parser(value_parser!(u64))
                        .required_unless_present("all")
                        .help("Which, as sessions lists it"),
                )
                .arg(
                    Arg::new("all")
                        .long("all")
                        .action(ArgAction::SetTrue)
                        .conflicts_with("session")
                        .help("Every one"),
                ),
        )
}

fn run(arguments: &ArgMatches, settings: &Settings) -> Done {
    let (what, arguments) = arguments.subcommand().expect("the parser insists");
    if what == list::NAME {
        return list::run(arguments, settings);
    }
    let text = arguments.get_one::<String>(USERNAME).expect("the parser insists");
    let username = Username::new(text)?;
    let store = open_store(settings)?;
    let shared = rules_of(settings, &*store)?;
    let asked = Arc::clone(&store);
    let ask = move || installation::rules::look(&*asked);
    let rules = LiveRules::asked(shared.sessions, shared.in_redis, ask);
    let sessions = opening::sessions(settings, &store, rules)?;
    let json = keys::wants_json(arguments);
    let time = server_time(&*store)?;
    let operator = Operator { settings, store, time, sessions, username, json };
    let done = match what {
        "add" => operator.add(arguments),
        "show" => operator.show(),
        "disable" => operator.disable(),
        "enable" => operator.enable(),
        unlock::NAME => operator.unlock(&unlock::addresses(arguments)),
        "set-password" => operator.set_password(arguments.get_flag("password-stdin")),
        "sessions" => operator.sessions(),
        "revoke" => operator.revoke(arguments.get_one("session").copied()),
        _ => unreachable!("the parser takes no others"),
    };
    tell_of_redis(&operator.sessions);
    done
}

/// Redis could not be told what was ended. It was made void instead, so nothing that was ended is live.
fn tell_of_redis(sessions: &SessionKeeper) {
    if let Some(trouble) = sessions.redis().and_then(RedisPool::trouble) {
        tell(&format!(
            "{trouble}\nservers look sessions up in the store until they fill Redis anew"
        ));
    }
}

//! `auth_back user`: what operators do with single users, and how they find them, on the database directly, while servers run.
//!
//! What ends sessions goes the way that a server's own revocations go ([`SessionKeeper`]), and is told as
//! done when no front answers for them any more: for how long one may, the store says ([`LiveRules::asked`]).

mod list;
mod password;
mod shown;
mod unlock;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde_json::{Value, json};

use self::password::ask;
pub(super) use self::unlock::RedisAway;
use credentials::ids::UserId;
use credentials::{Password, PasswordRecord, Username};
use hashing::{Arena, HashEngine};
use redis_pool::RedisPool;
use server_time::ServerTime;
use sessions::limits::PER_USER_MAX;
use sessions::{LiveRules, SessionKeeper};
use store::{Inserted, NewUser, Store, StoreError, UserProfile};

use super::node::{CommandNode, next_id};
use super::{
    Done, Subcommand, USERNAME, ascii_json, before_unless, keys, open_store, patiently, rules_of,
    say, server_time, store_deadline, tell,
};
use crate::accounts::profile;
use crate::installation;
use crate::limits::AGE_MAX;
use crate::opening;
use crate::settings::Settings;

pub(super) const COMMAND: Subcommand = Subcommand {
    command,
    run,
    telling: |arguments| before_unless(arguments, &["list", "show", "sessions"]),
};

type Failure = Box<dyn std::error::Error>;

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

/// A command about one user.
struct Operator<'a> {
    settings: &'a Settings,
    store: Arc<dyn Store>,
    time: Arc<ServerTime>,
    sessions: SessionKeeper,
    username: Username,
    json: bool,
}

/// What a command has ended.
struct Ended {
    sessions: usize,
    /// How long it took until no front answered for them any more.
    settled_in: Duration,
}

impl Operator<'_> {
    fn add(&self, arguments: &ArgMatches) -> Done {
        let name = profile::name(arguments.get_one::<String>("name").map(String::as_str))?;
        let age = profile::age(arguments.get_one("age").copied())?;
        let password = self.new_password(arguments.get_flag("password-stdin"))?;
        let now = self.time.now();
        let node = CommandNode::take(&self.store, &self.time)?;
        let user_id = UserId::from(next_id(&node.ids(), &self.time)?);
        let record = self.hash(user_id, &password)?;
        let user = NewUser {
            user_id: user_id.get(),
            username: self.username.as_str(),
            password_record: &record,
            name,
            age,
            request_id: None,
            created_at_ms: now.ms(),
        };
        // Once: a second try could not tell its own first from somebody else.
        match self.store.insert_user(&user, store_deadline())? {
            Inserted::Created => self.done(user_id.get(), "is registered", None),
            Inserted::Repeated { .. } | Inserted::NameTaken => {
                Err(format!("the username {} is taken", self.username).into())
            }
            Inserted::IdTaken => Err("the id is taken; run this again".into()),
        }
    }

    fn show(&self) -> Done {
        let profile = self.profile()?;
        say(&if self.json { ascii_json(&shown::json(&profile)) } else { shown::text(&profile) })?;
        Ok(())
    }

    fn disable(&self) -> Done {
        let user_id = self.profile()?.user_id;
        let now_ms = self.time.now().ms();
        let live = self.count_live(user_id)?;
        self.change(patiently(|deadline| self.store.disable_user(user_id, now_ms, deadline))?)?;
        self.settle(user_id, "is kept out", live)
    }

    fn enable(&self) -> Done {
        let user_id = self.profile()?.user_id;
        self.change(patiently(|deadline| self.store.enable_user(user_id, deadline))?)?;
        self.done(user_id, "may log in again", None)
    }

    fn set_password(&self, from_stdin: bool) -> Done {
        let user_id = UserId::new(self.profile()?.user_id)?;
        let password = self.new_password(from_stdin)?;
        let record = self.hash(user_id, &password)?;
        let user_id = user_id.get();
        let live = self.count_live(user_id)?;
        let set = |deadline| self.store.set_password_record(user_id, &record, deadline);
        self.change(patiently(set)?)?;
        self.settle(user_id, "has the new password", live)
    }

    fn sessions(&self) -> Done {
        let user_id = self.profile()?.user_id;
        let now_ms = self.time.now().ms();
        let list = |deadline| self.sessions.list(user_id, now_ms, PER_USER_MAX, deadline);
        let sessions = patiently(list)?;
        if self.json {
            let all: Vec<Value> = sessions.iter().map(shown::session_json).collect();
            say(&ascii_json(&all))?;
        } else {
            for session in &sessions {
                say(&shown::session_text(session))?;
            }
        }
        Ok(())
    }

    /// Ends a session, or all.
    fn revoke(&self, session: Option<u64>) -> Done {
        let user_id = self.profile()?.user_id;
        let Some(session_id) = session else {
            let live = self.count_live(user_id)?;
            let ended = patiently(|deadline| self.sessions.end_all(user_id, deadline))?;
            let settles_in = ended.ok_or_else(|| self.gone())?;
            return self.wait(user_id, "has no session any more", live, settles_in);
        };
        let ended = patiently(|deadline| self.sessions.end_by_id(user_id, session_id, deadline))?;
        if let Some(settles_in) = ended {
            return self.wait(user_id, "has one session less", 1, settles_in);
        }
        // An end that failed half way, or was stopped, may have left its copy.
        let settles_in = patiently(|_| self.sessions.forget_copies())?;
        thread::sleep(settles_in);
        Err(format!("{} has no session {session_id}", self.username).into())
    }

    fn profile(&self) -> Result<UserProfile, Failure> {
        let username = self.username.as_str();
        let found = patiently(|deadline| self.store.user_profile(username, deadline))?;
        found.ok_or_else(|| self.gone())
    }

    fn gone(&self) -> Failure {
        format!("there is no user {}", self.username).into()
    }

    /// Whether there still was somebody to change.
    fn change(&self, found: bool) -> Result<(), Failure> {
        if found { Ok(()) } else { Err(self.gone()) }
    }

    fn new_password(&self, from_stdin: bool) -> Result<Password, Failure> {
        let text = ask(from_stdin)?;
        let rules = opening::password_rules(self.settings)?;
        Ok(Password::for_registration(&text, &self.username, &rules)?)
    }

    fn hash(&self, user_id: UserId, password: &Password) -> Result<String, Failure> {
        let params = self.settings.rules.params;
        let peppers =
            opening::peppers(self.settings, &*self.store, self.time.now().ms(), store_deadline())?;
        // For one hash it does not pay to find out whether the faster engine is right.
        let mut arena = Arena::new(HashEngine::Reference, params)?;
        let record = PasswordRecord::create(user_id, password, params, &peppers, &mut arena)?;
        Ok(record.to_text())
    }

    /// Follows up on an epoch that was raised in the store.
    fn settle(&self, user_id: u64, done: &str, ended: usize) -> Done {
        let settle = |_| -> Result<Duration, StoreError> {
            // At least as high as what it was raised to: all before it are ended.
            let profile = self.store.user_profile(self.username.as_str(), store_deadline())?;
            let epoch = profile.map_or(0, |profile| profile.session_epoch);
            self.sessions.settle_all(user_id, epoch)
        };
        let settles_in = patiently(settle).map_err(|error| {
            format!("it is done, but sessions may go on for a while; run this again: {error}")
        })?;
        self.wait(user_id, done, ended, settles_in)
    }

    /// How many sessions somebody has. One that begins before they are ended is ended, and not counted.
    fn count_live(&self, user_id: u64) -> Result<usize, Failure> {
        let now_ms = self.time.now().ms();
        let list = |deadline| self.sessions.list(user_id, now_ms, PER_USER_MAX, deadline);
        Ok(patiently(list)?.len())
    }

    /// Waits until no front answers for what has ended, and only then says that it has.
    fn wait(&self, user_id: u64, done: &str, ended: usize, settles_in: Duration) -> Done {
        thread::sleep(settles_in);
        self.done(user_id, done, Some(Ended { sessions: ended, settled_in: settles_in }))
    }

    fn done(&self, user_id: u64, done: &str, ended: Option<Ended>) -> Done {
        let username = &self.username;
        if self.json {
            let mut told = json!({
                "user_id": user_id.to_string(), "username": username.as_str(), "done": done,
            });
            if let Some(Ended { sessions, settled_in }) = ended {
                told["ended_sessions"] = sessions.into();
                told["settled_ms"] = unix_time::millis(settled_in).into();
            }
            say(&ascii_json(&told))?;
            return Ok(());
        }
        let ended = ended.map_or(String::new(), |Ended { sessions, settled_in }| {
            let settled_in_ms = settled_in.as_millis();
            let sessions = match sessions {
                1 => "1 session".to_owned(),
                count => format!("{count} sessions"),
            };
            format!("; {sessions} ended, on every front: {settled_in_ms} ms after the store had it")
        });
        say(&format!("{username} {done}{ended}"))?;
        Ok(())
    }
}

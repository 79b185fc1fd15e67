//! A command about one user.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use clap::ArgMatches;
use credentials::ids::UserId;
use credentials::{Password, PasswordRecord, Username};
use hashing::{Arena, HashEngine};
use serde_json::{Value, json};
use server::accounts::profile;
use server::opening;
use server::settings::Settings;
use server_time::ServerTime;
use sessions::SessionKeeper;
use sessions::limits::PER_USER_MAX;
use store::{Inserted, NewUser, Store, StoreError, UserProfile};

use super::password::ask;
use super::shown;
use crate::commands::console::{ascii_json, say};
use crate::commands::node::{CommandNode, next_id};
use crate::commands::store_access::{patiently, store_deadline};
use crate::commands::subcommand::Done;

/// What the operator reads.
pub(super) type Failure = Box<dyn std::error::Error>;

/// A command about one user.
pub(super) struct Operator<'a> {
    pub(super) settings: &'a Settings,
    pub(super) store: Arc<dyn Store>,
    pub(super) time: Arc<ServerTime>,
    pub(super) sessions: SessionKeeper,
    pub(super) username: Username,
    pub(super) json: bool,
}

/// What a command has ended.
pub(super) struct Ended {
    sessions: usize,
    /// How long it took until no front answered for them any more.
    settled_in: Duration,
}

impl Operator<'_> {
    pub(super) fn add(&self, arguments: &ArgMatches) -> Done {
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

    pub(super) fn show(&self) -> Done {
        let profile = self.profile()?;
        say(&if self.json { ascii_json(&shown::json(&profile)) } else { shown::text(&profile) })?;
        Ok(())
    }

    pub(super) fn disable(&self) -> Done {
        let user_id = self.profile()?.user_id;
        let now_ms = self.time.now().ms();
        let live = self.count_live(user_id)?;
        self.change(patiently(|deadline| self.store.disable_user(user_id, now_ms, deadline))?)?;
        self.settle(user_id, "is kept out", live)
    }

    pub(super) fn enable(&self) -> Done {
        let user_id = self.profile()?.user_id;
        self.change(patiently(|deadline| self.store.enable_user(user_id, deadline))?)?;
        self.done(user_id, "may log in again", None)
    }

    pub(super) fn set_password(&self, from_stdin: bool) -> Done {
        let user_id = UserId::new(self.profile()?.user_id)?;
        let password = self.new_password(from_stdin)?;
        let record = self.hash(user_id, &password)?;
        let user_id = user_id.get();
        let live = self.count_live(user_id)?;
        let set = |deadline| self.store.set_password_record(user_id, &record, deadline);
        self.change(patiently(set)?)?;
        self.settle(user_id, "has the new password", live)
    }

    pub(super) fn sessions(&self) -> Done {
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
    pub(super) fn revoke(&self, session: Option<u64>) -> Done {
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

    pub(super) fn profile(&self) -> Result<UserProfile, Failure> {
        let username = self.username.as_str();
        let found = patiently(|deadline| self.store.user_profile(username, deadline))?;
        found.ok_or_else(|| self.gone())
    }

    pub(super) fn gone(&self) -> Failure {
        format!("there is no user {}", self.username).into()
    }

    /// Whether there still was somebody to change.
    pub(super) fn change(&self, found: bool) -> Result<(), Failure> {
        if found { Ok(()) } else { Err(self.gone()) }
    }

    pub(super) fn new_password(&self, from_stdin: bool) -> Result<Password, Failure> {
        let text = ask(from_stdin)?;
        let rules = opening::password_rules(self.settings)?;
        Ok(Password::for_registration(&text, &self.username, &rules)?)
    }

    pub(super) fn hash(&self, user_id: UserId, password: &Password) -> Result<String, Failure> {
        let params = self.settings.rules.params;
        let peppers =
            opening::peppers(self.settings, &*self.store, self.time.now().ms(), store_deadline())?;
        // For one hash it does not pay to find out whether the faster engine is right.
        let mut arena = Arena::new(HashEngine::Reference, params)?;
        let record = PasswordRecord::create(user_id, password, params, &peppers, &mut arena)?;
        Ok(record.to_text())
    }

    /// Follows up on an epoch that was raised in the store.
    pub(super) fn settle(&self, user_id: u64, done: &str, ended: usize) -> Done {
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
    pub(super) fn count_live(&self, user_id: u64) -> Result<usize, Failure> {
        let now_ms = self.time.now().ms();
        let list = |deadline| self.sessions.list(user_id, now_ms, PER_USER_MAX, deadline);
        Ok(patiently(list)?.len())
    }

    /// Waits until no front answers for what has ended, and only then says that it has.
    pub(super) fn wait(
        &self,
        user_id: u64,
        done: &str,
        ended: usize,
        settles_in: Duration,
    ) -> Done {
        thread::sleep(settles_in);
        self.done(user_id, done, Some(Ended { sessions: ended, settled_in: settles_in }))
    }

    pub(super) fn done(&self, user_id: u64, done: &str, ended: Option<Ended>) -> Done {
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

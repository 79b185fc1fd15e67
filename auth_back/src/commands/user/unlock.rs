//! `auth_back user unlock`: lets somebody try again whom the limiter of guesses has wait.

use std::net::IpAddr;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use guard::limits::UNLOCK_ADDRESSES_MAX;
use guard::{Guard, unlocks};
use ownership::check_works_on;
use redis_pool::{RedisPool, Use};
use server::limits::KEY_REREAD_INTERVAL;

use super::operator::{Failure, Operator};
use crate::commands::console::tell;
use crate::commands::subcommand::Done;

pub(super) const NAME: &str = "unlock";

const FROM: &str = "from";

/// Redis could not be told. It may work later.
#[derive(Debug, thiserror::Error)]
#[error(
    "Redis is away: servers that keep their data here forget the failures, but what they count together stays. Run this \
     again"
)]
pub(in crate::commands) struct RedisAway;

pub(super) fn command(command: Command) -> Command {
    command
        .arg(
            Arg::new(FROM)
                .long(FROM)
                .value_name("ADDRESS")
                .value_parser(value_parser!(IpAddr))
                .action(ArgAction::Append)
                .help("Where they are, as the audit log has it: forget what failed from there, too. May be repeated"),
        )
        .long_about(
            "Forget the wrong guesses at somebody's account, so that they may try again at once.\n\nThe account leaves \
             its slow lane. Failures from one network, such as theirs, are forgotten where --from names an address of \
             it. What the network did at other accounts stays counted, and so does what a device that is known has \
             failed, which waits for --throttle-delay-max at most. Guesses go on to be counted: end an attack first.",
        )
}

pub(super) fn addresses(arguments: &ArgMatches) -> Vec<IpAddr> {
    arguments.get_many(FROM).into_iter().flatten().copied().collect()
}

impl Operator<'_> {
    pub(super) fn unlock(&self, addresses: &[IpAddr]) -> Done {
        if addresses.len() > UNLOCK_ADDRESSES_MAX {
            return Err(format!("at most {UNLOCK_ADDRESSES_MAX} addresses at a time").into());
        }
        let (settings, username) = (self.settings, &self.username);
        // Before Redis is told: the server could not read the note.
        check_works_on(&settings.data, &settings.data)?;
        let user_id = self.profile()?.user_id;
        let data = settings.data.display();
        // Redis first: a server that has forgotten asks Redis at once.
        let is_told = match &settings.redis {
            None => true,
            Some(url) => {
                let redis = RedisPool::new(url.clone(), 1, Use::Guesses)?;
                let guard = Guard::sharing(settings.guard.clone(), redis)?;
                guard.unlock_shared(username, addresses)
            }
        };
        unlocks::leave(&settings.data, username, addresses).map_err(|error| -> Failure {
            format!("servers that keep their data in {data} cannot be told: {error}").into()
        })?;
        if !is_told {
            return Err(RedisAway.into());
        }
        tell(&format!(
            "Servers that keep their data in {data} forget within {} s what they have counted. A server elsewhere counts in its own \
             memory: run this on its machine too",
            KEY_REREAD_INTERVAL.as_secs() + 1
        ));
        self.done(user_id, "may try again", None)
    }
}

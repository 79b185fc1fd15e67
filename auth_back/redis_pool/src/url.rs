//! The setting that names a Redis.

use std::fmt;
use std::str::FromStr;

use addresses::{ServerUrl, ServerUrlError};
use redis::io::tcp::TcpSettings;
use redis::{Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, RedisConnectionInfo};
use thiserror::Error;

use super::limits::{DATABASE_MAX, UNACKNOWLEDGED_MAX};

/// The port that Redis listens on by default.
const REDIS_PORT: u16 = 6379;

/// Where a Redis is and who we are to it: `redis://[USER[:PASSWORD]@]HOST[:PORT][/DATABASE]`. Prints
/// without the password.
///
/// The password is wiped when the last copy goes. The driver makes copies of its own, which are not
/// wiped.
///
/// ```
/// use redis_pool::RedisUrl;
///
/// let url: RedisUrl = "redis://gate:s3cret@cache.example/2".parse()?;
/// assert_eq!(url.to_string(), "redis://gate:***@cache.example:6379/2");
/// # Ok::<(), redis_pool::RedisUrlError>(())
/// ```
#[derive(Clone)]
pub struct RedisUrl {
    server: ServerUrl,
    database: i64,
}

/// Why the address of a Redis was refused. Whoever wrote it is at fault. Quotes nothing of it: it may
/// hold a password.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum RedisUrlError {
    /// Another scheme; `rediss:` is one, since TLS is not spoken.
    #[error("want redis://USER:PASSWORD@HOST:PORT/DATABASE")]
    Scheme,
    /// Not a URL, or one with options, or without a host to connect to.
    #[error(transparent)]
    Server(#[from] ServerUrlError),
    /// No number, or one that no Redis has.
    #[error("the database is a number from 0 to {DATABASE_MAX}")]
    Database,
}

impl FromStr for RedisUrl {
    type Err = RedisUrlError;

    fn from_str(text: &str) -> Result<Self, RedisUrlError> {
        if !text.starts_with("redis://") {
            return Err(RedisUrlError::Scheme);
        }
        let server = ServerUrl::parse(text, "redis", REDIS_PORT)?;
        // Nobody is at these addresses, which mean all of one's own.
        if ["0.0.0.0", "::"].contains(&server.host()) {
            return Err(ServerUrlError::Syntax.into());
        }
        let database = server.path().trim_start_matches('/');
        let database = if database.is_empty() { "0" } else { database };
        let plain = database.bytes().all(|byte| byte.is_ascii_digit());
        let database = database.parse().ok().filter(|number| plain && *number <= DATABASE_MAX);
        Ok(Self { database: database.ok_or(RedisUrlError::Database)?, server })
    }
}

impl RedisUrl {
    /// The command that says who we are, if there is somebody to be. Its copy of the password is not wiped.
    pub(super) fn auth(&self) -> Option<Cmd> {
        let password = self.server.password()?;
        let mut command = redis::cmd("AUTH");
        if let Some(user) = self.server.user() {
            command.arg(user);
        }
        command.arg(password);
        Some(command)
    }

    pub(super) fn database(&self) -> i64 {
        self.database
    }

    /// Where it is, as the driver takes it; who we are and which database we mean is for us to say.
    pub(super) fn connection_info(&self) -> ConnectionInfo {
        // Servers before 7.2 refuse the name, which costs a round trip at each connect.
        let settings = RedisConnectionInfo::default().set_skip_set_lib_name();
        let tcp = TcpSettings::default().set_nodelay(true).set_user_timeout(UNACKNOWLEDGED_MAX);
        let address = ConnectionAddr::Tcp(self.server.host().to_owned(), self.server.port());
        let info = address.into_connection_info().expect("an address is taken as it is");
        info.set_redis_settings(settings).set_tcp_settings(tcp)
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.server, self.database)
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, RedisUrlError>) {
        let parsed = text.parse::<RedisUrl>().map(|url| url.to_string());
        assert_eq!(parsed.as_deref().map_err(|error| *error), expected, "{text}");
    }

    #[test]
    fn urls() {
        use RedisUrlError::*;
        use ServerUrlError::*;

        check("redis://h", Ok("redis://h:6379/0"));
        check("redis://127.0.0.1:7000/3", Ok("redis://127.0.0.1:7000/3"));
        check("redis://[::1]:7000/", Ok("redis://[::1]:7000/0"));
        check("redis://h:0", Ok("redis://h:6379/0"));
        check("redis://Cache.1", Ok("redis://Cache.1:6379/0"));
        check("redis://u@h", Ok("redis://u@h:6379/0"));
        check("redis://:p@h", Ok("redis://:***@h:6379/0"));
        check("redis://u:p@h/1023", Ok("redis://u:***@h:6379/1023"));

        check("", Err(Scheme));
        check("store", Err(Scheme));
        check("rediss://h", Err(Scheme));
        check("redis+unix:///tmp/redis", Err(Scheme));
        check("redis://0.0.0.0", Err(Server(Syntax)));
        check("redis://[::]:7000/0", Err(Server(Syntax)));
        check("redis://", Err(Server(Syntax)));
        check("redis://u:%FF@h", Err(Server(Syntax)));
        check("redis://h:port", Err(Server(Syntax)));
        check("redis://h/0?protocol=resp3", Err(Server(Options)));
        check("redis://h/0#insecure", Err(Server(Options)));
        check("redis://h/x", Err(Database));
        check("redis://h/-1", Err(Database));
        check("redis://h/1024", Err(Database));
        check("redis://h/0/1", Err(Database));
    }

    /// Apart from port 0, at which nobody is.
    #[test]
    fn the_driver_reads_the_same() {
        let (user, host) =
            ("[uÄ%4:]{0,4}(:[pÄ%4F@:]{0,5})?@", "([hHü0-9.%_]{0,6}|\\[::[0-9a]{0,2}\\])");
        let urls = format!("redis://({user})?{host}(:[0-9]{{0,5}})?(/[0-9%x/]{{0,4}})?");
        proptest!(|(text in urls.as_str())| {
            let theirs = redis::parse_redis_url(&text).and_then(|url| url.into_connection_info().ok());
            match (text.parse::<RedisUrl>(), theirs) {
                (Ok(url), Some(info)) => {
                    let (ConnectionAddr::Tcp(host, port), login) = (info.addr(), info.redis_settings())
                    else {
                        panic!("another kind of address");
                    };
                    let port = Some(*port).filter(|port| *port != 0).unwrap_or(REDIS_PORT);
                    prop_assert_eq!((url.server.host(), url.server.port()), (host.as_str(), port));
                    prop_assert_eq!(url.server.user(), login.username());
                    prop_assert_eq!(url.server.password(), login.password());
                    prop_assert_eq!(url.database, login.db());
                }
                (ours, None) => prop_assert!(ours.is_err()),
                (Err(error), Some(_)) => prop_assert_eq!(error, RedisUrlError::Database),
            }
        });
    }

    #[test]
    fn a_percent_encoded_password_is_decoded_and_never_printed() {
        let url: RedisUrl = "redis://u:p%40ss%2Fw@h".parse().unwrap();
        let packed = url.auth().unwrap().get_packed_command();
        assert_eq!(packed, b"*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$6\r\np@ss/w\r\n");
        for printed in [format!("{url}"), format!("{url:?}")] {
            assert!(!printed.contains("p@ss") && !printed.contains("p%40"), "{printed}");
            assert!(printed.contains("***"), "{printed}");
        }
    }
}

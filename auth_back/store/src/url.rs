//! The setting that names a store.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use addresses::{ServerUrl, ServerUrlError};
use thiserror::Error;

/// The port that MySQL and MariaDB listen on by default.
const MYSQL_PORT: u16 = 3306;

/// Which store to open.
///
/// ```
/// use store::StoreUrl;
///
/// let file: StoreUrl = "sqlite:data/gatehouse.db".parse()?;
/// let server: StoreUrl = "mysql://gate:s3cret@db.example:3306/gatehouse".parse()?;
/// assert_eq!(file.to_string(), "sqlite:data/gatehouse.db");
/// assert_eq!(server.to_string(), "mysql://gate:***@db.example:3306/gatehouse");
/// # Ok::<(), store::StoreUrlError>(())
/// ```
#[derive(Clone, Debug)]
pub enum StoreUrl {
    /// `sqlite:PATH`: a file, relative to the working directory or absolute.
    Sqlite(PathBuf),
    /// `mysql://USER[:PASSWORD]@HOST[:PORT]/DATABASE`.
    MySql(MySqlUrl),
}

/// Where a MySQL database is and who we are to it. Prints without the password.
///
/// The password is wiped when the last copy goes. The driver makes its own copy for each connection, which
/// is not wiped.
#[derive(Clone)]
pub struct MySqlUrl {
    server: ServerUrl,
    database: Box<str>,
}

/// Why a store setting was refused. Whoever wrote it is at fault. Quotes nothing of it: it may hold a
/// password.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum StoreUrlError {
    /// Neither of the two forms.
    #[error("want sqlite:PATH or mysql://USER:PASSWORD@HOST:PORT/DATABASE")]
    Scheme,
    /// `sqlite:` and nothing, or an in-memory database, which would lose acknowledged registrations.
    #[error("want a file after sqlite:")]
    SqlitePath,
    /// Not a URL, or one with options that the store depends on.
    #[error(transparent)]
    MySqlServer(#[from] ServerUrlError),
    /// No user.
    #[error("the URL names no user")]
    MySqlUser,
    /// No database.
    #[error("the URL names no database")]
    MySqlDatabase,
}

impl FromStr for StoreUrl {
    type Err = StoreUrlError;

    fn from_str(text: &str) -> Result<Self, StoreUrlError> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            if path.is_empty() || path == ":memory:" || path.contains('\0') {
                return Err(StoreUrlError::SqlitePath);
            }
            Ok(Self::Sqlite(path.into()))
        } else {
            text.parse().map(Self::MySql)
        }
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::MySql(url) => url.fmt(f),
        }
    }
}

impl FromStr for MySqlUrl {
    type Err = StoreUrlError;

    fn from_str(text: &str) -> Result<Self, StoreUrlError> {
        if !text.starts_with("mysql://") {
            return Err(StoreUrlError::Scheme);
        }
        // The driver reads a host like that too.
        let server = ServerUrl::parse(text, "mysql", MYSQL_PORT)?.with_web_host()?;
        if server.user().is_none() {
            return Err(StoreUrlError::MySqlUser);
        }
        let database = server.first_segment()?;
        if database.is_empty() {
            return Err(StoreUrlError::MySqlDatabase);
        }
        Ok(Self { server, database: database.into() })
    }
}

impl MySqlUrl {
    /// Who connects; empty if the URL says nobody.
    #[must_use]
    pub fn user(&self) -> &str {
        self.server.user().unwrap_or_default()
    }

    pub(super) fn password(&self) -> Option<&str> {
        self.server.password()
    }

    /// The server's name or address; IPv6 in brackets, as the driver takes it.
    #[must_use]
    pub fn host(&self) -> String {
        self.server.host_in_brackets()
    }

    /// The server's TCP port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// The name of the database.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }
}

impl fmt::Display for MySqlUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.server, self.database)
    }
}

impl fmt::Debug for MySqlUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MySqlUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use mysql::Opts;
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, StoreUrlError>) {
        let parsed = text.parse::<StoreUrl>().map(|url| url.to_string());
        assert_eq!(parsed.as_deref().map_err(|error| *error), expected, "{text}");
    }

    #[test]
    fn urls() {
        use ServerUrlError::*;
        use StoreUrlError::*;

        check("sqlite:a.db", Ok("sqlite:a.db"));
        check("sqlite:/var/lib/g/a.db", Ok("sqlite:/var/lib/g/a.db"));
        check("sqlite:", Err(SqlitePath));
        check("sqlite::memory:", Err(SqlitePath));
        check("sqlite:a\0b", Err(SqlitePath));

        check("mysql://u@h/d", Ok("mysql://u@h:3306/d"));
        check("mysql://u:p@127.0.0.1:33/d", Ok("mysql://u:***@127.0.0.1:33/d"));
        check("mysql://u:p@[::1]:33/d", Ok("mysql://u:***@[::1]:33/d"));
        check("mysql://h/d", Err(MySqlUser));
        check("mysql://u@h", Err(MySqlDatabase));
        check("mysql://u@h/", Err(MySqlDatabase));
        check("mysql://u:p@%FF/d", Err(MySqlServer(Syntax)));
        check("mysql://u:%FF@h/d", Err(MySqlServer(Syntax)));
        check("mysql://u@h/%FF", Err(MySqlServer(Syntax)));
        check("mysql://u@h:0/d", Ok("mysql://u@h:3306/d"));
        check("mysql://u@DB.Example/d/x", Ok("mysql://u@db.example:3306/d"));
        check("mysql://u@h:port/d", Err(MySqlServer(Syntax)));
        check("mysql://u:p@h/d?prefer_socket=true", Err(MySqlServer(Options)));
        check("mysql://u:p@h/d#x", Err(MySqlServer(Options)));

        check("", Err(Scheme));
        check("postgres://u@h/d", Err(Scheme));
        check("a.db", Err(Scheme));
    }

    /// Apart from what is no UTF-8, which the driver replaces by something else.
    #[test]
    fn the_driver_reads_the_same() {
        let (user, host) =
            ("[uÄ%4:]{0,4}(:[pÄ%4F@:]{0,5})?@", "([hHü0-9.%_]{0,6}|\\[::[0-9a]{0,2}\\])");
        let urls = format!("mysql://({user})?{host}(:[0-9]{{0,5}})?(/[dÄ%4F/.]{{0,6}})?");
        proptest!(|(text in urls.as_str())| {
            match (text.parse::<MySqlUrl>(), Opts::from_url(&text)) {
                (Ok(url), Ok(opts)) => {
                    prop_assert_eq!(Some(url.user()), opts.get_user());
                    prop_assert_eq!(url.password(), opts.get_pass());
                    prop_assert_eq!(url.host(), opts.get_ip_or_hostname());
                    let port = Some(opts.get_tcp_port()).filter(|port| *port != 0);
                    prop_assert_eq!(url.port(), port.unwrap_or(MYSQL_PORT));
                    prop_assert_eq!(Some(url.database()), opts.get_db_name());
                }
                (Err(StoreUrlError::MySqlUser), Ok(opts)) => prop_assert_eq!(opts.get_user(), None),
                (Err(StoreUrlError::MySqlDatabase), Ok(opts)) => {
                    prop_assert_eq!(opts.get_db_name(), None);
                }
                (Err(_), Ok(opts)) => {
                    let parts = [opts.get_user(), opts.get_pass(), opts.get_db_name()];
                    let is_replaced = |part: &str| part.contains(char::REPLACEMENT_CHARACTER);
                    prop_assert!(parts.into_iter().flatten().any(is_replaced));
                }
                (ours, Err(_)) => prop_assert!(ours.is_err()),
            }
        });
    }

    #[test]
    fn a_percent_encoded_password_is_decoded_and_never_printed() {
        let url: MySqlUrl = "mysql://u:p%40ss%2Fw%3Ard@h/d".parse().unwrap();
        assert_eq!(url.password(), Some("p@ss/w:rd"));
        for printed in [format!("{url}"), format!("{url:?}"), format!("{:?}", StoreUrl::MySql(url))]
        {
            assert!(!printed.contains("p@ss") && !printed.contains("p%40"), "{printed}");
            assert!(printed.contains("***"), "{printed}");
        }
    }
}

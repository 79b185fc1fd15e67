//! The setting that names a store.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use mysql::{Opts, UrlError};
use thiserror::Error;
use zeroize::Zeroizing;

/// The port that MySQL and MariaDB listen on by default.
const MYSQL_PORT: u16 = 3306;

/// Which store to open.
///
/// ```
/// use auth_back::store::StoreUrl;
///
/// let file: StoreUrl = "sqlite:data/gatehouse.db".parse()?;
/// let server: StoreUrl = "mysql://gate:s3cret@db.example:3306/gatehouse".parse()?;
/// assert_eq!(file.to_string(), "sqlite:data/gatehouse.db");
/// assert_eq!(server.to_string(), "mysql://gate:***@db.example:3306/gatehouse");
/// # Ok::<(), auth_back::store::StoreUrlError>(())
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
    user: String,
    password: Option<Zeroizing<String>>,
    host: String,
    port: u16,
    database: String,
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
    /// Not a URL.
    #[error("not a valid URL; characters such as @ / : in the password must be percent-encoded")]
    MySqlSyntax,
    /// No user.
    #[error("the URL names no user")]
    MySqlUser,
    /// No database.
    #[error("the URL names no database")]
    MySqlDatabase,
    /// `?` or `#`: the driver would take options from there that the store depends on.
    #[error(
        "the URL may not have a query or a fragment; ? and # in the password must be percent-encoded"
    )]
    MySqlOptions,
}

impl FromStr for StoreUrl {
    type Err = StoreUrlError;

    fn from_str(text: &str) -> Result<Self, StoreUrlError> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            if path.is_empty() || path == ":memory:" || path.contains('\0') {
                return Err(StoreUrlError::SqlitePath);
            }
            Ok(Self::Sqlite(path.into()))
        } else if text.starts_with("mysql://") {
            text.parse().map(Self::MySql)
        } else {
            Err(StoreUrlError::Scheme)
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
        if text.contains(['?', '#']) {
            return Err(StoreUrlError::MySqlOptions);
        }
        let opts = Opts::from_url(text).map_err(|error| match error {
            UrlError::UnsupportedScheme(_) => StoreUrlError::Scheme,
            _ => StoreUrlError::MySqlSyntax,
        })?;
        let required = |part: Option<&str>, missing| match part {
            Some(part) if !part.is_empty() => Ok(part.to_owned()),
            _ => Err(missing),
        };
        Ok(Self {
            user: required(opts.get_user(), StoreUrlError::MySqlUser)?,
            password: opts.get_pass().map(|password| Zeroizing::new(password.to_owned())),
            host: opts.get_ip_or_hostname().into_owned(),
            port: if opts.get_tcp_port() == 0 { MYSQL_PORT } else { opts.get_tcp_port() },
            database: required(opts.get_db_name(), StoreUrlError::MySqlDatabase)?,
        })
    }
}

impl MySqlUrl {
    pub(crate) fn user(&self) -> &str {
        &self.user
    }

    pub(super) fn password(&self) -> Option<&str> {
        self.password.as_ref().map(|password| password.as_str())
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn database(&self) -> &str {
        &self.database
    }
}

impl fmt::Display for MySqlUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, password, host, port, database } = self;
        let password = if password.is_some() { ":***" } else { "" };
        write!(f, "mysql://{user}{password}@{host}:{port}/{database}")
    }
}

impl fmt::Debug for MySqlUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MySqlUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, StoreUrlError>) {
        let parsed = text.parse::<StoreUrl>().map(|url| url.to_string());
        assert_eq!(parsed.as_deref().map_err(|error| *error), expected, "{text}");
    }

    #[test]
    fn urls() {
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
        check("mysql://u@h:port/d", Err(MySqlSyntax));
        check("mysql://u:p@h/d?prefer_socket=true", Err(MySqlOptions));
        check("mysql://u:p@h/d#x", Err(MySqlOptions));

        check("", Err(Scheme));
        check("postgres://u@h/d", Err(Scheme));
        check("a.db", Err(Scheme));
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

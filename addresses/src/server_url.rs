//! Servers that others run, as settings name them: `scheme://user:password@host:port/path`.

use std::fmt;

use percent_encoding::percent_decode_str;
use url::{Host, Url};
use zeroize::Zeroizing;

/// Where a server is, and who we are to it. Prints without the password.
///
/// The password is wiped when the last copy goes, and what it was parsed from is wiped too, apart from the
/// text that was given.
///
/// ```
/// use addresses::ServerUrl;
///
/// let url = ServerUrl::parse("redis://gate:s3cret@cache.example/2", "redis", 6379)?;
/// assert_eq!(url.to_string(), "redis://gate:***@cache.example:6379");
/// assert_eq!(url.path(), "2");
/// # Ok::<(), addresses::ServerUrlError>(())
/// ```
#[derive(Clone)]
pub struct ServerUrl {
    scheme: &'static str,
    user: Option<Box<str>>,
    password: Option<Zeroizing<String>>,
    /// IPv6 without its brackets.
    host: Box<str>,
    port: u16,
    /// As it is written, without the slash before it.
    path: Box<str>,
}

/// Why the URL of a server was refused. Whoever wrote it is at fault. Quotes nothing of it: it may hold a
/// password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerUrlError {
    /// Not a URL of the scheme, or without a host, or with what is no UTF-8 once it is decoded.
    #[error("not a valid URL; characters such as @ / : in the password must be percent-encoded")]
    Syntax,
    /// `?` or `#`: drivers take options from there, and programs depend on those that they set.
    #[error(
        "the URL may not have a query or a fragment; ? and # in the password must be percent-encoded"
    )]
    Options,
}

impl ServerUrl {
    /// Reads a URL of that `scheme`. Without a port, or with port 0, it means `default_port`.
    ///
    /// # Errors
    /// When it is another text, or has a query or a fragment.
    pub fn parse(
        text: &str,
        scheme: &'static str,
        default_port: u16,
    ) -> Result<Self, ServerUrlError> {
        if text.contains(['?', '#']) {
            return Err(ServerUrlError::Options);
        }
        let url = Url::parse(text).map_err(|_| ServerUrlError::Syntax)?;
        let parsed = Self::of(&url, scheme, default_port);
        drop(Zeroizing::new(String::from(url)));
        parsed
    }

    fn of(url: &Url, scheme: &'static str, default_port: u16) -> Result<Self, ServerUrlError> {
        let host = match url.host() {
            Some(Host::Domain(name)) if !name.is_empty() => name.into(),
            Some(Host::Ipv4(address)) => address.to_string().into(),
            Some(Host::Ipv6(address)) => address.to_string().into(),
            Some(Host::Domain(_)) | None => return Err(ServerUrlError::Syntax),
        };
        if url.scheme() != scheme {
            return Err(ServerUrlError::Syntax);
        }
        let user = Some(url.username()).filter(|user| !user.is_empty());
        Ok(Self {
            scheme,
            user: user.map(|user| decoded(user).map(|user| user.as_str().into())).transpose()?,
            password: url.password().map(decoded).transpose()?,
            host,
            port: url.port().filter(|port| *port != 0).unwrap_or(default_port),
            path: url.path().strip_prefix('/').unwrap_or(url.path()).into(),
        })
    }

    /// With its host read as browsers read it (WHATWG URL, "host parsing"): percent-decoded, in small letters,
    /// international names in ASCII, and whatever ends in a number as an IPv4 address.
    ///
    /// # Errors
    /// When it is no such host.
    pub fn with_web_host(mut self) -> Result<Self, ServerUrlError> {
        if !self.host.contains(':') {
            let host = Host::parse(&self.host).map_err(|_| ServerUrlError::Syntax)?;
            self.host = host.to_string().into();
        }
        Ok(self)
    }

    /// The user, decoded; `None` for an empty one.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The password, decoded. Not to be shown.
    #[must_use]
    pub fn password(&self) -> Option<&str> {
        self.password.as_ref().map(|password| password.as_str())
    }

    /// The host: an address, or a name as it is written. IPv6 without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The same, IPv6 in brackets.
    #[must_use]
    pub fn host_in_brackets(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.to_string() }
    }

    /// The port, never 0.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What follows the slash after host and port, as it is written.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The path up to its next slash, decoded.
    ///
    /// # Errors
    /// When it is no UTF-8.
    pub fn first_segment(&self) -> Result<String, ServerUrlError> {
        let first = self.path.split('/').next().unwrap_or_default();
        decoded(first).map(|segment| segment.to_string())
    }
}

/// With its port and without its path, of which only its user knows what it means.
impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme)?;
        if self.user.is_some() || self.password.is_some() {
            let password = if self.password.is_some() { ":***" } else { "" };
            write!(f, "{}{password}@", self.user.as_deref().unwrap_or_default())?;
        }
        write!(f, "{}:{}", self.host_in_brackets(), self.port)
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerUrl({self})")
    }
}

/// What is percent-encoded. It may be a password, so no copy of it is left behind.
fn decoded(text: &str) -> Result<Zeroizing<String>, ServerUrlError> {
    // Decoded, it is not longer: the vector never moves.
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    bytes.extend(percent_decode_str(text));
    let text = str::from_utf8(&bytes).map_err(|_| ServerUrlError::Syntax)?;
    Ok(Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::ServerUrlError::*;
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<(&str, &str), ServerUrlError>) {
        let url = ServerUrl::parse(text, "db", 7);
        let parts = url.map(|url| (url.to_string(), url.path().to_owned()));
        let expected = expected.map(|(shown, path)| (shown.to_owned(), path.to_owned()));
        assert_eq!(parts, expected, "{text}");
    }

    #[test]
    fn urls() {
        check("db://h", Ok(("db://h:7", "")));
        check("db://h/", Ok(("db://h:7", "")));
        check("db://h:0", Ok(("db://h:7", "")));
        check("db://u@H.example:33/x/y", Ok(("db://u@H.example:33", "x/y")));
        check("db://:p@h//x%2F", Ok(("db://:***@h:7", "/x%2F")));
        check("db://u:p@127.0.0.1:33/x", Ok(("db://u:***@127.0.0.1:33", "x")));
        check("db://%C3%A4:@[::1]:33", Ok(("db://ä@[::1]:33", "")));

        for wrong in [
            "",
            "h",
            "db:h",
            "db:/h",
            "db://",
            "db:///x",
            "db://:7",
            "db://u@/x",
            "db://h:port",
            "db://h:65536",
            "db://[::1",
            "db://u:p/w@h",
            "db://%FF@h",
            "db://u:%FF@h",
            "other://h",
        ] {
            check(wrong, Err(Syntax));
        }
        for wrong in ["db://h?x=y", "db://h/x#y", "db://u:a?b@h", "db://u:a#b@h", "?"] {
            check(wrong, Err(Options));
        }
    }

    #[test]
    fn hosts_as_browsers_read_them() {
        #[track_caller]
        fn check(host: &str, expected: Option<&str>) {
            let url = ServerUrl::parse(&format!("db://{host}"), "db", 7).expect("a URL");
            let host = url.with_web_host().ok().map(|url| url.host_in_brackets());
            assert_eq!(host.as_deref(), expected);
        }
        check("H.example", Some("h.example"));
        check("my_db", Some("my_db"));
        check("b%C3%BCcher", Some("xn--bcher-kva"));
        check("127.1", Some("127.0.0.1"));
        check("[::0:1]", Some("[::1]"));
        check("db.1", None);
        check("a%20b", None);
    }

    #[test]
    fn the_first_segment_is_decoded_after_it_is_cut_off() {
        let check = |path: &str, expected: Result<&str, ServerUrlError>| {
            let url = ServerUrl::parse(&format!("db://h/{path}"), "db", 7).expect("a URL");
            assert_eq!(url.first_segment().as_deref().map_err(|error| *error), expected, "{path}");
        };
        check("", Ok(""));
        check("x/y", Ok("x"));
        check("x%2Fy/z", Ok("x/y"));
        check("/x", Ok(""));
        check("%FF", Err(Syntax));
    }

    #[test]
    fn a_percent_encoded_password_is_decoded_and_never_printed() {
        let url = ServerUrl::parse("db://u%40:p%40ss%2Fw%3Ard@h", "db", 7).expect("a URL");
        assert_eq!((url.user(), url.password()), (Some("u@"), Some("p@ss/w:rd")));
        for printed in [format!("{url}"), format!("{url:?}")] {
            assert!(!printed.contains("p@ss") && !printed.contains("p%40"), "{printed}");
            assert!(printed.contains("***"), "{printed}");
        }
    }
}

//! An HAProxy of one's own.

use std::net::{SocketAddr, TcpStream};
use std::ops::Deref;
use std::{env, fs};

use crate::daemon::{Daemon, Kind, server_command};
use crate::error::Error;
use crate::scratch::Scratch;

/// Names the program, where it is not on the search path.
const PROGRAM: &str = "GATEHOUSE_TEST_HAPROXY";

/// Without them HAProxy warns, and a peer that never answers would hold a connection for ever.
const DEFAULTS: &str = "defaults\n\
                        \x20   timeout connect 5s\n\
                        \x20   timeout client 60s\n\
                        \x20   timeout server 60s\n";

/// A running HAProxy.
#[derive(Debug)]
pub struct HaProxy {
    daemon: Daemon,
}

impl HaProxy {
    /// Starts one whose only frontend has these lines beside its `bind`, and `sections` (backends, such as
    /// `backend gatehouse\n server one 127.0.0.1:8080`) after it.
    ///
    /// # Panics
    ///
    /// When it does not start; `./test` installs it.
    #[must_use]
    pub fn start(frontend: &str, sections: &str) -> Self {
        Self::try_start(frontend, sections).unwrap_or_else(|error| panic!("{error}"))
    }

    fn try_start(frontend: &str, sections: &str) -> Result<Self, Error> {
        let (frontend, sections) = (frontend.to_owned(), sections.to_owned());
        Self::try_start_with(
            move |address| {
                format!("{DEFAULTS}frontend private\n    bind {address}\n{frontend}\n{sections}\n")
            },
            &[],
        )
    }

    /// Starts one with the whole configuration that `configuration` makes for the address where it is to listen.
    /// It runs in a directory that has these other files, each by name and text.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[must_use]
    pub fn start_with(
        configuration: impl Fn(SocketAddr) -> String + Send + Sync + 'static,
        others: &[(&str, String)],
    ) -> Self {
        Self::try_start_with(configuration, others).unwrap_or_else(|error| panic!("{error}"))
    }

    fn try_start_with(
        configuration: impl Fn(SocketAddr) -> String + Send + Sync + 'static,
        others: &[(&str, String)],
    ) -> Result<Self, Error> {
        let directory = Scratch::new("haproxy")?;
        for (name, text) in others {
            fs::write(directory.path().join(name), text)
                .expect("a scratch directory can be written to");
        }
        let command = move |address: SocketAddr, directory: &Scratch| {
            let path = directory.path().join("haproxy.cfg");
            let written = fs::write(&path, configuration(address));
            written.expect("a scratch directory can be written to");
            let program = env::var(PROGRAM).unwrap_or_else(|_| "haproxy".to_owned());
            let mut command = server_command(program);
            // In the foreground.
            command.current_dir(directory.path()).arg("-db").arg("-f").arg(&path);
            command
        };
        let (name, serves) = ("haproxy", |address| TcpStream::connect(address).is_ok());
        let kind = Kind { name, package: "haproxy", command: Box::new(command), serves };
        Ok(Self { daemon: Daemon::start(kind, directory)? })
    }
}

impl Deref for HaProxy {
    type Target = Daemon;

    fn deref(&self) -> &Daemon {
        &self.daemon
    }
}

#[cfg(test)]
mod tests {
    use crate::readiness::status;

    use super::*;

    #[test]
    fn it_serves_what_it_was_told_to() {
        let proxy = HaProxy::start("    mode http\n    http-request return status 204", "");
        for _ in 0..2 {
            assert_eq!(status(proxy.address(), "/").unwrap(), 204);
            proxy.kill();
            proxy.start_again();
        }
    }

    #[test]
    fn why_it_does_not_start_is_told() {
        let error = HaProxy::try_start("    no-such-keyword", "").unwrap_err().to_string();
        assert!(error.contains("no-such-keyword"), "{error}");
    }
}

//! An nginx of one's own.

use std::net::{SocketAddr, TcpStream};
use std::ops::Deref;
use std::{env, fs};

use crate::daemon::{Daemon, Kind, server_command};
use crate::error::Error;
use crate::scratch::Scratch;

/// Names the program, where it is not on the search path.
const PROGRAM: &str = "GATEHOUSE_TEST_NGINX";

/// A running nginx.
#[derive(Debug)]
pub struct Nginx {
    daemon: Daemon,
}

impl Nginx {
    /// Starts one whose only server has `locations` inside its `server` block and `http` beside it.
    ///
    /// # Panics
    ///
    /// When it does not start; `./test` installs it.
    #[must_use]
    pub fn start(http: &str, locations: &str) -> Self {
        Self::try_start(http, locations).unwrap_or_else(|error| panic!("{error}"))
    }

    fn try_start(http: &str, locations: &str) -> Result<Self, Error> {
        let (http, locations) = (http.to_owned(), locations.to_owned());
        let command = move |address: SocketAddr, directory: &Scratch| {
            let path = directory.path().join("nginx.conf");
            let written = fs::write(&path, configuration(address, &http, &locations));
            written.expect("a scratch directory can be written to");
            let program = env::var(PROGRAM).unwrap_or_else(|_| "nginx".to_owned());
            let mut command = server_command(program);
            command.arg("-p").arg(directory.path()).arg("-c").arg(&path);
            command
        };
        let (name, serves) = ("nginx", |address| TcpStream::connect(address).is_ok());
        let kind = Kind { name, package: "nginx", command: Box::new(command), serves };
        Ok(Self { daemon: Daemon::start(kind, Scratch::new("nginx")?)? })
    }

    /// What it complained about.
    #[must_use]
    pub fn errors(&self) -> String {
        fs::read_to_string(self.directory().join("error.log")).unwrap_or_default()
    }
}

impl Deref for Nginx {
    type Target = Daemon;

    fn deref(&self) -> &Daemon {
        &self.daemon
    }
}

/// One process in the foreground, everything relative to its prefix.
fn configuration(address: SocketAddr, http: &str, locations: &str) -> String {
    format!(
        "daemon off;\nmaster_process off;\npid pid;\nerror_log error.log;\n\
         events {{ worker_connections 64; }}\n\
         http {{\n\
         access_log off;\n\
         client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;\n\
         uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n\
         {http}\n\
         server {{\nlisten {address};\n{locations}\n}}\n\
         }}\n"
    )
}

#[cfg(test)]
mod tests {
    use crate::readiness::status;

    use super::*;

    #[test]
    fn it_serves_what_it_was_told_to() {
        let nginx = Nginx::start("", "location /here { return 204; }");
        for _ in 0..2 {
            assert_eq!(status(nginx.address(), "/here").unwrap(), 204);
            assert_eq!(status(nginx.address(), "/there").unwrap(), 404);
            nginx.kill();
            nginx.start_again();
        }
    }

    #[test]
    fn why_it_does_not_start_is_told() {
        let error = Nginx::try_start("", "no_such_directive;").unwrap_err().to_string();
        assert!(error.contains("no_such_directive"), "{error}");
    }
}

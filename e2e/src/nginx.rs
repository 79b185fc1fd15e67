//! An nginx of one's own.

use std::{
    env,
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::{client::Client, wait::until};

/// Names the program, where it is not on the search path.
const PROGRAM: &str = "GATEHOUSE_TEST_NGINX";

/// A running nginx. Dropping it ends it.
#[derive(Debug)]
pub struct Nginx {
    process: Child,
    address: SocketAddr,
    directory: TempDir,
}

impl Nginx {
    /// Starts one whose only server has `locations` inside its `server` block and `http` beside it.
    #[must_use]
    pub fn start(http: &str, locations: &str) -> Self {
        let directory = tempfile::tempdir().expect("a scratch directory can be made");
        let address = free_address();
        let configuration = format!(
            "daemon off;\nmaster_process off;\npid pid;\nerror_log error.log;\n\
             events {{ worker_connections 64; }}\n\
             http {{\n\
             access_log off;\n\
             client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;\n\
             uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n\
             {http}\n\
             server {{\nlisten {address};\n{locations}\n}}\n\
             }}\n"
        );
        let path = directory.path().join("nginx.conf");
        fs::write(&path, configuration).expect("a file can be written");
        let output = File::create(directory.path().join("output")).expect("a file can be made");
        let mut process = Command::new(program())
            .arg("-p")
            .arg(directory.path())
            .arg("-c")
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(output)
            .spawn()
            .unwrap_or_else(|error| panic!("nginx does not run ({error}); ./test installs it"));
        until("nginx", || {
            if let Some(status) = process.try_wait().expect("a child can be asked") {
                let said = fs::read_to_string(directory.path().join("output")).unwrap_or_default();
                panic!("nginx has ended, {status}:\n{said}");
            }
            TcpStream::connect(address).ok()
        });
        Self { process, address, directory }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A client of it.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(self.address)
    }

    /// What it complained about.
    #[must_use]
    pub fn errors(&self) -> String {
        fs::read_to_string(self.directory.path().join("error.log")).unwrap_or_default()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It may have ended by itself, which the test has seen in another way.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn program() -> String {
    env::var(PROGRAM).unwrap_or_else(|_| {
        // Debian keeps servers where an ordinary user's PATH does not look.
        let debian = "/usr/sbin/nginx";
        if fs::exists(debian).unwrap_or(false) { debian } else { "nginx" }.to_owned()
    })
}

/// An address that nobody listens on at this moment.
#[must_use]
pub fn free_address() -> SocketAddr {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener = TcpListener::bind(any).expect("a port is free");
    listener.local_addr().expect("a bound listener has an address")
}

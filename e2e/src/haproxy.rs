//! An `HAProxy` of one's own.

use std::{
    env,
    fs::{self, File},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::{nginx::free_address, wait::until};

/// Names the program, where it is not on the search path.
const PROGRAM: &str = "GATEHOUSE_TEST_HAPROXY";

/// A running `HAProxy`. Dropping it ends it.
#[derive(Debug)]
pub struct HaProxy {
    process: Child,
    address: SocketAddr,
    _directory: TempDir,
}

impl HaProxy {
    /// Starts one whose only frontend has the lines of `frontend`, and passes what it takes on to the backend whose
    /// lines are `backend`.
    #[must_use]
    pub fn start(frontend: &str, backend: &str) -> Self {
        let directory = tempfile::tempdir().expect("a scratch directory can be made");
        let address = free_address();
        let configuration = format!(
            "global\n maxconn 64\n\
             defaults\n mode http\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n retries 0\n\
             frontend front\n bind {address}\n default_backend back\n{frontend}\n\
             backend back\n{backend}\n"
        );
        let path = directory.path().join("haproxy.cfg");
        fs::write(&path, configuration).expect("a file can be written");
        let output = directory.path().join("output");
        let file = File::create(&output).expect("a file can be made");
        let mut process = Command::new(program())
            .arg("-db")
            .arg("-f")
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("haproxy does not run ({error}); ./test installs it"));
        until("haproxy", || {
            if let Some(status) = process.try_wait().expect("a child can be asked") {
                let said = fs::read_to_string(&output).unwrap_or_default();
                panic!("haproxy has ended, {status}:\n{said}");
            }
            TcpStream::connect(address).ok()
        });
        Self { process, address, _directory: directory }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for HaProxy {
    fn drop(&mut self) {
        // It may have ended by itself, which the test has seen in another way.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn program() -> String {
    env::var(PROGRAM).unwrap_or_else(|_| {
        // Debian keeps servers where an ordinary user's PATH does not look.
        let debian = "/usr/sbin/haproxy";
        if fs::exists(debian).unwrap_or(false) { debian } else { "haproxy" }.to_owned()
    })
}

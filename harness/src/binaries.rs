//! The two programs, built by cargo when a test first needs them.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use serde_json::Value;

/// Names the directory of the servers when the test run has built them already.
const BUILT: &str = "GATEHOUSE_TEST_BINARIES";

/// One of the two servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// The HTTP server.
    HttpFront,
    /// The signup and login service.
    AuthBack,
}

impl Program {
    pub(crate) const ALL: [Self; 2] = [Self::HttpFront, Self::AuthBack];

    /// Its package, binary and folder.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::HttpFront => "http_front",
            Self::AuthBack => "auth_back",
        }
    }

    /// What its environment variables start with.
    #[must_use]
    pub const fn variable_prefix(self) -> &'static str {
        match self {
            Self::HttpFront => "HTTP_FRONT_",
            Self::AuthBack => "AUTH_BACK_",
        }
    }

    /// The place in its ready line where it serves.
    pub(crate) const fn place(self) -> &'static str {
        match self {
            Self::HttpFront => "http",
            Self::AuthBack => "rpc",
        }
    }

    /// Its binary: in the directory that `GATEHOUSE_TEST_BINARIES` names; where it names none, built
    /// by cargo. Blocks for as long as that takes, the first time in a process; cargo's own lock keeps
    /// test processes that run side by side from building twice.
    #[must_use]
    pub fn binary(self) -> &'static Path {
        static BINARIES: OnceLock<[PathBuf; 2]> = OnceLock::new();
        let [front, back] = BINARIES.get_or_init(|| match env::var_os(BUILT) {
            Some(directory) => Self::ALL.map(|it| Path::new(&directory).join(it.name())),
            None => build(),
        });
        match self {
            Self::HttpFront => front,
            Self::AuthBack => back,
        }
    }
}

/// Builds both in the profile of the test itself and takes their paths from cargo's messages, which
/// know of every way to set a target directory.
fn build() -> [PathBuf; 2] {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["build", "--locked", "--quiet", "--message-format=json-render-diagnostics"])
        .args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml")])
        .args(["-p", Program::HttpFront.name(), "-p", Program::AuthBack.name(), "--bins"])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let output = cargo.output().expect("cargo runs");
    assert!(output.status.success(), "the servers do not build: {}", output.status);
    let messages: Vec<Value> = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect();
    Program::ALL.map(|program| {
        messages
            .iter()
            .filter(|message| message["target"]["name"] == program.name())
            .find_map(|message| message["executable"].as_str())
            .unwrap_or_else(|| panic!("cargo names no executable for {}", program.name()))
            .into()
    })
}

//! The programs of Gatehouse, and where they lie.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::error::Error;

/// Names the directory of the programs when the test run has built them already.
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
    #[must_use]
    pub const fn place(self) -> &'static str {
        match self {
            Self::HttpFront => "http",
            Self::AuthBack => "rpc",
        }
    }

    /// Its binary among those of [`Binaries::of_tests`].
    ///
    /// # Panics
    ///
    /// When it cannot be built.
    #[must_use]
    pub fn binary(self) -> PathBuf {
        Binaries::of_tests().of(self)
    }
}

/// A directory with both programs in it.
#[derive(Clone, Debug)]
pub struct Binaries {
    directory: PathBuf,
}

impl Binaries {
    /// For tests: the directory that `GATEHOUSE_TEST_BINARIES` names; where it names none, what cargo
    /// builds in the profile of the test itself. Blocks for as long as that takes, the first time in a
    /// process; cargo's own lock keeps test processes that run side by side from building twice.
    ///
    /// # Panics
    ///
    /// When they cannot be built.
    #[must_use]
    pub fn of_tests() -> Self {
        static BINARIES: OnceLock<Binaries> = OnceLock::new();
        let directory = || env::var_os(BUILT).map_or_else(build, PathBuf::from);
        BINARIES.get_or_init(|| Self { directory: directory() }).clone()
    }

    /// For a program that was built together with both: the directory that it lies in itself.
    ///
    /// # Errors
    ///
    /// When the system does not say where that is.
    pub fn beside_this_program() -> Result<Self, Error> {
        let this =
            env::current_exe().map_err(Error::system("find the directory of this program"))?;
        Ok(Self { directory: this.parent().map(Path::to_owned).unwrap_or_default() })
    }

    /// Those in this directory, of another release, say.
    #[must_use]
    pub fn in_directory(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Where they lie.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The binary of `program`.
    #[must_use]
    pub fn of(&self, program: Program) -> PathBuf {
        self.directory.join(program.name())
    }
}

/// Has cargo build the programs, and this crate's own, which `./run` calls. Cargo's messages say where they
/// lie, because cargo knows of every way to set a target directory.
fn build() -> PathBuf {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["build", "--locked", "--quiet", "--message-format=json-render-diagnostics"])
        .args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml")])
        .args(["-p", "http_front", "-p", "auth_back", "-p", "harness", "--bins"])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let output = cargo.output().expect("cargo runs");
    assert!(output.status.success(), "the servers do not build: {}", output.status);
    let messages = String::from_utf8_lossy(&output.stdout);
    let binary = executable(&messages, Program::AuthBack.name())
        .unwrap_or_else(|| panic!("cargo does not say where auth_back is: {messages}"));
    Path::new(binary).parent().map(Path::to_owned).unwrap_or_default()
}

/// The path of the executable `name` in cargo's messages. A path that JSON would escape is not understood.
fn executable<'a>(messages: &'a str, name: &str) -> Option<&'a str> {
    let mut paths = messages.split("\"executable\":\"").skip(1);
    paths.find_map(|rest| {
        let path = rest.split('"').next()?;
        (Path::new(path).file_name()? == name).then_some(path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_says_where_an_executable_is() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"http1"},"executable":null}"#,
            "\n",
            r#"{"target":{"name":"auth_back"},"executable":"/t/debug/auth_back","fresh":true}"#,
            "\n",
        );
        assert_eq!(executable(messages, "auth_back"), Some("/t/debug/auth_back"));
        assert_eq!(executable(messages, "http_front"), None);
        assert_eq!(executable("", "http_front"), None);
    }
}

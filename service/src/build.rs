//! Which build this is: what `--version`, the line "listening" and the metric `build_info` say.
//!
//! `build.rs` of this crate asks git and the compiler. It runs again after each commit and checkout; whether files
//! differ from the commit it says as of then, in release builds as of the last change of a source.

use std::fmt;

/// Of the whole workspace: both programs are of one version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit, followed by `-dirty` where files differed from it; `unknown` outside a checkout.
pub const REVISION: &str = env!("GATEHOUSE_BUILD_REVISION");

/// When the commit was made, as RFC 3339 has it; `unknown` outside a checkout.
pub const COMMIT_TIME: &str = env!("GATEHOUSE_BUILD_COMMIT_TIME");

/// What the compiler says of itself.
pub const RUSTC: &str = env!("GATEHOUSE_BUILD_RUSTC");

/// What it was built for, such as `x86_64-unknown-linux-gnu`.
pub const TARGET: &str = env!("GATEHOUSE_BUILD_TARGET");

/// Something that a program is made with, and which release of it.
pub type Part = (&'static str, fn() -> &'static str);

/// The build of a program.
#[derive(Clone, Copy, Debug)]
pub struct Build {
    pub(crate) parts: &'static [Part],
}

impl Build {
    /// What `--version` says below the program's version: a line each.
    pub(crate) fn lines(self) -> String {
        let mut text = VERSION.to_owned();
        for (name, value) in self.all() {
            text.push_str(&format!("\n{name}: {value}"));
        }
        text
    }

    fn all(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let ours = [
            ("revision", REVISION),
            ("committed", COMMIT_TIME),
            ("compiler", RUSTC),
            ("target", TARGET),
        ];
        ours.into_iter().chain(self.parts.iter().map(|(name, release)| (*name, release())))
    }
}

impl fmt::Display for Build {
    /// For a line of the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(VERSION)?;
        self.all().try_for_each(|(name, value)| write!(f, ", {name} {value}"))
    }
}

/// The number of the compiler's release.
pub(crate) fn rustc_release() -> &'static str {
    RUSTC.split(' ').nth(1).unwrap_or(RUSTC)
}

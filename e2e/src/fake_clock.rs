//! A wall clock for other programs that a test sets: Debian's libfaketime, which answers their calls for the time.
//!
//! Only the wall clock is wrong in them. `CLOCK_MONOTONIC` and `CLOCK_BOOTTIME` go on as the machine has them.

use std::path::PathBuf;
use std::{env, fs};

use harness::Scratch;

/// A clock that is right until it is [set](Self::set).
#[derive(Debug)]
pub struct FakeClock {
    directory: Scratch,
    library: PathBuf,
}

impl FakeClock {
    /// One that is right.
    #[must_use]
    pub fn right() -> Self {
        Self::wrong_by(0)
    }

    /// One that is so many seconds ahead, or behind.
    #[must_use]
    pub fn wrong_by(seconds: i64) -> Self {
        let directory = Scratch::new("clock").expect("a directory");
        let clock = Self { directory, library: library() };
        clock.set(seconds);
        clock
    }

    /// Sets it so many seconds ahead of the right time, or behind.
    pub fn set(&self, seconds: i64) {
        // Renamed, so that nobody reads half of it.
        let at = |name| self.directory.path().join(name);
        let (new, file) = (at("new"), at("offset"));
        fs::write(&new, format!("{seconds:+}\n")).expect("a file is written");
        fs::rename(new, file).expect("a file is renamed");
    }

    /// What a program has to find in its environment to go by this clock.
    #[must_use]
    pub fn variables(&self) -> Vec<(String, String)> {
        let library = self.library.display().to_string();
        let file = self.directory.path().join("offset").display().to_string();
        let variables = [
            ("LD_PRELOAD", library.as_str()),
            ("FAKETIME_TIMESTAMP_FILE", file.as_str()),
            ("FAKETIME_NO_CACHE", "1"),
            // Older releases, and newer ones.
            ("DONT_FAKE_MONOTONIC", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ];
        variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    }

    /// Words before the command line of a program that is to go by this clock.
    #[must_use]
    pub fn wrapper(&self) -> Vec<String> {
        let set = self.variables().into_iter().map(|(name, value)| format!("{name}={value}"));
        std::iter::once("env".to_owned()).chain(set).collect()
    }
}

/// The library of the package faketime, for programs with threads.
fn library() -> PathBuf {
    let places = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let mut libraries = places.map(|place| place.path().join("faketime/libfaketimeMT.so.1"));
    let found = libraries.find(|library| library.exists());
    found.unwrap_or_else(|| {
        panic!(
            "libfaketime is needed, for {}: ./test installs the package faketime",
            env::consts::ARCH
        )
    })
}

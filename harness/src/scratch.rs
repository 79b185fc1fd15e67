//! Directories that nothing is kept in.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::Error;
use crate::reaper;

/// An empty directory. Dropping it removes it with all that is in it; so does the end of this process.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes one whose name begins with `name`, for whoever looks into `/tmp`.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub fn new(name: &str) -> Result<Self, Error> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let failed = || Error::system("make a scratch directory");
        let path = reaper::scratch().map_err(failed())?.join(format!("{name}-{number}"));
        fs::create_dir(&path).map_err(failed())?;
        Ok(Self { path })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of `name` in it, as text.
    #[must_use]
    pub fn at(&self, name: &str) -> String {
        self.path.join(name).display().to_string()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now goes at the end of the process.
        let _ = fs::remove_dir_all(&self.path);
    }
}

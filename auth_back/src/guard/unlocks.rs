//! How servers learn that an operator has unlocked an account: by notes in a directory beside their keys.
//!
//! What a server counts lies in its memory, under hashes that nobody else can make. So a command leaves a note in
//! `DATA/unlocked`, and each server that keeps its data there looks every few seconds and forgets for itself. Servers
//! never delete a note, since others may not have read it; the next command does, when it is old.
//!
//! A note is a file: the name of the account, and below it the addresses, a line each.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::limits::{UNLOCK_NOTE_BYTES_MAX, UNLOCK_NOTE_KEPT, UNLOCK_NOTES_MAX};
use crate::credentials::{Username, random};
use crate::ownership::{Heir, make_directories};

/// The name of the directory.
const DIRECTORY: &str = "unlocked";

/// Where a note is until it is whole.
const UNFINISHED: &str = ".";

fn directory(data: &Path) -> PathBuf {
    data.join(DIRECTORY)
}

/// Leaves a note for the servers that keep their data in `data`, which has to be there.
///
/// # Errors
/// What the system says; or that there are too many notes, which go by themselves after [`UNLOCK_NOTE_KEPT`].
pub fn leave(data: &Path, username: &Username, addresses: &[IpAddr]) -> io::Result<()> {
    fs::metadata(data)?;
    let directory = directory(data);
    make_directories(&directory)?;
    if remove_old(&directory)? >= UNLOCK_NOTES_MAX {
        return Err(io::Error::other(
            "many accounts were unlocked just now; try again in a minute",
        ));
    }
    let name = format!("{:016x}", u64::from_ne_bytes(random::bytes().map_err(io::Error::other)?));
    let unfinished = directory.join(format!("{UNFINISHED}{name}"));
    let mut note = username.to_string();
    addresses.iter().for_each(|address| note.push_str(&format!("\n{address}")));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    Heir::of(&unfinished, [])?.give(&file)?;
    file.write_all(note.as_bytes())?;
    // No loss if it does not survive a loss of power: what servers count does not either.
    fs::rename(&unfinished, directory.join(name))
}

/// Removes notes that every server has had time to read. Returns how many are left.
fn remove_old(directory: &Path) -> io::Result<usize> {
    let mut left = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let made = entry.metadata().and_then(|found| found.modified());
        let is_old = made.is_ok_and(|made| {
            // One that is from the future is of a clock that was set back.
            clock::wall().duration_since(made).map_or(true, |age| age > UNLOCK_NOTE_KEPT)
        });
        if !is_old || fs::remove_file(entry.path()).is_err() {
            left += 1;
        }
    }
    Ok(left)
}

/// Reads the notes that it has not read yet.
#[derive(Debug)]
pub struct UnlockReader {
    directory: PathBuf,
    read: BTreeSet<OsString>,
}

impl UnlockReader {
    /// For a server that keeps its data there.
    #[must_use]
    pub fn of(data: &Path) -> Self {
        Self { directory: directory(data), read: BTreeSet::new() }
    }

    /// Calls `unlock` for each new note. What cannot be read is passed over: no operator's command wrote it. Blocks for
    /// a look at the directory.
    pub fn read_new(&mut self, mut unlock: impl FnMut(&Username, &[IpAddr])) {
        // It is not there before somebody was unlocked.
        let Ok(entries) = fs::read_dir(&self.directory) else { return };
        let names = entries.filter_map(|entry| Some(entry.ok()?.file_name()));
        let names =
            names.filter(|name| !name.as_encoded_bytes().starts_with(UNFINISHED.as_bytes()));
        let there: BTreeSet<OsString> = names.take(UNLOCK_NOTES_MAX).collect();
        for name in there.difference(&self.read) {
            if let Some((username, addresses)) = read(&self.directory.join(name)) {
                unlock(&username, &addresses);
            }
        }
        self.read = there;
    }
}

fn read(path: &Path) -> Option<(Username, Vec<IpAddr>)> {
    let mut note = String::new();
    // Opening a pipe would wait for its writer.
    fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    File::open(path).ok()?.take(UNLOCK_NOTE_BYTES_MAX).read_to_string(&mut note).ok()?;
    let mut lines = note.lines();
    let username = Username::new(lines.next()?).ok()?;
    let addresses = lines.map(|line| line.parse().ok()).collect::<Option<_>>()?;
    Some((username, addresses))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_server_reads_each_note_once() {
        let data = tempfile::tempdir().unwrap();
        let [mut one, mut other] = [0; 2].map(|_| UnlockReader::of(data.path()));
        let check = |reader: &mut UnlockReader, expected: &[&str]| {
            let mut read = Vec::new();
            reader.read_new(|name, addresses| read.push(format!("{name} {addresses:?}")));
            read.sort();
            assert_eq!(read, expected);
        };
        check(&mut one, &[]);
        let unlock = |name: &str, addresses: &[&str]| {
            let addresses: Vec<_> = addresses.iter().map(|it| it.parse().unwrap()).collect();
            leave(data.path(), &Username::new(name).unwrap(), &addresses).unwrap();
        };
        unlock("ada", &["192.0.2.1", "2001:db8::1"]);
        check(&mut one, &["ada [192.0.2.1, 2001:db8::1]"]);
        check(&mut one, &[]);
        unlock("bob", &[]);
        // What is no note keeps none from being read.
        for (name, text) in [("x", "ada\nnowhere"), ("y", ""), (".z", "ada")] {
            fs::write(directory(data.path()).join(name), text).unwrap();
        }
        fs::create_dir(directory(data.path()).join("directory")).unwrap();
        check(&mut one, &["bob []"]);
        check(&mut other, &["ada [192.0.2.1, 2001:db8::1]", "bob []"]);
        // The same account again is another note.
        unlock("bob", &[]);
        check(&mut one, &["bob []"]);
    }

    #[test]
    fn old_notes_go_and_there_are_never_many() {
        let data = tempfile::tempdir().unwrap();
        let ada = Username::new("ada").unwrap();
        for _ in 0..UNLOCK_NOTES_MAX {
            leave(data.path(), &ada, &[]).unwrap();
        }
        assert!(leave(data.path(), &ada, &[]).is_err());
        let notes = || fs::read_dir(directory(data.path())).unwrap().map(Result::unwrap);
        assert_eq!(notes().count(), UNLOCK_NOTES_MAX);
        for note in notes() {
            let old = clock::wall() - 2 * UNLOCK_NOTE_KEPT;
            File::open(note.path()).unwrap().set_modified(old).unwrap();
        }
        leave(data.path(), &ada, &[]).unwrap();
        assert_eq!(notes().count(), 1);
        // A place that was mistyped is not made.
        let missing = data.path().join("missing");
        assert!(leave(&missing, &ada, &[]).is_err());
        assert!(!missing.exists());
    }
}

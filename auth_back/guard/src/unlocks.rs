//! How servers learn that an operator has unlocked an account: by notes in a directory beside their keys.
//!
//! What a server counts lies in its memory, under hashes that nobody else can make. So a command leaves a note in
//! `DATA/unlocked`, and each server that keeps its data there looks every few seconds and forgets for itself. An old note
//! is removed by the next command, or by a server that has read it a look ago, so that the others have as well.
//!
//! A note is a file: the name of the account, and below it the addresses, a line each.
//!
//! The server's user owns the data, and root gives the command, or runs a server there. So nothing follows a link, all is
//! done within the one directory that was opened, and nothing is removed but what has the name of a note.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use credentials::{Username, random};
use ownership::{Heir, make_directories};
use rustix::fs::{AtFlags, Dir, Mode, OFlags, openat, renameat, unlinkat};

use super::limits::{UNLOCK_NOTE_BYTES_MAX, UNLOCK_NOTE_KEPT, UNLOCK_NOTES_MAX};

/// The name of the directory.
const DIRECTORY: &str = "unlocked";

/// Hexadecimal digits, of which the name of a note is.
const NAME_DIGITS: usize = 16;

/// What the name of a note begins with until it is whole.
const UNFINISHED: &str = ".";

fn directory(data: &Path) -> PathBuf {
    data.join(DIRECTORY)
}

/// Leaves a note for the servers that keep their data in `data`, which has to be there.
///
/// # Errors
/// What the system says; that the directory is not what a command makes; or that there are too many notes, which go by
/// themselves after [`UNLOCK_NOTE_KEPT`].
pub fn leave(data: &Path, username: &Username, addresses: &[IpAddr]) -> io::Result<()> {
    fs::metadata(data)?;
    make_directories(&directory(data))?;
    let notes = Notes::open(data)?;
    if notes.remove_old()? >= UNLOCK_NOTES_MAX {
        return Err(io::Error::other(
            "many accounts were unlocked just now; try again in a minute",
        ));
    }
    let mut note = username.to_string();
    addresses.iter().for_each(|address| note.push_str(&format!("\n{address}")));
    notes.make(&note)
}

/// The directory of the notes, opened.
struct Notes {
    directory: File,
    heir: Heir,
}

impl Notes {
    fn open(data: &Path) -> io::Result<Self> {
        let path = directory(data);
        let heir = Heir::of(&path, [])?;
        Ok(Self { directory: heir.open_directory(&path)?, heir })
    }

    fn make(&self, note: &str) -> io::Result<()> {
        let number = u64::from_ne_bytes(random::bytes().map_err(io::Error::other)?);
        let name = format!("{number:0NAME_DIGITS$x}");
        let unfinished = format!("{UNFINISHED}{name}");
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = openat(&self.directory, &unfinished, flags, Mode::RUSR | Mode::WUSR)?;
        let mut file = File::from(file);
        self.heir.give(&file)?;
        file.write_all(note.as_bytes())?;
        // No loss if it does not survive a loss of power: what servers count does not either.
        Ok(renameat(&self.directory, &unfinished, &self.directory, &name)?)
    }

    /// Of all notes, those included that are not whole.
    fn names(&self) -> io::Result<impl Iterator<Item = String>> {
        let entries = Dir::read_from(&self.directory)?.map_while(Result::ok);
        let names = entries.filter_map(|entry| Some(entry.file_name().to_str().ok()?.to_owned()));
        Ok(names.filter(|name| is_whole(name.strip_prefix(UNFINISHED).unwrap_or(name))))
    }

    /// Removes notes that every server has had time to read. Returns how many are left.
    fn remove_old(&self) -> io::Result<usize> {
        let is_left = |name: &String| {
            let is_old = self.open_note(name).is_some_and(|note| is_old(&note));
            !is_old || self.remove(name).is_err()
        };
        Ok(self.names()?.filter(is_left).count())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        Ok(unlinkat(&self.directory, name, AtFlags::empty())?)
    }

    fn open_note(&self, name: &str) -> Option<File> {
        // Opening a pipe would wait for its writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let note = File::from(openat(&self.directory, name, flags, Mode::empty()).ok()?);
        let found = note.metadata().ok()?;
        (found.is_file() && self.heir.trusts(&found)).then_some(note)
    }
}

fn is_whole(name: &str) -> bool {
    let is_digit = |it: u8| matches!(it, b'0'..=b'9' | b'a'..=b'f');
    name.len() == NAME_DIGITS && name.bytes().all(is_digit)
}

#[expect(clippy::disallowed_methods, reason = "two clocks are compared, and neither is 1970")]
fn is_old(note: &File) -> bool {
    let made = note.metadata().and_then(|found| found.modified());
    made.is_ok_and(|made| {
        let age = clock::wall().duration_since(made);
        // One that is from the future is of a clock that was set back.
        let away: Duration = age.unwrap_or_else(|ahead| ahead.duration());
        away > UNLOCK_NOTE_KEPT
    })
}

/// Reads the notes that it has not read yet.
#[derive(Debug)]
pub struct UnlockReader {
    data: PathBuf,
    /// Of the last look. None before the first one.
    read: Option<BTreeSet<String>>,
}

impl UnlockReader {
    /// For a server that keeps its data there.
    #[must_use]
    pub fn of(data: &Path) -> Self {
        Self { data: data.to_owned(), read: None }
    }

    /// Calls `unlock` for each new note; what is old at the first look was not meant for this server. What cannot be read
    /// is passed over: no operator's command wrote it. Blocks for a look at the directory.
    pub fn read_new(&mut self, mut unlock: impl FnMut(&Username, &[IpAddr])) {
        // It is not there before somebody was unlocked.
        let Ok(notes) = Notes::open(&self.data) else { return };
        let Ok(names) = notes.names() else { return };
        let there: BTreeSet<_> =
            names.filter(|name| is_whole(name)).take(UNLOCK_NOTES_MAX).collect();
        for name in &there {
            let Some(note) = notes.open_note(name) else { continue };
            let is_read = self.read.as_ref().map(|read| read.contains(name));
            match (is_read, is_old(&note)) {
                // One that stays is tried again at the next look.
                (Some(true), true) => drop(notes.remove(name)),
                (Some(true), false) | (None, true) => {}
                (Some(false), _) | (None, false) => {
                    if let Some((username, addresses)) = parse(note) {
                        unlock(&username, &addresses);
                    }
                }
            }
        }
        self.read = Some(there);
    }
}

fn parse(file: File) -> Option<(Username, Vec<IpAddr>)> {
    let mut note = String::new();
    file.take(UNLOCK_NOTE_BYTES_MAX).read_to_string(&mut note).ok()?;
    let mut lines = note.lines();
    let username = Username::new(lines.next()?).ok()?;
    let addresses = lines.map(|line| line.parse().ok()).collect::<Option<_>>()?;
    Some((username, addresses))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, chown, symlink};

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
        for (name, text) in [
            ("0123456789abcdef", "ada\nnowhere"),
            ("1123456789abcdef", ""),
            ("x", "ada"),
            (".z", "ada"),
        ] {
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
            make_old(&note.path());
        }
        leave(data.path(), &ada, &[]).unwrap();
        assert_eq!(notes().count(), 1);
        // A place that was mistyped is not made.
        let missing = data.path().join("missing");
        assert!(leave(&missing, &ada, &[]).is_err());
        assert!(!missing.exists());
    }

    /// Who owns the data may put a link in the place of the directory, and root gives the command.
    #[test]
    fn nothing_is_done_where_a_link_leads() {
        let (data, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let ada = Username::new("ada").unwrap();
        let old = elsewhere.path().join("0123456789abcdef");
        let new = elsewhere.path().join("1123456789abcdef");
        for path in [&old, &new] {
            fs::write(path, "ada").unwrap();
        }
        make_old(&old);
        symlink(elsewhere.path(), directory(data.path())).unwrap();
        let error = leave(data.path(), &ada, &[]).unwrap_err().to_string();
        assert!(error.contains("is no directory"), "{error}");
        let mut reader = UnlockReader::of(data.path());
        reader.read_new(|_, _| panic!("it was read through a link"));
        assert!(old.exists() && new.exists());
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 2);
        // A note that is a link is none.
        fs::remove_file(directory(data.path())).unwrap();
        leave(data.path(), &ada, &[]).unwrap();
        symlink(&new, directory(data.path()).join("2123456789abcdef")).unwrap();
        let mut read = 0;
        reader.read_new(|_, _| read += 1);
        assert_eq!(read, 1);
    }

    #[test]
    fn a_directory_is_of_root_or_of_who_owns_the_data() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let ada = Username::new("ada").unwrap();
        for (owner, is_right) in [(7, true), (0, true), (8, false)] {
            let data = tempfile::tempdir().unwrap();
            chown(data.path(), Some(7), Some(7)).unwrap();
            fs::create_dir(directory(data.path())).unwrap();
            chown(directory(data.path()), Some(owner), Some(owner)).unwrap();
            fs::write(directory(data.path()).join("0123456789abcdef"), "ada").unwrap();
            assert_eq!(leave(data.path(), &ada, &[]).is_ok(), is_right, "{owner}");
            let mut read = 0;
            UnlockReader::of(data.path()).read_new(|_, _| read += 1);
            assert_eq!(read, if is_right { 2 } else { 0 }, "{owner}");
        }
        let data = tempfile::tempdir().unwrap();
        chown(data.path(), Some(7), Some(7)).unwrap();
        leave(data.path(), &ada, &[]).unwrap();
        let note = fs::read_dir(directory(data.path())).unwrap().next().unwrap().unwrap();
        for made in [directory(data.path()), note.path()] {
            assert_eq!(fs::symlink_metadata(made).unwrap().uid(), 7);
        }
    }

    #[test]
    fn only_notes_are_removed() {
        let data = tempfile::tempdir().unwrap();
        let ada = Username::new("ada").unwrap();
        leave(data.path(), &ada, &[]).unwrap();
        let at = |name: &str| directory(data.path()).join(name);
        let others = ["0123456789abcde", "0123456789abcdef0", "0123456789ABCDEF", "shadow", ".x"];
        let notes = ["0123456789abcdef", ".0123456789abcdef"];
        for name in others.iter().chain(&notes) {
            fs::write(at(name), "").unwrap();
            make_old(&at(name));
        }
        leave(data.path(), &ada, &[]).unwrap();
        for (names, stay) in [(&others[..], true), (&notes[..], false)] {
            names.iter().for_each(|name| assert_eq!(at(name).exists(), stay, "{name}"));
        }
    }

    /// An old one is of an unlocking that was meant for what servers had counted then.
    #[test]
    fn a_new_reader_takes_no_old_note_and_readers_remove_them() {
        let data = tempfile::tempdir().unwrap();
        let ada = Username::new("ada").unwrap();
        let mut running = UnlockReader::of(data.path());
        let look = |reader: &mut UnlockReader| {
            let mut read = 0;
            reader.read_new(|_, _| read += 1);
            let there = fs::read_dir(directory(data.path())).map_or(0, Iterator::count);
            (read, there)
        };
        leave(data.path(), &ada, &[]).unwrap();
        assert_eq!(look(&mut running), (1, 1));
        let note = directory(data.path()).join("0123456789abcdef");
        fs::write(&note, "bob").unwrap();
        make_old(&note);
        let mut new = UnlockReader::of(data.path());
        assert_eq!(look(&mut new), (1, 2), "the one of ada, which is not old");
        // A machine that slept has old notes that a server which ran has not read.
        assert_eq!(look(&mut running), (1, 2));
        assert_eq!(look(&mut new), (0, 1));
        assert_eq!(look(&mut running), (0, 1));
    }

    fn make_old(path: &Path) {
        let old = clock::wall() - 2 * UNLOCK_NOTE_KEPT;
        File::open(path).unwrap().set_modified(old).unwrap();
    }
}

//! Whose files are that are made where a server keeps its own.
//!
//! A server often runs as a user of its own, and its operator is root. What root makes where another user's server
//! looks for it belongs to that user ([`Heir::give`]), or the server could not read it. Somebody who is neither
//! root nor that user cannot give files away: they are refused before they make any ([`Heir::check`]).
//!
//! Whose the files are that are there already is nobody's fault to refuse for; a server says at its start what
//! looks wrong ([`doubts`]), because then somebody else may read or exchange its keys.

use std::fmt;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

const ROOT: u32 = 0;

/// Where names of users stand. Of a user who stands elsewhere, the number does as well.
const PASSWD: &str = "/etc/passwd";

/// A user and a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    uid: u32,
    gid: u32,
}

/// Who is to own a file that is about to be made.
#[derive(Clone, Debug)]
pub struct Heir {
    owner: Owner,
    /// Where that is seen.
    seen_at: PathBuf,
}

/// A file would be made that the server cannot read. Whoever runs this program is at fault.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} is of the user {}, whose server could not read what another user makes: use: \
     sudo -u {} auth_back ...",
    seen_at.display(), user_name(*uid), sudo_name(*uid)
)]
pub struct NotTheOwner {
    seen_at: PathBuf,
    uid: u32,
}

impl Owner {
    fn of(found: &Metadata) -> Self {
        Self { uid: found.uid(), gid: found.gid() }
    }
}

impl Heir {
    /// Owner and group of the first of `examples` that is there, else of the directory that `place` is in or would
    /// be in.
    ///
    /// # Errors
    /// When the directory cannot be looked at.
    pub fn of(place: &Path, examples: impl IntoIterator<Item = PathBuf>) -> io::Result<Self> {
        let example = examples.into_iter().find_map(|path| {
            let found = fs::metadata(&path).ok()?;
            Some(Self { owner: Owner::of(&found), seen_at: path })
        });
        match example {
            Some(heir) => Ok(heir),
            None => Self::of_directory(place),
        }
    }

    fn of_directory(place: &Path) -> io::Result<Self> {
        let place = std::path::absolute(place)?;
        for directory in place.ancestors().skip(1) {
            match fs::metadata(directory) {
                Ok(found) => {
                    return Ok(Self { owner: Owner::of(&found), seen_at: directory.to_owned() });
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::NotFound.into())
    }

    /// Refuses whoever would make a file that the heir cannot read. Root can read everything.
    ///
    /// # Errors
    /// [`NotTheOwner`].
    pub fn check(&self) -> Result<(), NotTheOwner> {
        check(self.owner.uid, my_uid(), &self.seen_at)
    }

    /// Gives the heir a file that this process has just made, if this process is root's.
    ///
    /// # Errors
    /// What the system says.
    pub fn give(&self, file: &File) -> io::Result<()> {
        if my_uid() != ROOT || Owner::of(&file.metadata()?) == self.owner {
            return Ok(());
        }
        fchown(file, Some(self.owner.uid), Some(self.owner.gid))
    }

    /// Opens a directory that root and the heir use together. The heir may own the one that it is in, and so put
    /// something else in its place, where root would do harm: it has to be no link, and root's, the heir's or ours.
    ///
    /// # Errors
    /// What the system says, or that it is something else.
    pub fn open_directory(&self, path: &Path) -> io::Result<File> {
        let directory = match open_made(path, Made::Directory) {
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                let text = format!("{} is no directory; remove it", path.display());
                return Err(io::Error::other(text));
            }
            opened => opened?,
        };
        let found = directory.metadata()?;
        if !self.trusts(&found) {
            let (owner, heir) = (user_name(found.uid()), user_name(self.owner.uid));
            let text = format!(
                "{} is of the user {owner}, and not of {heir} or root; remove it",
                path.display()
            );
            return Err(io::Error::other(text));
        }
        Ok(directory)
    }

    /// Whether nobody made it but those who may.
    #[must_use]
    pub fn trusts(&self, found: &Metadata) -> bool {
        [ROOT, self.owner.uid, my_uid()].contains(&found.uid())
    }

    /// The same as [`Heir::give`], of what has been made under a name. The heir may own the directory that it is in, and so put a link to
    /// somebody else's file in its place, which root would give away: what is given is what was opened, without
    /// following a link, and root's own.
    fn give_made(&self, path: &Path, kind: Made) -> io::Result<()> {
        if my_uid() != ROOT {
            return Ok(());
        }
        let file = open_made(path, kind)?;
        let found = file.metadata()?;
        let is_as_made = match kind {
            Made::File => found.is_file() && found.nlink() == 1,
            Made::Directory => found.is_dir(),
        };
        if Owner::of(&found) == self.owner {
            return Ok(());
        }
        if !is_as_made || found.uid() != ROOT {
            let text = format!("{} is not what was made there", path.display());
            return Err(io::Error::other(text));
        }
        self.give(&file)
    }
}

/// What was made under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Made {
    File,
    Directory,
}

fn open_made(path: &Path, kind: Made) -> io::Result<File> {
    let flags = match kind {
        // A pipe in its place would wait for its writer.
        Made::File => OFlags::NOFOLLOW | OFlags::NONBLOCK,
        Made::Directory => OFlags::NOFOLLOW | OFlags::DIRECTORY,
    };
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// Refuses whoever is neither root nor the owner of `path`; where that is not there, of `neighbour` or of the
/// directory. Whoever works on such a file makes it, or leaves companions of it behind.
///
/// # Errors
/// [`NotTheOwner`].
pub fn check_works_on(path: &Path, neighbour: &Path) -> Result<(), NotTheOwner> {
    match Heir::of(path, [path.to_owned(), neighbour.to_owned()]) {
        Ok(heir) => heir.check(),
        // What cannot be looked at cannot be worked on either, which its reader says.
        Err(_) => Ok(()),
    }
}

fn check(owner: u32, me: u32, seen_at: &Path) -> Result<(), NotTheOwner> {
    if me == ROOT || owner == ROOT || owner == me {
        return Ok(());
    }
    Err(NotTheOwner { seen_at: seen_at.to_owned(), uid: owner })
}

/// Gives a database that root has made, and what SQLite has made beside it, to the owner of its directory.
///
/// # Errors
/// What the system says.
pub fn give_database(path: &Path) -> io::Result<()> {
    let heir = Heir::of(path, [])?;
    for companion in ["", "-wal", "-shm"] {
        let mut file = path.as_os_str().to_owned();
        file.push(companion);
        match heir.give_made(Path::new(&file), Made::File) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            given => given?,
        }
    }
    Ok(())
}

/// Makes directories with mode 0700 that are not there. What root makes belongs to the owner of what was there. Their
/// names are on the disk when this returns: keys are made in them, and what those have sealed may be elsewhere.
///
/// # Errors
/// What the system says.
pub fn make_directories(path: &Path) -> io::Result<()> {
    make_directories_that(path, sync_directory)
}

/// Brings the names in a directory to the disk.
fn sync_directory(path: &Path) -> io::Result<()> {
    match File::open(path).and_then(|directory| directory.sync_all()) {
        // Names can be made in it and not be listed.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        synced => synced,
    }
}

fn make_directories_that(
    path: &Path,
    mut sync: impl FnMut(&Path) -> io::Result<()>,
) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    let absolute = std::path::absolute(path)?;
    let heir = Heir::of_directory(&absolute)?;
    let is_there = |path: &Path| fs::symlink_metadata(path).is_ok();
    let missing: Vec<&Path> = absolute.ancestors().take_while(|it| !is_there(it)).collect();
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&absolute)?;
    // The innermost first: until the outermost is given away, nobody else can reach those within.
    missing.iter().try_for_each(|made| heir.give_made(made, Made::Directory))?;
    missing.iter().filter_map(|made| made.parent()).try_for_each(&mut sync)
}

/// What is wrong with a file or directory of the server's, or those that it is in: whose they are, or who may write
/// to them. For an operator to read.
#[must_use]
pub fn doubts(path: &Path) -> Vec<String> {
    doubts_of(path, my_uid())
}

fn doubts_of(path: &Path, me: u32) -> Vec<String> {
    let Ok(path) = path.canonicalize() else { return Vec::new() };
    let Ok(found) = fs::metadata(&path) else { return Vec::new() };
    let mut doubts = Vec::new();
    if found.uid() != ROOT && found.uid() != me {
        let name = user_name(found.uid());
        doubts.push(format!("{} is of the user {name}, who may change it", path.display()));
    }
    for directory in path.ancestors() {
        let Ok(found) = fs::metadata(directory) else { continue };
        let mode = found.mode() & 0o7777;
        // In a sticky directory nobody renames what is another's, but of ours nobody else is to make a file there.
        let is_open = mode & 0o022 != 0 && (mode & 0o1000 == 0 || directory == path);
        if found.is_dir() && is_open {
            let directory = directory.display();
            doubts.push(format!(
                "{directory} has mode {mode:04o}: others may exchange what is in it; use: chmod go-w {directory}"
            ));
        }
    }
    doubts
}

/// A file of keys that belongs to another user than the others there, so that one of them may be of no use to the
/// server.
///
/// # Errors
/// [`MixedOwners`].
pub fn check_same(files: &[PathBuf]) -> Result<(), MixedOwners> {
    let owner = |path: &PathBuf| Some((path.clone(), fs::metadata(path).ok()?.uid()));
    let mut files = files.iter().filter_map(owner);
    let Some((first, uid)) = files.next() else { return Ok(()) };
    match files.find(|(_, other)| *other != uid) {
        None => Ok(()),
        Some((other, other_uid)) => {
            Err(MixedOwners { first, uid: UserName(uid), other, other_uid: UserName(other_uid) })
        }
    }
}

/// Two keys of one directory are not of one user. Whoever placed them is at fault.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} is of the user {uid} and {} of {other_uid}: a server that runs as one of them cannot read both; use: \
     chown --reference={} {}",
    first.display(), other.display(), first.display(), other.display()
)]
pub struct MixedOwners {
    first: PathBuf,
    uid: UserName,
    other: PathBuf,
    other_uid: UserName,
}

/// A user for messages: the name, or the number of one who has none.
#[derive(Clone, Copy, Debug)]
struct UserName(u32);

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&user_name(self.0))
    }
}

fn my_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn user_name(uid: u32) -> String {
    name_in(&fs::read_to_string(PASSWD).unwrap_or_default(), uid)
        .map_or_else(|| uid.to_string(), ToOwned::to_owned)
}

/// The user as `sudo -u` takes them.
fn sudo_name(uid: u32) -> String {
    name_in(&fs::read_to_string(PASSWD).unwrap_or_default(), uid)
        .map_or_else(|| format!("'#{uid}'"), ToOwned::to_owned)
}

/// The name of a user in the text of passwd(5), if it is one that a shell takes as it is.
fn name_in(passwd: &str, uid: u32) -> Option<&str> {
    let is_plain = |name: &&str| {
        !name.is_empty()
            && name.bytes().all(|it| it.is_ascii_alphanumeric() || b"_-.".contains(&it))
    };
    let mut users = passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(uid)).then_some(name)
    });
    users.next().filter(is_plain)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn whoever_is_neither_root_nor_the_owner_is_refused() {
        let check = |owner, me, expected: bool| {
            assert_eq!(check(owner, me, Path::new("/x")).is_ok(), expected, "{owner} {me}");
        };
        check(ROOT, ROOT, true);
        check(7, ROOT, true);
        check(7, 7, true);
        // A server of root's reads what anybody makes.
        check(ROOT, 7, true);
        check(8, 7, false);
        let error = super::check(4_294_967_290, 7, Path::new("/x")).unwrap_err().to_string();
        assert!(error.contains("sudo -u '#4294967290' auth_back"), "{error}");
    }

    /// Who owns the directory may put something else in the place of what root has made there.
    #[test]
    fn root_gives_away_nothing_but_what_it_made() {
        if my_uid() != ROOT {
            return;
        }
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        let heir = Heir { owner: Owner { uid: 7, gid: 7 }, seen_at: at("") };
        let owner = |name: &str| fs::symlink_metadata(at(name)).unwrap().uid();
        for name in ["made", "others", "linked"] {
            fs::write(at(name), "").unwrap();
        }
        heir.give_made(&at("made"), Made::File).unwrap();
        assert_eq!(owner("made"), 7);
        std::os::unix::fs::symlink(at("others"), at("link")).unwrap();
        fs::hard_link(at("linked"), at("hard")).unwrap();
        fs::create_dir(at("directory")).unwrap();
        for name in ["link", "hard", "directory"] {
            assert!(heir.give_made(&at(name), Made::File).is_err(), "{name}");
        }
        assert!(heir.give_made(&at("link"), Made::Directory).is_err());
        for name in ["others", "linked", "directory"] {
            assert_eq!(owner(name), ROOT, "{name}");
        }
    }

    #[test]
    fn names_of_users() {
        let passwd =
            "root:x:0:0:root:/root:/bin/sh\n\nbroken\ngate:x:7:8::/:/bin/sh\n$(x):x:9:9::/:\n";
        assert_eq!(name_in(passwd, 0), Some("root"));
        assert_eq!(name_in(passwd, 7), Some("gate"));
        assert_eq!(name_in(passwd, 8), None);
        assert_eq!(name_in(passwd, 9), None, "no shell is to run it");
    }

    #[test]
    fn an_heir_is_who_owns_an_example_or_else_the_next_directory() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("a/b/file");
        let heir = Heir::of(&place, []).unwrap();
        assert_eq!(heir.seen_at, directory.path());
        assert_eq!(heir.owner, Owner::of(&fs::metadata(directory.path()).unwrap()));
        let example = directory.path().join("example");
        File::create(&example).unwrap();
        let missing = directory.path().join("missing");
        let heir = Heir::of(&place, [missing, example.clone()]).unwrap();
        assert_eq!(heir.seen_at, example);
        make_directories(place.parent().unwrap()).unwrap();
        let mode = fs::metadata(directory.path().join("a")).unwrap().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    /// The name of each that was made is in its parent.
    #[test]
    fn names_of_new_directories_are_brought_to_the_disk() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let check = |path: &str, expected: &[&str]| {
            let mut synced = Vec::new();
            let note = |path: &Path| {
                synced.push(path.to_owned());
                sync_directory(path)
            };
            make_directories_that(&at(path), note).unwrap();
            let expected: Vec<_> = expected.iter().map(|path| at(path)).collect();
            assert_eq!(synced, expected, "{path}");
        };
        check("", &[]);
        check("a", &[""]);
        check("a/b/c", &["a/b", "a"]);
        check("a/b/c", &[]);
        let failing = |_: &Path| Err(io::ErrorKind::StorageFull.into());
        assert!(make_directories_that(&at("d"), failing).is_err());
    }

    #[test]
    fn what_others_own_or_may_exchange_is_doubtful() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("key");
        File::create(&file).unwrap();
        let me = fs::metadata(&file).unwrap().uid();
        #[track_caller]
        fn check(file: &Path, me: u32, words: &[&str]) {
            let doubts = doubts_of(file, me);
            assert_eq!(doubts.len(), words.len(), "{doubts:?}");
            for (doubt, words) in doubts.iter().zip(words) {
                assert!(doubt.contains(words), "{doubt}");
            }
        }
        let set = |mode| fs::set_permissions(directory.path(), fs::Permissions::from_mode(mode));
        check(&file, me, &[]);
        for (mode, writable) in [(0o777, true), (0o1777, false), (0o770, true), (0o755, false)] {
            set(mode).unwrap();
            let command = format!("use: chmod go-w {}", directory.path().display());
            let doubts = [&*command];
            check(&file, me, if writable { &doubts } else { &[] });
            // Of the data directory itself, whatever is in it.
            check(directory.path(), me, if mode & 0o022 != 0 { &doubts } else { &[] });
        }
        if me != ROOT {
            check(&file, me + 1, &["who may change it"]);
        }
        check(&directory.path().join("missing"), me, &[]);
    }
}

//! `auth_back backup`: the database of one moment in a directory of its own, while servers run.
//!
//! For SQLite. MySQL and MariaDB have a tool that does it well; the command names the line.
//!
//! The directory is made beside its name and takes it when all is in it, checked and on the disk. So a backup that
//! was cut off is none. Keys are left out: whoever has both can guess passwords.

use std::error::Error;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use clap::{Arg, ArgMatches, Command, value_parser};
use credentials::{KeySource, random};
use ownership::{self, Heir};
use rustix::fs::OFlags;
use server::opening::SchemaFault;
use server::settings::Settings;
use store::limits::USER_RANGE_MAX;
use store::{self, Absent, MySqlUrl, Schema, Store, StoreError, StoreUrl, backup};
use unix_time::{rfc3339, unix_ms};

use super::console::say;
use super::interrupt;
use super::progress::{Progress, Unit};
use super::store_access::store_deadline;
use super::subcommand::{Done, Subcommand, Telling};

pub(super) const COMMAND: Subcommand = Subcommand { command, run, telling: |_| Telling::Before };

const DIRECTORY: &str = "directory";

/// The database in the directory.
const DATABASE: &str = "users.sqlite";

/// What it is, and what to do with it.
const README: &str = "README.txt";

fn command() -> Command {
    Command::new("backup")
        .about("Copy a SQLite store while servers run; docs/backup.md has the rest")
        .arg(
            Arg::new(DIRECTORY)
                .value_name("DIRECTORY")
                .required(true)
                .value_parser(value_parser!(PathBuf))
                .help("A new directory, or an empty one, which is replaced"),
        )
}

/// The store is of a kind that its own tools make backups of. Whoever gave the command has to use them.
#[derive(Debug, thiserror::Error)]
#[error(
    "nothing was done: {database} is copied by mariadb-dump or mysqldump, while servers run. The file DUMP.cnf, for \
     its owner alone, has a section [client] with user and password (docs/backup.md); then:\n{line}"
)]
pub(super) struct OtherTools {
    database: MySqlUrl,
    line: String,
}

impl OtherTools {
    fn new(database: &MySqlUrl, directory: &Path) -> Self {
        let file = quoted(&directory.join("gatehouse.sql"));
        let (host, port, name) = (database.host(), database.port(), database.database());
        let line = format!(
            "mariadb-dump --defaults-extra-file=DUMP.cnf --protocol=tcp --host={host} --port={port} --single-transaction \
             --quick --hex-blob --no-tablespaces --skip-add-locks --skip-add-drop-table --result-file={file} {name}"
        );
        Self { database: database.clone(), line }
    }
}

fn run(arguments: &ArgMatches, settings: &Settings) -> Done {
    let place: &PathBuf = arguments.get_one(DIRECTORY).expect("the parser insists");
    let source = match &settings.store {
        StoreUrl::Sqlite(path) => path,
        StoreUrl::MySql(url) => return Err(OtherTools::new(url, place).into()),
    };
    let version = schema_version(settings)?;
    let directory = NewDirectory::beside(place)
        .map_err(|error| format!("cannot make {}: {error}", place.display()))?;
    interrupt::watch()?;
    let made = directory.fill(settings, source, version);
    interrupt::check(|| "no backup was made".to_owned())?;
    let users = made?;
    directory
        .take_place()
        .map_err(|error| format!("no backup was made: cannot make {}: {error}", place.display()))?;
    let file = place.join(DATABASE);
    say(&format!("{users} users, schema version {version}: {}", file.display()))?;
    say_of_keys(settings)?;
    Ok(())
}

/// Which schema the store has. One of an older release is worth a backup too: before an upgrade.
fn schema_version(settings: &Settings) -> Result<u32, Box<dyn Error>> {
    let store = store::open(&settings.store, 1, Absent::Refuse)?;
    match store.schema(store_deadline())? {
        Schema::None => Err(SchemaFault::None(settings.store.clone()).into()),
        Schema::Older { found: version, .. } | Schema::Fits { version } => Ok(version),
    }
}

/// How many users a store has, as far as no signal comes.
pub(super) fn count(store: &dyn Store) -> Result<u64, StoreError> {
    let (mut users, mut after) = (0, 0);
    loop {
        let range = super::store_access::patiently(|deadline| {
            store.user_range(after, USER_RANGE_MAX, deadline)
        })?;
        let Some(last) = range.last else { return Ok(users) };
        (users, after) = (users + u64::from(range.count), last);
        if interrupt::signal().is_some() {
            return Ok(users);
        }
    }
}

/// Keys belong into another backup: says which, and how.
fn say_of_keys(settings: &Settings) -> io::Result<()> {
    say(
        "the keys are not in it: whoever has both can guess passwords. Keep them in another place:",
    )?;
    let sources = [("peppers", &settings.pepper_keys), ("token keys", &settings.token_keys)];
    let mut told = None;
    for (what, source) in sources {
        match source {
            KeySource::Directory(keys) if told == Some(keys) => {}
            KeySource::Directory(keys) => {
                say(&format!(
                    "(umask 077; tar --create --file=OTHER_PLACE/keys.tar --directory={} .)",
                    quoted(keys.path())
                ))?;
                told = Some(keys);
            }
            KeySource::Environment(_) | KeySource::Command(_) => {
                say(&format!("the {what} come from {source}: what is there has to be kept too"))?;
            }
        }
    }
    Ok(())
}

/// A path as one word of a shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |it: u8| it.is_ascii_alphanumeric() || b"/._-+=:@%,".contains(&it);
    if !text.is_empty() && text.bytes().all(is_plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A directory beside the one that it is to be, gone on drop unless it took the place. What root makes in it belongs to
/// the owner of the directory that it is in.
struct NewDirectory<'a> {
    path: PathBuf,
    opened: File,
    place: &'a Path,
    heir: Heir,
    has_place: bool,
}

impl<'a> NewDirectory<'a> {
    fn beside(place: &'a Path) -> io::Result<Self> {
        let name = place.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
        check_free(place)?;
        let number = u64::from_ne_bytes(random::bytes().map_err(io::Error::other)?);
        let path = place.with_file_name(format!(".{name}.{number:016x}"));
        ownership::make_directories(directory_of(place))?;
        let heir = Heir::of(&path, [])?;
        DirBuilder::new().mode(0o700).create(&path)?;
        let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::DIRECTORY).bits());
        let flags = flags.map_err(io::Error::other)?;
        let opened = OpenOptions::new().read(true).custom_flags(flags).open(&path)?;
        Ok(Self { path, opened, place, heir, has_place: false })
    }

    /// Puts the database and what there is to say of it into the directory. Returns how many users it has.
    fn fill(
        &self,
        settings: &Settings,
        source: &Path,
        version: u32,
    ) -> Result<u64, Box<dyn Error>> {
        let database = self.path.join(DATABASE);
        let file = self.file(DATABASE)?;
        let mut progress = None;
        let watch = move |written: backup::Written| {
            let progress =
                progress.get_or_insert_with(|| Progress::new(Unit::Bytes, Some(written.due)));
            progress.set(written.bytes);
            interrupt::flow()
        };
        // Either may be at fault, and trying again later helps with neither.
        backup::copy(source, &database, watch).map_err(|error| {
            format!("cannot copy {} into {}: {error}", source.display(), self.path.display())
        })?;
        self.finish(&file, &database)?;
        backup::check(&database, interrupt::flow)
            .map_err(|error| format!("the copy is of no use: {error}"))?;
        let copy = store::open(&StoreUrl::Sqlite(database), 1, Absent::Refuse)?;
        match copy.schema(store_deadline())? {
            Schema::Older { found, .. } | Schema::Fits { version: found } if found == version => {}
            _ => return Err("the copy has another schema: a migration ran meanwhile".into()),
        }
        let users = count(&*copy)?;
        let mut readme = self.file(README)?;
        readme.write_all(describe(settings, version, users).as_bytes())?;
        self.finish(&readme, &self.path.join(README))?;
        Ok(users)
    }

    /// A new file for its owner alone.
    fn file(&self, name: &str) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600).open(self.path.join(name))
    }

    /// Has a file on the disk and in its owner's hands. Whoever owns the directory around may have exchanged it.
    fn finish(&self, file: &File, path: &Path) -> io::Result<()> {
        let (made, found) = (file.metadata()?, fs::symlink_metadata(path)?);
        if (made.dev(), made.ino()) != (found.dev(), found.ino()) {
            return Err(io::Error::other(format!("{} was exchanged", path.display())));
        }
        self.heir.give(file)?;
        file.sync_all()
    }

    fn take_place(mut self) -> io::Result<()> {
        self.opened.sync_all()?;
        self.heir.give(&self.opened)?;
        // In one step, and only if there is nothing or an empty directory.
        fs::rename(&self.path, self.place)?;
        self.has_place = true;
        File::open(directory_of(self.place))?.sync_all()
    }
}

impl Drop for NewDirectory<'_> {
    fn drop(&mut self) {
        if !self.has_place {
            // What cannot be removed has a hidden name, and says by it that it is no backup.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

fn directory_of(place: &Path) -> &Path {
    place.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Refuses a place where something is, before the work is done.
fn check_free(place: &Path) -> io::Result<()> {
    match fs::read_dir(place).map(|mut entries| entries.next()) {
        Ok(None) => Ok(()),
        Ok(Some(_)) => Err(io::Error::other("there are files in it")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn describe(settings: &Settings, version: u32, users: u64) -> String {
    let (place, made) = (&settings.store, rfc3339(unix_ms(clock::wall())));
    let program = env!("CARGO_PKG_VERSION");
    format!(
        "A backup of Gatehouse's store.\n\
         \n\
         store:   {place}\n\
         made:    {made}\n\
         by:      auth_back {program}\n\
         schema:  {version}\n\
         users:   {users}\n\
         \n\
         Without the peppers, which are in another backup, no password can be checked.\n\
         To restore it: stop all servers, put {DATABASE} where --store says, with no -wal and no -shm\n\
         file beside it, and run `auth_back restored` before a server starts. docs/backup.md has the rest.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word() {
        let check = |path: &str, expected: &str| assert_eq!(quoted(Path::new(path)), expected);
        check("/var/lib/gatehouse/keys", "/var/lib/gatehouse/keys");
        check("/a b/$(c)", "'/a b/$(c)'");
        check("/it's", r"'/it'\''s'");
        check("", "''");
    }

    #[test]
    fn a_directory_takes_its_place_or_is_gone() {
        let scratch = tempfile::tempdir().unwrap();
        let names = || {
            let entries = fs::read_dir(&scratch).unwrap();
            entries.map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>()
        };
        let place = scratch.path().join("one");
        drop(NewDirectory::beside(&place).unwrap());
        assert!(names().is_empty());

        let directory = NewDirectory::beside(&place).unwrap();
        let file = directory.file(README).unwrap();
        assert!(!place.exists());
        directory.finish(&file, &directory.path.join(README)).unwrap();
        directory.take_place().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(&place), mode(&place.join(README))), (0o700, 0o600));
        assert_eq!(names(), ["one"]);

        // Neither one with files, nor one that gets files meanwhile, nor a file is replaced.
        assert!(NewDirectory::beside(&place).is_err());
        let late = scratch.path().join("late");
        fs::create_dir(&late).unwrap();
        let directory = NewDirectory::beside(&late).unwrap();
        fs::write(late.join("somebody's"), "").unwrap();
        assert!(directory.take_place().is_err());
        assert!(late.join("somebody's").exists());
        assert!(NewDirectory::beside(&late.join("somebody's")).is_err());
        assert_eq!(names().len(), 2);
    }

    #[test]
    fn a_file_that_was_exchanged_is_noticed() {
        let scratch = tempfile::tempdir().unwrap();
        let place = scratch.path().join("one");
        let directory = NewDirectory::beside(&place).unwrap();
        let file = directory.file(DATABASE).unwrap();
        let path = directory.path.join(DATABASE);
        fs::rename(&path, scratch.path().join("away")).unwrap();
        std::os::unix::fs::symlink(scratch.path().join("away"), &path).unwrap();
        directory.finish(&file, &path).unwrap_err();
    }
}

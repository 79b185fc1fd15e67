//! `auth_back export`: every user, for a backup or for another system.
//!
//! Hashes leave sealed as they are, useless without the pepper; what `import` reads back with the same
//! keys. With `--unsealed` they are what other systems read, and as good as the passwords to somebody who
//! guesses; user ids stay behind then, since only sealed hashes are bound to them.
//!
//! The walk goes by id while servers run: who registers meanwhile may be in it, and each user is as they
//! were at one moment, though not all at the same. A file is written beside its name and takes it when it is
//! whole.

use std::borrow::Cow;
use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command};
use credentials::ids::UserId;
use credentials::{PasswordRecord, PepperKeyring, random};
use serde_json::{Map, Value};
use server::opening;
use server::settings::Settings;
use store::limits::PROFILES_PAGE_MAX;
use store::{Store, UserProfile};
use unix_time::rfc3339;
use zeroize::Zeroizing;

use super::console::ascii_json;
use super::interrupt;
use super::progress::{Progress, Unit};
use super::store_access::patiently;
use super::subcommand::{Done, Subcommand, Telling};
use super::users_file::{Column, Format, disarm};

pub(super) const COMMAND: Subcommand = Subcommand { command, run, telling: |_| Telling::Before };

fn command() -> Command {
    Command::new("export")
        .about("Write every user to a file that import reads")
        .arg(
            Arg::new("file")
                .value_name("FILE")
                .required(true)
                .help("The file, or - for standard output"),
        )
        .arg(Format::argument())
        .arg(Arg::new("unsealed").long("unsealed").action(ArgAction::SetTrue).help(
            "Write hashes that other systems read, without the pepper; handle them like passwords",
        ))
}

fn run(arguments: &ArgMatches, settings: &Settings) -> Done {
    let text = |name| arguments.get_one::<String>(name).map(String::as_str);
    let path = text("file").expect("the parser insists");
    let format = Format::of(text("format"), path)?;
    let store = super::store_access::open_store(settings)?;
    let unsealed = arguments.get_flag("unsealed");
    let peppers = if unsealed {
        let now_ms = super::store_access::store_ms(&*store)?;
        Some(opening::peppers(settings, &*store, now_ms, super::store_access::store_deadline())?)
    } else {
        None
    };
    if unsealed {
        super::console::tell(
            "these hashes are not under the pepper: whoever reads them can guess passwords, as fast as \
             their machines allow",
        );
    }
    let left_behind =
        if path == "-" { "and the others were not" } else { "and no file is left of them" };
    let export = Export { store: &*store, format, peppers: peppers.as_ref(), left_behind };
    interrupt::watch()?;
    if path == "-" {
        let mut output = BufWriter::new(io::stdout().lock());
        export.write(&mut output)?;
        return Ok(output.flush()?);
    }
    let file = NewFile::beside(Path::new(path))
        .map_err(|error| format!("cannot write beside {path}: {error}"))?;
    let mut output = BufWriter::new(&file.file);
    let users = export.write(&mut output)?;
    output.flush()?;
    drop(output);
    file.take_place().map_err(|error| format!("cannot write {path}: {error}"))?;
    super::console::tell(&format!("{users} users"));
    Ok(())
}

pub(super) struct Export<'a> {
    pub(super) store: &'a dyn Store,
    pub(super) format: Format,
    /// What hashes are unsealed with, if they are to be.
    pub(super) peppers: Option<&'a PepperKeyring>,
    /// What becomes of what was written, if this is interrupted.
    pub(super) left_behind: &'static str,
}

impl Export<'_> {
    /// Writes every user and returns how many there were.
    pub(super) fn write(&self, output: &mut impl Write) -> Result<u64, Box<dyn Error>> {
        let columns = Column::ALL.into_iter();
        let columns = columns.filter(|it| self.peppers.is_none() || *it != Column::UserId);
        let columns: Vec<Column> = columns.collect();
        if self.format == Format::Csv {
            let names: Vec<&str> = columns.iter().map(|column| column.name()).collect();
            writeln!(output, "{}", names.join(","))?;
        }
        let progress = Progress::new(Unit::Things("users"), None);
        let (mut users, mut after) = (0, 0);
        loop {
            let page =
                patiently(|deadline| self.store.user_profiles(after, PROFILES_PAGE_MAX, deadline))?;
            let Some(last) = page.last() else { break };
            after = last.user_id;
            for profile in &page {
                self.line(profile, &columns, output)?;
            }
            users += page.len() as u64;
            progress.set(users);
            interrupt::check(|| format!("{users} users were written, {}", self.left_behind))?;
        }
        Ok(users)
    }

    fn line(
        &self,
        profile: &UserProfile,
        columns: &[Column],
        output: &mut impl Write,
    ) -> Result<(), Box<dyn Error>> {
        let hash = self.hash(profile)?;
        let cell = |column: &Column| match column {
            Column::UserId => Some(Cow::Owned(profile.user_id.to_string())),
            Column::Username => Some(Cow::Borrowed(profile.username.as_str())),
            Column::PasswordHash => Some(Cow::Borrowed(hash.as_str())),
            Column::Name => profile.name.as_deref().map(Cow::Borrowed),
            Column::Age => profile.age.map(|age| Cow::Owned(age.to_string())),
            Column::CreatedAt => Some(Cow::Owned(rfc3339(profile.created_at_ms))),
            Column::Disabled => profile.disabled_at_ms.map(|at_ms| Cow::Owned(rfc3339(at_ms))),
        };
        match self.format {
            Format::Csv => {
                let mut line = csv::WriterBuilder::new().from_writer(&mut *output);
                let cells = columns.iter().map(|column| {
                    cell(column).map_or_else(String::new, |cell| disarm(&escape_controls(&cell)))
                });
                line.write_record(cells)?;
                line.flush()?;
            }
            Format::JsonLines => {
                let object = columns.iter().filter_map(|column| {
                    let cell = cell(column)?;
                    let value = match column {
                        Column::Age => Value::from(profile.age),
                        _ => Value::from(&*cell),
                    };
                    Some((column.name().to_owned(), value))
                });
                writeln!(output, "{}", ascii_json(&object.collect::<Map<_, _>>()))?;
            }
        }
        Ok(())
    }

    fn hash(&self, profile: &UserProfile) -> Result<Zeroizing<String>, String> {
        let Some(peppers) = self.peppers else {
            return Ok(Zeroizing::new(profile.password_record.clone()));
        };
        // A backup that lacks somebody is found out when it is needed; so there is none.
        let failed = |error: &dyn std::fmt::Display| format!("user {}: {error}", profile.user_id);
        let user_id = UserId::new(profile.user_id).map_err(|error| failed(&error))?;
        let record: PasswordRecord =
            profile.password_record.parse().map_err(|error| failed(&error))?;
        let hash = record.unseal(user_id, peppers).map_err(|error| failed(&error))?;
        Ok(hash.to_text())
    }
}

/// No name that was registered or imported has a control character; one that somebody put into the
/// database is written so that it does nothing, and import then refuses nothing but that line's looks.
fn escape_controls(cell: &str) -> Cow<'_, str> {
    if !cell.contains(char::is_control) {
        return Cow::Borrowed(cell);
    }
    let escaped = cell.chars().map(|character| match character {
        _ if character.is_control() => character.escape_unicode().to_string(),
        _ => character.to_string(),
    });
    Cow::Owned(escaped.collect())
}

/// A file beside the one that it is to be, for its owner alone; gone on drop unless it took the place.
struct NewFile<'a> {
    file: File,
    path: PathBuf,
    place: &'a Path,
}

impl<'a> NewFile<'a> {
    fn beside(place: &'a Path) -> io::Result<Self> {
        let name = place.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
        let number = u64::from_ne_bytes(random::bytes().map_err(io::Error::other)?);
        let path = place.with_file_name(format!(".{name}.{number:016x}"));
        let file = File::options().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self { file, path, place })
    }

    fn take_place(self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, self.place)?;
        let directory = self.place.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Drop for NewFile<'_> {
    fn drop(&mut self) {
        // It is not there any more where it took the place.
        let _ = fs::remove_file(&self.path);
    }
}

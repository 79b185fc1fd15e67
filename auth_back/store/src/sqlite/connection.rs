//! SQLite's file and the connections to it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use pool::Manager;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, Error, ErrorCode, OpenFlags, ToSql};

use super::place::Place;
use crate::Absent;
use crate::error::{Cause, StoreError};
use crate::fault::{Blame, Connection as Condition, Fault, Kind};
use crate::limits::{
    SQLITE_LOG_BYTES_KEPT, SQLITE_LOG_PAGES_MAX, SQLITE_READER_PAGES, SQLITE_WAL_RETRY_PAUSE,
};

/// Permission bits of anybody but the owner.
const OTHERS: u32 = 0o077;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

/// Opens connections to one file.
#[derive(Debug)]
pub(super) struct Opener {
    place: Arc<Place>,
    access: Access,
}

impl Opener {
    pub(super) fn new(place: Arc<Place>, access: Access) -> Self {
        Self { place, access }
    }

    fn open(&self, deadline: Instant) -> Result<Connection, Fault> {
        // The pool hands a connection to one thread at a time, so SQLite's own mutex is not needed. No
        // CREATE: the file is there, and if somebody took it away, an empty one would lose every user.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection =
            Connection::open_with_flags(self.place.path(), flags).map_err(|error| fault(&error))?;
        // Else connections of one pool could lead to two files.
        self.place.of_connection()?;
        connection.busy_timeout(remaining(deadline)).map_err(|error| fault(&error))?;
        // Without it SQLite plans a statement anew for each set of values that is bound to it, which
        // takes several times as long as to look up a row (its option SQLITE_ENABLE_STAT4 is compiled in).
        connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
            .map_err(|error| fault(&error))?;
        let set = |name, value: &dyn ToSql| {
            connection.pragma_update(None, name, value).map_err(|error| fault(&error))
        };
        match self.access {
            Access::Read => {
                set("query_only", &"ON")?;
                set("cache_size", &SQLITE_READER_PAGES)?;
            }
            Access::Write => {
                enable_write_ahead_log(&connection, deadline)?;
                // FULL syncs the log at each commit; NORMAL would lose the last ones in a power cut.
                set("synchronous", &"FULL")?;
                set("foreign_keys", &"ON")?;
                set("journal_size_limit", &SQLITE_LOG_BYTES_KEPT.cast_signed())?;
                set("wal_autocheckpoint", &SQLITE_LOG_PAGES_MAX)?;
            }
        }
        Ok(connection)
    }
}

impl Manager for Opener {
    type Item = Connection;
    type Error = Fault;

    fn connect(&self, deadline: Instant) -> Result<Connection, Fault> {
        self.open(deadline)
    }
}

/// Makes the file if there is none and it may, for the owner alone, and returns where it is. SQLite gives
/// its companion files the same mode.
pub(super) fn prepare_file(path: &Path, absent: Absent) -> Result<Place, StoreError> {
    let refuse =
        |text: String| StoreError::Unavailable(Cause::File { path: path.to_owned(), text });
    let failed = |error: io::Error| refuse(error.to_string());
    // An absolute path is never mistaken for one of SQLite's special names (`:memory:`, `file:…`).
    let absolute = std::path::absolute(path).map_err(failed)?;
    let open = |options: &mut OpenOptions| options.read(true).write(true).open(&absolute);
    let file = match open(&mut OpenOptions::new()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && absent == Absent::Create => {
            // Another server may make it in the same moment; then it is the same file.
            let file = open(OpenOptions::new().create(true).mode(0o600)).map_err(failed)?;
            sync_directory_of(&absolute).map_err(failed)?;
            file
        }
        opened => opened.map_err(failed)?,
    };
    let metadata = file.metadata().map_err(failed)?;
    let mode = metadata.permissions().mode();
    if mode & OTHERS != 0 {
        return Err(refuse(format!(
            "mode {:03o} lets others in; it holds password records: chmod 600",
            mode & 0o777
        )));
    }
    Ok(Place::new(absolute, &metadata))
}

/// Makes a new name durable.
fn sync_directory_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

/// Switches the file to write-ahead logging, which it then stays in.
///
/// The switch needs the file for itself, and SQLite reports it busy without calling the busy handler when
/// two connections try it at once; hence the loop.
fn enable_write_ahead_log(connection: &Connection, deadline: Instant) -> Result<(), Fault> {
    loop {
        let switched = connection
            .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0));
        match switched {
            Ok(mode) if mode == "wal" => return Ok(()),
            // Without shared memory SQLite keeps the old mode, and reports no error.
            Ok(mode) => {
                return Err(Fault::new(
                    Blame::Operator,
                    Kind::Other,
                    Condition::Spoilt,
                    format!(
                        "journal mode stays {mode}: write-ahead logging needs a local file system"
                    ),
                ));
            }
            Err(error) if is_busy(&error) && clock::now() < deadline => {
                thread::sleep(SQLITE_WAL_RETRY_PAUSE.min(remaining(deadline)));
            }
            Err(error) => return Err(fault(&error)),
        }
    }
}

fn remaining(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(clock::now())
}

fn is_busy(error: &Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// Who is at fault, and whether the connection is still good. SQLite's messages name tables and columns,
/// never a bound value.
pub(super) fn fault(error: &Error) -> Fault {
    let (blame, condition) = match error.sqlite_error_code() {
        Some(
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::OperationInterrupted,
        ) => (Blame::Circumstances, Condition::Sound),
        Some(
            ErrorCode::DiskFull
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::OutOfMemory
            | ErrorCode::SystemIoFailure,
        ) => (Blame::Circumstances, Condition::Spoilt),
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => {
            (Blame::Operator, Condition::Spoilt)
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            (Blame::Data, Condition::Spoilt)
        }
        Some(_) => (Blame::Program, Condition::Sound),
        None => match error {
            Error::FromSqlConversionFailure(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::InvalidColumnType(..)
            | Error::Utf8Error(..) => (Blame::Data, Condition::Sound),
            _ => (Blame::Program, Condition::Sound),
        },
    };
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull | ErrorCode::ReadOnly | ErrorCode::SystemIoFailure) => {
            Kind::TakesNoWrites
        }
        _ => Kind::Other,
    };
    Fault::new(blame, kind, condition, error.to_string())
}

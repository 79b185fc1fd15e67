//! A copy of a SQLite file while servers write to it.
//!
//! It is made by `VACUUM INTO`, in one read transaction: the copy is the database of one moment, and with write-ahead
//! logging no writer waits for it. Meanwhile the log cannot be begun anew, so it grows by what is written.
//!
//! Why not SQLite's online backup API: it copies page by page, and when another process has written between two steps,
//! it begins from the start. Under load it would never end; in one step it could be neither watched nor stopped. It
//! also copies free pages, in which sessions and password records are that were deleted or replaced long ago. `VACUUM
//! INTO` leaves those out. The price is CPU: it reads and writes every row.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::connection::fault;
use crate::limits::{SQLITE_COPY_LOCK_TIME_MAX, SQLITE_COPY_LOOK_OPERATIONS};
use crate::{Cause, StoreError};

/// How far a copy is, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// So many are in the copy's file.
    pub bytes: u64,
    /// About so many there will be.
    pub due: u64,
}

/// The application id (<https://www.sqlite.org/fileformat2.html#application_id>) of a copy that is not in use: `GHcp`. One
/// that is in use has none.
const COPY: i32 = 0x4748_6370;

/// Copies the database `from` to `to`, an empty file, whose mode it keeps. Blocks until that is done; `watch` is asked
/// all the while whether to go on. The copy is one file, without companions, and is marked as a copy that is [not in
/// use](is_out_of_use). It is not synced.
///
/// # Errors
/// [`StoreError::Unavailable`] when one of the files cannot be used, or `watch` said no: the copy is of no use then.
pub fn copy(
    from: &Path,
    to: &Path,
    mut watch: impl FnMut(Written) -> ControlFlow<()> + Send + 'static,
) -> Result<(), StoreError> {
    let [from, to] =
        [from, to].map(|path| std::path::absolute(path).map_err(|e| unusable(path, &e)));
    let (from, to) = (from?, to?);
    let copy = to.clone();
    let name = to.to_str().ok_or_else(|| unusable(&to, &"its name is not UTF-8"))?.to_owned();
    // Who reads a log that is being written to needs to write to its index.
    let mut connection = open(&from, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let number = |connection: &Connection, name| {
        let number: rusqlite::Result<i64> =
            connection.pragma_query_value(None, name, |row| row.get(0));
        number.map(i64::unsigned_abs)
    };
    let due = number(&connection, "page_count")
        .and_then(|pages| Ok(pages.saturating_sub(number(&connection, "freelist_count")?)))
        .and_then(|pages| Ok(pages.saturating_mul(number(&connection, "page_size")?)))
        .map_err(|error| fault(&error))?;
    watched(&mut connection, move || {
        let bytes = fs::metadata(&to).map_or(0, |found| found.len());
        watch(Written { bytes, due })
    })?;
    connection.execute("VACUUM INTO ?", [name]).map_err(|error| fault(&error))?;
    set_application(&copy, COPY)
}

/// Whether a database is a copy that nobody has [put to use](put_to_use): what ended after it was made is live in it.
///
/// # Errors
/// [`StoreError::Unavailable`] when it cannot be read.
pub fn is_out_of_use(path: &Path) -> Result<bool, StoreError> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let application: i32 = connection
        .pragma_query_value(None, "application_id", |row| row.get(0))
        .map_err(|error| fault(&error))?;
    Ok(application == COPY)
}

/// Takes the mark of a copy off a database. One that has none stays as it is.
///
/// # Errors
/// [`StoreError::Unavailable`] when it cannot be read or written.
pub fn put_to_use(path: &Path) -> Result<(), StoreError> {
    if is_out_of_use(path)? { set_application(path, 0) } else { Ok(()) }
}

fn set_application(path: &Path, application: i32) -> Result<(), StoreError> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let set = connection.pragma_update(None, "application_id", application);
    set.map_err(|error| fault(&error).into())
}

/// Whether every page and every row of a database can be read, and each value is one that its column takes. Blocks;
/// `watch` is asked whether to go on.
///
/// # Errors
/// [`StoreError::Corrupt`] when something is wrong, [`StoreError::Unavailable`] when it cannot be read, or `watch` said
/// no.
pub fn check(
    path: &Path,
    watch: impl FnMut() -> ControlFlow<()> + Send + 'static,
) -> Result<(), StoreError> {
    let mut connection = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    watched(&mut connection, watch)?;
    let found: String = connection
        .pragma_query_value(None, "quick_check", |row| row.get(0))
        .map_err(|error| fault(&error))?;
    if found == "ok" {
        return Ok(());
    }
    Err(StoreError::Corrupt(Cause::Database(format!("SQLite's quick_check says: {found}"))))
}

fn open(path: &Path, access: OpenFlags) -> Result<Connection, StoreError> {
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    // Never one of SQLite's special names (`file:…`).
    let path = std::path::absolute(path).map_err(|error| unusable(path, &error))?;
    let opened = Connection::open_with_flags(&path, flags).and_then(|connection| {
        connection.busy_timeout(SQLITE_COPY_LOCK_TIME_MAX)?;
        // Whoever only looks leaves it to the server to carry the log into the file.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        Ok(connection)
    });
    opened.map_err(|error| fault(&error).into())
}

fn watched(
    connection: &mut Connection,
    mut watch: impl FnMut() -> ControlFlow<()> + Send + 'static,
) -> Result<(), StoreError> {
    // To interrupt is to return true.
    let handler = move || watch().is_break();
    connection
        .progress_handler(SQLITE_COPY_LOOK_OPERATIONS, Some(handler))
        .map_err(|error| fault(&error).into())
}

fn unusable(path: &Path, why: &dyn std::fmt::Display) -> StoreError {
    StoreError::Unavailable(Cause::File { path: path.to_owned(), text: why.to_string() })
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use tempfile::TempDir;

    use super::*;

    /// A database in write-ahead logging with many rows, of which half were deleted; kept open, so that all of it is in
    /// the log.
    fn database(directory: &TempDir, rows: u32) -> Connection {
        let connection = Connection::open(directory.path().join("from")).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        connection.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
        connection
            .execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT) STRICT")
            .unwrap();
        let fill = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?1) \
                    INSERT INTO t SELECT n, CASE n % 2 WHEN 0 THEN 'kept' ELSE 'deleted' END || n FROM n";
        connection.execute(fill, [rows]).unwrap();
        connection.execute("DELETE FROM t WHERE id % 2 = 1", []).unwrap();
        connection
    }

    fn places(directory: &TempDir) -> [std::path::PathBuf; 2] {
        let [from, to] = ["from", "to"].map(|name| directory.path().join(name));
        File::create(&to).unwrap();
        [from, to]
    }

    fn has(path: &Path, text: &[u8]) -> bool {
        memchr::memmem::find(&fs::read(path).unwrap(), text).is_some()
    }

    #[test]
    fn a_copy_is_one_file_with_what_was_committed_and_nothing_that_was_deleted() {
        let directory = tempfile::tempdir().unwrap();
        let writer = database(&directory, 20_000);
        let [from, to] = places(&directory);
        assert!(!has(&from, b"kept2000"), "a copy of this file alone has nothing");
        assert!(has(&directory.path().join("from-wal"), b"deleted1999"));

        // What is committed while the copy is made waits for nothing and is not in it.
        let (looks, of_watch) = (Arc::new(AtomicU64::new(0)), from.clone());
        let seen = Arc::clone(&looks);
        let watch = move |written: Written| {
            assert!(written.due > 100_000, "{written:?}");
            if seen.fetch_add(1, Ordering::Relaxed) == 0 {
                let meanwhile = Connection::open(&of_watch).unwrap();
                meanwhile.busy_timeout(std::time::Duration::ZERO).unwrap();
                meanwhile.execute("INSERT INTO t VALUES (90000, 'late')", []).unwrap();
            }
            ControlFlow::Continue(())
        };
        copy(&from, &to, watch).unwrap();
        assert!(looks.load(Ordering::Relaxed) > 1);
        check(&to, || ControlFlow::Continue(())).unwrap();
        let rows = |path: &Path| -> u32 {
            let connection = Connection::open(path).unwrap();
            connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap()
        };
        assert_eq!((rows(&from), rows(&to)), (10_001, 10_000));
        assert!(is_out_of_use(&to).unwrap() && !is_out_of_use(&from).unwrap());
        put_to_use(&to).unwrap();
        assert!(!is_out_of_use(&to).unwrap());
        assert!(has(&to, b"kept2000") && !has(&to, b"deleted"));
        let mut names: Vec<_> =
            fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["from", "from-shm", "from-wal", "to"]);
        drop(writer);
    }

    #[test]
    fn a_copy_and_its_check_can_be_stopped() {
        let directory = tempfile::tempdir().unwrap();
        let _writer = database(&directory, 20_000);
        let [from, to] = places(&directory);
        let stopped = copy(&from, &to, |_| ControlFlow::Break(())).unwrap_err();
        assert!(matches!(stopped, StoreError::Unavailable(_)), "{stopped:?}");
        fs::write(&to, "").unwrap();
        copy(&from, &to, |_| ControlFlow::Continue(())).unwrap();
        let stopped = check(&to, || ControlFlow::Break(())).unwrap_err();
        assert!(matches!(stopped, StoreError::Unavailable(_)), "{stopped:?}");
    }

    #[test]
    fn a_damaged_copy_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let _writer = database(&directory, 20_000);
        let [from, to] = places(&directory);
        copy(&from, &to, |_| ControlFlow::Continue(())).unwrap();
        let mut bytes = fs::read(&to).unwrap();
        let middle = bytes.len() / 8192 * 4096;
        bytes[middle..middle + 4096].fill(0);
        fs::write(&to, bytes).unwrap();
        let damaged = check(&to, || ControlFlow::Continue(())).unwrap_err();
        assert!(matches!(damaged, StoreError::Corrupt(_)), "{damaged:?}");
    }

    #[test]
    fn nothing_is_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let _writer = database(&directory, 2);
        let [from, to] = places(&directory);
        fs::write(&to, "somebody's").unwrap();
        copy(&from, &to, |_| ControlFlow::Continue(())).unwrap_err();
        assert_eq!(fs::read(&to).unwrap(), b"somebody's");
    }
}

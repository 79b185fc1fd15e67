//! What the driver's errors mean for a store.
//!
//! Numbers and names: MySQL 8.4 Reference Manual, "Server Error Message Reference"; MariaDB Server
//! Documentation, "MariaDB Error Code Reference".

use std::io;

use mysql::{DriverError, Error, MySqlError};

use crate::store::fault::{Blame, Connection, Fault, Kind};
use crate::store::limits::IO_TIMEOUT;

/// `ER_DUP_ENTRY`.
const DUPLICATE: u16 = 1062;
/// `ER_DUP_FIELDNAME`.
const COLUMN_THERE_ALREADY: u16 = 1060;
/// `ER_LOCK_DEADLOCK`.
const DEADLOCK: u16 = 1213;

/// The server is there, but this statement cannot be served now. The connection stays.
const NOT_NOW: &[u16] = &[
    1021, // ER_DISK_FULL
    1037, // ER_OUTOFMEMORY
    1041, // ER_OUT_OF_RESOURCES
    1114, // ER_RECORD_FILE_FULL
    1205, // ER_LOCK_WAIT_TIMEOUT
    1213, // ER_LOCK_DEADLOCK
    1317, // ER_QUERY_INTERRUPTED
    1461, // ER_MAX_PREPARED_STMT_COUNT_REACHED
    1969, // ER_STATEMENT_TIMEOUT (MariaDB)
    3024, // ER_QUERY_TIMEOUT (MySQL)
];

/// This connection will not serve again: refused, closed by the server, or left behind by a failover to
/// another machine.
const NOT_HERE: &[u16] = &[
    1040, // ER_CON_COUNT_ERROR
    1044, // ER_DBACCESS_DENIED_ERROR
    1045, // ER_ACCESS_DENIED_ERROR
    1049, // ER_BAD_DB_ERROR
    1053, // ER_SERVER_SHUTDOWN
    1077, // ER_NORMAL_SHUTDOWN
    1079, // ER_SHUTDOWN_COMPLETE
    1080, // ER_FORCING_CLOSE
    1129, // ER_HOST_IS_BLOCKED
    1152, // ER_ABORTING_CONNECTION
    1184, // ER_NEW_ABORTING_CONNECTION
    1203, // ER_TOO_MANY_USER_CONNECTIONS
    1226, // ER_USER_LIMIT_REACHED
    1243, // ER_UNKNOWN_STMT_HANDLER: a proxy changed the server behind us
    1290, // ER_OPTION_PREVENTS_STATEMENT: the server became read-only
    1615, // ER_NEED_REPREPARE
    1792, // ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION
    1836, // ER_READ_ONLY_MODE
    1927, // ER_CONNECTION_KILLED (MariaDB)
    3169, // ER_SESSION_WAS_KILLED (MySQL)
    4031, // ER_CLIENT_INTERACTION_TIMEOUT (MySQL)
];

/// Who is at fault, and whether the connection is still good.
pub(super) fn fault(error: &Error) -> Fault {
    let lost = |error: &dyn std::fmt::Display| {
        Fault::new(Blame::Circumstances, Kind::Other, Connection::Spoilt, error.to_string())
    };
    match error {
        Error::MySqlError(error) => server_fault(error),
        Error::IoError(error) => lost(error),
        // The driver wraps the I/O errors of a running connection. An answer that makes no sense is treated
        // as a broken line too: a new connection may be better.
        Error::CodecError(error) if is_timeout(error) => {
            lost(&format_args!("no answer within {IO_TIMEOUT:?}"))
        }
        Error::CodecError(error) => lost(error),
        Error::DriverError(
            error @ (DriverError::MismatchedStmtParams(..)
            | DriverError::Params(_)
            | DriverError::MixedParams
            | DriverError::PacketTooLarge),
        ) => Fault::new(Blame::Program, Kind::Other, Connection::Spoilt, error.to_string()),
        Error::DriverError(error) => lost(error),
        Error::UrlError(error) => {
            Fault::new(Blame::Program, Kind::Other, Connection::Spoilt, error.to_string())
        }
        Error::FromValueError(_) | Error::FromRowError(_) => conversion(),
    }
}

/// Linux reports the timeout of a socket as `EAGAIN`.
fn is_timeout(error: &dyn std::error::Error) -> bool {
    let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    source.is_some_and(|source| source.kind() == io::ErrorKind::WouldBlock)
}

/// Whether a statement failed because it would add a column that the table has.
pub(super) fn is_column_there_already(error: &Error) -> bool {
    matches!(error, Error::MySqlError(error) if error.code == COLUMN_THERE_ALREADY)
}

/// A row that does not have the types it should.
pub(super) fn conversion() -> Fault {
    Fault::new(
        Blame::Data,
        Kind::Other,
        Connection::Sound,
        "a row does not have the types of its columns".to_owned(),
    )
}

/// The deadline passed before a connection could be opened.
pub(super) fn too_late() -> Fault {
    Fault::new(
        Blame::Circumstances,
        Kind::Other,
        Connection::Spoilt,
        "no time left to connect".to_owned(),
    )
}

fn server_fault(error: &MySqlError) -> Fault {
    let (blame, connection) = if NOT_NOW.contains(&error.code) {
        (Blame::Circumstances, Connection::Sound)
    } else if NOT_HERE.contains(&error.code) {
        (Blame::Circumstances, Connection::Spoilt)
    } else {
        (Blame::Program, Connection::Sound)
    };
    let kind = match error.code {
        DUPLICATE => Kind::Duplicate,
        DEADLOCK => Kind::Deadlock,
        _ => Kind::Other,
    };
    Fault::new(blame, kind, connection, server_text(error, blame))
}

/// The server's message, but only where it cannot quote a value: "Duplicate entry '…'" and "Incorrect
/// string value: '…'" do. Class 42 is about syntax and names, which are ours.
fn server_text(error: &MySqlError, blame: Blame) -> String {
    let MySqlError { code, state, message } = error;
    if blame == Blame::Circumstances || state.starts_with("42") {
        format!("error {code} ({state}): {message}")
    } else {
        format!("error {code} ({state})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(error: &Error, blame: Blame, spoilt: bool, text: &str) {
        let fault = fault(error);
        assert_eq!((fault.blame(), fault.spoils_connection()), (blame, spoilt), "{error}");
        assert_eq!(fault.into_text(), text);
    }

    fn server(code: u16, state: &str, message: &str) -> Error {
        Error::MySqlError(MySqlError { code, state: state.to_owned(), message: message.to_owned() })
    }

    #[test]
    fn who_is_at_fault() {
        check(
            &server(1205, "HY000", "Lock wait timeout exceeded"),
            Blame::Circumstances,
            false,
            "error 1205 (HY000): Lock wait timeout exceeded",
        );
        check(
            &server(1053, "08S01", "Server shutdown in progress"),
            Blame::Circumstances,
            true,
            "error 1053 (08S01): Server shutdown in progress",
        );
        check(
            &server(1146, "42S02", "Table 'g.user' doesn't exist"),
            Blame::Program,
            false,
            "error 1146 (42S02): Table 'g.user' doesn't exist",
        );
        check(
            &Error::DriverError(DriverError::ConnectTimeout),
            Blame::Circumstances,
            true,
            "Could not connect: connection timeout",
        );
        check(
            &Error::IoError(io::ErrorKind::ConnectionReset.into()),
            Blame::Circumstances,
            true,
            "connection reset",
        );
        check(
            &Error::DriverError(DriverError::MismatchedStmtParams(2, 1)),
            Blame::Program,
            true,
            "Statement takes 2 parameters but 1 was supplied",
        );
    }

    #[test]
    fn a_message_that_may_quote_a_value_is_left_out() {
        for (code, state, message) in [
            (1062, "23000", "Duplicate entry 'hunter2' for key 'PRIMARY'"),
            (1366, "HY000", "Incorrect string value: 'hunter2' for column `g`.`user`.`username`"),
            (1366, "22007", "Incorrect string value: 'hunter2' for column `g`.`user`.`username`"),
        ] {
            check(
                &server(code, state, message),
                Blame::Program,
                false,
                &format!("error {code} ({state})"),
            );
        }
    }
}

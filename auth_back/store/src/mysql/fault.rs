//! What the driver's errors mean for a store.

use std::io;

use mysql::{DriverError, Error, MySqlError};

use super::errors::{
    Act, COLUMN_THERE_ALREADY, DEADLOCK, DUPLICATE, NO_WRITES, act, may_quote, name,
};
use crate::fault::{Blame, Connection, Fault, Kind};
use crate::limits::{CONNECT_TIMEOUT, IO_TIMEOUT};

/// The same as [`fault`], with the server's words whatever they may quote.
pub(super) fn in_full(error: &Error) -> Fault {
    let known = fault(error);
    match error {
        Error::MySqlError(error) => known.with_text(full_text(error)),
        _ => known,
    }
}

/// Who is at fault, and whether the connection is still good.
pub(super) fn fault(error: &Error) -> Fault {
    let lost = |error: &dyn std::fmt::Display| {
        Fault::new(Blame::Circumstances, Kind::NoAnswer, Connection::Spoilt, error.to_string())
    };
    match error {
        Error::MySqlError(error) => server_fault(error),
        Error::IoError(error) if is_timeout_kind(error.kind()) => timed_out(),
        Error::DriverError(DriverError::ConnectTimeout) => timed_out(),
        Error::IoError(error) => lost(error),
        // The driver wraps the I/O errors of a running connection. An answer that makes no sense is treated
        // as a broken line too: a new connection may be better.
        Error::CodecError(error) if is_timeout(error) => timed_out(),
        Error::CodecError(error) => lost(error),
        Error::DriverError(
            error @ (DriverError::MismatchedStmtParams(..)
            | DriverError::Params(_)
            | DriverError::MixedParams
            | DriverError::PacketTooLarge),
        ) => Fault::new(Blame::Program, Kind::Other, Connection::Spoilt, error.to_string()),
        Error::DriverError(
            error @ (DriverError::UnknownAuthPlugin(_)
            | DriverError::OldMysqlPasswordDisabled
            | DriverError::CleartextPluginDisabled
            | DriverError::TlsNotSupported
            | DriverError::Protocol41NotSet),
        ) => Fault::new(Blame::Operator, Kind::NoAnswer, Connection::Spoilt, error.to_string()),
        Error::DriverError(error) => lost(error),
        Error::UrlError(error) => {
            Fault::new(Blame::Program, Kind::Other, Connection::Spoilt, error.to_string())
        }
        Error::FromValueError(_) | Error::FromRowError(_) => conversion(),
    }
}

fn is_timeout(error: &dyn std::error::Error) -> bool {
    let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    source.is_some_and(|source| is_timeout_kind(source.kind()))
}

/// Linux reports the timeout of a socket as `EAGAIN`.
fn is_timeout_kind(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn timed_out() -> Fault {
    let text =
        format!("no connection within {CONNECT_TIMEOUT:?}, or no answer within {IO_TIMEOUT:?}");
    Fault::new(Blame::Circumstances, Kind::TimedOut, Connection::Spoilt, text)
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
        Kind::NoAnswer,
        Connection::Spoilt,
        "no time left to connect".to_owned(),
    )
}

/// The driver panicked, which it does where a server asks for what it was not built for. The operator's, because only
/// another account or server helps. The hook has logged the panic.
pub(super) fn panicked() -> Fault {
    let text = "the driver cannot connect in the way that the server wants; see the panic before"
        .to_owned();
    Fault::new(Blame::Operator, Kind::Other, Connection::Spoilt, text)
}

fn server_fault(error: &MySqlError) -> Fault {
    let (blame, connection) = match act(error.code) {
        Act::NotNow => (Blame::Circumstances, Connection::Sound),
        Act::Away => (Blame::Circumstances, Connection::Spoilt),
        Act::Operator => (Blame::Operator, Connection::Spoilt),
        Act::Ours => (Blame::Program, Connection::Sound),
    };
    let kind = match error.code {
        DUPLICATE => Kind::Duplicate,
        DEADLOCK => Kind::Deadlock,
        number if NO_WRITES.contains(&number) => Kind::TakesNoWrites,
        _ => Kind::Other,
    };
    Fault::new(blame, kind, connection, server_text(error))
}

/// The server's message, but only where it cannot quote a value.
fn server_text(error: &MySqlError) -> String {
    let MySqlError { code, state, .. } = error;
    if !may_quote(*code, state) {
        return full_text(error);
    }
    let name = name(*code).map_or_else(String::new, |name| format!(" {name}"));
    format!("error {code}{name} ({state})")
}

fn full_text(error: &MySqlError) -> String {
    let MySqlError { code, state, message } = error;
    let name = name(*code).map_or_else(String::new, |name| format!(" {name}"));
    format!("error {code}{name} ({state}): {message}")
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
            "error 1205 ER_LOCK_WAIT_TIMEOUT (HY000): Lock wait timeout exceeded",
        );
        check(
            &server(1053, "08S01", "Server shutdown in progress"),
            Blame::Circumstances,
            true,
            "error 1053 ER_SERVER_SHUTDOWN (08S01): Server shutdown in progress",
        );
        check(
            &server(1064, "42000", "You have an error in your SQL syntax"),
            Blame::Program,
            false,
            "error 1064 ER_PARSE_ERROR (42000): You have an error in your SQL syntax",
        );
        // Somebody is restoring a backup, or has named another database.
        check(
            &server(1146, "42S02", "Table 'g.user' doesn't exist"),
            Blame::Operator,
            true,
            "error 1146 ER_NO_SUCH_TABLE (42S02): Table 'g.user' doesn't exist",
        );
        // A node of Galera that is none at the moment.
        check(
            &server(1047, "08S01", "WSREP has not yet prepared node for application use"),
            Blame::Circumstances,
            true,
            "error 1047 ER_UNKNOWN_COM_ERROR (08S01): WSREP has not yet prepared node for application use",
        );
        check(
            &server(9001, "HY000", "Max connect timeout reached while reaching hostgroup 0"),
            Blame::Circumstances,
            true,
            "error 9001 (HY000)",
        );
        check(
            &Error::DriverError(DriverError::ConnectTimeout),
            Blame::Circumstances,
            true,
            "no connection within 1s, or no answer within 2s",
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
        let incorrect = "Incorrect string value: 'hunter2' for column `g`.`user`.`username`";
        let name = "ER_TRUNCATED_WRONG_VALUE_FOR_FIELD";
        for (code, name, state, message) in [
            (1062, "ER_DUP_ENTRY", "23000", "Duplicate entry 'hunter2' for key 'PRIMARY'"),
            (1366, name, "HY000", incorrect),
            (1366, name, "22007", incorrect),
        ] {
            check(
                &server(code, state, message),
                Blame::Program,
                false,
                &format!("error {code} {name} ({state})"),
            );
        }
    }
}

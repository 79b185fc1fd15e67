//! An error of a database driver, boiled down to what the rest of the store has to know.

use std::fmt;

/// Whose fault an error is. [`StoreError`](super::StoreError) has a variant for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blame {
    /// The database is away, busy, full or shutting down.
    Circumstances,
    /// Who set up the database, its account or its file: waiting does not help.
    Operator,
    /// What is stored cannot be read as what it should be.
    Data,
    /// A statement of ours is wrong, or what was bound to it.
    Program,
}

/// One failed call to a driver.
#[derive(Debug)]
pub(super) struct Fault {
    blame: Blame,
    kind: Kind,
    /// Whether the connection may still be used.
    connection: Connection,
    text: String,
}

/// Errors that a store acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A unique index refused a row.
    Duplicate,
    /// The statement was rolled back to break a deadlock, and may be sent again.
    Deadlock,
    /// There is no answer: the line broke, or there was none.
    NoAnswer,
    /// Nothing came back in time.
    TimedOut,
    /// The database takes no writes; it may still be read.
    TakesNoWrites,
    /// Anything else.
    Other,
}

/// What an error means for the connection that it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Connection {
    /// It is in step and may be lent again.
    Sound,
    /// Its state is unknown, or the server behind it no longer serves; it must be closed.
    Spoilt,
}

impl Fault {
    /// `text` must not quote a value of a row.
    pub(super) fn new(blame: Blame, kind: Kind, connection: Connection, text: String) -> Self {
        Self { blame, kind, connection, text }
    }

    pub(super) fn with_text(self, text: String) -> Self {
        Self { text, ..self }
    }

    pub(super) fn blame(&self) -> Blame {
        self.blame
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) fn spoils_connection(&self) -> bool {
        self.connection == Connection::Spoilt
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Fault {}

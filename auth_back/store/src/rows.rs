//! What goes into a store and what comes out: plain data, checked by those who make it.

use std::fmt;
use std::net::IpAddr;

use super::error::{Cause, StoreError};
use super::limits::{
    KEY_CHECK_LEN, NOTES_TOGETHER_MAX, RECORD_CHANGES_MAX, SESSIONS_TOGETHER_MAX,
    USER_AGENT_CHARS_MAX,
};

/// What `Debug` prints in place of something that has no business in a log.
const REDACTED: &str = "***";

/// A user to be inserted.
#[derive(Clone, Copy)]
pub struct NewUser<'a> {
    /// Unique for ever, at most `i64::MAX`.
    pub user_id: u64,
    /// Folded and checked by the caller: ASCII, at most
    /// [`USERNAME_BYTES_MAX`](super::limits::USERNAME_BYTES_MAX) bytes.
    pub username: &'a str,
    /// The sealed hash: ASCII, at most
    /// [`PASSWORD_RECORD_BYTES_MAX`](super::limits::PASSWORD_RECORD_BYTES_MAX) bytes.
    pub password_record: &'a str,
    /// At most [`NAME_CHARS_MAX`](super::limits::NAME_CHARS_MAX) code points.
    pub name: Option<&'a str>,
    /// In years.
    pub age: Option<u8>,
    /// Names this registration, so that sending it again is recognised. Without one, a repeat is
    /// [`Inserted::NameTaken`].
    pub request_id: Option<[u8; 16]>,
    /// Milliseconds since 1970, UTC.
    pub created_at_ms: u64,
}

impl fmt::Debug for NewUser<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewUser")
            .field("user_id", &self.user_id)
            .field("username", &self.username)
            .field("password_record", &REDACTED)
            .finish_non_exhaustive()
    }
}

/// What became of an inserted user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// The name was free and is theirs; the row is durable.
    Created,
    /// The same request already created the user with this id. Nothing was changed.
    Repeated {
        /// The id that the first request was given.
        user_id: u64,
    },
    /// Somebody else owns the name.
    NameTaken,
    /// Nobody owns the name, and somebody has the id. Nothing was changed.
    IdTaken,
}

impl Inserted {
    /// What it means that the name already had an owner.
    pub(super) fn for_owner(
        user_id: u64,
        registered_by: Option<&[u8]>,
        request_id: Option<[u8; 16]>,
    ) -> Self {
        match (registered_by, request_id) {
            (Some(theirs), Some(ours)) if theirs == ours => Self::Repeated { user_id },
            _ => Self::NameTaken,
        }
    }
}

/// What a login needs to know about a user.
#[derive(Clone, PartialEq, Eq)]
pub struct UserRow {
    /// The user's id.
    pub user_id: u64,
    /// The sealed hash, as it was stored.
    pub password_record: String,
    /// What a session made now is marked with. Raising it ends every session of the user that is
    /// marked with less, in one statement.
    pub session_epoch: u32,
    /// Whether an operator keeps them out.
    pub is_disabled: bool,
}

impl fmt::Debug for UserRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserRow")
            .field("user_id", &self.user_id)
            .field("password_record", &REDACTED)
            .field("session_epoch", &self.session_epoch)
            .field("is_disabled", &self.is_disabled)
            .finish()
    }
}

/// A user's password record, for a walk over all of them.
#[derive(Clone, PartialEq, Eq)]
pub struct RecordRow {
    /// The user's id.
    pub user_id: u64,
    /// The sealed hash, as it was stored.
    pub password_record: String,
}

impl fmt::Debug for RecordRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordRow")
            .field("user_id", &self.user_id)
            .field("password_record", &REDACTED)
            .finish()
    }
}

/// A user who comes from elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct ImportedUser<'a> {
    /// The row. Its request id tells a repeated import from a taken name.
    pub user: NewUser<'a>,
    /// Since when an operator keeps them out.
    pub disabled_at_ms: Option<u64>,
}

/// What became of an imported user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imported {
    /// The row is there now.
    Created,
    /// It was there before: the name belongs to the same id, or to the same request.
    AlreadyThere,
    /// Somebody else owns the name.
    NameTaken,
    /// The name is free, and the id is somebody else's.
    IdTaken,
}

impl Imported {
    /// What it means that the name belongs to `owner`, whom `registered_by` made.
    pub(super) fn for_owner(owner: u64, registered_by: Option<&[u8]>, user: &NewUser<'_>) -> Self {
        let same = Inserted::for_owner(owner, registered_by, user.request_id);
        if owner == user.user_id || matches!(same, Inserted::Repeated { .. }) {
            Self::AlreadyThere
        } else {
            Self::NameTaken
        }
    }
}

/// All that is kept of a user.
#[derive(Clone, PartialEq, Eq)]
pub struct UserProfile {
    /// The user's id.
    pub user_id: u64,
    /// The name they log in with.
    pub username: String,
    /// The sealed hash, as it was stored.
    pub password_record: String,
    /// What they are called.
    pub name: Option<String>,
    /// In years.
    pub age: Option<u8>,
    /// Milliseconds since 1970, UTC.
    pub created_at_ms: u64,
    /// Since when an operator keeps them out, likewise.
    pub disabled_at_ms: Option<u64>,
    /// See [`UserRow::session_epoch`].
    pub session_epoch: u32,
}

impl fmt::Debug for UserProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserProfile")
            .field("user_id", &self.user_id)
            .field("username", &self.username)
            .field("password_record", &REDACTED)
            .finish_non_exhaustive()
    }
}

/// A password record and what is to take its place.
#[derive(Clone, PartialEq, Eq)]
pub struct RecordChange {
    /// The user's id.
    pub user_id: u64,
    /// The record, as it has to stand in the store.
    pub old: String,
    /// The new one.
    pub new: String,
}

impl fmt::Debug for RecordChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordChange")
            .field("user_id", &self.user_id)
            .field("old", &REDACTED)
            .field("new", &REDACTED)
            .finish()
    }
}

/// A key that something in the store may need. The key itself is nowhere in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRow {
    /// The id that records or tokens carry.
    pub id: u16,
    /// When a server first used it, in milliseconds since 1970, UTC.
    pub since_ms: u64,
    /// Tells this key from another of the same id.
    pub check_value: [u8; KEY_CHECK_LEN],
}

/// A session to be inserted.
#[derive(Clone, Copy)]
pub struct NewSession<'a> {
    /// Unique for ever, at most `i64::MAX`. May be shown, unlike the token.
    pub session_id: u64,
    /// SHA-256 of the random part of the token: all that is kept of it.
    pub token_digest: [u8; 32],
    /// Whose session it is.
    pub user_id: u64,
    /// The user's [`session_epoch`](UserRow::session_epoch), as it was read before the password was
    /// checked: a session that was begun before all were ended is dead when it is made.
    pub epoch: u32,
    /// Milliseconds since 1970, UTC.
    pub created_at_ms: u64,
    /// The first millisecond at which it is dead, unless it is [seen](super::Sessions::refresh_sessions)
    /// before: at most [`ends_at_ms`](Self::ends_at_ms).
    pub expires_at_ms: u64,
    /// The first millisecond at which it is dead however often it is seen.
    pub ends_at_ms: u64,
    /// Where the login came from.
    pub client_address: Option<IpAddr>,
    /// What the client called itself.
    pub user_agent: Option<UserAgent<'a>>,
}

impl fmt::Debug for NewSession<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewSession")
            .field("session_id", &self.session_id)
            .field("token_digest", &REDACTED)
            .field("user_id", &self.user_id)
            .finish_non_exhaustive()
    }
}

/// The beginning of a `User-Agent`, short enough for its column. A client picks the text, so a long
/// one must not fail a login.
///
/// ```
/// use store::{UserAgent, limits::USER_AGENT_CHARS_MAX};
///
/// assert_eq!(UserAgent::clip("curl/8.5.0").as_str(), "curl/8.5.0");
/// assert_eq!(UserAgent::clip(&"é".repeat(999)).as_str(), "é".repeat(USER_AGENT_CHARS_MAX));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserAgent<'a>(&'a str);

impl<'a> UserAgent<'a> {
    /// Keeps the first [`USER_AGENT_CHARS_MAX`] code points.
    #[must_use]
    pub fn clip(text: &'a str) -> Self {
        let end = text.char_indices().nth(USER_AGENT_CHARS_MAX).map_or(text.len(), |(at, _)| at);
        Self(&text[..end])
    }

    /// The text that was kept.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        self.0
    }
}

/// A live session and its user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    /// The session's id.
    pub session_id: u64,
    /// Whose session it is.
    pub user_id: u64,
    /// That user's name.
    pub username: String,
    /// The user's epoch that it belongs to.
    pub epoch: u32,
    /// Milliseconds since 1970, UTC.
    pub created_at_ms: u64,
    /// When it was last noted that it is in use, which is not each time.
    pub last_seen_at_ms: u64,
    /// The first millisecond at which it is dead unless it is seen before.
    pub expires_at_ms: u64,
    /// The first millisecond at which it is dead however often it is seen.
    pub ends_at_ms: u64,
}

/// That a session was seen while it was live. May be written a while later.
#[derive(Clone, Copy)]
pub struct Refresh<'a> {
    /// Which session.
    pub token_digest: &'a [u8; 32],
    /// When it was seen.
    pub seen_at_ms: u64,
    /// A session that was noted as seen after this is left as it is: of several servers who saw it, one writes.
    pub unless_seen_after_ms: u64,
    /// When it is dead unless it is seen again; at most its [`ends_at_ms`](SessionRow::ends_at_ms).
    pub expires_at_ms: u64,
}

/// A live session as its user sees it in a list.
#[derive(Clone, PartialEq, Eq)]
pub struct ListedSession {
    /// The session's id.
    pub session_id: u64,
    /// SHA-256 of the random part of its token, to tell which is the one that asks.
    pub token_digest: [u8; 32],
    /// Milliseconds since 1970, UTC.
    pub created_at_ms: u64,
    /// When it was last noted that it is in use.
    pub last_seen_at_ms: u64,
    /// The first millisecond at which it is dead unless it is seen before.
    pub expires_at_ms: u64,
    /// Where the login came from.
    pub client_address: Option<IpAddr>,
    /// What the client called itself.
    pub user_agent: Option<String>,
}

impl fmt::Debug for ListedSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListedSession")
            .field("session_id", &self.session_id)
            .field("token_digest", &REDACTED)
            .finish_non_exhaustive()
    }
}

/// A password record that takes the place of another and ends every session.
#[derive(Clone, Copy)]
pub struct PasswordChange<'a> {
    /// Whose.
    pub user_id: u64,
    /// The record as it was read.
    pub old: &'a str,
    /// The record to be.
    pub new: &'a str,
    /// The user's epoch as it was read. The next one holds afterwards.
    pub epoch: u32,
}

/// Which contents of a cache of sessions may be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheEra {
    /// What was written under another number is not to be read.
    pub generation: u64,
    /// Which run of which cache server that generation was begun with; empty when there was none yet.
    pub instance: String,
}

/// Something to be viewed by those who are logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// The product's id.
    pub product_id: u64,
    /// What it is called.
    pub name: String,
    /// What it is.
    pub description: String,
    /// In the currency's minor unit, cents for EUR.
    pub price_minor: u64,
    /// ISO 4217 code.
    pub currency: String,
}

/// `value` as both databases take it: SQLite knows no unsigned integers, and MySQL is held to the same
/// range so that no store takes what another refuses.
pub(super) fn sql_integer(value: u64, what: &'static str) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|_| StoreError::Internal(Cause::OutOfRange(what)))
}

/// Refuses to look up more sessions together than may be.
pub(super) fn check_together(sessions: usize) -> Result<(), StoreError> {
    if sessions > SESSIONS_TOGETHER_MAX {
        return Err(StoreError::Internal(Cause::OutOfRange("the number of sessions")));
    }
    Ok(())
}

/// Refuses to note more sessions together than may be.
pub(super) fn check_notes(notes: usize) -> Result<(), StoreError> {
    if notes > NOTES_TOGETHER_MAX {
        return Err(StoreError::Internal(Cause::OutOfRange("the number of notes")));
    }
    Ok(())
}

/// The ids of changes as both databases take them, unless there are more changes than may be.
pub(super) fn record_changes(changes: &[RecordChange]) -> Result<Vec<i64>, StoreError> {
    if changes.len() > RECORD_CHANGES_MAX {
        return Err(StoreError::Internal(Cause::OutOfRange("the number of records")));
    }
    changes.iter().map(|change| sql_integer(change.user_id, "the user id")).collect()
}

//! A line as a user, checked as a registration is.

use credentials::ids::{IdError, UserId};
use credentials::{
    ForeignError, ForeignHash, PasswordRecord, PepperKeyring, RandomError, RecordError, Username,
    UsernameError, VerifyError,
};
use server::accounts::{AgeError, NameError, profile};
use sha2::{Digest as _, Sha256};
use store::{ImportedUser, NewUser};
use unix_time::parse_rfc3339;

use super::cost::Cost;
use crate::commands::users_file::{Cells, Column};

/// What a sealed record starts with.
const SEALED: &str = "$gh1$";

/// A user as a line says, without an id unless the line has one.
pub(super) struct Row {
    pub(super) username: Username,
    hash: Hash,
    name: Option<String>,
    age: Option<u8>,
    created_at_ms: u64,
    disabled_at_ms: Option<u64>,
}

enum Hash {
    Foreign(ForeignHash),
    /// Sealed already, for the user of this id.
    Sealed(UserId, PasswordRecord),
}

/// A user with an id and a record, ready for the store.
pub(super) struct Prepared {
    user_id: UserId,
    record: String,
    identity: [u8; 16],
    row: Row,
}

/// Why a line is no user. Whoever wrote it is at fault. Shows nothing of it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum RowError {
    #[error("there is no username")]
    NoUsername,
    #[error(transparent)]
    Username(#[from] UsernameError),
    #[error("there is no password hash")]
    NoHash,
    #[error(transparent)]
    Hash(#[from] ForeignError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error("{0}; import with the keys of the system that it was exported from")]
    Verify(#[from] VerifyError),
    #[error(transparent)]
    Name(#[from] NameError),
    #[error(transparent)]
    Age(#[from] AgeError),
    #[error("the age is no whole number of years")]
    AgeSyntax,
    #[error("created_at is neither a date nor a time of RFC 3339, such as 2024-02-29T12:00:00Z")]
    CreatedAt,
    #[error("disabled is neither true nor false nor a time of RFC 3339")]
    Disabled,
    #[error("a sealed hash needs its user_id")]
    NoUserId,
    #[error("user_id is no id")]
    UserId,
    #[error("a user_id is taken with a sealed hash only; others get a new one")]
    UserIdNotTaken,
}

impl Row {
    /// Checks the cells of a line. `now_ms` is when a user came who has no date.
    pub(super) fn read(
        cells: &Cells,
        peppers: &PepperKeyring,
        now_ms: u64,
    ) -> Result<Self, RowError> {
        let username = Username::new(cells.get(Column::Username).ok_or(RowError::NoUsername)?)?;
        let hash = cells.get(Column::PasswordHash).ok_or(RowError::NoHash)?;
        let hash = match (hash.starts_with(SEALED), cells.get(Column::UserId)) {
            (true, None) => return Err(RowError::NoUserId),
            (true, Some(id)) => {
                let user_id = user_id(id)?;
                let record: PasswordRecord = hash.parse()?;
                // A record that does not open now would be found out by its user.
                record.unseal(user_id, peppers)?;
                Hash::Sealed(user_id, record)
            }
            (false, Some(_)) => return Err(RowError::UserIdNotTaken),
            (false, None) => Hash::Foreign(hash.parse()?),
        };
        let age = cells.get(Column::Age).map(|age| whole_number(age).ok_or(RowError::AgeSyntax));
        let created_at = cells.get(Column::CreatedAt);
        let created_at =
            created_at.map(|text| parse_rfc3339(text).ok_or(RowError::CreatedAt)).transpose()?;
        let disabled_at_ms = match cells.get(Column::Disabled) {
            None | Some("false" | "FALSE" | "False" | "0") => None,
            Some("true" | "TRUE" | "True" | "1") => Some(now_ms),
            Some(text) => Some(parse_rfc3339(text).ok_or(RowError::Disabled)?),
        };
        Ok(Self {
            username,
            hash,
            name: profile::name(cells.get(Column::Name))?.map(ToOwned::to_owned),
            age: profile::age(age.transpose()?)?,
            created_at_ms: created_at.unwrap_or(now_ms),
            disabled_at_ms,
        })
    }

    /// Whether the row brings an id of its own.
    pub(super) fn has_id(&self) -> bool {
        matches!(self.hash, Hash::Sealed(..))
    }

    /// Gives the user an id unless they have one, and seals the hash for it.
    pub(super) fn prepare(
        self,
        new_id: UserId,
        peppers: &PepperKeyring,
    ) -> Result<Prepared, RandomError> {
        let (user_id, record) = match &self.hash {
            Hash::Foreign(hash) => (new_id, PasswordRecord::import(new_id, hash, peppers)?),
            Hash::Sealed(user_id, record) => (*user_id, record.clone()),
        };
        Ok(Prepared { user_id, record: record.to_text(), identity: self.identity(), row: self })
    }

    /// The same whenever this user is imported from this hash, and no other's: what tells an import
    /// that is run again from a name that is taken.
    ///
    /// It is stored in clear, so nothing goes in that a guess at the password could be compared with: of
    /// the hash only what a record has in clear too.
    fn identity(&self) -> [u8; 16] {
        let mut digest = Sha256::new_with_prefix("gatehouse import");
        let mut field = |bytes: &[u8]| {
            digest.update((bytes.len() as u64).to_be_bytes());
            digest.update(bytes);
        };
        field(self.username.as_str().as_bytes());
        match &self.hash {
            Hash::Foreign(hash) => {
                field(hash.function().to_string().as_bytes());
                field(hash.salt());
            }
            Hash::Sealed(user_id, _) => field(&user_id.get().to_be_bytes()),
        }
        let digest = <[u8; 32]>::from(digest.finalize());
        *digest.first_chunk().expect("32 bytes are more than 16")
    }
}

impl Prepared {
    pub(super) fn as_imported(&self) -> ImportedUser<'_> {
        let row = &self.row;
        ImportedUser {
            user: NewUser {
                user_id: self.user_id.get(),
                username: row.username.as_str(),
                password_record: &self.record,
                name: row.name.as_deref(),
                age: row.age,
                request_id: Some(self.identity),
                created_at_ms: row.created_at_ms,
            },
            disabled_at_ms: row.disabled_at_ms,
        }
    }

    /// What a login takes.
    pub(super) fn cost(&self) -> Cost {
        match &self.row.hash {
            Hash::Foreign(hash) => Cost { work: hash.work(), has_two_forms: true },
            Hash::Sealed(_, record) => {
                Cost { work: record.work(), has_two_forms: record.is_foreign() }
            }
        }
    }

    pub(super) fn into_row(self) -> Row {
        self.row
    }

    pub(super) fn username(&self) -> &Username {
        &self.row.username
    }
}

fn user_id(text: &str) -> Result<UserId, RowError> {
    let id = whole_number(text).ok_or(RowError::UserId)?;
    UserId::new(id).map_err(|_: IdError| RowError::UserId)
}

/// Digits alone: `FromStr` of integers takes a plus sign too.
fn whole_number<T: std::str::FromStr>(text: &str) -> Option<T> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

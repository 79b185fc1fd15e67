//! Ids, names, passwords, keys and tokens: everything that decides who somebody is, and nothing that
//! keeps it or carries it.
//!
//! A password travels like this:
//!
//! ```text
//! text -> Password -> argon2id in an Arena -> Tag -> sealed under the pepper -> PasswordRecord -> store
//! ```
//!
//! and a session token like this:
//!
//! ```text
//! TokenKeyring::issue -> Token (to the user) + TokenDigest (to the store)
//! text -> TokenKeyring::check -> Token -> TokenDigest -> store (a forgery does not get there)
//! ```
//!
//! Every type here is built by a checking constructor, so a value that exists is valid. Types that
//! hold secrets wipe themselves on drop and print as `***`.
//!
//! No function here touches a store or a socket. Only [`keys`] and [`breached`] touch files, and only [`keys`]
//! asks a clock, for how long a command may take. What takes noticeable time is the crate [`hashing`], and
//! building a file of breached passwords.

pub mod blocklist;
pub mod breached;
pub mod cost;
pub mod foreign;
pub mod ids;
pub mod keyring;
pub mod keys;
pub mod limits;
pub mod password;
pub mod password_rules;
pub mod pepper;
pub mod random;
pub mod record;
pub mod secret;
pub mod token;
pub mod username;

pub use breached::{BreachedError, BreachedFile};
pub use cost::Cost;
pub use foreign::{ForeignError, ForeignHash};
pub use keyring::{KeyId, KeyIdError, Keyring, KeyringError, Purpose, Ring};
pub use keys::{KeyDirectory, KeySource, KeysError, Loaded, OnMissing};
pub use password::{Password, PasswordError, PasswordPolicy, PolicyError};
pub use password_rules::PasswordRules;
pub use pepper::PepperKeyring;
pub use random::RandomError;
pub use record::{CreateError, PasswordRecord, RecordError, ResealError, Verdict, VerifyError};
pub use secret::SecretKey;
pub use token::{DeviceMarker, Token, TokenDigest, TokenError, TokenKeyring};
pub use username::{Username, UsernameError};

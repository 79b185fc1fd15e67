//! Secrets in memory: what holds a password or a token leaves none behind, and shows none.
//!
//! | to do this | use |
//! |---|---|
//! | append to a buffer that may grow | [`append`], [`reserve`] |
//! | append all of something, or nothing | [`append_or_restore`] |
//! | lend a secret text | [`Secret`] |
//! | keep one | [`SecretText`] |
//! | compute with one, of any kind | [`Expose`] |
//! | wait without one on the stack | [`wipe_stack`] |
//!
//! All of it is built on the crate `zeroize`. Whoever only owns bytes for a while takes its
//! `Zeroizing`.

mod append;
mod expose;
pub mod limits;
mod secret;
mod stack;

pub use append::{append, append_or_restore, reserve};
pub use expose::Expose;
pub use secret::{Secret, SecretText};
pub use stack::wipe_stack;

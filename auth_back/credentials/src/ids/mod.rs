//! Identifiers: what a row is known by on every server.
//!
//! [`snowflake`] makes numbers that are unique without asking anybody; [`UserId`] and [`SessionId`]
//! keep users and sessions apart.

pub mod snowflake;

pub use snowflake::{NodeId, NodeIdError, Snowflake, SnowflakeError, Snowflakes};

use std::fmt;

/// A number that is no id: zero, or with the sign bit set. Whoever stored or sent it is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not an id: ids are from 1 to 9223372036854775807")]
pub struct IdError(u64);

/// Defines an id of one kind, with what all kinds have in common.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// From 1 to 2^63 - 1, so that it fits a signed column of SQL. Prints as a decimal number;
        /// JSON carries it as a string, because JavaScript's numbers lose digits beyond 2^53.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u64);

        impl $name {
            /// The id of that number.
            ///
            /// # Errors
            ///
            /// [`IdError`] when it is zero or above 2^63 - 1.
            pub fn new(id: u64) -> Result<Self, IdError> {
                match i64::try_from(id) {
                    Ok(1..) => Ok(Self(id)),
                    _ => Err(IdError(id)),
                }
            }

            /// The number.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }
        }

        impl From<Snowflake> for $name {
            fn from(snowflake: Snowflake) -> Self {
                Self(snowflake.get())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// Whose account it is. Stays when the name changes.
    UserId
}

id! {
    /// Which session it is, for lists and logs. Not a secret: it opens nothing.
    SessionId
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: u64 = i64::MAX as u64;

    #[track_caller]
    fn check(number: u64, good: bool) {
        assert_eq!(UserId::new(number).is_ok(), good, "{number}");
        if let Ok(id) = SessionId::new(number) {
            assert_eq!(id.get(), number);
            assert_eq!(id.to_string(), number.to_string());
        }
    }

    #[test]
    fn numbers() {
        check(1, true);
        check(MAX, true);
        check(0, false);
        check(MAX + 1, false);
        check(u64::MAX, false);
    }

    #[test]
    fn errors_name_the_number() {
        let error = UserId::new(0).unwrap_err();
        assert!(error.to_string().starts_with("0 is not an id"), "{error}");
    }
}

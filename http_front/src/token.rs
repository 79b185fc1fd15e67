//! What proves something for a client: text that this server cannot judge, only pass on.

use wipe::SecretText;

use crate::limits::{DEVICE_BYTES_MAX, TOKEN_BYTES_MAX};

/// A session token as it came from a client, or goes to one.
pub type Token = SecretText<TOKEN_BYTES_MAX>;

/// A known-device marker, likewise.
pub type Device = SecretText<DEVICE_BYTES_MAX>;

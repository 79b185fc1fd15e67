//! Every bound of the tests, with its reason. None decides a test that behaves.

pub use harness::limits::*;

/// Bytes of a secret that are looked for at a time. As many as a token's random part has; fewer could
/// be in memory by chance.
pub const SECRET_PIECE_BYTES: usize = 16;

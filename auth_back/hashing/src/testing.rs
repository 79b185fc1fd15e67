//! What tests of this crate need.

use prometheus_client::metrics::histogram::Histogram;
use wipe::Expose;

/// A text that is hashed as it is.
pub(crate) struct Text(String);

impl Text {
    pub(crate) fn of(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl Expose for Text {
    fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// Where hashes are noted; nobody reads it.
pub(crate) fn hash_seconds() -> Histogram {
    Histogram::new([0.1])
}

//! What a server that can serve says of itself.

/// A server can serve.
pub(super) struct Serving {
    /// For as long as it does: it stops before long.
    pub(super) draining: bool,
}

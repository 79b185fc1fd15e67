//! What a peer can do beyond its version.

/// A set of features: what a peer can do beyond its version, one bit each.
///
/// A sender uses a feature only when it is in [`Agreed::features`](super::Agreed::features). The bits are in `PROTOCOL.md`,
/// section HELLO.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Features(pub(super) u64);

impl Features {
    /// No feature: what a peer of release 2.0 has.
    pub const NONE: Self = Self(0);

    /// Bit 0, since 2.1: the sender answers SESSIONS, `REVOKE_SESSION`, `CHANGE_PASSWORD` and a
    /// LOGOUT of all sessions.
    pub const SESSION_MANAGEMENT: Self = Self(1);

    /// The features of this release.
    pub const KNOWN: Self = Self::SESSION_MANAGEMENT;

    /// The set with these bits, which may be unknown here.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether every feature of `other` is in `self`.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The features in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

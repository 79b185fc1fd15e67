//! Which argon2, of the three there are, and which of its two versions.

use std::fmt;

use crate::limits::ARGON2_M_KIB_MAX;
use crate::params::Params;

/// An argon2: ours, or one that only records from elsewhere have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flavour {
    kind: Kind,
    version: Version,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Id,
    I,
    D,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    /// 0x10, of 2015.
    V16,
    /// 0x13, of RFC 9106.
    V19,
}

impl Flavour {
    /// Argon2id of RFC 9106: what every new password is hashed with.
    pub const OURS: Self = Self { kind: Kind::Id, version: Version::V19 };

    /// Every flavour.
    pub const ALL: [Self; 6] = [
        Self::OURS,
        Self { kind: Kind::Id, version: Version::V16 },
        Self { kind: Kind::I, version: Version::V19 },
        Self { kind: Kind::I, version: Version::V16 },
        Self { kind: Kind::D, version: Version::V19 },
        Self { kind: Kind::D, version: Version::V16 },
    ];

    /// The flavour of that name (`argon2id`, `argon2i`, `argon2d`) and that version, 16 or 19.
    #[must_use]
    pub fn of(name: &str, version: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name && known.version() == version)
    }

    /// The name without the version.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.kind {
            Kind::Id => "argon2id",
            Kind::I => "argon2i",
            Kind::D => "argon2d",
        }
    }

    /// The version as PHC strings have it: 16 or 19.
    #[must_use]
    pub const fn version(self) -> u32 {
        match self.version {
            Version::V16 => 16,
            Version::V19 => 19,
        }
    }

    pub(crate) const fn for_reference(self) -> (argon2::Algorithm, argon2::Version) {
        let algorithm = match self.kind {
            Kind::Id => argon2::Algorithm::Argon2id,
            Kind::I => argon2::Algorithm::Argon2i,
            Kind::D => argon2::Algorithm::Argon2d,
        };
        let version = match self.version {
            Version::V16 => argon2::Version::V0x10,
            Version::V19 => argon2::Version::V0x13,
        };
        (algorithm, version)
    }

    pub(crate) const fn costs(self, params: Params) -> argon2_simd::Cost {
        let kind = match self.kind {
            Kind::Id => argon2_simd::Kind::Id,
            Kind::I => argon2_simd::Kind::I,
            Kind::D => argon2_simd::Kind::D,
        };
        let version = match self.version {
            Version::V16 => argon2_simd::Version::V16,
            Version::V19 => argon2_simd::Version::V19,
        };
        let (m_kib, passes, lanes) = (params.m_kib(), params.t(), params.p());
        argon2_simd::Cost { kind, version, m_kib, passes, lanes }
    }

    pub(crate) const fn for_portable(self) -> (argon2_rust::Algorithm, argon2_rust::Version) {
        let algorithm = match self.kind {
            Kind::Id => argon2_rust::Algorithm::Argon2id,
            Kind::I => argon2_rust::Algorithm::Argon2i,
            Kind::D => argon2_rust::Algorithm::Argon2d,
        };
        let version = match self.version {
            Version::V16 => argon2_rust::Version::V0x10,
            Version::V19 => argon2_rust::Version::V0x13,
        };
        (algorithm, version)
    }
}

impl fmt::Display for Flavour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} v={}", self.name(), self.version())
    }
}

// Both engines take every length of memory that parameters may have.
const _: () = assert!(ARGON2_M_KIB_MAX as u64 <= argon2_rust::params::MAX_MEMORY as u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_versions() {
        for flavour in Flavour::ALL {
            assert_eq!(Flavour::of(flavour.name(), flavour.version()), Some(flavour));
        }
        assert_eq!(Flavour::of("argon2id", 19), Some(Flavour::OURS));
        assert_eq!(Flavour::of("argon2", 19), None);
        assert_eq!(Flavour::of("argon2id", 18), None);
    }
}

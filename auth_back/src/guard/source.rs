//! Where an attempt comes from, as far as it can be told apart from others.

use std::fmt;
use std::hash::Hasher;
use std::net::IpAddr;

/// A network that counts as one guesser: an IPv4 address, or the /64 that a site or a phone has of
/// IPv6 and in which it chooses its addresses as it likes. An IPv4 address in IPv6's clothes is IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// No address was said.
    Unknown,
    /// An address.
    V4(u32),
    /// The upper half of an address.
    V6(u64),
}

impl Source {
    pub(super) fn of(address: Option<IpAddr>) -> Self {
        match address.map(|address| address.to_canonical()) {
            None => Self::Unknown,
            Some(IpAddr::V4(address)) => Self::V4(address.to_bits()),
            Some(IpAddr::V6(address)) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Self::V6(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
            }
        }
    }

    pub(super) fn hash(self, hasher: &mut impl Hasher) {
        match self {
            Self::Unknown => hasher.write_u8(0),
            Self::V4(address) => {
                hasher.write_u8(4);
                hasher.write_u32(address);
            }
            Self::V6(prefix) => {
                hasher.write_u8(6);
                hasher.write_u64(prefix);
            }
        }
    }
}

/// For names of keys: hexadecimal, or a dash.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("-"),
            Self::V4(address) => write!(f, "{address:08x}"),
            Self::V6(prefix) => write!(f, "{prefix:016x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        let check = |one: &str, other: &str, same: bool| {
            let source = |text: &str| Source::of(Some(text.parse().unwrap()));
            assert_eq!(source(one) == source(other), same, "{one} {other}");
        };
        check("192.0.2.1", "192.0.2.1", true);
        check("192.0.2.1", "192.0.2.2", false);
        check("192.0.2.1", "::ffff:192.0.2.1", true);
        check("2001:db8::1", "2001:db8::ffff:0:0:1", true);
        check("2001:db8:0:1::1", "2001:db8:0:2::1", false);
        check("0.0.0.1", "::1", false);
    }
}

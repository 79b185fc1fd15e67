//! What counts as one party: for turns in a queue, caps on connections, guesses, and lines of a log.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where something comes from, as one party.
///
/// Of IPv4 that is an address. Of IPv6 it is a prefix, since whoever has one chooses the addresses in it at
/// will: a phone or a LAN has a /64, a home usually a /56, an organisation or a rented server up to a /48
/// (RFC 6177). [`Source::of`] gives the /64; [`home`](Self::home) and [`site`](Self::site) widen it.
///
/// An IPv4 address written as IPv6 (`::ffff:192.0.2.7`) is the IPv4 address that it is.
///
/// ```
/// use addresses::Source;
/// let source = |text: &str| Source::of(text.parse().unwrap());
/// assert_eq!(source("::ffff:192.0.2.7"), source("192.0.2.7"));
/// assert_ne!(source("2001:db8:7:100::1"), source("2001:db8:7:101::1"));
/// assert_eq!(source("2001:db8:7:100::1").home(), source("2001:db8:7:101::1").home());
/// assert_eq!(source("2001:db8:7:100::1").site().to_string(), "2001:db8:7::/48");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// A prefix of IPv6.
    V6 {
        /// The upper half of the address; bits beyond `width` are 0.
        prefix: u64,
        /// How many bits count: 64, 56 or 48.
        width: u8,
    },
}

impl Source {
    /// The party that has `address`: itself, or its /64.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Self::V6 { prefix: u64::from_be_bytes([a, b, c, d, e, f, g, h]), width: 64 }
            }
        }
    }

    /// The /56 around it, if it is IPv6.
    #[must_use]
    pub const fn home(self) -> Self {
        self.widened(56)
    }

    /// The /48 around it, if it is IPv6.
    #[must_use]
    pub const fn site(self) -> Self {
        self.widened(48)
    }

    const fn widened(self, bits: u8) -> Self {
        match self {
            Self::V6 { prefix, width } if width > bits => {
                Self::V6 { prefix: prefix & (u64::MAX << (64 - bits)), width: bits }
            }
            _ => self,
        }
    }
}

/// As operators write it: `192.0.2.7`, `2001:db8:7::/48`.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(address) => address.fmt(f),
            Self::V6 { prefix, width } => {
                write!(f, "{}/{width}", Ipv6Addr::from_bits(u128::from(*prefix) << 64))
            }
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::of(text.parse().expect("an address"))
    }

    #[test]
    fn addresses_of_one_party() {
        #[track_caller]
        fn check(one: &str, other: &str, same: [bool; 3]) {
            let (one, other) = (source(one), source(other));
            let found = [one == other, one.home() == other.home(), one.site() == other.site()];
            assert_eq!(found, same, "{one} {other}");
        }
        check("192.0.2.1", "192.0.2.1", [true; 3]);
        check("192.0.2.1", "192.0.2.2", [false; 3]);
        check("192.0.2.1", "::ffff:192.0.2.1", [true; 3]);
        check("2001:db8::1", "2001:db8::ffff:0:0:1", [true; 3]);
        check("2001:db8:0:1::1", "2001:db8:0:2::1", [false, true, true]);
        check("2001:db8:0:1ff::1", "2001:db8:0:200::1", [false, false, true]);
        check("2001:db8:1::1", "2001:db8:2::1", [false; 3]);
        check("0.0.0.1", "::1", [false; 3]);
    }

    #[test]
    fn as_operators_write_it() {
        let check = |source: Source, expected: &str| assert_eq!(source.to_string(), expected);
        check(source("192.0.2.7"), "192.0.2.7");
        check(source("192.0.2.7").site(), "192.0.2.7");
        check(source("2001:db8:7:1ff:8::1"), "2001:db8:7:1ff::/64");
        check(source("2001:db8:7:1ff:8::1").home(), "2001:db8:7:100::/56");
        check(source("2001:db8:7:1ff:8::1").site(), "2001:db8:7::/48");
        // What is wide already is not made narrow again.
        check(source("2001:db8:7:1ff:8::1").site().home(), "2001:db8:7::/48");
    }
}

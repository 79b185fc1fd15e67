//! Networks in the notation of operators: an address, or an address and how many bits of it count.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A range of IP addresses (CIDR, RFC 4632 and RFC 4291 section 2.3).
///
/// An IPv4 address written as IPv6 (`::ffff:192.0.2.7`, as sockets that take both give it) counts as
/// the IPv4 address that it is.
///
/// ```
/// use addresses::Network;
/// let network: Network = "192.0.2.0/24".parse()?;
/// assert!(network.contains("192.0.2.7".parse()?));
/// assert!(network.contains("::ffff:192.0.2.7".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// A text that is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an address, or an address and a prefix such as 10.0.0.0/8 with no bits after it")]
pub struct NotANetwork;

impl Network {
    /// Whether `address` lies in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                (ours.to_bits() ^ theirs.to_bits()).leading_zeros() >= self.prefix.into()
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                (ours.to_bits() ^ theirs.to_bits()).leading_zeros() >= self.prefix.into()
            }
            _ => false,
        }
    }

    /// Bits of the address after the prefix that are set: `10.0.0.1/8` looks like one host and would
    /// mean sixteen million.
    fn has_host_bits(&self) -> bool {
        match self.address {
            IpAddr::V4(address) => {
                address.to_bits().checked_shl(self.prefix.into()).unwrap_or(0) != 0
            }
            IpAddr::V6(address) => {
                address.to_bits().checked_shl(self.prefix.into()).unwrap_or(0) != 0
            }
        }
    }
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let written: IpAddr = address.parse().map_err(|_| NotANetwork)?;
        let address = written.to_canonical();
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => bits,
            // How many bits are meant of an address that is written in another form is a riddle.
            Some(_) if address != written => return Err(NotANetwork),
            Some(prefix) if prefix.bytes().all(|byte| byte.is_ascii_digit()) => {
                prefix.parse().ok().filter(|prefix| *prefix <= bits).ok_or(NotANetwork)?
            }
            Some(_) => return Err(NotANetwork),
        };
        let network = Self { address, prefix };
        if network.has_host_bits() { Err(NotANetwork) } else { Ok(network) }
    }
}

/// As it is written, always with its prefix.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_text(text: &str, expected: Option<&str>) {
        let network = text.parse::<Network>().ok().map(|network| network.to_string());
        assert_eq!(network.as_deref(), expected, "{text:?}");
    }

    #[test]
    fn networks_as_they_are_written() {
        check_text("192.0.2.7", Some("192.0.2.7/32"));
        check_text("10.0.0.0/8", Some("10.0.0.0/8"));
        check_text("0.0.0.0/0", Some("0.0.0.0/0"));
        check_text("::1", Some("::1/128"));
        check_text("2001:db8::/32", Some("2001:db8::/32"));
        check_text("::/0", Some("::/0"));
        check_text("::ffff:192.0.2.7", Some("192.0.2.7/32"));
        for wrong in [
            "",
            "/",
            "/8",
            "localhost",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            "10.0.0.0/8/8",
            "10.0.0.1/8",
            "10/8",
            "2001:db8::/129",
            "2001:db8::1/64",
            "::1/0",
            "::ffff:10.0.0.0/8",
            "::ffff:10.0.0.0/104",
            "10.0.0.0 /8",
            "[::1]",
        ] {
            check_text(wrong, None);
        }
    }

    #[track_caller]
    fn check(network: &str, address: &str, expected: bool) {
        let parsed: Network = network.parse().expect("a network");
        let contains = parsed.contains(address.parse().expect("an address"));
        assert_eq!(contains, expected, "{address} in {network}");
    }

    #[test]
    fn what_lies_in_a_network() {
        check("192.0.2.7", "192.0.2.7", true);
        check("192.0.2.7", "192.0.2.6", false);
        check("192.0.2.0/24", "192.0.2.255", true);
        check("192.0.2.0/24", "192.0.3.0", false);
        check("192.0.2.128/25", "192.0.2.127", false);
        check("0.0.0.0/0", "255.255.255.255", true);
        check("0.0.0.0/0", "::1", false);
        check("::/0", "10.0.0.1", false);
        check("::/0", "::ffff:10.0.0.1", false);
        check("10.0.0.0/8", "::ffff:10.0.0.1", true);
        check("2001:db8::/32", "2001:db8:ffff::1", true);
        check("2001:db8::/32", "2001:db9::1", false);
        check("::1", "::1", true);
    }
}

//! Proxies that are believed when they say for whom they ask.
//!
//! `X-Forwarded-For` is read and `Forwarded` (RFC 7239) is not, because the former is what nginx,
//! `HAProxy` and the balancers of clouds write; with two fields, a client could use the one that its
//! proxy leaves as it came. Whoever is not trusted can write what they like: it is not looked at.

use std::net::{IpAddr, SocketAddr};

use addresses::Network;

/// The proxies between users and this server.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Vec<Network>);

impl TrustedProxies {
    /// Trusts whoever has an address in one of these networks.
    #[must_use]
    pub fn new(networks: Vec<Network>) -> Self {
        Self(networks)
    }

    /// Whether a peer at `address` is believed.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    /// The address of the user whose request `peer` sent. `forwarded` has the values of all
    /// `X-Forwarded-For` fields in their order.
    ///
    /// Each proxy appends the address that it got the request from, so the list is read from its
    /// end for as long as trusted proxies wrote it: the first address that is not one of theirs is
    /// the user's, and what stands before it was written by the user. When all are trusted, it is
    /// the one farthest away. When one cannot be read, nothing that it would vouch for counts, and
    /// the answer is `peer`.
    #[must_use]
    pub fn client_address<'a>(
        &self,
        peer: IpAddr,
        forwarded: impl Iterator<Item = &'a [u8]>,
    ) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.contains(peer) {
            return peer;
        }
        let values: Vec<&[u8]> = forwarded.collect();
        let hops = values.iter().rev().flat_map(|value| value.rsplit(|&byte| byte == b','));
        let mut farthest = peer;
        for hop in hops {
            let Some(address) = parse(hop) else { return peer };
            farthest = address;
            if !self.contains(address) {
                break;
            }
        }
        farthest
    }
}

/// An address, alone or with a port, as some proxies write it.
fn parse(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop.trim_ascii()).ok()?;
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let with_port = || text.parse().ok().map(|address: SocketAddr| address.ip());
    let address: Option<IpAddr> = text.parse().ok();
    address.or_else(with_port).or_else(in_brackets).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 127.0.0.1 and 10.0.0.0/8 are trusted.
    #[track_caller]
    fn check(peer: &str, forwarded: &[&str], expected: &str) {
        let networks = ["127.0.0.1", "10.0.0.0/8", "2001:db8::/32"];
        let proxies = networks.map(|text| text.parse().expect("a network"));
        let proxies = TrustedProxies::new(proxies.into());
        let peer = peer.parse().expect("an address");
        let address = proxies.client_address(peer, forwarded.iter().map(|value| value.as_bytes()));
        assert_eq!(address.to_string(), expected, "{forwarded:?}");
    }

    #[test]
    fn a_trusted_proxy_says_who_asks() {
        check("127.0.0.1", &["192.0.2.7"], "192.0.2.7");
        check("::ffff:127.0.0.1", &["192.0.2.7"], "192.0.2.7");
        check("2001:db8::1", &["2001:db9::7"], "2001:db9::7");
        check("127.0.0.1", &["192.0.2.7, 10.0.0.3"], "192.0.2.7");
        check("127.0.0.1", &["192.0.2.7", "10.0.0.3"], "192.0.2.7");
        check("127.0.0.1", &["192.0.2.7:4711"], "192.0.2.7");
        check("127.0.0.1", &["[2001:db9::7]:4711"], "2001:db9::7");
        check("127.0.0.1", &["[2001:db9::7]"], "2001:db9::7");
        check("127.0.0.1", &["::ffff:192.0.2.7"], "192.0.2.7");
        check("127.0.0.1", &["10.1.1.1, 10.2.2.2"], "10.1.1.1");
        check("127.0.0.1", &[], "127.0.0.1");
    }

    #[test]
    fn what_a_user_wrote_does_not_count() {
        check("127.0.0.1", &["198.51.100.1, 192.0.2.7"], "192.0.2.7");
        check("127.0.0.1", &["198.51.100.1", "192.0.2.7, 10.0.0.3"], "192.0.2.7");
        check("127.0.0.1", &["nonsense, 192.0.2.7"], "192.0.2.7");
        check("127.0.0.1", &["127.0.0.1, 192.0.2.7"], "192.0.2.7");
    }

    #[test]
    fn others_are_not_believed() {
        check("192.0.2.1", &["198.51.100.1"], "192.0.2.1");
        check("192.0.2.1", &["10.0.0.1"], "192.0.2.1");
        check("::ffff:192.0.2.1", &["10.0.0.1"], "192.0.2.1");
    }

    #[test]
    fn what_cannot_be_read_is_not_guessed() {
        for bad in
            ["", "unknown", "192.0.2", "192.0.2.7 192.0.2.8", "fe80::1%eth0", "[::1", "192.0.2.7,"]
        {
            check("127.0.0.1", &[bad], "127.0.0.1");
            check("10.0.0.1", &[&format!("192.0.2.7, {bad}")], "10.0.0.1");
        }
    }
}

//! Where a user is: what the connection says, or a proxy that is believed.
//!
//! `X-Forwarded-For` is read and `Forwarded` (RFC 7239) is not, because the former is what nginx,
//! `HAProxy` and the balancers of clouds write; with two headers, a client could use the one that its
//! proxy leaves as it came. Anyone who is not trusted can write what they like: it is not looked at.
//!
//! Two set-ups make one party of all users, and nothing would show it: a proxy that is not named in
//! `--trusted-proxies`, and one that is named and says no address. Both are counted and logged
//! ([`Notices`]).

use std::net::{IpAddr, SocketAddr};

use addresses::Network;
use http1::Head;
use service::log::Sparing;
use service::metrics::Counter;
use service::sparing;

use crate::limits::{FORWARDED_HOPS_MAX, PROXY_NOTICE_INTERVAL};

/// Headers by which a proxy shows that it is one: RFC 9110 section 7.6.3, RFC 7239, and what proxies
/// wrote before it and nginx still does.
const PROXY_HEADERS: [&str; 4] = ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"];

/// The proxies between users and this server.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Vec<Network>);

/// Where a request came from, and how that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whence {
    /// The user's address, as far as it is known.
    pub address: IpAddr,
    /// Who says so.
    pub said: Said,
}

/// Who says where a user is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// The connection: no proxy is on the way.
    ByConnection,
    /// A proxy that is trusted.
    ByProxy,
    /// The connection alone: a proxy that is not trusted brought the request, and what it says is
    /// passed over.
    ByUntrusted,
    /// Nobody: a proxy that is trusted brought the request without `X-Forwarded-For`.
    Missing,
    /// Nobody: the `X-Forwarded-For` of a proxy that is trusted cannot be read.
    Unreadable,
}

impl Whence {
    /// Whether a proxy brought the request, believed or not.
    #[must_use]
    pub fn is_forwarded(self) -> bool {
        self.said != Said::ByConnection
    }
}

impl TrustedProxies {
    /// Trusts proxies that have an address in one of these networks.
    #[must_use]
    pub fn new(networks: Vec<Network>) -> Self {
        Self(networks)
    }

    /// Whether a peer at `address` is believed.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    /// Where the user is whose request `peer` sent with this head.
    #[must_use]
    pub fn whence(&self, peer: IpAddr, head: &Head<'_>) -> Whence {
        let forwarded_for = head.fields(PROXY_HEADERS[0]);
        let names_a_proxy = || PROXY_HEADERS.iter().any(|name| head.fields(name).next().is_some());
        self.judge(peer, forwarded_for, names_a_proxy)
    }

    /// `forwarded_for` has the values of all `X-Forwarded-For` headers in their order.
    ///
    /// Each proxy appends the address that it got the request from, so the list is read from its end
    /// for as long as trusted proxies wrote it: the first address that is not one of theirs is the
    /// user's, and what stands before it was written by the user. When all are trusted, it is the one
    /// farthest away. When one cannot be read, or there are more than [`FORWARDED_HOPS_MAX`] trusted
    /// ones, nothing that they vouch for counts, and the answer is `peer`.
    fn judge<'a>(
        &self,
        peer: IpAddr,
        forwarded_for: impl Iterator<Item = &'a [u8]>,
        names_a_proxy: impl FnOnce() -> bool,
    ) -> Whence {
        let peer = peer.to_canonical();
        let by_connection = |said| Whence { address: peer, said };
        if !self.contains(peer) {
            let is_direct = !names_a_proxy();
            return by_connection(if is_direct { Said::ByConnection } else { Said::ByUntrusted });
        }
        let values: Vec<&[u8]> = forwarded_for.collect();
        let hops = values.iter().rev().flat_map(|value| value.rsplit(|&byte| byte == b','));
        let mut farthest = None;
        for (number, hop) in hops.enumerate() {
            let address = if number < FORWARDED_HOPS_MAX { parse(hop) } else { None };
            let Some(address) = address else { return by_connection(Said::Unreadable) };
            farthest = Some(address);
            if !self.contains(address) {
                break;
            }
        }
        match farthest {
            Some(address) => Whence { address, said: Said::ByProxy },
            None => by_connection(Said::Missing),
        }
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

/// Tells operators of requests whose users cannot be told apart: a counter for each reason, and a line in
/// the log at the first and then once in [`PROXY_NOTICE_INTERVAL`].
#[derive(Clone, Debug)]
pub struct Notices {
    /// A proxy that is not trusted brought the request.
    pub untrusted: Counter,
    /// A trusted one said no address.
    pub missing: Counter,
    /// A trusted one said something that is no address.
    pub unreadable: Counter,
}

impl Notices {
    /// Counts a request from `peer`, and says what to do about it if it is time to.
    pub fn note(&self, peer: IpAddr, said: Said) {
        static UNTRUSTED: Sparing = Sparing::every(PROXY_NOTICE_INTERVAL);
        static MISSING: Sparing = Sparing::every(PROXY_NOTICE_INTERVAL);
        static UNREADABLE: Sparing = Sparing::every(PROXY_NOTICE_INTERVAL);
        let (counter, line) = match said {
            Said::ByConnection | Said::ByProxy => return,
            Said::ByUntrusted => (&self.untrusted, &UNTRUSTED),
            Said::Missing => (&self.missing, &MISSING),
            Said::Unreadable => (&self.unreadable, &UNREADABLE),
        };
        counter.inc();
        let peer = peer.to_canonical();
        match said {
            Said::ByConnection | Said::ByProxy => {}
            Said::ByUntrusted => sparing!(
                by line, WARN, %peer,
                "a request came through a proxy that is not trusted (it has X-Forwarded-For, Forwarded, Via or \
                 X-Real-IP), and what that says is ignored: all its users count as one address, and guesses of \
                 one of them make the others wait. If the proxy is yours, start http_front with \
                 --trusted-proxies {peer}; if not, nothing needs to be done"
            ),
            Said::Missing => sparing!(
                by line, WARN, %peer,
                "a proxy of --trusted-proxies sent a request without X-Forwarded-For: all its users count as one \
                 address, and guesses of one of them make the others wait. Have the proxy set the header, in \
                 nginx with: proxy_set_header X-Forwarded-For $remote_addr;"
            ),
            Said::Unreadable => sparing!(
                by line, WARN, %peer,
                "a proxy of --trusted-proxies sent an X-Forwarded-For that cannot be read, or with more than \
                 {FORWARDED_HOPS_MAX} proxies: its users count as one address. Have the proxy write addresses \
                 into the header, in nginx with: proxy_set_header X-Forwarded-For $remote_addr;"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 127.0.0.1, 10.0.0.0/8 and a network of IPv6 are trusted.
    fn judge(peer: &str, forwarded: &[&[u8]], names_a_proxy: bool) -> (String, Said) {
        let networks = ["127.0.0.1", "10.0.0.0/8", "2001:db8::/32"];
        let proxies = networks.map(|text| text.parse().expect("a network"));
        let peer = peer.parse().expect("an address");
        let proxies = TrustedProxies::new(proxies.into());
        let Whence { address, said } =
            proxies.judge(peer, forwarded.iter().copied(), || names_a_proxy);
        (address.to_string(), said)
    }

    #[track_caller]
    fn check(peer: &str, forwarded: &[&str], expected: &str, said: Said) {
        let values: Vec<_> = forwarded.iter().map(|value| value.as_bytes()).collect();
        let found = judge(peer, &values, !forwarded.is_empty());
        assert_eq!(found, (expected.to_owned(), said), "{forwarded:?}");
    }

    #[test]
    fn a_trusted_proxy_says_who_asks() {
        let check = |peer: &str, forwarded: &[&str], expected: &str| {
            check(peer, forwarded, expected, Said::ByProxy);
        };
        check("127.0.0.1", &["192.0.2.7"], "192.0.2.7");
        check("::ffff:127.0.0.1", &["192.0.2.7"], "192.0.2.7");
        check("2001:db8::1", &["2001:db9::7"], "2001:db9::7");
        check("127.0.0.1", &["192.0.2.7, 10.0.0.3"], "192.0.2.7");
        check("127.0.0.1", &["192.0.2.7 ,\t10.0.0.3 "], "192.0.2.7");
        check("127.0.0.1", &["192.0.2.7", "10.0.0.3"], "192.0.2.7");
        check("127.0.0.1", &["192.0.2.7:4711"], "192.0.2.7");
        check("127.0.0.1", &["[2001:db9::7]:4711"], "2001:db9::7");
        check("127.0.0.1", &["[2001:db9::7]"], "2001:db9::7");
        check("127.0.0.1", &["::ffff:192.0.2.7"], "192.0.2.7");
        check("127.0.0.1", &["192.0.2.7, [::ffff:10.0.0.3]:80"], "192.0.2.7");
        check("127.0.0.1", &["10.1.1.1, 10.2.2.2"], "10.1.1.1");
    }

    #[test]
    fn what_a_user_wrote_does_not_count() {
        let check = |forwarded: &[&str]| {
            check("127.0.0.1", forwarded, "192.0.2.7", Said::ByProxy);
        };
        check(&["198.51.100.1, 192.0.2.7"]);
        check(&["198.51.100.1", "192.0.2.7, 10.0.0.3"]);
        check(&["nonsense, 192.0.2.7"]);
        check(&["", "192.0.2.7"]);
        check(&[",,,", "192.0.2.7"]);
        check(&["127.0.0.1, 192.0.2.7"]);
        check(&["\u{fffd}", "192.0.2.7"]);
    }

    #[test]
    fn others_are_not_believed() {
        check("192.0.2.1", &["198.51.100.1"], "192.0.2.1", Said::ByUntrusted);
        check("192.0.2.1", &["10.0.0.1"], "192.0.2.1", Said::ByUntrusted);
        check("::ffff:192.0.2.1", &["10.0.0.1"], "192.0.2.1", Said::ByUntrusted);
        check("192.0.2.1", &[""], "192.0.2.1", Said::ByUntrusted);
        check("192.0.2.1", &[], "192.0.2.1", Said::ByConnection);
        // Another header tells of the proxy.
        assert_eq!(judge("192.0.2.1", &[], true), ("192.0.2.1".to_owned(), Said::ByUntrusted));
    }

    #[test]
    fn what_cannot_be_read_is_not_guessed() {
        for bad in [
            "",
            " ",
            "unknown",
            "_hidden",
            "192.0.2",
            "192.0.2.7.1",
            "192.0.2.256",
            "192.0.2.07",
            "192.0.2.7:",
            "192.0.2.7:65536",
            "192.0.2.7 192.0.2.8",
            "192.0.2.7;",
            "\"192.0.2.7\"",
            "for=192.0.2.7",
            "fe80::1%eth0",
            "[::1",
            "::1]",
            "[]",
            "[192.0.2.7]",
            "192.0.2.7,",
            "192.0.2.7, \u{e4}",
        ] {
            check("127.0.0.1", &[bad], "127.0.0.1", Said::Unreadable);
            let behind = format!("192.0.2.7, {bad}");
            check("10.0.0.1", &[&behind], "10.0.0.1", Said::Unreadable);
        }
        let no_text: &[&[u8]] = &[b"192.0.2.7, \xff\xfe"];
        assert_eq!(judge("10.0.0.1", no_text, true), ("10.0.0.1".to_owned(), Said::Unreadable));
    }

    #[test]
    fn a_proxy_that_says_nothing_is_told_from_no_proxy() {
        check("127.0.0.1", &[], "127.0.0.1", Said::Missing);
        check("10.0.0.1", &[], "10.0.0.1", Said::Missing);
        let is_forwarded = |said| Whence { address: [127, 0, 0, 1].into(), said }.is_forwarded();
        assert!(!is_forwarded(Said::ByConnection));
        for said in [Said::ByProxy, Said::ByUntrusted, Said::Missing, Said::Unreadable] {
            assert!(is_forwarded(said), "{said:?}");
        }
    }

    #[test]
    fn as_many_proxies_as_may_be() {
        let hops = |count: usize| vec!["10.0.0.9"; count].join(", ");
        let user = |count| format!("192.0.2.7, {}", hops(count));
        let check = |list: &str, expected: &str, said| check("10.0.0.1", &[list], expected, said);
        check(&user(FORWARDED_HOPS_MAX - 1), "192.0.2.7", Said::ByProxy);
        check(&hops(FORWARDED_HOPS_MAX), "10.0.0.9", Said::ByProxy);
        check(&user(FORWARDED_HOPS_MAX), "10.0.0.1", Said::Unreadable);
        // However long a list a user writes, it is not read beyond them.
        check(&format!("{}, 192.0.2.7, 10.0.0.9", hops(3_000)), "192.0.2.7", Said::ByProxy);
    }
}

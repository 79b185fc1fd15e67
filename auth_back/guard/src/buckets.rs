//! Which buckets an attempt is charged to, in the order in which they judge.
//!
//! Whoever is known has to be found out first: what others at an address do to other accounts is nothing to
//! them. So an account's own bucket for a network comes before those of the network.

use addresses::Source;
use credentials::Username;

use super::attempt::Known;
use super::bucket::{Kind, Width};
use super::limits::BUCKETS_MAX;

/// The buckets of one attempt.
#[derive(Debug)]
pub(super) struct Buckets<'a> {
    list: [Option<Bucket<'a>>; BUCKETS_MAX],
    /// That of the network that becomes known if the attempt of a device succeeds.
    pub(super) becomes_known: Option<Bucket<'a>>,
}

/// One bucket, by what it counts and of whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket<'a> {
    pub(super) kind: Kind,
    /// The account, if it is one's.
    name: &'a str,
    who: Who<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Who<'a> {
    Everybody,
    Network(Source),
    Known(Known<'a>),
}

impl<'a> Buckets<'a> {
    /// Of somebody who shows nothing, at an account. A network that is `exempt` is not counted by itself.
    pub(super) fn of_stranger(username: &'a Username, source: Source, exempt: bool) -> Self {
        let mut buckets = Self::none();
        for (width, network) in widths(source) {
            buckets.add(Bucket::pair(username, width, network));
        }
        if !exempt {
            buckets.add_all(Kind::Network, source);
        }
        buckets.add(Bucket::account(username));
        buckets
    }

    /// Of somebody who shows that they have been in that account.
    pub(super) fn of_known(username: &'a Username, known: Known<'a>, source: Source) -> Self {
        let mut buckets = Self::none();
        let who = Who::Known(known);
        buckets.add(Bucket { kind: Kind::Device, name: username.as_str(), who });
        buckets.add(Bucket::account(username));
        buckets.becomes_known = Some(Bucket::pair(username, Width::Own, source));
        buckets
    }

    /// What an account has of its own: failures from everywhere, or from one network.
    pub(super) fn of_account(username: &'a Username, source: Option<Source>) -> Self {
        let mut buckets = Self::none();
        match source {
            None => buckets.add(Bucket::account(username)),
            Some(source) => {
                for (width, network) in widths(source) {
                    buckets.add(Bucket::pair(username, width, network));
                }
            }
        }
        buckets
    }

    /// Of somebody who wants an account. A network that is exempt is not counted at all.
    pub(super) fn of_registration(source: Source, exempt: bool) -> Self {
        let mut buckets = Self::none();
        if !exempt {
            buckets.add_all(Kind::Registrations, source);
        }
        buckets
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Bucket<'a>> {
        self.list.iter().flatten()
    }

    const fn none() -> Self {
        Self { list: [None; BUCKETS_MAX], becomes_known: None }
    }

    fn add_all(&mut self, kind: impl Fn(Width) -> Kind, source: Source) {
        for (width, network) in widths(source) {
            self.add(Bucket { kind: kind(width), name: "", who: Who::Network(network) });
        }
    }

    fn add(&mut self, bucket: Bucket<'a>) {
        let free = self.list.iter_mut().find(|place| place.is_none());
        *free.expect("there are places for three networks twice, and an account") = Some(bucket);
    }
}

/// The networks that an address counts in: itself, and of IPv6 two wider ones.
fn widths(source: Source) -> impl Iterator<Item = (Width, Source)> {
    let all = [(Width::Own, source), (Width::Home, source.home()), (Width::Site, source.site())];
    let count = if matches!(source, Source::V6 { .. }) { all.len() } else { 1 };
    all.into_iter().take(count)
}

impl<'a> Bucket<'a> {
    fn pair(username: &'a Username, width: Width, network: Source) -> Self {
        let who = Who::Network(network);
        Self { kind: Kind::Pair(width), name: username.as_str(), who }
    }

    fn account(username: &'a Username) -> Self {
        Self { kind: Kind::Account, name: username.as_str(), who: Who::Everybody }
    }

    /// Gives, piece by piece, the bytes that no other bucket has: names have no zero byte, and what follows
    /// it has a length of its own for each kind of thing.
    pub(super) fn feed(&self, mut put: impl FnMut(&[u8])) {
        put(&[self.kind.letter(), self.kind.width_digit()]);
        put(self.name.as_bytes());
        put(&[0]);
        match self.who {
            Who::Everybody => {}
            Who::Network(Source::V4(address)) => put(&address.octets()),
            Who::Network(Source::V6 { prefix, .. }) => put(&prefix.to_be_bytes()),
            Who::Known(Known::Device(marker)) => put(marker.id()),
            Who::Known(Known::Session(id)) => {
                put(b"session");
                put(&id.to_be_bytes());
            }
        }
    }
}

impl Kind {
    /// What it is called in scripts.
    pub(super) const fn letter(self) -> u8 {
        match self {
            Self::Pair(_) => b'p',
            Self::Device => b'd',
            Self::Account => b'a',
            Self::Network(_) => b'n',
            Self::Registrations(_) => b'r',
        }
    }

    /// What its width is called there.
    pub(super) const fn width_digit(self) -> u8 {
        match self {
            Self::Pair(width) | Self::Network(width) | Self::Registrations(width) => match width {
                Width::Own => b'0',
                Width::Home => b'1',
                Width::Site => b'2',
            },
            Self::Device | Self::Account => b'0',
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn source(text: &str) -> Source {
        Source::of(text.parse().expect("an address"))
    }

    fn ada() -> Username {
        Username::new("ada").expect("a name")
    }

    /// Kinds, as scripts call them.
    #[track_caller]
    fn check(buckets: &Buckets<'_>, expected: &str) {
        let name = |bucket: &Bucket<'_>| [bucket.kind.letter(), bucket.kind.width_digit()];
        let names: Vec<u8> = buckets.iter().flat_map(name).collect();
        assert_eq!(String::from_utf8(names).expect("letters"), expected);
    }

    #[test]
    fn what_an_attempt_is_charged_to() {
        let (v4, v6) = (source("192.0.2.1"), source("2001:db8::1"));
        check(&Buckets::of_stranger(&ada(), v4, false), "p0n0a0");
        check(&Buckets::of_stranger(&ada(), v6, false), "p0p1p2n0n1n2a0");
        check(&Buckets::of_stranger(&ada(), v6, true), "p0p1p2a0");
        check(&Buckets::of_known(&ada(), Known::Session(5), v6), "d0a0");
        check(&Buckets::of_registration(v4, false), "r0");
        check(&Buckets::of_registration(v6, false), "r0r1r2");
        check(&Buckets::of_registration(v6, true), "");
    }

    #[test]
    fn no_two_buckets_have_the_same_bytes() {
        let names = ["ada", "adab"].map(|name| Username::new(name).expect("a name"));
        let networks = ["192.0.2.1", "0.0.0.1", "2001:db8::1", "2001:db8:0:100::1", "::1"];
        let mut seen = HashMap::new();
        let mut note = |buckets: &Buckets<'_>| {
            for bucket in buckets.iter() {
                let mut bytes = Vec::new();
                bucket.feed(|piece| bytes.extend_from_slice(piece));
                let shown = format!("{bucket:?}");
                let before = seen.entry(bytes).or_insert_with(|| shown.clone());
                assert_eq!(*before, shown);
            }
        };
        for network in networks.map(source) {
            for name in &names {
                note(&Buckets::of_stranger(name, network, false));
                note(&Buckets::of_known(name, Known::Session(5), network));
                note(&Buckets::of_known(name, Known::Session(6), network));
            }
            note(&Buckets::of_registration(network, false));
        }
        // Of each name an account, two sessions, and pairs; of each network a count of guesses and one of
        // registrations. Two of the networks share a /48.
        let networks = 2 + 3 * 3 - 1;
        assert_eq!(seen.len(), 2 * (1 + 2 + networks) + 2 * networks);
    }
}

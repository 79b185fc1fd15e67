//! Whose turn a job waits for.

use std::hash::{BuildHasher as _, Hash};
use std::num::NonZeroU32;
use std::time::Instant;

use addresses::Source;
use foldhash::quality::RandomState;

/// Two classes of jobs take turns, one job each, while both wait: so that a flood of strangers, from however
/// many networks, leaves half of a lane to those who are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Of somebody who shows that they have been here before.
    Known,
    /// Of anybody else.
    Stranger,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Known, Self::Stranger];

    /// A word for metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Known => "known",
            Self::Stranger => "stranger",
        }
    }
}

/// The flow that a job belongs to: its class, and two keys. Flows of one parent share the parent's turns, and
/// take turns within them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    pub(super) class: Class,
    pub(super) parent: u64,
    pub(super) child: u64,
}

impl Flow {
    /// One flow for everything: jobs are served in the order in which they come. For lanes that no stranger
    /// submits to.
    pub const ONE: Self = Self { class: Class::Stranger, parent: 0, child: 0 };

    /// The same flow among those who are known, or who are not.
    #[must_use]
    pub const fn of_class(self, class: Class) -> Self {
        Self { class, ..self }
    }
}

/// Makes flows of addresses and accounts. Their keys are hashes under a random seed, so nobody can choose
/// addresses or names that share one. A clone makes the same keys.
#[derive(Clone, Debug, Default)]
pub struct FlowKeys(RandomState);

impl FlowKeys {
    /// The flow of somebody who is not known: of IPv4 an address, of IPv6 a /56, and all /56 of a /48 have one
    /// parent. Takes some nanoseconds.
    #[must_use]
    pub fn stranger(&self, source: Source) -> Flow {
        self.flow(Class::Stranger, source, &source.home())
    }

    /// The flow of somebody who is known to `account`. Each account of one network has turns of its own, so that
    /// one of many people behind an address cannot take those of all.
    #[must_use]
    pub fn known(&self, source: Source, account: &[u8]) -> Flow {
        self.flow(Class::Known, source, &(source.home(), account))
    }

    fn flow(&self, class: Class, source: Source, child: &impl Hash) -> Flow {
        Flow { class, parent: self.key(&source.site()), child: self.key(child) }
    }

    fn key(&self, of: &impl Hash) -> u64 {
        self.0.hash_one(of)
    }
}

/// What is asked for a job.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// Whose turn it waits for.
    pub flow: Flow,
    /// What it costs: a job of two units waits for two turns.
    pub units: NonZeroU32,
    /// After this nobody waits for it; `None` for a job that may wait for ever.
    pub deadline: Option<Instant>,
}

impl Ask {
    /// A job of one unit.
    #[must_use]
    pub const fn new(flow: Flow) -> Self {
        Self { flow, units: NonZeroU32::MIN, deadline: None }
    }

    /// The same by `deadline`.
    #[must_use]
    pub const fn by(self, deadline: Instant) -> Self {
        Self { deadline: Some(deadline), ..self }
    }

    /// The same of `units` units.
    #[must_use]
    pub const fn units(self, units: NonZeroU32) -> Self {
        Self { units, ..self }
    }
}

pub(super) fn key(flow: &Flow) -> (usize, u64, u64) {
    (flow.class as usize, flow.parent, flow.child)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_accounts_have_flows() {
        let keys = FlowKeys::default();
        let source = |text: &str| Source::of(text.parse().expect("an address"));
        let stranger = |text| keys.stranger(source(text));
        let known = |text, account: &str| keys.known(source(text), account.as_bytes());

        let home = stranger("2001:db8:7:100::1");
        assert_eq!(home, stranger("2001:db8:7:1ff::2"), "one /56");
        let neighbour = stranger("2001:db8:7:200::1");
        assert_ne!(home.child, neighbour.child);
        assert_eq!(home.parent, neighbour.parent, "one /48");
        assert_ne!(home.parent, stranger("2001:db8:8:100::1").parent);
        assert_ne!(stranger("192.0.2.1").parent, stranger("192.0.2.2").parent);

        let ada = known("192.0.2.1", "ada");
        assert_eq!(ada.parent, stranger("192.0.2.1").parent);
        assert_ne!(ada.child, known("192.0.2.1", "bob").child);
        assert_ne!(ada.child, known("192.0.2.2", "ada").child);
        assert_eq!(ada, known("::ffff:192.0.2.1", "ada"));
        assert_ne!(ada, FlowKeys::default().known(source("192.0.2.1"), b"ada"), "another seed");
    }
}

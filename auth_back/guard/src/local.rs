//! What this server counts by itself, in tables of fixed size.

use std::hash::Hasher as _;
use std::sync::Arc;

use credentials::{RandomError, random};
use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;
use parking_lot::RwLock;

use super::bucket::{
    Charge, Kind, No, Outcome, Rules, Standing, Width, failures_worth, pair_worth,
};
use super::buckets::{Bucket, Buckets};
use super::limits::BUCKETS_MAX;
use super::table::{Entry, Table};
use super::time::Tick;

/// The buckets of this server.
pub(super) struct Local {
    rules: Arc<RwLock<Rules>>,
    /// Of the hash of keys, so that nobody can choose names that share a set.
    seed: (u64, SharedSeed),
    /// A login leaves an entry in the first for each network that it came from.
    pairs: Table,
    wide_pairs: Table,
    accounts: Table,
    networks: Table,
    wide_networks: Table,
}

/// An attempt that is counted here.
#[derive(Debug)]
pub(super) struct LocalTicket {
    /// Whether whoever tries is known to the account.
    pub(super) is_known: bool,
    charges: [Option<(Kind, u64, Charge)>; BUCKETS_MAX],
    /// The network that becomes known when a device logs in from it.
    becomes_known: Option<u64>,
    at: Tick,
}

impl Local {
    /// Reserves all memory that it will ever use.
    pub(super) fn new(memory: u64, rules: Arc<RwLock<Rules>>) -> Result<Self, RandomError> {
        let (hasher, shared) = (random::bytes()?, random::bytes()?);
        let eighth = memory / 8;
        Ok(Self {
            rules,
            seed: (u64::from_ne_bytes(hasher), SharedSeed::from_u64(u64::from_ne_bytes(shared))),
            pairs: Table::new(3 * eighth, pair_worth),
            wide_pairs: Table::new(eighth, pair_worth),
            accounts: Table::new(2 * eighth, failures_worth),
            networks: Table::new(eighth, failures_worth),
            wide_networks: Table::new(eighth, failures_worth),
        })
    }

    /// Counts an attempt in all of its buckets, or in none. With `is_known`, whoever makes it is known from
    /// elsewhere.
    pub(super) fn reserve(
        &self,
        buckets: &Buckets<'_>,
        is_known: bool,
        now: Tick,
    ) -> Result<LocalTicket, No> {
        // Once, since they may change meanwhile.
        let rules = *self.rules.read();
        let mut keys = [(Kind::Account, 0); BUCKETS_MAX];
        let keys = {
            let mut count = 0;
            for (place, bucket) in keys.iter_mut().zip(buckets.iter()) {
                *place = (bucket.kind, self.key(bucket));
                count += 1;
            }
            &keys[..count]
        };
        // What is refused is refused before a new entry has pushed out another: a flood of refused attempts
        // costs nobody an entry.
        let mut standing = Standing::new(is_known);
        for (kind, key) in keys {
            if !kind.passes_over(standing) {
                let mut entry = self.table(*kind).peek(*key);
                rules.charge(*kind, &mut entry, &mut standing, now)?;
            }
        }
        // Others may have come meanwhile: here each entry is judged and charged at once.
        let mut standing = Standing::new(is_known);
        let mut ticket = LocalTicket {
            is_known,
            charges: [None; BUCKETS_MAX],
            becomes_known: buckets.becomes_known.map(|bucket| self.key(&bucket)),
            at: now,
        };
        for (place, (kind, key)) in ticket.charges.iter_mut().zip(keys) {
            if kind.passes_over(standing) {
                continue;
            }
            let judge = |entry: &mut Entry| rules.charge(*kind, entry, &mut standing, now);
            match self.table(*kind).visit(*key, now, judge) {
                Ok(charge) => *place = Some((*kind, *key, charge)),
                Err(no) => {
                    self.settle(&ticket, Outcome::Nothing);
                    return Err(no);
                }
            }
        }
        ticket.is_known = standing.is_known;
        Ok(ticket)
    }

    /// Counts an attempt so many times more in the buckets of its networks, as far as they go.
    pub(super) fn charge_more(&self, ticket: &mut LocalTicket, more: u32) {
        let rules = *self.rules.read();
        for (kind, key, charge) in ticket.charges.iter_mut().flatten() {
            if let Kind::Network(width) = *kind {
                let add = |entry: &mut Entry| rules.charge_more(width, entry, more);
                let added = self.table(*kind).visit_known(*key, ticket.at, add);
                charge.add(added.unwrap_or(0));
            }
        }
    }

    /// What an attempt that costs as much as `cost` usual ones is charged beyond one.
    pub(super) fn charge_of(&self, cost: u32) -> u32 {
        self.rules.read().charge_of(cost)
    }

    /// Says what came of an attempt.
    pub(super) fn settle(&self, ticket: &LocalTicket, outcome: Outcome) {
        for (kind, key, charge) in ticket.charges.iter().rev().flatten() {
            let (table, now) = (self.table(*kind), ticket.at);
            let settle = |entry: &mut Entry| Rules::settle(*kind, entry, charge, outcome);
            if (outcome, *kind) == (Outcome::Right, Kind::Pair(Width::Own)) {
                // A new entry if the old one had to go: it is worth remembering who is known.
                table.visit(*key, now, settle);
            } else {
                table.visit_known(*key, now, settle);
            }
        }
        if let (Outcome::Right, Some(key)) = (outcome, ticket.becomes_known) {
            // Known from now on, for when the marker is lost; its own failures stay.
            self.pairs.visit(key, ticket.at, |entry| entry.mark = ticket.at);
        }
    }

    /// Forgets what was counted in these buckets. Who is known stays known.
    pub(super) fn unlock(&self, buckets: &Buckets<'_>, now: Tick) {
        for bucket in buckets.iter() {
            let forget = |entry: &mut Entry| entry.level = 0;
            self.table(bucket.kind).visit_known(self.key(bucket), now, forget);
        }
    }

    /// Bytes of all tables together, whether they are in use yet or not.
    pub(super) fn memory(&self) -> usize {
        let Self { pairs, wide_pairs, accounts, networks, wide_networks, .. } = self;
        [pairs, wide_pairs, accounts, networks, wide_networks].map(Table::bytes).iter().sum()
    }

    fn table(&self, kind: Kind) -> &Table {
        match kind {
            Kind::Pair(Width::Own) | Kind::Device => &self.pairs,
            Kind::Pair(_) => &self.wide_pairs,
            Kind::Account => &self.accounts,
            Kind::Network(Width::Own) | Kind::Registrations(Width::Own) => &self.networks,
            Kind::Network(_) | Kind::Registrations(_) => &self.wide_networks,
        }
    }

    fn key(&self, bucket: &Bucket<'_>) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.seed.0, &self.seed.1);
        bucket.feed(|piece| hasher.write(piece));
        hasher.finish()
    }
}

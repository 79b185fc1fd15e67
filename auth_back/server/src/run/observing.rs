//! What the metrics of the server show.

use std::sync::Arc;

use guard::Bucket;
use redis_pool::RedisPool;
use server_time::ServerTime;
use service::metrics::Registry;

use crate::accounts::{Accounts, Upgrade};
use crate::audit::Audit;

/// Everything that accounts have to show.
pub(super) fn observe(registry: &mut Registry, accounts: &Arc<Accounts>, audit: &Audit) {
    observe_pools(registry, accounts);
    observe_keys(registry, accounts);
    observe_upgrades(registry, accounts);
    observe_guard(registry, accounts);
    observe_audit(registry, audit);
    observe_notes(registry, accounts);
    observe_time(registry, &accounts.time);
}

fn observe_guard(registry: &mut Registry, accounts: &Arc<Accounts>) {
    for bucket in Bucket::ALL {
        let accounts = Arc::clone(accounts);
        registry.observe_counter(
            "attempts_refused",
            "Logins and registrations refused for too many attempts, by what counted them",
            &[("bucket", bucket.name())],
            move || accounts.guard.refused(bucket),
        );
    }
}

fn observe_pools(registry: &mut Registry, accounts: &Arc<Accounts>) {
    let [hashes, in_twos, arenas, store] = [0; 4].map(|_| Arc::clone(accounts));
    let help = "Hashes begun, each in an arena of its own for as long as it takes";
    registry.observe_counter("hashes", help, &[], move || hashes.hashers.begun());
    let help = "Hashes among these that a thread computed together with another, since many waited";
    registry.observe_counter("hashes_together", help, &[], move || in_twos.hashers.together());
    let help = "Items of a pool that are lent";
    registry.observe_gauge("pool_lent", help, &[("pool", "arenas")], move || {
        arenas.arenas.stats().lent as f64
    });
    registry.observe_gauge("pool_lent", help, &[("pool", "store")], move || {
        store.store.connections().lent as f64
    });
    let [writes, spared] = [0; 2].map(|_| Arc::clone(accounts));
    let help = "Whether the store took the last write; 0 on a full disk, or where the database is read-only";
    registry.observe_gauge("store_takes_writes", help, &[], move || {
        f64::from(writes.store.condition().takes_writes)
    });
    let help =
        "Calls of the store that were refused at once, because it did not answer others in time";
    registry.observe_counter("store_calls_spared", help, &[], move || {
        spared.store.condition().spared_calls
    });
    let pools = redis_pools(accounts);
    if pools.is_empty() {
        return;
    }
    for pool in &pools {
        let labels = [("pool", "redis"), ("use", pool.name_of_use().name())];
        let pool = pool.clone();
        registry.observe_gauge("pool_lent", help, &labels, move || pool.stats().lent as f64);
    }
    observe_redis(registry, &pools);
    let era = Arc::clone(accounts);
    let help =
        "The generation of sessions in Redis; each step means that all of Redis was given up";
    registry.observe_gauge("session_cache_generation", help, &[], move || {
        era.sessions.generation() as f64
    });
}

/// What leads to Redis, by use; none without it.
pub(super) fn redis_pools(accounts: &Accounts) -> Vec<RedisPool> {
    let pools = [accounts.sessions.redis(), accounts.guard.redis()];
    pools.into_iter().flatten().cloned().collect()
}

/// All pools that there are have to be registered one after the other.
fn observe_redis(registry: &mut Registry, pools: &[RedisPool]) {
    type Value = fn(&RedisPool) -> f64;
    let gauges: [(&str, &str, Value); 2] = [
        (
            "redis_up",
            "Whether Redis answers and may be used, looked at once a second, by what it is used for",
            |pool| f64::from(pool.is_up()),
        ),
        (
            "redis_refuses",
            "Whether Redis does not let the server in, or not as far as it has to: an operator has to change something",
            |pool| f64::from(pool.is_refused()),
        ),
    ];
    for (name, help, value) in gauges {
        for pool in pools {
            let (labels, pool) = ([("use", pool.name_of_use().name())], pool.clone());
            registry.observe_gauge(name, help, &labels, move || value(&pool));
        }
    }
    let help = "Calls of Redis that failed; while it rests after one, nobody calls it";
    for pool in pools {
        let (labels, pool) = ([("use", pool.name_of_use().name())], pool.clone());
        registry.observe_counter("redis_failures", help, &labels, move || pool.failures());
    }
}

fn observe_notes(registry: &mut Registry, accounts: &Accounts) {
    let notes = || Arc::clone(accounts.sessions.notes());
    let help = "Notes that a session was in use, by what became of them";
    let name = "session_notes";
    let [written, superseded, dropped] = [0; 3].map(|_| notes());
    let outcome = |outcome| [("outcome", outcome)];
    registry.observe_counter(name, help, &outcome("written"), move || written.written());
    registry.observe_counter(name, help, &outcome("superseded"), move || superseded.superseded());
    registry.observe_counter(name, help, &outcome("dropped"), move || dropped.dropped());
    let failed = notes();
    let help = "How often such a note was tried and the store did not take it; it is tried again";
    registry.observe_counter("session_note_failures", help, &[], move || failed.failed());
    let pending = notes();
    let help = "Notes that wait to be written; their sessions are live meanwhile";
    registry.observe_gauge("session_notes_pending", help, &[], move || pending.pending() as f64);
}

fn observe_time(registry: &mut Registry, time: &Arc<ServerTime>) {
    let [doubted, offset, withheld] = [0; 3].map(|_| Arc::clone(time));
    let help = "Whether the clock has jumped and is not believed yet; the log says both times and what to do";
    registry.observe_gauge("clock_doubted", help, &[], move || f64::from(doubted.is_doubted()));
    let help = "By how much this machine's clock is ahead of the store's; negative if it is behind";
    registry.observe_gauge("clock_offset_seconds", help, &[], move || offset.wall_ahead_seconds());
    let help = "Rounds of the purge that deleted nothing, because the clock was doubted or not the same for an hour";
    registry.observe_counter("purges_withheld", help, &[], move || withheld.purges_withheld());
}

fn observe_upgrades(registry: &mut Registry, accounts: &Arc<Accounts>) {
    let help = "Password records that were not up to date at a login, by what became of them";
    for upgrade in Upgrade::ALL {
        let accounts = Arc::clone(accounts);
        let labels = [("outcome", upgrade.name())];
        registry.observe_counter("record_upgrades", help, &labels, move || {
            accounts.upgrades.count(upgrade)
        });
    }
}

fn observe_keys(registry: &mut Registry, accounts: &Arc<Accounts>) {
    let help = "Readings of keys that failed; the keys from before stay in use";
    let (peppers, token_keys) = (Arc::clone(&accounts.peppers), Arc::clone(&accounts.token_keys));
    let name = "key_reading_failures";
    registry.observe_counter(name, help, &[("keys", "pepper")], move || peppers.failures());
    registry.observe_counter(name, help, &[("keys", "token")], move || token_keys.failures());
    let help = "Id of the key that is in use for what is new; every server should have the same";
    let (peppers, token_keys) = (Arc::clone(&accounts.peppers), Arc::clone(&accounts.token_keys));
    registry.observe_gauge("active_key", help, &[("keys", "pepper")], move || {
        f64::from(peppers.current().active_id().get())
    });
    registry.observe_gauge("active_key", help, &[("keys", "token")], move || {
        f64::from(token_keys.current().active_id().get())
    });
}

fn observe_audit(registry: &mut Registry, audit: &Audit) {
    let (written, lost, suppressed) = (audit.clone(), audit.clone(), audit.clone());
    registry.observe_counter("audit_lines", "Lines of the audit log written", &[], move || {
        written.written_lines()
    });
    let help = "Lines of the audit log lost: the queue was full, or they could not be written";
    registry.observe_counter("audit_lost_lines", help, &[], move || lost.lost_lines());
    let help =
        "Failures that the audit log has counted instead of a line for each, since they were many";
    let name = "audit_suppressed_lines";
    registry.observe_counter(name, help, &[], move || suppressed.suppressed_lines());
}

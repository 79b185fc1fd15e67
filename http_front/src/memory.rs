//! How much memory buffers may take, and whether that fits the memory that there is.

use std::fmt;

use service::hardening::UsableMemory;
use service::settings::format_bytes;

use crate::limits::{
    BUFFER_MEMORY_AUTO, BUFFER_MEMORY_MIN, BUFFER_MEMORY_PER_LOOP_MIN, BUFFER_MEMORY_SHARE,
    IDLE_CONNECTION_BYTES_MAX, LEASES_BYTES_MAX, MEMORY_HEADROOM,
};
use crate::settings::Settings;

/// The memory for buffers of all connections, in bytes: what was set, or as much as suits the machine.
///
/// # Errors
/// [`Unsuitable`] when what was set is too much for it, or too little for the loops.
pub fn for_buffers(
    settings: &Settings,
    clients: usize,
    memory: Option<UsableMemory>,
) -> Result<u64, Unsuitable> {
    let loops = settings.loops.get() as u64;
    let least = BUFFER_MEMORY_MIN.max(loops * BUFFER_MEMORY_PER_LOOP_MIN);
    let Some(buffers) = settings.buffer_memory else {
        let share = memory.map_or(u64::MAX, |memory| memory.bytes / BUFFER_MEMORY_SHARE);
        return Ok(share.min(BUFFER_MEMORY_AUTO).max(least));
    };
    let needs = Needs {
        buffers,
        leases: loops * LEASES_BYTES_MAX,
        connections: clients as u64 * IDLE_CONNECTION_BYTES_MAX as u64,
    };
    match memory {
        _ if buffers < least => Err(Unsuitable::TooLittle { least, loops }),
        Some(memory) if needs.total() > memory.bytes => {
            Err(Unsuitable::DoesNotFit { needs, memory })
        }
        _ => Ok(buffers),
    }
}

/// What the settings come to, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    buffers: u64,
    leases: u64,
    connections: u64,
}

/// What was set does not do. Whoever set it, or gave the memory, is at fault.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsuitable {
    /// It is more than there is.
    #[error(
        "--buffer-memory does not fit: {needs} are more than the {} that this process may use ({}); lower it, or leave \
         it at auto",
        format_bytes(memory.bytes),
        memory.source
    )]
    DoesNotFit {
        /// What everything needs.
        needs: Needs,
        /// What there is.
        memory: UsableMemory,
    },
    /// It is less than each loop has to have.
    #[error("--buffer-memory is too little for {loops} --loops: set {} or more", format_bytes(*least))]
    TooLittle {
        /// The least that does.
        least: u64,
        /// The event loops that share it.
        loops: u64,
    },
}

impl Needs {
    fn total(&self) -> u64 {
        let parts = [self.buffers, self.leases, self.connections, MEMORY_HEADROOM];
        parts.into_iter().fold(0, u64::saturating_add)
    }
}

impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} for buffers, {} for leases, {} for connections and {} for everything else",
            format_bytes(self.buffers),
            format_bytes(self.leases),
            format_bytes(self.connections),
            format_bytes(MEMORY_HEADROOM)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::tests::read;

    const MIB: u64 = 1 << 20;

    fn for_buffers_of(flags: &[&str], bytes: Option<u64>) -> Result<u64, String> {
        let one = if flags.iter().any(|flag| flag.starts_with("--loops")) {
            &[][..]
        } else {
            &["--loops=1"]
        };
        let settings = read(&[one, flags].concat()).expect("settings");
        let memory = bytes.map(|bytes| UsableMemory { bytes, source: "memory.max" });
        for_buffers(&settings, 1000, memory).map_err(|error| error.to_string())
    }

    #[test]
    fn auto_is_an_eighth_and_never_much() {
        let check =
            |bytes, expected| assert_eq!(for_buffers_of(&[], bytes), Ok(expected), "{bytes:?}");
        check(None, 256 * MIB);
        check(Some(64 << 30), 256 * MIB);
        check(Some(2048 * MIB), 256 * MIB);
        check(Some(1024 * MIB), 128 * MIB);
        check(Some(256 * MIB), 32 * MIB);
        check(Some(16 * MIB), BUFFER_MEMORY_MIN);
    }

    #[test]
    fn what_is_set_has_to_fit() {
        let set = &["--buffer-memory=64MiB"];
        let rest = LEASES_BYTES_MAX + 1000 * IDLE_CONNECTION_BYTES_MAX as u64 + MEMORY_HEADROOM;
        assert_eq!(for_buffers_of(set, None), Ok(64 * MIB));
        assert_eq!(for_buffers_of(set, Some(64 * MIB + rest)), Ok(64 * MIB));
        let error = for_buffers_of(set, Some(64 * MIB + rest - 1)).expect_err("a byte too little");
        assert!(error.starts_with("--buffer-memory does not fit: 64MiB for buffers"), "{error}");
        assert!(error.contains("(memory.max)") && error.contains("auto"), "{error}");
        let loops = &["--loops=9", "--buffer-memory=8MiB"];
        let error = for_buffers_of(loops, None).expect_err("less than a MiB for each");
        assert_eq!(error, "--buffer-memory is too little for 9 --loops: set 9MiB or more");
        assert_eq!(for_buffers_of(&["--loops=64"], Some(0)), Ok(64 * MIB));
    }
}

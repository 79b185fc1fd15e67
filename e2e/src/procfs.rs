//! What the kernel says about a process, `proc(5)`.

use std::fs;

/// Resident memory of a process, in bytes: `VmRSS` of `/proc/PID/status`.
#[must_use]
pub fn resident_bytes(pid: u32) -> u64 {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).unwrap_or_else(|error| panic!("read {path}: {error}"));
    let kib = status
        .lines()
        .find_map(|line| {
            line.strip_prefix("VmRSS:")?.strip_suffix("kB")?.trim().parse::<u64>().ok()
        })
        .unwrap_or_else(|| panic!("{path} has no VmRSS: the process has ended"));
    kib * 1024
}

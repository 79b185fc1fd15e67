//! What the kernel says about a process, `proc(5)`.

use std::fs;

/// Resident memory of a process, in bytes: `VmRSS` of `/proc/PID/status`.
#[must_use]
pub fn resident_bytes(pid: u32) -> u64 {
    status_bytes(pid, "VmRSS:")
}

/// The part of it that is no file's: `RssAnon` of `/proc/PID/status`.
#[must_use]
pub fn anonymous_bytes(pid: u32) -> u64 {
    status_bytes(pid, "RssAnon:")
}

fn status_bytes(pid: u32, field: &str) -> u64 {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).unwrap_or_else(|error| panic!("read {path}: {error}"));
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_suffix("kB")?.trim().parse::<u64>().ok())
        .unwrap_or_else(|| panic!("{path} has no {field} the process has ended"));
    kib * 1024
}

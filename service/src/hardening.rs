//! What a process does to itself before it holds secrets and takes connections, and what the system
//! gives it.
//!
//! Each step says what it did, as one phrase for the log. A step that fails is reported and not fatal:
//! a container may forbid one, and the server is no worse off than without it.

use std::{
    fmt, fs, io,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    thread,
};

use crate::settings::{Setting, SettingError, values::Values};
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
};

/// The setting that lets memory be dumped.
pub const ALLOW_CORE_DUMPS: Setting = Setting::switch(
    "allow-core-dumps",
    "Let debuggers attach and core files be written; for tests and for debugging, since passwords and keys are in memory",
)
.group("Hardening");

/// Whether the memory of the process may be written to files and read by debuggers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoreDumps {
    /// It may not.
    Forbidden,
    /// It may, as far as the system lets it.
    Allowed,
}

impl CoreDumps {
    /// Reads the setting.
    ///
    /// # Errors
    ///
    /// When it is neither true nor false.
    pub fn read(values: &Values<'_>) -> Result<Self, SettingError> {
        let allowed = values.boolean(ALLOW_CORE_DUMPS.name())?;
        Ok(if allowed { Self::Allowed } else { Self::Forbidden })
    }
}

/// Forbids core dumps, which would hold passwords and keys: `RLIMIT_CORE` becomes 0, for good.
///
/// # Errors
///
/// What `setrlimit(2)` says.
pub fn forbid_core_dumps() -> io::Result<Done> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    Ok(Done("core dumps forbidden".to_owned()))
}

/// Hides the memory from other processes of the same user: no `ptrace`, no `/proc/PID/mem`
/// (`PR_SET_DUMPABLE` 0, `prctl(2)`).
///
/// A debugger or profiler can be attached only by root from then on.
///
/// # Errors
///
/// What `prctl(2)` says.
pub fn hide_memory() -> io::Result<Done> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(Done("memory hidden from other processes".to_owned()))
}

/// Raises the number of files, and so of connections, that may be open to the most that the process
/// may allow itself: `RLIMIT_NOFILE`, soft to hard.
///
/// # Errors
///
/// What `setrlimit(2)` says; the limit stays as it was.
pub fn raise_open_files() -> io::Result<Done> {
    let before = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: before.maximum, maximum: before.maximum })?;
    let text = |limit: Option<u64>| limit.map_or("unlimited".to_owned(), |limit| limit.to_string());
    let (from, to) = (text(before.current), text(getrlimit(Resource::Nofile).current));
    Ok(Done(if from == to {
        format!("open files {to}")
    } else {
        format!("open files {from} to {to}")
    }))
}

/// How many files the process may have open now, sockets among them; `None` when there is no limit.
#[must_use]
pub fn open_files_max() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// What a step did, as a phrase for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done(String);

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Cores that this process may use, at least 1: those of its affinity mask, or fewer where its
/// control group has a quota of CPU time.
#[must_use]
pub fn available_cores() -> NonZeroUsize {
    thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// Memory that this process may use, and what says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsableMemory {
    /// How much, in bytes.
    pub bytes: u64,
    /// What the number is, for a message.
    pub source: &'static str,
}

/// The least of the machine's memory and the limits of the control groups that this process is in, of
/// version 2 or 1. `None` where nothing says anything. Blocks on small files of `/proc` and `/sys`.
#[must_use]
pub fn usable_memory() -> Option<UsableMemory> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let (membership, meminfo) = (read("/proc/self/cgroup"), read("/proc/meminfo"));
    usable_memory_of(&membership, Path::new("/sys/fs/cgroup"), &meminfo)
}

fn usable_memory_of(membership: &str, mount: &Path, meminfo: &str) -> Option<UsableMemory> {
    let found = |bytes: Option<u64>, source| bytes.map(|bytes| UsableMemory { bytes, source });
    let all = [
        found(limit_v2(membership, mount), "memory.max of its control group"),
        found(limit_v1(membership, mount), "memory.limit_in_bytes of its control group"),
        found(total(meminfo), "the machine's memory"),
    ];
    all.into_iter().flatten().min_by_key(|memory| memory.bytes)
}

/// A limit of any group on the way to the root holds for the process (Linux
/// `Documentation/admin-guide/cgroup-v2.rst`, "Memory Interface Files").
fn limit_v2(membership: &str, mount: &Path) -> Option<u64> {
    let group = membership.lines().find_map(|line| line.strip_prefix("0::"))?;
    least_limit(group, mount, "memory.max")
}

/// The same of version 1 (`cgroup-v1/memory.rst`), where each controller has a tree of its own. A group
/// without a limit has one of nearly 2^63 there, which is more than any machine's memory.
fn limit_v1(membership: &str, mount: &Path) -> Option<u64> {
    let group = membership.lines().find_map(|line| {
        let (controllers, group) = line.split_once(':')?.1.split_once(':')?;
        controllers.split(',').any(|controller| controller == "memory").then_some(group)
    })?;
    least_limit(group, &mount.join("memory"), "memory.limit_in_bytes")
}

/// In a container the groups are named as outside, and only the innermost is there, as the root of the
/// mount: so groups that are not there are passed over.
fn least_limit(group: &str, mount: &Path, file: &str) -> Option<u64> {
    let group = PathBuf::from(group.trim_start_matches('/'));
    let limits = group.ancestors().filter_map(|group| {
        let text = fs::read_to_string(mount.join(group).join(file)).ok()?;
        // Otherwise "max": no limit.
        text.trim().parse::<u64>().ok()
    });
    limits.min()
}

/// `MemTotal` of `/proc/meminfo`, in bytes.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kib.checked_mul(1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn core_dumps_are_forbidden_and_stay_so() {
        forbid_core_dumps().expect("a process may lower its limit");
        let limit = getrlimit(Resource::Core);
        assert_eq!((limit.current, limit.maximum), (Some(0), Some(0)));
    }

    #[test]
    fn memory_is_hidden() {
        hide_memory().expect("a process may hide itself");
        let behavior = rustix::process::dumpable_behavior().expect("a process may ask");
        assert_eq!(behavior, DumpableBehavior::NotDumpable);
    }

    #[test]
    fn open_files_reach_the_hard_limit() {
        raise_open_files().expect("a process may use what it is allowed");
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
        assert_eq!(open_files_max(), limit.maximum);
    }

    #[test]
    fn the_least_limit_of_all_groups_counts() {
        const MEMINFO: &str = "MemTotal:       2 kB\nMemFree:        1 kB\n";
        fn check(files: &[(&str, &str)], membership: &str, meminfo: &str, expected: Option<u64>) {
            let mount = tempfile::tempdir().expect("a temporary directory");
            for (file, limit) in files {
                let file = mount.path().join(file);
                let group = file.parent().expect("a file in a group");
                fs::create_dir_all(group).expect("a directory of the test's own");
                fs::write(file, limit).expect("a file of the test's own");
            }
            let found = usable_memory_of(membership, mount.path(), meminfo);
            assert_eq!(found.map(|memory| memory.bytes), expected, "{membership:?}");
        }
        let v2: &[(&str, &str)] = &[("a/b/memory.max", "1000\n"), ("a/memory.max", "500\n")];
        check(v2, "0::/a/b\n", "", Some(500));
        check(v2, "0::/a/b/c\n", "", Some(500));
        check(v2, "0::/x\n", "", None);
        check(
            &[("a/b/memory.max", "1000\n"), ("a/memory.max", "max\n")],
            "0::/a/b\n",
            "",
            Some(1000),
        );
        check(&[("a/memory.max", "max\n")], "0::/a\n", "", None);
        check(&[("memory.max", "700\n")], "0::/\n", "", Some(700));
        check(&[("a/memory.max", "700\n")], "12:memory:/x\n0::/a\n", "", Some(700));
        check(&[], "0::/gone\n", "", None);
        check(v2, "", "", None);

        let v1 = [
            ("memory/a/memory.limit_in_bytes", "900\n"),
            ("memory/memory.limit_in_bytes", "800\n"),
        ];
        check(&v1, "12:memory:/a\n0::/\n", "", Some(800));
        check(&v1, "3:cpu,memory:/outside/a\n", "", Some(800));
        check(&v1, "3:cpu,cpuacct:/a\n", "", None);
        let unlimited = [("memory/memory.limit_in_bytes", "9223372036854771712\n")];
        check(&unlimited, "12:memory:/\n", MEMINFO, Some(2048));

        check(&[], "", MEMINFO, Some(2048));
        check(v2, "0::/a\n", MEMINFO, Some(500));
        check(&[("memory.max", "4000")], "0::/\n", MEMINFO, Some(2048));
        check(&[], "", "MemTotal: many kB\n", None);
        assert!(usable_memory().is_some());
    }
}

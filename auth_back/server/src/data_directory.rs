//! What a server has to say of the place where its data lies: who else may get at it, whether SQLite is safe there, and
//! how long SQLite's log has become.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use credentials::KeySource;
use service::metrics::Registry;
use service::{rare, sparing};
use store::limits::SQLITE_LOG_BYTES_WARN;
use store::{StoreUrl, sqlite_log_bytes};

use crate::settings::Settings;

/// Logs what is wrong with it, at the start.
pub(crate) fn warn(settings: &Settings) {
    warn_of_owners(settings);
    if let StoreUrl::Sqlite(path) = &settings.store
        && let Some(file_system) = network_file_system_of(path)
    {
        rare!(
            "once, at the start",
            WARN,
            path = %path.display(),
            file_system,
            "SQLite's write-ahead log is NOT SAFE on a network file system: locks and shared memory may not hold there, \
             and users can be lost. Keep the file on a local disk, or use --store mysql://..."
        );
    }
}

/// Says whose files and directories look as if somebody else could read or exchange the server's keys.
fn warn_of_owners(settings: &Settings) {
    let mut paths = vec![settings.data.clone()];
    for source in [&settings.pepper_keys, &settings.token_keys] {
        if let KeySource::Directory(directory) = source {
            paths.push(directory.path().to_owned());
            paths.extend(directory.key_files());
        }
    }
    // One directory above all of them is one doubt.
    let doubts: BTreeSet<_> = paths.iter().flat_map(|path| ownership::doubts(path)).collect();
    for doubt in doubts {
        rare!("once, at the start", WARN, doubt, "another user may get at the keys");
    }
}

/// The log of a SQLite file, if the store is one.
pub(crate) struct SqliteLog(Option<PathBuf>);

impl SqliteLog {
    pub(crate) fn of(store: &StoreUrl) -> Self {
        Self(match store {
            StoreUrl::Sqlite(path) => Some(path.clone()),
            StoreUrl::MySql(_) => None,
        })
    }

    pub(crate) fn observe(&self, registry: &mut Registry) {
        if let Some(path) = self.0.clone() {
            let help = "Bytes of SQLite's write-ahead log; it grows while somebody reads for long";
            registry.observe_gauge("sqlite_log_bytes", help, &[], move || {
                sqlite_log_bytes(&path) as f64
            });
        }
    }

    /// Says so when something keeps the log from being checkpointed. Blocks for a look at the file.
    pub(crate) fn warn_if_long(&self) {
        let Some(path) = &self.0 else { return };
        let bytes = sqlite_log_bytes(path);
        if bytes > SQLITE_LOG_BYTES_WARN {
            sparing!(
                WARN,
                bytes,
                path = %path.display(),
                "SQLite's log GROWS: somebody has been reading the database for long (a shell, a backup, a stopped \
                 process), and it fills the disk"
            );
        }
    }
}

/// The network file system that a file lies on or would be made on, by name.
fn network_file_system_of(path: &Path) -> Option<&'static str> {
    let path = std::path::absolute(path).ok()?;
    let found = path.ancestors().find_map(|path| rustix::fs::statfs(path).ok())?;
    network_file_system(found.f_type.cast_unsigned())
}

/// Of the magic numbers of statfs(2) and the kernel's `magic.h`, those of file systems that several machines may have.
fn network_file_system(magic: u64) -> Option<&'static str> {
    Some(match magic {
        0x6969 => "NFS",
        0x517B => "SMB",
        0xFE53_4D42 => "SMB2",
        0xFF53_4D42 => "CIFS",
        0x00C3_6400 => "Ceph",
        0x0BD0_0BD0 => "Lustre",
        0x5346_414F | 0x6B41_4653 => "AFS",
        0x0102_1997 => "9P",
        0x0116_1970 => "GFS2",
        0x7461_636F => "OCFS2",
        0x7375_7245 => "Coda",
        // sshfs, s3fs and GlusterFS, but local ones too.
        0x6573_5546 => "FUSE, which may be one",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_known_by_their_magic_numbers() {
        use rustix::fs::{NFS_SUPER_MAGIC, PROC_SUPER_MAGIC};
        let check = |magic: i64, expected| {
            assert_eq!(network_file_system(magic.cast_unsigned()), expected, "{magic:x}");
        };
        check(NFS_SUPER_MAGIC, Some("NFS"));
        check(0xFF53_4D42, Some("CIFS"));
        // ext4, XFS, btrfs, tmpfs, overlayfs
        for local in [0xEF53, 0x5846_5342, 0x9123_683E, 0x0102_1994, 0x794C_7630, PROC_SUPER_MAGIC]
        {
            check(local, None);
        }
        // A file that is not there yet is on what its directory is on.
        assert_eq!(network_file_system_of(Path::new("/proc/self/not/there")), None);
    }
}

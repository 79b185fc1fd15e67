//! Which server a process is: the same one after a restart, and no other.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use credentials::random;
use ownership::Heir;
use rustix::fs::{FlockOperation, OFlags, flock};
use sha2::{Digest as _, Sha256};
use store::Tag;

use crate::limits::INSTANCES_PER_DIRECTORY_MAX;

/// Drawn by the kernel at each boot. A copied machine or volume is another instance, unless it runs under the same kernel.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Bytes of the file.
const TEXT_LEN: usize = 32;

/// Who this process is to the others. The file that says so is locked as long as this lives.
#[derive(Debug)]
pub struct Instance {
    /// The same whenever the server starts again, until the machine does.
    pub tag: Tag,
    _locked: Option<File>,
}

impl Instance {
    /// An instance that nobody has been and nobody will be.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn of_nobody() -> io::Result<Self> {
        Ok(Self { tag: random::bytes().map_err(io::Error::other)?, _locked: None })
    }

    /// The instance of a server that keeps its files in `data`. Servers that share it are one each. Does not block.
    ///
    /// # Errors
    /// When its file can be neither read nor made. The server may then be [nobody](Self::of_nobody).
    pub fn of_server(data: &Path) -> io::Result<Self> {
        let boot = fs::read(BOOT_ID)?;
        for number in 1..=INSTANCES_PER_DIRECTORY_MAX {
            let path = path(data, number);
            let mut file = open_or_make(&path)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(error) if error == rustix::io::Errno::WOULDBLOCK => continue,
                Err(error) => return Err(error.into()),
            }
            let text = read_or_write(&mut file)?;
            let digest = Sha256::new().chain_update(text).chain_update(&boot).finalize();
            let mut tag = Tag::default();
            tag.copy_from_slice(&digest[..size_of::<Tag>()]);
            return Ok(Self { tag, _locked: Some(file) });
        }
        Err(io::Error::other("too many servers share the directory"))
    }
}

fn path(data: &Path, number: u32) -> PathBuf {
    match number {
        1 => data.join("instance"),
        number => data.join(format!("instance-{number}")),
    }
}

/// What root makes belongs to whoever owns the directory.
fn open_or_make(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    // What is a link or no file, whoever may write to the directory has put there for a server that runs as root.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    options.read(true).write(true).mode(0o600).custom_flags(flags);
    match options.clone().create_new(true).open(path) {
        Ok(file) => {
            Heir::of(path, [])?.give(&file)?;
            return Ok(file);
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    let file = options.open(path)?;
    let found = file.metadata()?;
    if found.is_file() && found.nlink() == 1 {
        Ok(file)
    } else {
        Err(io::Error::other("it is a link, or no file"))
    }
}

/// The text of a file that only we have. One that was cut off is written anew.
fn read_or_write(file: &mut File) -> io::Result<[u8; TEXT_LEN]> {
    let mut found = Vec::with_capacity(TEXT_LEN + 1);
    file.take(TEXT_LEN as u64 + 1).read_to_end(&mut found)?;
    if let Ok(text) = found.try_into() {
        return Ok(text);
    }
    let drawn: Tag = random::bytes().map_err(io::Error::other)?;
    let mut text = [0; TEXT_LEN];
    for (digits, byte) in text.chunks_exact_mut(2).zip(drawn) {
        write!(&mut *digits, "{byte:02x}")?;
    }
    file.rewind()?;
    file.set_len(0)?;
    file.write_all(&text)?;
    file.sync_all()?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    fn of_server(data: &Path) -> Instance {
        Instance::of_server(data).unwrap()
    }

    #[test]
    fn a_server_is_the_same_after_a_restart() {
        let data = tempfile::tempdir().unwrap();
        let first = of_server(data.path());
        let tag = first.tag;
        drop(first);
        assert_eq!(of_server(data.path()).tag, tag);
        let elsewhere = tempfile::tempdir().unwrap();
        assert_ne!(of_server(elsewhere.path()).tag, tag);
    }

    #[test]
    fn servers_that_share_a_directory_are_one_each() {
        let data = tempfile::tempdir().unwrap();
        let (first, second) = (of_server(data.path()), of_server(data.path()));
        assert_ne!(first.tag, second.tag);
        let (first_tag, second_tag) = (first.tag, second.tag);
        drop(first);
        assert_eq!(of_server(data.path()).tag, first_tag);
        drop(second);
        let _first = of_server(data.path());
        assert_eq!(of_server(data.path()).tag, second_tag);
    }

    #[test]
    fn there_is_an_end_to_how_many_share() {
        let data = tempfile::tempdir().unwrap();
        let all: Vec<_> =
            (0..INSTANCES_PER_DIRECTORY_MAX).map(|_| of_server(data.path())).collect();
        Instance::of_server(data.path()).unwrap_err();
        drop(all);
        of_server(data.path());
    }

    #[test]
    fn a_file_that_was_cut_off_is_written_anew() {
        let data = tempfile::tempdir().unwrap();
        for text in ["", "0123", "0123456789abcdef0123456789abcdef0"] {
            fs::write(data.path().join("instance"), text).unwrap();
            let tag = of_server(data.path()).tag;
            assert_eq!(of_server(data.path()).tag, tag, "{text}");
            assert_eq!(fs::read(data.path().join("instance")).unwrap().len(), TEXT_LEN);
        }
    }

    #[test]
    fn what_a_link_names_is_left_alone() {
        let data = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::NamedTempFile::new().unwrap();
        fs::write(elsewhere.path(), "precious").unwrap();
        let place = data.path().join("instance");
        let refused = || {
            Instance::of_server(data.path()).unwrap_err();
            assert_eq!(fs::read(elsewhere.path()).unwrap(), b"precious");
            fs::remove_file(&place).unwrap();
        };
        symlink(elsewhere.path(), &place).unwrap();
        refused();
        fs::hard_link(elsewhere.path(), &place).unwrap();
        refused();
        // To be opened for reading alone, it would wait for somebody who writes.
        mknodat(CWD, &place, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        refused();
        of_server(data.path());
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error() {
        Instance::of_server(Path::new("/nowhere/at/all")).unwrap_err();
        let (one, other) = (Instance::of_nobody().unwrap(), Instance::of_nobody().unwrap());
        assert_ne!(one.tag, other.tag);
    }
}

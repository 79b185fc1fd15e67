//! A file of passwords that are known to have been stolen somewhere, and looking one up in it.
//!
//! NIST SP 800-63B-4, section 3.1.1.2, has new passwords compared with those of "previous breach
//! corpuses". Those that can be had, such as the download of Have I Been Pwned, are lists of SHA-1
//! digests: a thousand million lines, 40 GB. [`Builder`] makes of such a list a file of a few bytes
//! for each password, and [`BreachedFile`] finds one in it with two reads, without keeping any of it
//! in memory. SHA-1 is what the lists are made with; nothing here depends on its strength, and no
//! password is kept under it.
//!
//! ```text
//! magic "GHBREACH" | version u32 | bucket bits u32 | count u64 | zeros u64 | SHA-256 (32)
//! index:   2^bits + 1 times u64: at which entry each bucket begins, and after the last: count
//! entries: the first 6 bytes of each digest, sorted, without those that name the bucket
//! ```
//!
//! Numbers are big-endian. The checksum is over everything but itself. Buckets are named by the first
//! 1, 2 or 3 bytes of a digest, so many that one holds a few hundred entries.
//!
//! **False positives.** 48 bits of each digest are kept, so a password that is not on the list is
//! taken for one that is with a probability of count / 2^48: for a thousand million entries, one in
//! 280,000. Its user chooses another; nobody is let in or kept out by it.
//!
//! The file is read whole at start, and refused when it was cut, padded or altered. It must not be
//! overwritten while a server uses it: the builder makes a new one beside it and renames.

mod build;
mod line;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use wipe::Expose as _;
use zeroize::Zeroizing;

pub use build::{BuildError, Builder, Built, PARTS};
pub use line::LineError;

use super::limits::{BREACHED_BUCKET_ENTRIES_MAX, BREACHED_READ_BYTES};
use super::password::Password;

const MAGIC: &[u8; 8] = b"GHBREACH";
const VERSION: u32 = 1;
const CHECKSUM_LEN: usize = 32;
/// Where the checksum begins.
const CHECKED_HEADER_LEN: usize = 32;
const HEADER_LEN: usize = CHECKED_HEADER_LEN + CHECKSUM_LEN;
const INDEX_ENTRY_LEN: usize = 8;

/// Bytes that are kept of a digest.
const FINGERPRINT_LEN: usize = 6;

/// The first bytes of a digest, as a number.
type Fingerprint = u64;

/// An open file of breached passwords. Shared by threads: looking up moves no position.
#[derive(Debug)]
pub struct BreachedFile {
    path: PathBuf,
    file: File,
    layout: Layout,
}

/// Why a file cannot be used. The operator is at fault, or a disk.
#[derive(Debug, thiserror::Error)]
#[error("the file of breached passwords {} {fault}", path.display())]
pub struct BreachedError {
    path: PathBuf,
    fault: Fault,
}

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("is not one that `auth_back breached build` has made")]
    NotOurs,
    #[error("is of version {0}, which this program does not know")]
    Version(u32),
    #[error("is corrupt or was cut: {0}")]
    Corrupt(&'static str),
}

/// Where everything is in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    /// Bytes of a digest that name its bucket: 1, 2 or 3.
    bucket_len: usize,
    count: u64,
}

impl BreachedFile {
    /// Opens a file and checks all of it. Blocks for as long as reading it takes, about a second for a
    /// gigabyte.
    ///
    /// # Errors
    /// [`BreachedError`].
    pub fn open(path: &Path) -> Result<Self, BreachedError> {
        let refuse = |fault| BreachedError { path: path.to_owned(), fault };
        let file = File::open(path).map_err(|error| refuse(error.into()))?;
        let layout = check(&file).map_err(refuse)?;
        Ok(Self { path: path.to_owned(), file, layout })
    }

    /// Passwords in it.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.layout.count
    }

    /// Of so many passwords that are not on the list, one is taken for one that is.
    #[must_use]
    pub const fn one_in(&self) -> u64 {
        (1 << (8 * FINGERPRINT_LEN)) / if self.layout.count == 0 { 1 } else { self.layout.count }
    }

    /// Whether a password is in it. Blocks on two short reads, which mostly find their pages in
    /// memory.
    ///
    /// # Errors
    /// [`BreachedError`]: the disk failed, or the file was overwritten. It is not known then.
    pub fn contains(&self, password: &Password) -> Result<bool, BreachedError> {
        let digest = Zeroizing::new(<[u8; 20]>::from(Sha1::digest(password.expose())));
        self.contains_fingerprint(fingerprint(&digest[..]))
    }

    fn contains_fingerprint(&self, wanted: Fingerprint) -> Result<bool, BreachedError> {
        self.look_up(wanted).map_err(|fault| BreachedError { path: self.path.clone(), fault })
    }

    fn look_up(&self, wanted: Fingerprint) -> Result<bool, Fault> {
        let layout = self.layout;
        let mut bounds = [0; 2 * INDEX_ENTRY_LEN];
        self.file.read_exact_at(&mut bounds, layout.index_at(layout.bucket_of(wanted)))?;
        let (begin, end) = bounds.split_at(INDEX_ENTRY_LEN);
        let (begin, end) = (number(begin), number(end));
        let entries = end.checked_sub(begin).filter(|_| end <= layout.count);
        let entries = entries.and_then(|entries| usize::try_from(entries).ok());
        let Some(entries) = entries.filter(|&entries| entries <= BREACHED_BUCKET_ENTRIES_MAX)
        else {
            return Err(Fault::Corrupt("it was overwritten"));
        };
        let mut bucket = vec![0; entries * layout.entry_len()];
        self.file.read_exact_at(&mut bucket, layout.entry_at(begin))?;
        let wanted = layout.rest_of(wanted).to_be_bytes();
        let wanted = &wanted[wanted.len() - layout.entry_len()..];
        // Entries are as long as what is looked for, so slices compare as numbers do.
        let entry = |n: usize| &bucket[n * layout.entry_len()..][..layout.entry_len()];
        let (mut low, mut high) = (0, entries);
        while low < high {
            let middle = low.midpoint(high);
            match entry(middle).cmp(wanted) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Ok(true),
            }
        }
        Ok(false)
    }
}

impl Layout {
    const fn entry_len(self) -> usize {
        FINGERPRINT_LEN - self.bucket_len
    }

    const fn buckets(self) -> u64 {
        1 << (8 * self.bucket_len)
    }

    /// The bits of a fingerprint that are stored.
    const fn rest_of(self, fingerprint: Fingerprint) -> u64 {
        fingerprint & ((1 << (8 * self.entry_len())) - 1)
    }

    const fn bucket_of(self, fingerprint: Fingerprint) -> u64 {
        fingerprint >> (8 * self.entry_len())
    }

    const fn index_at(self, bucket: u64) -> u64 {
        HEADER_LEN as u64 + bucket * INDEX_ENTRY_LEN as u64
    }

    const fn entry_at(self, entry: u64) -> u64 {
        self.index_at(self.buckets() + 1) + entry * self.entry_len() as u64
    }

    const fn file_len(self) -> u64 {
        self.entry_at(self.count)
    }

    /// The header without its checksum.
    fn header(self) -> [u8; CHECKED_HEADER_LEN] {
        let mut header = [0; CHECKED_HEADER_LEN];
        let bits = u32::try_from(8 * self.bucket_len).expect("24 at the most");
        header[..8].copy_from_slice(MAGIC);
        header[8..12].copy_from_slice(&VERSION.to_be_bytes());
        header[12..16].copy_from_slice(&bits.to_be_bytes());
        header[16..24].copy_from_slice(&self.count.to_be_bytes());
        header
    }

    fn read(header: &[u8; HEADER_LEN]) -> Result<Self, Fault> {
        if !header.starts_with(MAGIC) {
            return Err(Fault::NotOurs);
        }
        match number(&header[8..12]) {
            version if version == u64::from(VERSION) => {}
            version => return Err(Fault::Version(u32::try_from(version).unwrap_or(u32::MAX))),
        }
        let bucket_len = match number(&header[12..16]) {
            8 => 1,
            16 => 2,
            24 => 3,
            _ => return Err(Fault::Corrupt("there is no such number of buckets")),
        };
        let count = number(&header[16..24]);
        // Also keeps the length of the file from overflowing.
        if count >= 1 << (8 * FINGERPRINT_LEN) {
            return Err(Fault::Corrupt("there are not so many passwords"));
        }
        let layout = Self { bucket_len, count };
        // The rest of it means nothing, yet.
        if header[..CHECKED_HEADER_LEN] != layout.header() {
            return Err(Fault::Corrupt("its header has what no version has"));
        }
        Ok(layout)
    }
}

/// Reads all of a file and compares it with its checksum.
fn check(file: &File) -> Result<Layout, Fault> {
    let mut header = [0; HEADER_LEN];
    // A pipe would give each byte once, and a lookup needs them again.
    if !file.metadata()?.is_file() {
        return Err(Fault::NotOurs);
    }
    let len = file.metadata()?.len();
    if len < HEADER_LEN as u64 {
        return Err(Fault::NotOurs);
    }
    file.read_exact_at(&mut header, 0)?;
    let layout = Layout::read(&header)?;
    if len != layout.file_len() {
        return Err(Fault::Corrupt("its length is not what its header says"));
    }
    if checksum(file, layout)? != header[CHECKED_HEADER_LEN..] {
        return Err(Fault::Corrupt("its checksum is wrong"));
    }
    Ok(layout)
}

/// SHA-256 of everything but itself.
fn checksum(file: &File, layout: Layout) -> io::Result<[u8; CHECKSUM_LEN]> {
    let mut hasher = Sha256::new();
    hasher.update(layout.header());
    let mut file = file;
    io::Seek::seek(&mut file, io::SeekFrom::Start(HEADER_LEN as u64))?;
    let mut piece = vec![0; BREACHED_READ_BYTES];
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok(hasher.finalize().into()),
            Ok(count) => hasher.update(&piece[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn fingerprint(digest: &[u8]) -> Fingerprint {
    number(&digest[..FINGERPRINT_LEN])
}

/// A big-endian number of up to eight bytes.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

// Whatever is left of a fingerprint has at least a byte to be stored.
const _: () = assert!(FINGERPRINT_LEN > 3);

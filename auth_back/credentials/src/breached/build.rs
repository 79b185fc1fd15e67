//! Making a file from a list, in memory that does not grow with the list.
//!
//! Fingerprints are dealt out to 256 temporary files by their first byte; then each of those is
//! sorted in memory and appended to the result, which is renamed into its place once it is on the
//! disk. So the list need not be sorted, and whoever looks finds the old file or the new one, whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::line::{LineError, parse};
use super::{FINGERPRINT_LEN, Fingerprint, HEADER_LEN, INDEX_ENTRY_LEN, Layout, checksum, number};
use crate::limits::{
    BREACHED_BUCKET_ENTRIES_MAX, BREACHED_BUCKET_ENTRIES_MEAN_MAX, BREACHED_LINE_LEN_MAX,
    BREACHED_PART_ENTRIES_MAX, BREACHED_WRITE_BYTES,
};

/// Parts that are sorted one after the other: as many as there are first bytes.
pub const PARTS: usize = 256;

/// Makes a file of breached passwords.
#[derive(Debug)]
pub struct Builder {
    to: PathBuf,
    min_count: u64,
    parts: Parts,
    lines: u64,
    left_out: u64,
}

/// What was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Built {
    /// Lines of the list.
    pub lines: u64,
    /// Those that were left out, because their count is too low.
    pub left_out: u64,
    /// Passwords in the file: without those that were on the list twice.
    pub count: u64,
    /// Its length.
    pub bytes: u64,
}

/// Why no file was made. What was there before still is.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Whoever was told of the progress did not want more.
    #[error("it was stopped, and no file was made")]
    Stopped,
    /// A disk, or whoever chose the paths.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The list is not one.
    #[error("line {number}: {error}")]
    Line {
        /// Which, counted from 1.
        number: u64,
        /// Why.
        error: LineError,
    },
    /// A line that is longer than any digest with any count.
    #[error("line {0} is longer than {BREACHED_LINE_LEN_MAX} bytes")]
    LineTooLong(u64),
    /// Digests are spread evenly; these are not.
    #[error("far too many entries begin alike: these are no digests, or far more than there are")]
    Uneven,
}

fn go_on(flow: ControlFlow<()>) -> Result<(), BuildError> {
    if flow.is_break() { Err(BuildError::Stopped) } else { Ok(()) }
}

impl Builder {
    /// A builder of the file `to`, which leaves out what the list counts fewer than `min_count` times;
    /// what it does not count is kept. Temporary files are made beside it, 6 bytes for each line.
    ///
    /// # Errors
    /// [`BuildError::Io`].
    pub fn new(to: &Path, min_count: u64) -> Result<Self, BuildError> {
        let parts = Parts::create(beside(to, "parts"))?;
        Ok(Self { to: to.to_owned(), min_count, parts, lines: 0, left_out: 0 })
    }

    /// Reads a list to its end. Blocks. Calls `progress` now and then, with the bytes read so far.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn read(
        &mut self,
        mut list: impl BufRead,
        mut progress: impl FnMut(u64) -> ControlFlow<()>,
    ) -> Result<(), BuildError> {
        const LINES_BETWEEN: u64 = 1 << 16;
        let mut line = Vec::with_capacity(BREACHED_LINE_LEN_MAX + 1);
        let mut bytes = 0;
        loop {
            line.clear();
            let longest = BREACHED_LINE_LEN_MAX as u64 + 1;
            let read = Read::take(&mut list, longest).read_until(b'\n', &mut line);
            match read.map_err(io_error("the list cannot be read"))? {
                0 => break,
                count => bytes += count as u64,
            }
            self.lines += 1;
            if line.len() > BREACHED_LINE_LEN_MAX {
                return Err(BuildError::LineTooLong(self.lines));
            }
            self.take(&line)?;
            if self.lines.is_multiple_of(LINES_BETWEEN) {
                go_on(progress(bytes))?;
            }
        }
        go_on(progress(bytes))
    }

    fn take(&mut self, line: &[u8]) -> Result<(), BuildError> {
        match parse(line).map_err(|error| BuildError::Line { number: self.lines, error })? {
            None => self.lines -= 1,
            Some((_, Some(count))) if count < self.min_count => self.left_out += 1,
            Some((fingerprint, _)) => self.parts.put(fingerprint)?,
        }
        Ok(())
    }

    /// Sorts and writes the file. Blocks. Calls `progress` after each of [`PARTS`], with their number.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn finish(
        mut self,
        mut progress: impl FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Built, BuildError> {
        let building = Unfinished::create(beside(&self.to, "building"))?;
        let entries = self.parts.finish()?;
        let mut layout = Layout { bucket_len: bucket_len(entries), count: 0 };
        let mut out = BufWriter::with_capacity(BREACHED_WRITE_BYTES, &building.file);
        let cannot = "the file cannot be written";
        io::Seek::seek(&mut out, io::SeekFrom::Start(layout.entry_at(0)))
            .map_err(io_error(cannot))?;
        for part in 0..PARTS {
            let fingerprints = self.parts.sorted(part)?;
            let index = index_of(part, &fingerprints, layout)?;
            for fingerprint in &fingerprints {
                let bytes = layout.rest_of(*fingerprint).to_be_bytes();
                out.write_all(&bytes[bytes.len() - layout.entry_len()..])
                    .map_err(io_error(cannot))?;
            }
            let at = layout.index_at(part as u64 * (layout.buckets() / PARTS as u64));
            building.file.write_all_at(&index, at).map_err(io_error(cannot))?;
            layout.count += fingerprints.len() as u64;
            go_on(progress(part + 1))?;
        }
        out.flush().map_err(io_error(cannot))?;
        drop(out);
        let end = layout.index_at(layout.buckets());
        building.file.write_all_at(&layout.count.to_be_bytes(), end).map_err(io_error(cannot))?;
        let sum = checksum(&building.file, layout).map_err(io_error("it cannot be read back"))?;
        let header = [&layout.header()[..], &sum].concat();
        debug_assert_eq!(header.len(), HEADER_LEN);
        building.file.write_all_at(&header, 0).map_err(io_error(cannot))?;
        building.rename(&self.to)?;
        let (lines, left_out, count) = (self.lines, self.left_out, layout.count);
        Ok(Built { lines, left_out, count, bytes: layout.file_len() })
    }
}

/// As few buckets as keep them short.
fn bucket_len(entries: u64) -> usize {
    let fits = |bucket_len: usize| entries >> (8 * bucket_len) < BREACHED_BUCKET_ENTRIES_MEAN_MAX;
    if fits(1) {
        1
    } else if fits(2) {
        2
    } else {
        3
    }
}

/// Where the buckets of a part begin, as it is written.
fn index_of(part: usize, sorted: &[Fingerprint], layout: Layout) -> Result<Vec<u8>, BuildError> {
    let buckets = layout.buckets() / PARTS as u64;
    let first = part as u64 * buckets;
    let mut index = Vec::new();
    let mut begin = 0;
    for bucket in first..first + buckets {
        index.extend_from_slice(&(layout.count + begin as u64).to_be_bytes());
        let within = |fingerprint: &Fingerprint| layout.bucket_of(*fingerprint) == bucket;
        let len = sorted[begin..].iter().take_while(|fingerprint| within(fingerprint)).count();
        if len > BREACHED_BUCKET_ENTRIES_MAX {
            return Err(BuildError::Uneven);
        }
        begin += len;
    }
    debug_assert_eq!((begin, index.len() as u64), (sorted.len(), buckets * INDEX_ENTRY_LEN as u64));
    Ok(index)
}

/// The temporary files. Deleted when this is dropped.
#[derive(Debug)]
struct Parts {
    directory: PathBuf,
    files: Vec<BufWriter<File>>,
    entries: Vec<u64>,
}

impl Parts {
    fn create(directory: PathBuf) -> Result<Self, BuildError> {
        // Left there by a builder of the same process id that was killed.
        let _ = fs::remove_dir_all(&directory);
        let cannot = "temporary files cannot be made";
        fs::create_dir(&directory).map_err(io_error(cannot))?;
        let mut parts = Self { directory, files: Vec::new(), entries: vec![0; PARTS] };
        for part in 0..PARTS {
            let file = OpenOptions::new()
                .create_new(true)
                .read(true)
                .write(true)
                .mode(0o600)
                .open(parts.directory.join(part.to_string()))
                .map_err(io_error(cannot))?;
            parts.files.push(BufWriter::with_capacity(BREACHED_WRITE_BYTES, file));
        }
        Ok(parts)
    }

    fn put(&mut self, fingerprint: Fingerprint) -> Result<(), BuildError> {
        let [_, _, bytes @ ..] = fingerprint.to_be_bytes();
        let part = usize::from(bytes[0]);
        self.entries[part] += 1;
        if self.entries[part] > BREACHED_PART_ENTRIES_MAX {
            return Err(BuildError::Uneven);
        }
        self.files[part].write_all(&bytes).map_err(io_error("a temporary file cannot be written"))
    }

    /// How many entries there are in all, once they are all written.
    fn finish(&mut self) -> Result<u64, BuildError> {
        for file in &mut self.files {
            file.flush().map_err(io_error("a temporary file cannot be written"))?;
        }
        Ok(self.entries.iter().sum())
    }

    fn sorted(&mut self, part: usize) -> Result<Vec<Fingerprint>, BuildError> {
        let cannot = "a temporary file cannot be read";
        let file = self.files[part].get_mut();
        io::Seek::rewind(file).map_err(io_error(cannot))?;
        let mut file = BufReader::with_capacity(BREACHED_WRITE_BYTES, file);
        let mut fingerprints = Vec::new();
        let mut bytes = [0; FINGERPRINT_LEN];
        for _ in 0..self.entries[part] {
            file.read_exact(&mut bytes).map_err(io_error(cannot))?;
            fingerprints.push(number(&bytes));
        }
        fingerprints.sort_unstable();
        fingerprints.dedup();
        Ok(fingerprints)
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        // What cannot be deleted is named after what made it; there is nobody left to tell.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// The file until it is whole. Deleted when it is dropped before.
struct Unfinished {
    path: PathBuf,
    file: File,
}

impl Unfinished {
    fn create(path: PathBuf) -> Result<Self, BuildError> {
        let _ = fs::remove_file(&path);
        let file = OpenOptions::new()
            .create_new(true)
            .read(true)
            .write(true)
            // Nobody's secret, and servers may run as another user.
            .mode(0o644)
            .open(&path)
            .map_err(io_error("the file cannot be made"))?;
        Ok(Self { path, file })
    }

    fn rename(self, to: &Path) -> Result<(), BuildError> {
        self.file.sync_all().map_err(io_error("the file cannot be forced to the disk"))?;
        fs::rename(&self.path, to).map_err(io_error("the file cannot be put into its place"))?;
        let directory = to.parent().filter(|path| !path.as_os_str().is_empty());
        let directory = File::open(directory.unwrap_or(Path::new(".")));
        directory
            .and_then(|directory| directory.sync_all())
            .map_err(io_error("the directory cannot be forced to the disk"))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Nothing is there under this name once it was renamed.
        let _ = fs::remove_file(&self.path);
    }
}

/// A name beside `to`, of this process's own.
fn beside(to: &Path, what: &str) -> PathBuf {
    let mut name = to.as_os_str().to_owned();
    name.push(format!(".{what}-{}", std::process::id()));
    name.into()
}

fn io_error(what: &'static str) -> impl FnOnce(io::Error) -> BuildError {
    move |source| BuildError::Io { what, source }
}

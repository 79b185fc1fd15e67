//! Keys in files: where peppers and token keys live, outside the database.
//!
//! A directory holds one file for each key, `pepper-1.key`, `pepper-2.key`, `token-1.key` and so on:
//! one line with 32 random bytes as 64 hexadecimal digits (`openssl rand -hex 32`) or as base64
//! (`openssl rand -base64 32`). The key of the highest number is the active one; the others still
//! open what was made under them. Other files are left alone, unless they end in `.key`: that is a
//! misspelt name, and passing over it would look like a lost key.
//!
//! Only the owner may read a key file (mode 0600 or 0400), and only the owner may write to the
//! directory; anything more is refused, as `ssh` does. Symbolic links are followed, since that is
//! how Kubernetes mounts secrets.
//!
//! A first start makes the keys it needs. Several servers may start at once on one directory: a key
//! is written to a temporary file, synced, and then given its name by link(2), which fails where the
//! name exists. So a key file is whole from the moment it can be seen, is never overwritten, and all
//! servers read the same one. A crash in between leaves at most a hidden temporary file, whose key
//! nobody has used.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::keyring::{KeyId, Keyring, KeyringError};
use super::limits::{KEY_FILE_LEN_MAX, KEY_LEN};
use super::pepper::PepperKeyring;
use super::random::{self, RandomError};
use super::secret::SecretKey;
use super::token::TokenKeyring;

mod text;

/// A directory of key files. Every method blocks on the file system.
#[derive(Debug, Clone)]
pub struct KeyDirectory(PathBuf);

/// What to do when there is no key at all for a purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnMissing {
    /// Make one: right for a first start, when nothing was made under a key yet.
    Create,
    /// Refuse: right when records refer to keys, since a new key would not open them.
    Refuse,
}

/// Keys that were read.
#[derive(Debug)]
pub struct Loaded<K> {
    /// The keys.
    pub keys: K,
    /// The file of a key that had to be made, to be mentioned in the log: it wants a backup.
    pub created: Option<PathBuf>,
}

/// Why keys could not be had. Whoever placed the files, or runs the machine, is at fault. Names the
/// file, never its content.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The file system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others could replace the keys.
    #[error(
        "{} has mode {mode:04o}: others may write to it; use: chmod 0700 {}",
        path.display(),
        path.display()
    )]
    DirectoryWritable {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Others can read a key.
    #[error(
        "{} has mode {mode:04o}: others may read this key; use: chmod 0600 {}",
        path.display(),
        path.display()
    )]
    FileReadable {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A directory, a pipe or a device where a key was expected.
    #[error("{} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// A name that ends in `.key` and is not the name of a key.
    #[error("{} is not named like pepper-1.key or token-1.key", .0.display())]
    Name(PathBuf),
    /// The content is not a key.
    #[error("{} is not one line of 64 hexadecimal digits or base64 of 32 bytes", .0.display())]
    Content(PathBuf),
    /// The content is a key that was not drawn at random, such as all zeros.
    #[error("{} repeats one byte: it is a placeholder, not a key", .0.display())]
    Placeholder(PathBuf),
    /// There is none, and none was to be made.
    #[error("there is no {purpose} key in {}", directory.display())]
    Missing {
        /// `pepper` or `token`.
        purpose: &'static str,
        /// Where one was looked for.
        directory: PathBuf,
    },
    /// The keys do not make a ring.
    #[error("the {purpose} keys in {}: {source}", directory.display())]
    Ring {
        /// `pepper` or `token`.
        purpose: &'static str,
        /// Where they are.
        directory: PathBuf,
        /// What is wrong with them.
        source: KeyringError,
    },
    /// No random bytes to make a key of.
    #[error(transparent)]
    Random(#[from] RandomError),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Pepper,
    Token,
}

impl KeyDirectory {
    /// Opens a directory of keys, making it with mode 0700 if it is not there.
    ///
    /// # Errors
    ///
    /// [`KeysError::Io`] when it cannot be made or looked at, [`KeysError::DirectoryWritable`] when
    /// others may write to it.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, KeysError> {
        let path = path.into();
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.map_err(io_error("make the directory", &path))?;
        let metadata = fs::metadata(&path).map_err(io_error("look at", &path))?;
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & 0o022 != 0 {
            return Err(KeysError::DirectoryWritable { path, mode });
        }
        Ok(Self(path))
    }

    /// Reads the peppers.
    ///
    /// # Errors
    ///
    /// [`KeysError`]; one bad file spoils the ring, since passing over it would make its records
    /// unreadable.
    pub fn peppers(&self, on_missing: OnMissing) -> Result<Loaded<PepperKeyring>, KeysError> {
        let Loaded { keys, created } = self.load(Purpose::Pepper, on_missing)?;
        Ok(Loaded { keys: PepperKeyring::new(keys), created })
    }

    /// Reads the keys of session tokens.
    ///
    /// # Errors
    ///
    /// [`KeysError`], as for [`KeyDirectory::peppers`].
    pub fn token_keys(&self, on_missing: OnMissing) -> Result<Loaded<TokenKeyring>, KeysError> {
        let Loaded { keys, created } = self.load(Purpose::Token, on_missing)?;
        Ok(Loaded { keys: TokenKeyring::new(keys), created })
    }

    fn load(&self, purpose: Purpose, on_missing: OnMissing) -> Result<Loaded<Keyring>, KeysError> {
        let mut ids = self.ids(purpose)?;
        let mut created = None;
        if ids.is_empty() && on_missing == OnMissing::Create {
            created = self.create(purpose, KeyId::FIRST)?;
            // Whoever was first may have made more keys since.
            ids = self.ids(purpose)?;
        }
        let (purpose_name, directory) = (purpose.name(), || self.0.clone());
        let active = ids.iter().copied().max();
        let active = active
            .ok_or_else(|| KeysError::Missing { purpose: purpose_name, directory: directory() })?;
        let keys = ids
            .into_iter()
            .map(|id| Ok((id, read_key(&self.path(purpose, id))?)))
            .collect::<Result<_, KeysError>>()?;
        let keys = Keyring::new(active, keys).map_err(|source| KeysError::Ring {
            purpose: purpose_name,
            directory: directory(),
            source,
        })?;
        Ok(Loaded { keys, created })
    }

    /// The ids of the files that belong to a purpose, in no order.
    fn ids(&self, purpose: Purpose) -> Result<Vec<KeyId>, KeysError> {
        let list_error = || io_error("list", &self.0);
        let mut ids = Vec::new();
        for entry in fs::read_dir(&self.0).map_err(list_error())? {
            let name = entry.map_err(list_error())?.file_name();
            let name = name.to_string_lossy();
            if name.starts_with('.') || !name.ends_with(".key") {
                continue;
            }
            match key_file(&name) {
                Some((found, id)) if found == purpose => ids.push(id),
                Some(_) => {}
                None => return Err(KeysError::Name(self.0.join(&*name))),
            }
        }
        Ok(ids)
    }

    /// Makes a key file, unless one of that name is there. Returns its path if it was made.
    fn create(&self, purpose: Purpose, id: KeyId) -> Result<Option<PathBuf>, KeysError> {
        let path = self.path(purpose, id);
        let temporary = TemporaryFile::write(&self.0, &text::print(&SecretKey::random()?))?;
        let made = match fs::hard_link(&temporary.0, &path) {
            Ok(()) => Some(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => None,
            Err(error) => return Err(io_error("make", &path)(error)),
        };
        // The name is on disk before anything is sealed under the key.
        let directory = File::open(&self.0).and_then(|directory| directory.sync_all());
        directory.map_err(io_error("sync", &self.0))?;
        Ok(made)
    }

    fn path(&self, purpose: Purpose, id: KeyId) -> PathBuf {
        self.0.join(format!("{}-{id}.key", purpose.name()))
    }
}

impl Purpose {
    const ALL: [Self; 2] = [Self::Pepper, Self::Token];

    const fn name(self) -> &'static str {
        match self {
            Self::Pepper => "pepper",
            Self::Token => "token",
        }
    }
}

/// What `pepper-1.key` is the file of.
fn key_file(name: &str) -> Option<(Purpose, KeyId)> {
    let (purpose, id) = name.strip_suffix(".key")?.split_once('-')?;
    let purpose = Purpose::ALL.into_iter().find(|known| known.name() == purpose)?;
    Some((purpose, id.parse().ok()?))
}

/// Reads one key after looking at who else could.
fn read_key(path: &Path) -> Result<SecretKey, KeysError> {
    let read_error = || io_error("read", path);
    // Asked before opening, because opening a pipe would wait for its other end.
    if !fs::metadata(path).map_err(read_error())?.is_file() {
        return Err(KeysError::NotAFile(path.to_owned()));
    }
    let mut file = File::open(path).map_err(read_error())?;
    // Asked of the open file: the name may have come to mean another file since.
    let mode = file.metadata().map_err(read_error())?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeysError::FileReadable { path: path.to_owned(), mode });
    }
    // On the stack and of fixed size, so that there is one copy and it is wiped. A longer file fills
    // it, and what fills it is no key.
    let mut content = Zeroizing::new([0; KEY_FILE_LEN_MAX]);
    let mut len = 0;
    loop {
        match file.read(&mut content[len..]) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(read_error()(error)),
        }
    }
    let key = text::parse(&content[..len]).ok_or_else(|| KeysError::Content(path.to_owned()))?;
    if *key.expose() == [key.expose()[0]; KEY_LEN] {
        return Err(KeysError::Placeholder(path.to_owned()));
    }
    Ok(key)
}

/// A file with a name of its own, gone on drop.
struct TemporaryFile(PathBuf);

impl TemporaryFile {
    /// Writes and syncs a file that only the owner can read.
    fn write(directory: &Path, content: &[u8]) -> Result<Self, KeysError> {
        let number = u64::from_ne_bytes(random::bytes()?);
        let path = directory.join(format!(".new-{number:016x}"));
        let open = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let mut file = open.map_err(io_error("make", &path))?;
        let temporary = Self(path);
        file.write_all(content)
            .and_then(|()| file.sync_all())
            .map_err(io_error("write", &temporary.0))?;
        Ok(temporary)
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        // One that cannot be removed does no harm: it is hidden, and only the owner can read it.
        let _ = fs::remove_file(&self.0);
    }
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeysError {
    move |source| KeysError::Io { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;

//! Keys in files.
//!
//! A directory holds one file for each key, `pepper-1.key`, `pepper-2.key`, `token-1.key` and so on:
//! one line with the key; `pepper-2.standby.key` is one that stands by. Other files are left alone, unless
//! they end in `.key`: that is a misspelt name, and passing over it would look like a lost key.
//!
//! Only the owner may read a key file (mode 0600 or 0400), and only the owner may write to the
//! directory; anything more is refused. Whose they are decides nothing, and is doubted at the start of a server
//! ([`doubts`](ownership::doubts)). What root makes gets owner and group of the keys that are there, or else
//! of the directory. Symbolic links are followed, as volumes of secrets have them.
//!
//! A first start makes the keys it needs. Several servers may start at once on one directory: a key
//! is written to a temporary file, synced, and then given its name by link(2), which fails where the
//! name exists. So a key file is whole from the moment it can be seen, is never overwritten, and all
//! servers read the same one. A crash in between leaves at most a hidden temporary file, whose key
//! nobody has used.
//!
//! A retired key becomes `pepper-1.key.retired`: nothing reads it, its number is not given out again,
//! and whoever retired it by mistake has it still.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use ownership::{self, Heir};
use zeroize::Zeroizing;

use super::error::{KeysError, io_error};
use super::found::{Found, Keys, OnMissing, key_of};
use super::text;
use crate::keyring::{KeyId, Purpose};
use crate::limits::KEY_FILE_LEN_MAX;
use crate::random;
use crate::secret::SecretKey;

/// What a key file's name goes on with once the key is retired.
const RETIRED: &str = ".retired";

/// What makes the name of a key file, after the id.
const ACTIVE: &str = ".key";
const STANDBY: &str = ".standby.key";

/// A directory of key files. Every method blocks on the file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyDirectory(PathBuf);

impl KeyDirectory {
    /// The directory of that path, which is not looked at yet.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Makes a key file with the next number, which so becomes the active key of whoever reads the
    /// directory. Numbers above `used` are taken, whatever is in the directory. Returns its id and path.
    ///
    /// # Errors
    ///
    /// [`KeysError`]; when somebody else made a key at the same moment, theirs counts.
    pub fn rotate(&self, purpose: Purpose, used: u16) -> Result<(KeyId, PathBuf), KeysError> {
        self.make_next(purpose, used, ACTIVE)
    }

    /// As [`rotate`](Self::rotate), but the key stands by.
    ///
    /// # Errors
    ///
    /// [`KeysError`].
    pub fn stand_by(&self, purpose: Purpose, used: u16) -> Result<(KeyId, PathBuf), KeysError> {
        self.make_next(purpose, used, STANDBY)
    }

    /// Lets the key of the highest number that stands by be used. `None` when none does.
    ///
    /// # Errors
    ///
    /// [`KeysError::Io`].
    pub fn activate(&self, purpose: Purpose) -> Result<Option<(KeyId, PathBuf)>, KeysError> {
        self.heir()?.check()?;
        self.open()?;
        let files = self.files(purpose)?.into_iter();
        let Some(id) = files.filter(|(_, stands_by)| *stands_by).map(|(id, _)| id).max() else {
            return Ok(None);
        };
        let (from, to) = (self.path_of(purpose, id, STANDBY), self.path_of(purpose, id, ACTIVE));
        // In one step: with two names, or none, whoever reads the directory would be wrong. A file of the
        // new name is not there, or reading the ring would have failed.
        fs::rename(&from, &to).map_err(io_error("rename", &from))?;
        self.sync()?;
        Ok(Some((id, to)))
    }

    fn make_next(
        &self,
        purpose: Purpose,
        used: u16,
        ending: &str,
    ) -> Result<(KeyId, PathBuf), KeysError> {
        self.heir()?.check()?;
        self.open()?;
        let taken = self.files(purpose)?.into_iter().map(|(id, _)| id);
        let highest = taken.chain(self.retired(purpose)?).map(KeyId::get).max();
        let highest = highest.unwrap_or(0).max(used);
        let id = highest.checked_add(1).and_then(KeyId::new);
        let id = id.ok_or(KeysError::NoIdLeft(purpose.name()))?;
        let path = self.path_of(purpose, id, ending);
        match self.create(path.clone())? {
            Some(path) => Ok((id, path)),
            None => Err(io_error("make", &path)(io::ErrorKind::AlreadyExists.into())),
        }
    }

    /// Takes a key out of use: its file gets a name that is passed over. Returns the new path, or
    /// `None` when there is no such file.
    ///
    /// # Errors
    ///
    /// [`KeysError::RetiredBefore`] when a file of the new name is there; nothing is overwritten.
    pub fn retire(&self, purpose: Purpose, id: KeyId) -> Result<Option<PathBuf>, KeysError> {
        let path = self.path_of(purpose, id, ACTIVE);
        let mut retired = path.clone().into_os_string();
        retired.push(RETIRED);
        let retired = PathBuf::from(retired);
        // Unlike rename(2), link(2) does not replace what is there.
        match fs::hard_link(&path, &retired) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(KeysError::RetiredBefore(retired));
            }
            Err(error) => return Err(io_error("rename", &path)(error)),
        }
        fs::remove_file(&path).map_err(io_error("rename", &path))?;
        self.sync()?;
        Ok(Some(retired))
    }

    /// Whether there is a file for that key. A file that cannot be looked at counts as there: reading
    /// will say why.
    pub(super) fn has(&self, purpose: Purpose, id: KeyId) -> bool {
        [ACTIVE, STANDBY]
            .iter()
            .any(|ending| self.path_of(purpose, id, ending).try_exists().unwrap_or(true))
    }

    /// Whether there is a key of that purpose, as far as the directory can be read.
    #[must_use]
    pub fn has_any(&self, purpose: Purpose) -> bool {
        self.files(purpose).is_ok_and(|files| !files.is_empty())
    }

    /// Every key of a purpose, and the file of one that had to be made.
    pub(super) fn read(
        &self,
        purpose: Purpose,
        on_missing: OnMissing,
    ) -> Result<(Keys, Option<PathBuf>), KeysError> {
        self.open()?;
        let mut files = self.files(purpose)?;
        let mut created = None;
        if files.is_empty() && on_missing == OnMissing::Create {
            created = self.create(self.path_of(purpose, KeyId::FIRST, ACTIVE))?;
            // Whoever was first may have made more keys since.
            files = self.files(purpose)?;
        }
        let read = |(id, stands_by)| {
            let ending = if stands_by { STANDBY } else { ACTIVE };
            Ok(Found { id, key: read_key(&self.path_of(purpose, id, ending))?, stands_by })
        };
        Ok((files.into_iter().map(read).collect::<Result<_, KeysError>>()?, created))
    }

    /// Makes the directory with mode 0700 if it is not there, and refuses one that others may write to.
    fn open(&self) -> Result<(), KeysError> {
        let path = &self.0;
        ownership::make_directories(path).map_err(io_error("make the directory", path))?;
        let metadata = fs::metadata(path).map_err(io_error("look at", path))?;
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & 0o022 != 0 {
            return Err(KeysError::DirectoryWritable { path: path.clone(), mode });
        }
        Ok(())
    }

    /// The keys of a purpose that there are files of, in no order, and whether each stands by.
    fn files(&self, purpose: Purpose) -> Result<Vec<(KeyId, bool)>, KeysError> {
        let mut files = Vec::new();
        for name in self.names(ACTIVE)? {
            match key_file(&name) {
                Some((found, id, stands_by)) if found == purpose => files.push((id, stands_by)),
                Some(_) => {}
                None => return Err(KeysError::Name(self.0.join(name))),
            }
        }
        Ok(files)
    }

    /// The keys of a purpose that were retired.
    fn retired(&self, purpose: Purpose) -> Result<Vec<KeyId>, KeysError> {
        let names = self.names(RETIRED)?;
        let keys = names.iter().filter_map(|name| key_file(name.strip_suffix(RETIRED)?));
        Ok(keys.filter(|(found, ..)| *found == purpose).map(|(_, id, _)| id).collect())
    }

    /// The names of files that end like that and are not hidden.
    fn names(&self, ending: &str) -> Result<Vec<String>, KeysError> {
        let list_error = || io_error("list", &self.0);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.0).map_err(list_error())? {
            let name = entry.map_err(list_error())?.file_name();
            let name = name.to_string_lossy();
            if !name.starts_with('.') && name.ends_with(ending) {
                names.push(name.into_owned());
            }
        }
        Ok(names)
    }

    /// Makes a key file, unless one of that name is there. Returns its path if it was made.
    pub(super) fn create(&self, path: PathBuf) -> Result<Option<PathBuf>, KeysError> {
        let heir = self.heir()?;
        let temporary = TemporaryFile::write(&self.0, &heir, &text::print(&SecretKey::random()?))?;
        let made = match fs::hard_link(&temporary.0, &path) {
            Ok(()) => Some(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => None,
            Err(error) => return Err(io_error("make", &path)(error)),
        };
        self.sync()?;
        Ok(made)
    }

    /// Who is to own a key that is made here: whoever owns the oldest, or else the directory.
    fn heir(&self) -> Result<Heir, KeysError> {
        let place = self.0.join(ACTIVE);
        Heir::of(&place, self.key_files()).map_err(io_error("look at", &self.0))
    }

    /// The files of keys of every purpose, the oldest first, as far as the directory can be read.
    #[must_use]
    pub fn key_files(&self) -> Vec<PathBuf> {
        let names = self.names(ACTIVE).unwrap_or_default().into_iter();
        let mut keys: Vec<_> = names
            .filter_map(|name| key_file(&name).map(|(purpose, id, _)| (id, purpose.name(), name)))
            .collect();
        keys.sort();
        keys.into_iter().map(|(.., name)| self.0.join(name)).collect()
    }

    /// A name is on disk before anything depends on it.
    fn sync(&self) -> Result<(), KeysError> {
        let directory = File::open(&self.0).and_then(|directory| directory.sync_all());
        directory.map_err(io_error("sync", &self.0))
    }

    fn path_of(&self, purpose: Purpose, id: KeyId, ending: &str) -> PathBuf {
        self.0.join(format!("{}-{id}{ending}", purpose.name()))
    }
}

/// What `pepper-1.key` is the file of, and whether that key stands by.
fn key_file(name: &str) -> Option<(Purpose, KeyId, bool)> {
    let (name, stands_by) = match name.strip_suffix(STANDBY) {
        Some(name) => (name, true),
        None => (name.strip_suffix(ACTIVE)?, false),
    };
    let (purpose, id) = name.split_once('-')?;
    let purpose = Purpose::ALL.into_iter().find(|known| known.name() == purpose)?;
    Some((purpose, id.parse().ok()?, stands_by))
}

/// Reads one key after looking at who else could.
pub(super) fn read_key(path: &Path) -> Result<SecretKey, KeysError> {
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
    key_of(&content[..len], || path.display().to_string())
}

/// A file with a name of its own, gone on drop.
struct TemporaryFile(PathBuf);

impl TemporaryFile {
    /// Writes and syncs a file that only `heir` can read.
    fn write(directory: &Path, heir: &Heir, content: &[u8]) -> Result<Self, KeysError> {
        let number = u64::from_ne_bytes(random::bytes()?);
        let path = directory.join(format!(".new-{number:016x}"));
        let open = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let mut file = open.map_err(io_error("make", &path))?;
        let temporary = Self(path);
        heir.give(&file).map_err(io_error("change the owner of", &temporary.0))?;
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

//! Looking for secrets where they must not be: in an image of a process's memory, and in files.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use memchr::memmem;

use crate::limits::SECRET_PIECE_BYTES;

/// Secrets, in every form in which they could lie about.
#[derive(Debug, Default)]
pub struct Secrets {
    needles: Vec<Needle>,
}

#[derive(Debug)]
struct Needle {
    name: String,
    finder: memmem::Finder<'static>,
}

impl Secrets {
    /// Looks for `text` too, under a name that may be shown: in UTF-8, UTF-16 and UTF-32, as JSON
    /// escapes it and as JSON can escape it, and for pieces of each, since a part of a secret is
    /// secret as well.
    pub fn add(&mut self, name: &str, text: &str) {
        let units: Vec<u16> = text.encode_utf16().collect();
        let escape = |unit: &u16| match u8::try_from(*unit) {
            Ok(byte @ b' '..=b'~') if !b"\"\\".contains(&byte) => char::from(byte).to_string(),
            _ => format!("\\u{unit:04x}"),
        };
        let escaped: String = units.iter().map(escape).collect();
        let quoted = serde_json::to_string(text).expect("a text is JSON");
        let narrow: BTreeSet<&[u8]> =
            [text.as_bytes(), &quoted.as_bytes()[1..quoted.len() - 1], escaped.as_bytes()].into();
        for form in narrow {
            self.add_pieces(name, form, SECRET_PIECE_BYTES);
        }
        // As many characters at a time as of the narrow forms.
        let utf16: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        self.add_pieces(name, &utf16, 2 * SECRET_PIECE_BYTES);
        let utf32: Vec<u8> = text.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
        self.add_pieces(name, &utf32, 4 * SECRET_PIECE_BYTES);
    }

    /// Looks for pieces of `bytes` too: the first, one in the middle, and the last.
    ///
    /// # Panics
    ///
    /// When there are so few of them that anything could hold them by chance.
    pub fn add_bytes(&mut self, name: &str, bytes: &[u8]) {
        self.add_pieces(name, bytes, SECRET_PIECE_BYTES);
    }

    fn add_pieces(&mut self, name: &str, bytes: &[u8], length: usize) {
        let last = bytes.len().checked_sub(length).expect("too short to be told apart");
        for start in BTreeSet::from([0, last / 2, last]) {
            let piece = &bytes[start..start + length];
            let finder = memmem::Finder::new(piece).into_owned();
            self.needles.push(Needle { name: format!("{name} from {start}"), finder });
        }
    }

    /// The names of those that are in `haystack`, each with where it is and what is around it.
    #[must_use]
    pub fn found_in(&self, haystack: &[u8]) -> Vec<String> {
        let show = |needle: &Needle, at: usize| {
            let around = &haystack[at.saturating_sub(32)..(at + 64).min(haystack.len())];
            format!("{} at {at}: {}", needle.name, around.escape_ascii())
        };
        let hit = |needle: &Needle| needle.finder.find(haystack).map(|at| show(needle, at));
        self.needles.iter().filter_map(hit).collect()
    }

    /// The same, in every file under `directory`.
    #[must_use]
    pub fn found_under(&self, directory: &Path) -> Vec<String> {
        let mut found = Vec::new();
        for entry in fs::read_dir(directory).expect("the directory can be read").flatten() {
            let path = entry.path();
            if path.is_dir() {
                found.extend(self.found_under(&path));
            } else if path.is_file() {
                // A server that runs may have deleted it meanwhile.
                let bytes = fs::read(&path).unwrap_or_default();
                let hits = self.found_in(&bytes).into_iter();
                found.extend(hits.map(|hit| format!("{}: {hit}", path.display())));
            }
        }
        found
    }
}

/// An image of everything that a process has in memory, by gdb's `gcore`; pages of zeros are left
/// out but for one of each run. The file is made in `scratch` and deleted. Takes a second or two.
///
/// Has to be run by root, or where processes may attach to others of their user.
#[must_use]
pub fn memory_image(pid: u32, scratch: &Path) -> Vec<u8> {
    let prefix = scratch.join("core");
    let made = Command::new("gcore")
        .arg("-o")
        .arg(&prefix)
        .arg(pid.to_string())
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("gcore does not run ({error}): install the package gdb"));
    assert!(made.status.success(), "gcore fails: {made:?}");
    let path = scratch.join(format!("core.{pid}"));
    let image = without_empty_pages(File::open(&path).expect("gcore has written it"));
    fs::remove_file(&path).expect("a file of one's own can be deleted");
    image
}

fn without_empty_pages(mut core: File) -> Vec<u8> {
    const PAGE: usize = 4096;
    let mut chunk = vec![0; 256 * PAGE];
    let zeros = [0; PAGE];
    let (mut image, mut after_zeros) = (Vec::new(), false);
    loop {
        let mut len = 0;
        // A read may be short, and pages must not be cut.
        while len < chunk.len() {
            match core.read(&mut chunk[len..]).expect("a file can be read") {
                0 => break,
                count => len += count,
            }
        }
        if len == 0 {
            return image;
        }
        for page in chunk[..len].chunks(PAGE) {
            let is_zeros = *page == zeros[..page.len()];
            if !(is_zeros && after_zeros) {
                image.extend_from_slice(page);
            }
            after_zeros = is_zeros;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "Zq9 \"ünusual\" p\\hrase with 🔑 inside of it";

    fn check(haystack: &[u8], expected: bool) {
        let mut secrets = Secrets::default();
        secrets.add("secret", SECRET);
        let found = secrets.found_in(haystack);
        assert_eq!(!found.is_empty(), expected, "{found:?}");
    }

    #[test]
    fn secrets_are_found_in_every_form() {
        let in_other_words = format!("before {SECRET} after");
        check(in_other_words.as_bytes(), true);
        check(&SECRET.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>(), true);
        check(&SECRET.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect::<Vec<_>>(), true);
        check(serde_json::to_string(SECRET).unwrap().as_bytes(), true);
        check(br#"Zq9 \u0022\u00fcnusual\u0022 p\u005chrase with \ud83d\udd11 inside of it"#, true);
        check(&SECRET.as_bytes()[SECRET.len() - SECRET_PIECE_BYTES..], true);
        check(&SECRET.as_bytes()[..SECRET_PIECE_BYTES - 1], false);
        check(b"nothing of it", false);
        check(b"", false);
    }

    #[test]
    fn only_empty_pages_are_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("core");
        let mut core = vec![0; 10 * 4096];
        core[4090..4110].copy_from_slice(b"across two pages 123");
        core.extend_from_slice(b"the end");
        fs::write(&path, &core).unwrap();
        let image = without_empty_pages(File::open(&path).unwrap());
        assert_eq!(image.len(), 3 * 4096 + 7);
        assert!(memmem::find(&image, b"across two pages 123").is_some());
        assert!(image.ends_with(b"the end"));
    }
}

//! Files that were built, and files that were then damaged.

use std::collections::BTreeSet;
use std::fs;
use std::io::Cursor;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

struct Scene {
    directory: TempDir,
}

impl Scene {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("breached")
    }

    fn build(&self, list: &str, min_count: u64) -> Result<Built, BuildError> {
        let mut builder = Builder::new(&self.path(), min_count)?;
        builder.read(Cursor::new(list), |_| std::ops::ControlFlow::Continue(()))?;
        builder.finish(|_| std::ops::ControlFlow::Continue(()))
    }

    fn open(&self) -> BreachedFile {
        BreachedFile::open(&self.path()).unwrap()
    }

    /// Everything that lies there: nothing temporary is to be left.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

fn sha1_hex(text: &str) -> String {
    Sha1::digest(text).iter().map(|byte| format!("{byte:02X}")).collect()
}

fn contains(file: &BreachedFile, text: &str) -> bool {
    file.contains(&Password::for_login(text).unwrap()).unwrap()
}

#[test]
fn what_is_on_the_list_is_found() {
    let scene = Scene::new();
    // "password", with the digest and the count that Have I Been Pwned has for it.
    let list = format!(
        "5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8:10434004\r\n\n{}:2\n{}\n{}:1\n{}:9\n",
        sha1_hex("letmein"),
        sha1_hex("no count"),
        sha1_hex("once"),
        sha1_hex("letmein"),
    );
    let built = scene.build(&list, 2).unwrap();
    assert_eq!((built.lines, built.left_out, built.count), (5, 1, 3));
    assert_eq!(built.bytes, fs::metadata(scene.path()).unwrap().len());
    assert_eq!(scene.names(), ["breached"]);
    let file = scene.open();
    assert_eq!(file.count(), 3);
    for (text, expected) in [
        ("password", true),
        ("letmein", true),
        ("no count", true),
        ("once", false),
        ("else", false),
    ] {
        assert_eq!(contains(&file, text), expected, "{text:?}");
    }
}

#[test]
fn beginnings_of_digests_do() {
    let scene = Scene::new();
    scene.build(&format!("{}\n{}", &sha1_hex("one")[..12], &sha1_hex("two")[..20]), 1).unwrap();
    let file = scene.open();
    assert!(contains(&file, "one") && contains(&file, "two") && !contains(&file, "three"));
}

#[test]
fn an_empty_list_is_a_list() {
    let scene = Scene::new();
    assert_eq!(scene.build("", 1).unwrap().count, 0);
    assert!(!contains(&scene.open(), "password"));
}

#[test]
fn a_bad_list_leaves_what_was_there() {
    let scene = Scene::new();
    scene.build(&sha1_hex("old"), 1).unwrap();
    let cut = format!("{}\n{}", sha1_hex("new"), "password");
    let error = scene.build(&cut, 1).unwrap_err();
    assert!(matches!(error, BuildError::Line { number: 2, error: LineError::NotHex }), "{error}");
    let error = scene.build(&"A".repeat(1000), 1).unwrap_err();
    assert!(matches!(error, BuildError::LineTooLong(1)), "{error}");
    let alike = (0..BREACHED_BUCKET_ENTRIES_MAX + 1).map(|n| format!("AA{n:010X}\n"));
    let error = scene.build(&alike.collect::<String>(), 1).unwrap_err();
    assert!(matches!(error, BuildError::Uneven), "{error}");
    assert_eq!(scene.names(), ["breached"]);
    assert!(contains(&scene.open(), "old"));
}

#[test]
fn any_damage_is_noticed() {
    let scene = Scene::new();
    let list: Vec<String> = (0..50).map(|n| sha1_hex(&n.to_string())).collect();
    scene.build(&list.join("\n"), 1).unwrap();
    let good = fs::read(scene.path()).unwrap();
    let refused = |bytes: &[u8]| {
        fs::write(scene.path(), bytes).unwrap();
        BreachedFile::open(&scene.path()).unwrap_err().to_string()
    };
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        refused(&bad);
    }
    for len in [0, 1, HEADER_LEN - 1, HEADER_LEN, good.len() - 1] {
        refused(&good[..len]);
    }
    let mut reserved = good.clone();
    reserved[CHECKED_HEADER_LEN - 1] = 1;
    assert!(refused(&reserved).contains("header"));
    assert!(refused(&[&good[..], b"x"].concat()).contains("length"));
    assert!(
        refused(b"a text file of some length, which is longer than the header of ours is")
            .contains("not one that")
    );
    let mut newer = good.clone();
    newer[11] = 2;
    assert!(refused(&newer).contains("version 2"));
    assert!(BreachedFile::open(scene.directory.path()).is_err(), "a directory");
    assert!(BreachedFile::open(&scene.directory.path().join("missing")).is_err());
    fs::write(scene.path(), &good).unwrap();
    scene.open();
}

#[test]
fn a_file_that_is_overwritten_in_place_is_an_error_and_not_a_no() {
    let scene = Scene::new();
    scene.build(&sha1_hex("password"), 1).unwrap();
    let file = scene.open();
    fs::write(scene.path(), b"").unwrap();
    assert!(file.contains(&Password::for_login("password").unwrap()).is_err());
}

#[test]
fn each_number_of_buckets_finds_the_same() {
    for bucket_len in 1..=3 {
        let layout = Layout { bucket_len, count: 0 };
        for fingerprint in [0, 1, 0x5baa_61e4_c9b9, (1 << 48) - 1] {
            let together = layout.bucket_of(fingerprint) << (8 * layout.entry_len());
            assert_eq!(together | layout.rest_of(fingerprint), fingerprint);
            assert!(layout.bucket_of(fingerprint) < layout.buckets());
        }
    }
    assert_eq!(Layout { bucket_len: 2, count: 10 }.file_len(), 64 + 65_537 * 8 + 10 * 4);
}

#[test]
fn many_entries_make_more_buckets() {
    let scene = Scene::new();
    let count = 300_000_u64;
    // Spread over the first two bytes as digests are.
    let spread = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16;
    let list: String = (0..count).map(|n| format!("{:012x}\n", spread(n))).collect();
    let built = scene.build(&list, 1).unwrap();
    assert_eq!(built.count, count);
    let file = scene.open();
    assert_eq!(file.layout.bucket_len, 2);
    assert!((0..count).step_by(997).all(|n| file.contains_fingerprint(spread(n)).unwrap()));
    let hits =
        (count..2 * count).step_by(97).filter(|&n| file.contains_fingerprint(spread(n)).unwrap());
    assert_eq!(hits.count(), 0);
}

proptest! {
    // Each case makes 256 temporary files and forces one to the disk.
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// A file finds exactly what a set finds, whatever the order and the repetitions of the list.
    #[test]
    fn a_file_is_a_set(
        listed in prop::collection::vec(0..1_u64 << 48, 0..200),
        near in prop::collection::vec((any::<prop::sample::Index>(), 0..48_u32), 0..20),
        others in prop::collection::vec(0..1_u64 << 48, 0..50),
    ) {
        let scene = Scene::new();
        let list: String = listed.iter().map(|n| format!("{n:012X}\n")).collect();
        let set: BTreeSet<u64> = listed.iter().copied().collect();
        prop_assert_eq!(scene.build(&list, 1).unwrap().count, set.len() as u64);
        let file = scene.open();
        let near = near.iter().filter(|_| !listed.is_empty());
        let near = near.map(|(index, bit)| index.get(&listed) ^ 1 << bit);
        for wanted in listed.iter().copied().chain(others).chain(near) {
            prop_assert_eq!(file.contains_fingerprint(wanted).unwrap(), set.contains(&wanted));
        }
    }
}

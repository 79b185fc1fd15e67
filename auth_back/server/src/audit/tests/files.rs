//! Files that are moved away, torn, and turned over.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;

use super::*;
use crate::audit::file::LogFile;
use crate::limits::AUDIT_TURN_RETRY;

/// Five lines of twenty bytes go into a file.
const SMALL: Turning = Turning { file_bytes_max: 100, files: 3 };

/// The line of that number.
fn line(number: u32) -> String {
    format!("{number:019}\n")
}

fn scratch() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.log");
    (directory, path)
}

/// Which lines are in which file, without the beginning that all names have.
fn contents(path: &Path) -> BTreeMap<String, Vec<u32>> {
    let files = fs::read_dir(path.parent().unwrap()).unwrap();
    let files = files.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let content = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap().replacen("audit.log", "", 1);
        (name, text.lines().map(|line| line.parse().expect(line)).collect())
    };
    files.map(content).collect()
}

#[track_caller]
fn check(path: &Path, expected: &[(&str, std::ops::Range<u32>)]) {
    let expected: BTreeMap<_, _> = expected
        .iter()
        .map(|(name, lines)| ((*name).to_owned(), lines.clone().collect::<Vec<u32>>()))
        .collect();
    assert_eq!(contents(path), expected);
}

#[test]
fn a_file_is_turned_over_and_the_oldest_goes() {
    let (_directory, path) = scratch();
    let mut file = LogFile::open(&path, &path, Some(SMALL)).unwrap();
    let mut write = |lines: std::ops::Range<u32>| {
        lines.for_each(|number| file.write(line(number).as_bytes()).unwrap());
    };
    write(0..5);
    check(&path, &[("", 0..5)]);
    write(5..6);
    check(&path, &[("", 5..6), (".1", 0..5)]);
    write(6..15);
    check(&path, &[("", 10..15), (".1", 5..10), (".2", 0..5)]);
    write(15..16);
    check(&path, &[("", 15..16), (".1", 10..15), (".2", 5..10)]);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

/// Whatever was killed in the middle of a turn, with any of its renamings done, the next one loses only the oldest.
#[test]
fn a_turn_that_was_cut_off_is_made_up_for() {
    for done in 0..=3 {
        let (_directory, path) = scratch();
        let named = |number: u32| PathBuf::from(format!("{}.{number}", path.display()));
        for (number, name) in [(15..20, &path), (10..15, &named(1)), (5..10, &named(2))] {
            fs::write(name, number.map(line).collect::<String>()).unwrap();
        }
        // What a turn does with four files: it makes room, from the end.
        let renamings = [(named(2), named(3)), (named(1), named(2)), (path.clone(), named(1))];
        for (from, to) in &renamings[..done] {
            fs::rename(from, to).unwrap();
        }
        let turning = Some(Turning { files: 4, ..SMALL });
        let mut file = LogFile::open(&path, &path, turning).unwrap();
        file.write(line(20).as_bytes()).unwrap();
        let expected = [(".1", 15..20), (".2", 10..15), (".3", 5..10), ("", 20..21)];
        check(&path, &expected);
    }
}

#[test]
fn several_that_write_one_file_lose_nothing_and_keep_lines_whole() {
    const WRITERS: u32 = 4;
    const EACH: u32 = 500;
    let (_directory, path) = scratch();
    let turning = Some(Turning { file_bytes_max: 1_000, files: 1_000 });
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let path = &path;
            scope.spawn(move || {
                // Each has opened it for itself, as a process has.
                let mut file = LogFile::open(path, path, turning).unwrap();
                for number in 0..EACH {
                    file.write(line(writer * EACH + number).as_bytes()).unwrap();
                }
            });
        }
    });
    let contents = contents(&path);
    let mut all: Vec<u32> = contents.values().flatten().copied().collect();
    all.sort_unstable();
    assert_eq!(all, (0..WRITERS * EACH).collect::<Vec<_>>());
    // While one turns it over, the others go on in the old file. So how many files there are is chance.
    assert!(contents.len() > 1, "it was turned over");
}

#[test]
fn what_another_has_turned_over_or_moved_away_is_left() {
    let (_directory, path) = scratch();
    let moved = path.with_extension("moved");
    let mut ours = LogFile::open(&path, &path, Some(SMALL)).unwrap();
    let mut theirs = LogFile::open(&path, &path, Some(SMALL)).unwrap();
    (0..5).for_each(|number| theirs.write(line(number).as_bytes()).unwrap());
    theirs.write(line(5).as_bytes()).unwrap();
    ours.write(line(6).as_bytes()).unwrap();
    check(&path, &[("", 5..7), (".1", 0..5)]);
    fs::rename(&path, &moved).unwrap();
    ours.write(line(7).as_bytes()).unwrap();
    theirs.write(line(8).as_bytes()).unwrap();
    fs::remove_file(moved).unwrap();
    check(&path, &[("", 7..9), (".1", 0..5)]);
}

#[test]
fn a_link_stays_and_what_it_leads_to_is_turned_over() {
    let (directory, link) = scratch();
    let there = directory.path().join("there");
    fs::create_dir(&there).unwrap();
    let place = there.join("audit.log");
    symlink(&place, &link).unwrap();
    let mut file = LogFile::open(&link, &link, Some(SMALL)).unwrap();
    (0..6).for_each(|number| file.write(line(number).as_bytes()).unwrap());
    check(&place, &[("", 5..6), (".1", 0..5)]);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
}

#[test]
fn where_it_cannot_be_turned_over_no_line_is_lost() {
    let clock = clock::Movable::stopped();
    let (_directory, path) = scratch();
    let in_the_way: Vec<_> = [1, 2].map(|n| format!("{}.{n}", path.display())).into();
    for name in &in_the_way {
        fs::create_dir_all(Path::new(name).join("not empty")).unwrap();
    }
    let mut file = LogFile::open(&path, &path, Some(SMALL)).unwrap();
    (0..8).for_each(|number| file.write(line(number).as_bytes()).unwrap());
    check(&path, &[("", 0..8)]);
    in_the_way.iter().for_each(|name| fs::remove_dir_all(name).unwrap());
    file.write(line(8).as_bytes()).unwrap();
    check(&path, &[("", 0..9)]);
    clock.advance(AUDIT_TURN_RETRY);
    file.write(line(9).as_bytes()).unwrap();
    check(&path, &[("", 9..10), (".1", 0..9)]);
}

#[test]
fn half_a_line_is_ended_before_the_next() {
    #[track_caller]
    fn check(found: Option<&str>, expected: &str) {
        let (_directory, path) = scratch();
        if let Some(found) = found {
            fs::write(&path, found).unwrap();
        }
        let mut file = LogFile::open(&path, &path, None).unwrap();
        file.write(b"next\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), expected);
        // Also for who looks before anything is written.
        if let Some(found) = found {
            fs::write(&path, found).unwrap();
            file.reopen();
            assert!(format!("{}next\n", fs::read_to_string(&path).unwrap()) == expected);
        }
    }
    check(None, "next\n");
    check(Some(""), "next\n");
    check(Some("whole\n"), "whole\nnext\n");
    check(Some("whole\nha"), "whole\nha\nnext\n");
    check(Some("\n"), "\nnext\n");
}

#[test]
fn a_file_that_was_moved_away_is_noticed_without_a_signal() {
    let (directory, path) = scratch();
    let (audit, opened) = open(&path);
    let writer = opened.start().unwrap();
    audit.record(&entry("before"));
    until(|| audit.written_lines() == 1);
    let moved = directory.path().join("moved");
    fs::rename(&path, &moved).unwrap();
    audit.record(&entry("after"));
    writer.stop(patient());
    assert_eq!(values(&fs::read_to_string(&moved).unwrap(), "username"), ["before"]);
    assert_eq!(values(&fs::read_to_string(&path).unwrap(), "username"), ["after"]);
}

#[test]
fn operators_have_a_file_of_their_own() {
    let (directory, path) = scratch();
    let target = AuditTarget::File(path.clone());
    fs::write(directory.path().join(OPERATORS_FILE), "ha").unwrap();
    for outcome in ["begun", "ok"] {
        OperatorsLog::open(&target).unwrap().tell("user disable ada", 7, outcome).unwrap();
    }
    let text = fs::read_to_string(directory.path().join(OPERATORS_FILE)).unwrap();
    let lines = text.strip_prefix("ha\n").expect("half a line is ended");
    assert_eq!(values(lines, "outcome"), ["begun", "ok"]);
    assert_eq!(values(lines, "operator_uid"), ["7", "7"]);
    assert!(!path.exists());
    OperatorsLog::open(&AuditTarget::Off).unwrap().tell("migrate", 0, "ok").unwrap();
    let missing = AuditTarget::File(directory.path().join("missing/audit.log"));
    let error = OperatorsLog::open(&missing).unwrap_err().to_string();
    assert!(error.contains("missing/audit-operators.log cannot be opened"), "{error}");
}

//! `http_front/HTTP.md` names a test for each rule, and each of them is there.

use std::fs;
use std::path::Path;

const PAGE: &str = include_str!("../../../../HTTP.md");

/// Where tests are, from the root of the project.
const SOURCES: [&str; 5] = ["http1/src", "http_front/src", "service/src", "reactor", "e2e/tests"];

/// The names of all tests in these directories.
fn tests_in(directory: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(directory).expect("a directory of the project") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            tests_in(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).expect("a source file");
            // What follows `#[test]`, perhaps after other attributes.
            for part in source.split("#[test]").skip(1) {
                let name = part.split_once("fn ").and_then(|(_, rest)| rest.split_once('('));
                found.extend(name.map(|(name, _)| name.to_owned()));
            }
        }
    }
}

/// The rows of the page's tables of rules: rule, section, test.
fn rows() -> Vec<[&'static str; 3]> {
    let cells = |line: &'static str| {
        let line = line.strip_prefix("| ")?.strip_suffix(" |")?;
        let cells: Vec<&str> = line.split(" | ").collect();
        <[&str; 3]>::try_from(cells).ok()
    };
    let rules = PAGE.split("<!-- rules -->").skip(1).step_by(2);
    rules.flat_map(str::lines).filter_map(cells).filter(|[rule, ..]| *rule != "rule").collect()
}

#[test]
fn every_test_that_the_page_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the project");
    let mut tests = Vec::new();
    SOURCES.iter().for_each(|directory| tests_in(&root.join(directory), &mut tests));
    assert!(tests.len() > 100, "tests are found");
    let rows = rows();
    assert!(rows.len() > 60, "the page has {} rules", rows.len());
    for [rule, section, names] in rows {
        assert!(
            section.contains('.') || section.parse::<u32>().is_ok(),
            "{rule}: {section:?} is a section"
        );
        let named: Vec<&str> = names.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "{rule} has no test");
        for name in named {
            let is_there = tests.iter().any(|test| test == name);
            assert!(is_there, "{rule}: there is no test {name}");
        }
    }
}

#[test]
fn every_test_of_both_ports_is_on_the_page() {
    for source in [include_str!("messages.rs"), include_str!("semantics.rs")] {
        for part in source.split("#[test]\nfn ").skip(1) {
            let (name, _) = part.split_once('(').expect("a function");
            assert!(PAGE.contains(&format!("`{name}`")), "{name} has no rule on the page");
        }
    }
}

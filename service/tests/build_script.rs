//! What the build script finds out of a directory of sources.

use std::fs;
use std::path::Path;
use std::process::Command;

#[expect(dead_code, clippy::print_stdout, reason = "its main is for cargo to call")]
#[path = "../build.rs"]
mod build_script;

use build_script::Source;

#[track_caller]
fn git(root: &Path, words: &[&str]) -> String {
    let mut git = Command::new("git");
    git.args([
        "-c",
        "user.name=test",
        "-c",
        "user.email=test@localhost",
        "-c",
        "commit.gpgsign=false",
    ]);
    let output = git.arg("-C").arg(root).args(words).output().expect("git runs");
    assert!(output.status.success(), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

#[test]
fn a_tarball_has_no_revision_wherever_it_lies() {
    let directory = tempfile::tempdir().expect("a directory");
    let check = |root: &Path| {
        let source = Source::of(root);
        assert_eq!([&*source.revision, &source.commit_time], ["unknown"; 2]);
        assert!(source.watched.is_empty(), "what is not there counts as changed");
    };
    check(directory.path());
    check(&directory.path().join("not-there"));

    // In somebody's checkout of something else, and in one without a commit.
    git(directory.path(), &["init", "--quiet"]);
    check(directory.path());
    fs::write(directory.path().join("notes"), "one").expect("a file");
    git(directory.path(), &["add", "."]);
    git(directory.path(), &["commit", "--quiet", "--message", "notes"]);
    let unpacked = directory.path().join("gatehouse-0.1.0");
    fs::create_dir(&unpacked).expect("a directory");
    check(&unpacked);
}

#[test]
fn a_checkout_has_its_commit_and_whether_files_differ() {
    let directory = tempfile::tempdir().expect("a directory");
    let root = &directory.path().join("checkout");
    fs::create_dir(root).expect("a directory");
    git(root, &["init", "--quiet"]);
    fs::write(root.join("file"), "one").expect("a file");
    git(root, &["add", "."]);
    git(root, &["commit", "--quiet", "--message", "one"]);
    let commit = git(root, &["rev-parse", "HEAD"]);

    let source = Source::of(root);
    assert_eq!(source.revision, commit[..12]);
    assert_eq!(source.commit_time, git(root, &["show", "--no-patch", "--format=%cI"]));
    // A file that nobody has added is not of the build.
    fs::write(root.join("other"), "").expect("a file");
    assert_eq!(Source::of(root).revision, commit[..12]);
    fs::write(root.join("file"), "two").expect("a file");
    assert_eq!(Source::of(root).revision, format!("{}-dirty", &commit[..12]));

    // A worktree, whose `.git` is a file, on a branch of its own.
    let worktree = &directory.path().join("worktree");
    let path = worktree.to_str().expect("text");
    git(root, &["worktree", "add", "--quiet", "-b", "other", path]);
    let of_worktree = Source::of(worktree);
    assert_eq!(of_worktree.revision, commit[..12]);
    git(worktree, &["pack-refs", "--all"]);

    // Each commit and each checkout changes one of the files that are watched, also where the branch is packed.
    for root in [root, worktree] {
        let contents = || {
            let watched = Source::of(root).watched;
            assert!(watched.iter().all(|path| path.is_file()), "{watched:?}");
            watched.iter().map(|path| fs::read(path).expect("a file")).collect::<Vec<_>>()
        };
        let before = contents();
        let watched = Source::of(root).watched;
        git(root, &["commit", "--quiet", "--all", "--allow-empty", "--message", "two"]);
        let after: Vec<_> = watched.iter().map(|path| fs::read(path).expect("a file")).collect();
        assert_ne!(before, after, "a commit in {}", root.display());
        let before = contents();
        let watched = Source::of(root).watched;
        git(root, &["checkout", "--quiet", "--detach", "HEAD~"]);
        let after: Vec<_> = watched.iter().map(|path| fs::read(path).expect("a file")).collect();
        assert_ne!(before, after, "a checkout in {}", root.display());
    }
}

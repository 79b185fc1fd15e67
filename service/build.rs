//! Notes what this build is: [`service::build`] has it. Without a checkout of git, a tarball say, the revision is
//! "unknown" and the build goes on.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// What is said of what cannot be found out.
const UNKNOWN: &str = "unknown";

/// Digits of the commit: enough to be unique for as long as anybody cares.
const REVISION_DIGITS: &str = "--short=12";

fn main() {
    let package = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let root = package.parent().unwrap_or(&package);
    let source = Source::of(root);
    let compiler = said(Command::new(variable("RUSTC")).arg("--version"));
    for (name, value) in [
        ("REVISION", source.revision),
        ("COMMIT_TIME", source.commit_time),
        ("RUSTC", compiler.unwrap_or_else(|| UNKNOWN.to_owned())),
        ("TARGET", variable("TARGET")),
    ] {
        println!("cargo:rustc-env=GATEHOUSE_BUILD_{name}={value}");
    }
    // Naming one path at least: without any, cargo runs this again whenever a file of the package changes.
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=RUSTC");
    let mut watched = source.watched;
    if variable("PROFILE") == "release" {
        // What is deployed says rightly whether it has changes that are not committed. A build of a developer says
        // it as of the last commit, or each edit would have everything built anew.
        watched.extend(sources(root));
    }
    for path in watched {
        println!("cargo:rerun-if-changed={}", path.display());
    }
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| UNKNOWN.to_owned())
}

/// What git knows of a directory.
pub(crate) struct Source {
    /// The commit, with `-dirty` behind it where files differ from it.
    pub(crate) revision: String,
    /// When it was made.
    pub(crate) commit_time: String,
    /// The files that change with each commit and each checkout.
    pub(crate) watched: Vec<PathBuf>,
}

impl Source {
    /// Of a directory that is the top of a checkout. One that merely lies in somebody's has another history.
    pub(crate) fn of(root: &Path) -> Self {
        Self::of_checkout(root).unwrap_or_else(|| Self {
            revision: UNKNOWN.to_owned(),
            commit_time: UNKNOWN.to_owned(),
            watched: Vec::new(),
        })
    }

    fn of_checkout(root: &Path) -> Option<Self> {
        let top = git(root, &["rev-parse", "--show-toplevel"])?;
        if fs::canonicalize(top).ok()? != fs::canonicalize(root).ok()? {
            return None;
        }
        let mut revision = git(root, &["rev-parse", REVISION_DIGITS, "HEAD"])?;
        if !git(root, &["status", "--porcelain", "--untracked-files=no"])?.is_empty() {
            revision.push_str("-dirty");
        }
        let commit_time = git(root, &["show", "--no-patch", "--format=%cI", "HEAD"])?;
        let branch = git(root, &["rev-parse", "--symbolic-full-name", "HEAD"])?;
        // In a worktree they are not below `.git`. The log of HEAD is there for a branch whose file is packed.
        let names = ["HEAD", "logs/HEAD", &branch, "packed-refs"];
        let paths = names.into_iter().filter_map(|name| {
            let path = root.join(git(root, &["rev-parse", "--git-path", name])?);
            // A file that is not there counts as changed.
            path.exists().then_some(path)
        });
        Some(Self { revision, commit_time, watched: paths.collect() })
    }
}

/// What git says of a directory, whatever repository a hook of git has named to this process.
fn git(root: &Path, words: &[&str]) -> Option<String> {
    let mut git = Command::new("git");
    git.arg("--no-optional-locks").arg("-C").arg(root).args(words);
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX"] {
        git.env_remove(name);
    }
    said(&mut git)
}

fn said(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim_end().to_owned())
}

/// What programs are built from.
fn sources(root: &Path) -> Vec<PathBuf> {
    let packages = fs::read_dir(root).into_iter().flatten().flatten();
    let packages = packages.map(|entry| entry.path().join("src")).filter(|path| path.is_dir());
    packages.chain([root.join("Cargo.toml"), root.join("Cargo.lock"), root.join("sql")]).collect()
}

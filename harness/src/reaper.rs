//! What ends with this process, however this process ends.
//!
//! A shell of its own waits for the end of a pipe that only this process holds open. When that comes (a
//! return from `main`, a panic, `kill -9`), the shell kills every process that is still on its list, and
//! removes the scratch directory of this process.
//!
//! `PR_SET_PDEATHSIG` would be less work, and would be wrong: the kernel sends it when the *thread* ends
//! that started the child, and tests share servers between threads. Nor does it remove anything.

use std::fs::DirBuilder;
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, process};

/// Reads `+ GROUP` and `- GROUP`, one a line, until the pipe is closed.
///
/// A signal to the owner's group is the owner's affair. What was killed may still write until it is gone,
/// which `/proc/PID/exe` tells (that of a zombie is gone), so the directory is removed after that; a
/// process that hides its memory from other users does not tell, and is not waited for.
const SCRIPT: &str = r#"
trap '' HUP INT QUIT TERM
groups=' '
while read -r what group; do
    case $what in
    +) groups="$groups$group " ;;
    -) groups="${groups%% "$group" *} ${groups#* "$group" }" ;;
    esac
done
for group in $groups; do kill -s KILL -- "-$group"; done
for group in $groups; do
    looks=0
    while [ -e "/proc/$group/exe" ] && [ $looks -lt 100 ]; do sleep 0.05; looks=$((looks + 1)); done
done
rm -rf -- "$1"
"#;

/// The one of this process. It is never dropped: the end of the process closes its pipe.
static REAPER: LazyLock<io::Result<Reaper>> = LazyLock::new(Reaper::start);

struct Reaper {
    list: Mutex<ChildStdin>,
    scratch: PathBuf,
}

/// Puts a process group on the list: it does not outlive this process.
pub(crate) fn adopt(group: u32) -> io::Result<()> {
    tell('+', group)
}

/// Takes it off the list, because it has ended and its number may come again.
pub(crate) fn forget(group: u32) {
    // Only a shell that was killed is not there to be told.
    let _ = tell('-', group);
}

/// The directory that goes with this process.
pub(crate) fn scratch() -> io::Result<&'static Path> {
    get().map(|reaper| reaper.scratch.as_path())
}

fn tell(what: char, group: u32) -> io::Result<()> {
    let mut list = get()?.list.lock().unwrap_or_else(PoisonError::into_inner);
    list.write_all(format!("{what} {group}\n").as_bytes())
}

fn get() -> io::Result<&'static Reaper> {
    REAPER.as_ref().map_err(|error| io::Error::new(error.kind(), error.to_string()))
}

impl Reaper {
    fn start() -> io::Result<Self> {
        let scratch = make_directory()?;
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT, "reaper"])
            .arg(&scratch)
            // What kills the owner's process group is not to kill this.
            .process_group(0)
            // Nor is it to keep a directory from being unmounted.
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let list = shell.stdin.take().ok_or_else(|| io::Error::other("no pipe to the shell"))?;
        Ok(Self { list: Mutex::new(list), scratch })
    }
}

/// A directory of a name that was free, which only its owner may look into.
fn make_directory() -> io::Result<PathBuf> {
    loop {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let name = format!("gatehouse-{}-{}", process::id(), since_epoch.subsec_nanos());
        let path = env::temp_dir().join(name);
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|()| path),
        }
    }
}

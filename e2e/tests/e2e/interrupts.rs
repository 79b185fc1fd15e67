//! Commands that take long and are told to stop: they say how far they came, and can be run again.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin};

use e2e::{Signal, System, until};
use rustix::process::{Pid, kill_process};
use server::limits::{REWRAP_AFTER, REWRAP_BATCH};

/// Everybody's hash.
const BCRYPT: &str = "$2b$04$cP11OSbtjAQzDiprMOiHUu0DuZD70vRwKwiFv.xwRy3wiIPU.l8Ri";

/// More than one transaction of an import, and less than two.
const USERS: u64 = 300;

/// Lines of users with these numbers.
fn users(numbers: impl Iterator<Item = u64>) -> String {
    numbers.fold(String::new(), |mut lines, number| {
        writeln!(lines, "user{number},{BCRYPT}").expect("a text grows");
        lines
    })
}

/// A command that has begun and takes signals as commands do that take long.
struct Long {
    child: Child,
    stdin: ChildStdin,
}

/// How it ended: its code, and what it said on either output.
struct Ended {
    code: Option<i32>,
    output: String,
    errors: String,
}

impl Long {
    fn begin(system: &System, words: &[&str]) -> Self {
        let mut child = system.operator(words).begin();
        let stdin = child.stdin.take().expect("it is piped");
        let status = format!("/proc/{}/status", child.id());
        until("the command to take signals", || {
            let status = fs::read_to_string(&status).expect("it has not ended");
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
            let caught = u64::from_str_radix(caught.expect("every process has it").trim(), 16);
            // SIGTERM, which is the later one to be taken.
            (caught.expect("hexadecimal") & (1 << 14) != 0).then_some(())
        });
        Self { child, stdin }
    }

    fn write(&mut self, text: &str) {
        self.stdin.write_all(text.as_bytes()).expect("it reads");
    }

    /// Returns when it has taken all that was written, and waits for more.
    fn until_read(&self) {
        until("what was written to be read", || {
            let left = rustix::io::ioctl_fionread(&self.stdin).expect("it is a pipe");
            (left == 0).then_some(())
        });
    }

    fn send(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it has not ended");
    }

    /// Waits for the end with standard input still open: nothing but the signal ends it.
    fn end(self) -> Ended {
        let Self { child, stdin } = self;
        let output = child.wait_with_output().expect("a child can be waited for");
        drop(stdin);
        let text = |bytes| String::from_utf8(bytes).expect("it writes UTF-8");
        Ended {
            code: output.status.code(),
            output: text(output.stdout),
            errors: text(output.stderr),
        }
    }
}

impl Ended {
    #[track_caller]
    fn check(&self, code: i32, words: &[&str]) {
        let said = format!("{}{}", self.output, self.errors);
        assert_eq!(self.code, Some(code), "{said}");
        for words in words {
            assert!(said.contains(words), "no {words:?} in {said}");
        }
    }
}

fn count(system: &System, pattern: &str) -> u64 {
    let path = system.store_url().strip_prefix("sqlite:").expect("a SQLite file");
    let database = rusqlite::Connection::open(path).expect("the database opens");
    database.busy_timeout(std::time::Duration::from_secs(30)).expect("it can wait");
    let query = "SELECT COUNT(*) FROM user WHERE password_record LIKE ?";
    let count: i64 = database.query_row(query, [pattern], |row| row.get(0)).expect("a number");
    u64::try_from(count).expect("a count")
}

/// The outcomes in the log of what operators did, of this command.
fn told(system: &System, command: &str) -> Vec<String> {
    let log = system.scratch().join("data/audit-operators.log");
    let log = fs::read_to_string(log).expect("there is one");
    let lines = log.lines().map(|line| serde_json::from_str(line).expect("a line is JSON"));
    let lines = lines.filter(|line: &serde_json::Value| line.to_string().contains(command));
    lines.map(|line| line["outcome"].as_str().expect("a text").to_owned()).collect()
}

/// Whoever has the audit log or keys of all servers opened again may signal them by name.
#[test]
fn a_hangup_ends_no_command() {
    let system = System::start();
    let mut import = Long::begin(&system, &["import", "-", "--format", "csv"]);
    import.write("username,password_hash\n");
    import.write(&users(0..1));
    import.until_read();
    import.send(Signal::HUP);
    import.write(&users(1..2));
    let Long { child, stdin } = import;
    drop(stdin);
    let output = child.wait_with_output().expect("a child can be waited for");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(count(&system, "%bcrypt%"), 2);
    assert_eq!(told(&system, "import"), ["begun", "ok"]);
}

#[test]
fn an_import_that_is_stopped_says_what_is_in_and_goes_on_later() {
    let system = System::start();
    let mut stored = 0;
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut import = Long::begin(&system, &["import", "-", "--format", "csv"]);
        import.write("username,password_hash\n");
        import.write(&users(stored..stored + USERS));
        until("a part to be stored", || (count(&system, "%") > stored).then_some(()));
        // A line that is not whole is no line.
        import.write("half,$2b$04$cP11");
        import.until_read();
        import.send(signal);
        let ended = import.end();
        let imported = count(&system, "%") - stored;
        assert_eq!(imported, USERS, "also what did not fill a transaction");
        let summary =
            format!("{imported} lines: {imported} imported, 0 there already, 0 skipped, 0 refused");
        ended.check(code, &[&summary, "run it again to go on"]);
        stored += imported;
    }
    assert_eq!(told(&system, "import"), ["begun", "interrupted", "begun", "interrupted"]);
    let all = format!("username,password_hash\n{}", users(0..stored + 1));
    let again = system.operator(&["import", "-", "--format", "csv"]).input(&all).succeed();
    let expected = format!("{} lines: 1 imported, {stored} there already", stored + 1);
    assert!(again.starts_with(&expected), "{again}");
}

#[test]
fn a_rewrap_that_is_stopped_says_what_is_left() {
    let system = System::start();
    let all = format!("username,password_hash\n{}", users(0..USERS));
    system.operator(&["import", "-", "--format", "csv"]).input(&all).succeed();
    system.operator(&["pepper", "rotate"]).succeed();
    let path = system.store_url().strip_prefix("sqlite:").expect("a SQLite file");
    let database = rusqlite::Connection::open(path).expect("the database opens");
    let earlier = format!("UPDATE pepper SET since_ms = since_ms - {}", REWRAP_AFTER.as_millis());
    database.execute(&earlier, []).expect("the statement is right");
    // After a batch it rests for longer than any test may take.
    let rewrap = Long::begin(&system, &["pepper", "rewrap", "--rate", "1"]);
    let batch = REWRAP_BATCH as u64;
    until("a batch to be sealed", || (count(&system, "%$k=2$%") == batch).then_some(()));
    rewrap.send(Signal::TERM);
    let sealed = format!("ended by SIGTERM: {batch} records were sealed under pepper 2");
    let left = format!("about {} were not", USERS - batch);
    rewrap.end().check(143, &[&sealed, &left]);
    assert_eq!(count(&system, "%$k=1$%"), USERS - batch);
    assert_eq!(told(&system, "rewrap"), ["begun", "interrupted"]);
    system.operator(&["pepper", "rewrap"]).succeed();
    assert_eq!(count(&system, "%$k=1$%"), 0);
}

#[test]
fn an_export_that_is_stopped_says_that_it_is_not_whole() {
    let system = System::start();
    // Several times what a pipe holds.
    let many = 5_000;
    let all = format!("username,password_hash\n{}", users(0..many));
    system.operator(&["import", "-", "--format", "csv"]).input(&all).succeed();
    let mut export = Long::begin(&system, &["export", "-", "--format", "csv"]);
    let mut stdout = export.child.stdout.take().expect("it is piped");
    // From then on it waits for its reader.
    stdout.read_exact(&mut [0]).expect("it writes");
    export.send(Signal::INT);
    let mut text = String::new();
    stdout.read_to_string(&mut text).expect("it writes UTF-8");
    export.end().check(130, &["users were written, and the others were not"]);
    assert!((text.lines().count() as u64) < many, "{} lines", text.lines().count());
    assert_eq!(told(&system, "export"), ["begun", "interrupted"]);
}

#[test]
fn what_is_measured_or_built_can_be_stopped_too() {
    let system = System::start();
    let calibrate = Long::begin(&system, &["calibrate"]);
    calibrate.send(Signal::INT);
    calibrate.end().check(130, &["interrupted by SIGINT", "sets and engines were measured"]);

    let to = system.scratch().join("breached");
    let to = to.to_str().expect("it is UTF-8");
    let mut build = Long::begin(&system, &["breached", "build", "--from", "-", "--to", to]);
    build.write("0000000000000000000000000000000000000000:1\n");
    build.send(Signal::TERM);
    build.end().check(143, &["ended by SIGTERM", "no file was made"]);
    let left = fs::read_dir(system.scratch()).expect("it can be listed");
    let left: Vec<_> = left.map(|entry| entry.expect("an entry").file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("breached")), "{left:?}");
}

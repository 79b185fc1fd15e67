//! docs/backup.md: every command of it, on stores that are in use, are lost and come back.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use credentials::ids::snowflake::EPOCH_UNIX_MS;
use e2e::{Client, Program, Redis, StopOnDrop, Store, System, run_to_end, until};
use tempfile::TempDir;

use crate::PASSWORD;
use crate::grants::Site;
use crate::pages::{Page, shell, shell_succeeds};

const PAGE: &str = include_str!("../../../docs/backup.md");

/// The blocks of a shell, in the order of the page.
struct Commands<'p> {
    backup: &'p str,
    keys_and_logs: &'p str,
    wrong: &'p str,
    move_away: &'p str,
    keys_back: &'p str,
    restore: &'p str,
    grep: &'p str,
    pepper_back: &'p str,
    retire_token_key: &'p str,
    dump: &'p str,
    restore_dump: &'p str,
    to_mariadb: &'p str,
    look: &'p str,
}

impl<'p> Commands<'p> {
    fn of(page: &'p Page) -> Self {
        let blocks = page.blocks("sh");
        let [
            backup,
            keys_and_logs,
            wrong,
            move_away,
            keys_back,
            restore,
            grep,
            pepper_back,
            retire_token_key,
            dump,
            restore_dump,
            to_mariadb,
            look,
        ] = blocks[..]
        else {
            panic!("{blocks:?}")
        };
        Self {
            backup,
            keys_and_logs,
            wrong,
            move_away,
            keys_back,
            restore,
            grep,
            pepper_back,
            retire_token_key,
            dump,
            restore_dump,
            to_mariadb,
            look,
        }
    }
}

/// The places of the page, in a directory of the test's.
struct Places {
    directory: TempDir,
}

impl Places {
    fn new() -> Self {
        let places = Self { directory: tempfile::tempdir().expect("a directory") };
        for name in ["backups", "other-place", "etc"] {
            fs::create_dir(places.at(name)).expect("it is new");
        }
        places
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The page for servers with their files in `data` and, if there is one, their database there.
    fn page(&self, data: &Path, database: &str) -> Page {
        let [backups, other, etc] =
            ["backups", "other-place", "etc"].map(|name| self.at(name).display().to_string());
        let (_, port) = database.rsplit_once(':').expect("an address");
        Page::new(
            PAGE,
            &[
                ("/var/lib/gatehouse", data.to_str().expect("UTF-8")),
                ("/var/backups/gatehouse", &backups),
                ("/srv/other-place", &other),
                ("/etc/gatehouse", &etc),
                ("127.0.0.1:3306", database),
                ("--port=3306", &format!("--port={port}")),
            ],
        )
    }

    #[track_caller]
    fn run(&self, lines: &str) -> String {
        // `./test` unpacks the program; elsewhere it is installed.
        let lines = match std::env::var("GATEHOUSE_TEST_MARIADB_DUMP") {
            Ok(program) => lines.replace("mariadb-dump ", &format!("{program} ")),
            Err(_) => lines.to_owned(),
        };
        shell_succeeds(&lines, self.directory.path())
    }
}

/// Where no database is named.
const NO_DATABASE: &str = "127.0.0.1:1";

fn system_on(data: &Path) -> System {
    System::builder().data(data.to_owned()).start()
}

fn register(client: &Client, name: &str) -> u64 {
    let id = client.register(name, PASSWORD).assert_status(200).text_at("user_id");
    id.parse().expect("a number")
}

/// Does `work` while somebody logs in again and again, before it and after it too.
fn while_ada_logs_in<T>(client: &Client, work: impl FnOnce() -> T) -> T {
    let (is_done, logins) = (AtomicBool::new(false), AtomicU32::new(0));
    thread::scope(|scope| {
        let _stop = StopOnDrop(&is_done);
        scope.spawn(|| {
            // Whoever waits for logins must not wait for a thread that has failed.
            let _stop = StopOnDrop(&is_done);
            while !is_done.load(Ordering::Relaxed) {
                client.authenticate("ada", PASSWORD).assert_status(200);
                logins.fetch_add(1, Ordering::Relaxed);
            }
        });
        let some_logins = || {
            let before = logins.load(Ordering::Relaxed);
            until("some logins", || {
                let done = logins.load(Ordering::Relaxed) >= before + 3;
                (done || is_done.load(Ordering::Relaxed)).then_some(())
            });
        };
        some_logins();
        let done = work();
        some_logins();
        done
    })
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

/// What a user finds on a system that was restored: `known` are the ids of those who were registered before, and `tokens`
/// all that there were.
fn check_restored(system: &System, known: &[u64], tokens: &[String]) {
    let client = system.client();
    for token in tokens {
        client.session(token).assert_status(401);
    }
    let token = client.log_in("ada", PASSWORD);
    client.session(&token).assert_status(200);
    client.authenticate("late", PASSWORD).assert_status(404);
    let new: Vec<u64> = ["late", "new"].map(|name| register(&client, name)).into();
    let all: HashSet<u64> = known.iter().chain(&new).copied().collect();
    assert_eq!(all.len(), known.len() + new.len());
    assert!(new.iter().all(|new| known.iter().all(|known| new > known)), "{known:?} {new:?}");
}

#[test]
fn a_backup_of_sqlite_is_restored_on_a_new_machine() {
    let places = Places::new();
    let [old_data, new_data] = ["old", "new"].map(|name| places.at(name));
    let [old, new] = [&old_data, &new_data].map(|data| places.page(data, NO_DATABASE));
    let (old, new) = (Commands::of(&old), Commands::of(&new));
    let mut system = system_on(&old_data);
    let client = system.client();
    let mut known = vec![register(&client, "ada"), register(&client, "bob")];
    let mut tokens = vec![client.log_in("ada", PASSWORD), client.log_in("bob", PASSWORD)];

    let wrong = shell(old.wrong, places.directory.path());
    let errors = String::from_utf8_lossy(&wrong.stderr);
    assert!(!wrong.status.success() && errors.contains("there is no store"), "{wrong:?}");

    let told = while_ada_logs_in(&client, || places.run(old.backup));
    assert!(told.starts_with("2 users, schema version "), "{told}");
    assert!(told.contains("OTHER_PLACE/keys.tar"), "{told}");
    let backup = places.at("backups/monday");
    let files = ["users.sqlite", "README.txt"].map(|name| backup.join(name));
    assert_eq!(mode(&backup), 0o700);
    assert_eq!(files.each_ref().map(|path| mode(path)), [0o600; 2]);
    assert_eq!(fs::read_dir(&backup).expect("it can be listed").count(), 2);
    let readme = fs::read_to_string(&files[1]).expect("it is text");
    assert!(readme.contains("users:   2\n") && readme.contains("schema:  "), "{readme}");
    // Not into a directory that has one, and nothing is left of the try.
    let again = system.operator(&["backup", backup.to_str().expect("UTF-8")]).run();
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(again.errors.contains("there are files in it"), "{again:?}");
    places.run(old.keys_and_logs);
    let left: HashSet<_> = fs::read_dir(places.at("backups"))
        .expect("it can be listed")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .filter(|name| !name.starts_with("audit"))
        .collect();
    assert_eq!(left, HashSet::from(["monday".to_owned(), "wrong.sqlite".to_owned()]));

    // What no backup knows.
    known.push(register(&client, "late"));
    tokens.extend([client.log_in("ada", PASSWORD), client.log_in("late", PASSWORD)]);
    system.operator(&["user", "disable", "bob"]).succeed();
    assert!(places.run(old.grep).contains("user disable bob"));
    let refused = system.operator(&["restored", "--yes"]).run();
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.errors.contains("a server on"), "{refused:?}");
    client.session(&tokens[2]).assert_status(200);
    system.auth().kill();
    drop(system);

    places.run(new.keys_back);
    let told = places.run(new.restore);
    assert!(told.contains("the sessions of 2 users have ended"), "{told}");
    let told = places.run(new.look);
    assert!(told.contains("ada") && told.contains("bob") && !told.contains("late"), "{told}");
    assert!(!told.contains("MISSING"), "{told}");
    check_that_no_id_comes_again(&new_data, known[2]);
    let system = system_on(&new_data);
    check_restored(&system, &known, &tokens);
    // As it was when the backup was made.
    system.client().authenticate("bob", PASSWORD).assert_status(200);
    assert_eq!(mode(&new_data.join("users.sqlite")), 0o600);
}

/// Whatever the clocks of servers say, and whichever node they take: no id has the time of one that was made before the
/// restore.
fn check_that_no_id_comes_again(data: &Path, latest: u64) {
    let database = rusqlite::Connection::open(data.join("users.sqlite")).expect("it opens");
    let query = "SELECT count(*), min(ids_until_ms) FROM server WHERE renewed_ms = 0";
    let (nodes, until_ms): (i64, i64) = database
        .query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?)))
        .expect("the statement is right");
    assert_eq!(nodes, 1_024);
    let time_ms = EPOCH_UNIX_MS + (latest >> 22);
    assert!(until_ms.cast_unsigned() > time_ms, "{until_ms} {time_ms}");
}

/// Moves the store away and puts the backup in its place, without a word of it to anybody.
fn put_in_place(places: &Places, commands: &Commands<'_>) {
    places.run(commands.move_away);
    let (copy, _) = commands.restore.split_once("\nauth_back restored").expect("the last line");
    places.run(copy);
}

#[test]
fn keys_that_were_retired_since_the_backup_are_named() {
    let places = Places::new();
    let data = places.at("data");
    let page = places.page(&data, NO_DATABASE);
    let page = Commands::of(&page);
    let mut system = system_on(&data);
    let client = system.client();
    register(&client, "ada");
    let token = client.log_in("ada", PASSWORD);
    let _marked = places.run(page.backup);
    system.operator(&["token-key", "rotate"]).succeed();
    system.operator(&["token-key", "retire", "1", "--end-sessions", "--yes"]).succeed();
    system.operator(&["pepper", "rotate"]).succeed();
    // As `pepper retire` does when no record is under it.
    let pepper = data.join("keys/pepper-1.key");
    fs::rename(&pepper, data.join("keys/pepper-1.key.retired")).expect("it is there");
    system.auth().kill();
    put_in_place(&places, &page);
    // Whoever forgets the last line is told.
    let data = format!("--data={}", data.display());
    let started = run_to_end(Program::AuthBack, &[&data, "--listen=127.0.0.1:0"], &[]);
    let errors = String::from_utf8_lossy(&started.stderr);
    assert_eq!(started.status.code(), Some(2), "{errors}");
    assert!(errors.contains("run `auth_back restored`"), "{errors}");

    let restored = || system.operator(&["restored", "--yes"]).run();
    let told = restored();
    assert_eq!(told.code, Some(2), "{told:?}");
    assert!(!told.output.contains("servers may start"), "{told:?}");
    for missing in ["token key 1, which is not among the keys", "pepper 1, which is not among"] {
        assert!(told.errors.contains(missing), "{missing}: {told:?}");
    }
    places.run(page.pepper_back);
    places.run(page.retire_token_key);
    let told = restored();
    assert_eq!(told.code, Some(0), "it may be run again: {told:?}");
    assert!(!told.errors.contains("no server starts"), "{told:?}");
    system.auth().start_again();
    system.until_ready();
    client.session(&token).assert_status(401);
    let _token = client.log_in("ada", PASSWORD);
}

#[test]
fn nothing_is_done_without_a_yes() {
    let mut system = System::start();
    let client = system.client();
    register(&client, "ada");
    let token = client.log_in("ada", PASSWORD);
    assert!(system.auth().stop().success());
    let told = system.operator(&["restored"]).run();
    assert_eq!(told.code, Some(2), "{told:?}");
    assert!(told.errors.contains("this logs out all 1 users"), "{told:?}");
    assert!(told.errors.contains("--yes"), "{told:?}");
    let told = system.operator(&["restored"]).input("n\n").on_terminal().run();
    assert_ne!(told.code, Some(0), "{told:?}");
    system.auth().start_again();
    system.until_ready();
    client.session(&token).assert_status(200);
}

/// The numbers of generations that came after the backup come again, unless somebody sees to it.
#[test]
fn redis_is_not_believed_what_it_has_from_after_the_backup() {
    let places = Places::new();
    let (data, redis) = (places.at("data"), Redis::start());
    let page = places.page(&data, NO_DATABASE);
    let page = Commands::of(&page);
    let flags = ["--sessions", &redis.url()];
    let mut system = System::builder().data(data.clone()).auth_flags(&flags).start();
    let client = system.client();
    register(&client, "ada");
    let token = client.log_in("ada", PASSWORD);
    let generation = |system: &mut System| {
        let generation = system.auth().metric("auth_back_session_cache_generation");
        #[expect(clippy::cast_possible_truncation, reason = "it is a whole number")]
        let generation = generation as i64;
        generation
    };
    // The first connection is older than what the server knows of generations, and is made anew.
    let before = until("a generation of Redis to be begun", || {
        client.session(&token).assert_status(200);
        Some(generation(&mut system)).filter(|generation| *generation > 0)
    });
    places.run(page.backup);

    // As a revocation does that cannot tell Redis.
    let database = rusqlite::Connection::open(data.join("users.sqlite")).expect("it opens");
    let raise = "UPDATE session_cache SET generation = generation + 1";
    database.execute(raise, []).expect("the statement is right");
    drop(database);
    let token = client.log_in("ada", PASSWORD);
    until("the session to be in Redis under the next generation", || {
        client.session(&token).assert_status(200);
        let script = "return #redis.call('KEYS', ARGV[1])";
        let count = redis.ask(&format!("EVAL \"{script}\" 0 *:{}:s:*", before + 1));
        (count == ":1").then_some(())
    });
    system.auth().kill();
    put_in_place(&places, &page);
    system.operator(&["restored", "--yes"]).succeed();
    system.auth().start_again();
    system.until_ready();
    client.session(&token).assert_status(401);
    assert!(generation(&mut system) > before + 1);
}

#[test]
fn a_backup_that_is_stopped_or_killed_is_none() {
    let system = System::start();
    let path = system.store_url().strip_prefix("sqlite:").expect("a SQLite file");
    let database = rusqlite::Connection::open(path).expect("it opens");
    // Enough that no machine copies it before the signal comes.
    let fill = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 300000) \
                INSERT INTO user (id, username, password_record, created_at_ms) \
                SELECT n, 'user' || n, hex(zeroblob(100)), 0 FROM n";
    database.execute(fill, []).expect("the statement is right");
    let place = system.scratch().join("backup");
    let words = ["backup", place.to_str().expect("UTF-8")];
    let hidden = || {
        let entries = fs::read_dir(system.scratch()).expect("it can be listed");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        names.filter(|name| name.to_string_lossy().starts_with(".backup.")).count()
    };
    for (signal, code, left) in [("INT", Some(130), 0), ("TERM", Some(143), 0), ("KILL", None, 1)] {
        let child = system.operator(&words).begin();
        until("the copy to grow", || {
            let entries = fs::read_dir(system.scratch()).expect("it can be listed");
            let mut copies = entries.map(|entry| entry.expect("an entry").path());
            copies.find(|path| {
                let is_hidden = path.display().to_string().contains("/.backup.");
                let copy = fs::metadata(path.join("users.sqlite"));
                is_hidden && copy.is_ok_and(|copy| copy.len() > 0)
            })
        });
        let pid = child.id().to_string();
        assert!(
            Command::new("kill").args(["-s", signal, &pid]).status().expect("it runs").success()
        );
        let ended = child.wait_with_output().expect("a child can be waited for");
        assert_eq!(ended.status.code(), code, "{ended:?}");
        if code.is_some() {
            let errors = String::from_utf8_lossy(&ended.stderr);
            assert!(errors.contains("no backup was made"), "{errors}");
        }
        assert!(!place.exists(), "{signal}");
        assert_eq!(hidden(), left, "{signal}");
    }
}

#[test]
fn a_full_disk_leaves_no_backup() {
    let system = System::start();
    register(&system.client(), "ada");
    let place = system.scratch().join("backups/one");
    // Where its beginning cannot be told, it is not begun; here it can.
    let words = ["backup", place.to_str().expect("UTF-8"), "--audit", "-"];
    let told = system.operator(&words).without_room().run();
    assert_eq!(told.code, Some(1), "{told:?}");
    assert_eq!(told.output, "", "{told:?}");
    let left = fs::read_dir(system.scratch().join("backups")).expect("it can be listed").count();
    assert_eq!(left, 0, "{told:?}");
    assert!(told.errors.contains("cannot copy"), "{told:?}");
    system.operator(&words).succeed();
}

#[test]
fn a_dump_of_mariadb_is_restored() {
    let site = Site::new();
    site.migrate();
    let places = Places::new();
    let data = site.directory.path().join("data");
    let page = places.page(&data, &site.mariadb.address().to_string());
    let secrets = page.blocks("ini");
    let [dump, schema] = secrets[..] else { panic!("{secrets:?}") };
    for (name, text) in [("etc/dump.cnf", dump), ("etc/schema.cnf", schema)] {
        fs::write(places.at(name), text).expect("it can be written");
        fs::set_permissions(places.at(name), fs::Permissions::from_mode(0o600)).expect("ours");
    }
    let commands = Commands::of(&page);
    let store = || Store::At(site.servers_store());
    let start = || System::builder().data(data.clone()).store(store()).start();
    let mut system = start();
    let client = system.client();
    let mut known = vec![register(&client, "ada")];
    let mut tokens = vec![client.log_in("ada", PASSWORD)];

    // The command names the line of the page.
    let told = system.operator(&["backup", "/somewhere"]).run();
    assert_eq!(told.code, Some(2), "{told:?}");
    let line = told.errors.lines().find(|line| line.starts_with("mariadb-dump")).expect("a line");
    for word in
        line.split(' ').filter(|word| !word.contains("/somewhere") && !word.contains(".cnf"))
    {
        assert!(commands.dump.contains(word), "{word}: {line}");
    }
    assert!(!told.errors.contains("change-me"), "{told:?}");

    while_ada_logs_in(&client, || places.run(commands.dump));
    assert_eq!(mode(&places.at("backups/gatehouse.sql")), 0o600);
    known.push(register(&client, "late"));
    tokens.extend([client.log_in("ada", PASSWORD), client.log_in("late", PASSWORD)]);
    system.auth().kill();
    drop(system);

    // Not into a database that has tables.
    let mixed = shell(commands.restore_dump, places.directory.path());
    assert!(String::from_utf8_lossy(&mixed.stderr).contains("already exists"), "{mixed:?}");
    site.mariadb.run("DROP DATABASE gatehouse");
    for statement in page.blocks("sql") {
        site.mariadb.run(statement);
    }
    let told = places.run(commands.restore_dump);
    assert!(told.contains("the sessions of 1 users have ended"), "{told}");
    check_restored(&start(), &known, &tokens);
}

#[test]
fn users_move_from_sqlite_to_mariadb() {
    let site = Site::new();
    site.migrate();
    let places = Places::new();
    let data = site.directory.path().join("data");
    let page = places.page(&data, &site.mariadb.address().to_string());
    let mut system = system_on(&data);
    let id = register(&system.client(), "ada");
    assert!(system.auth().stop().success());
    drop(system);
    places.run(Commands::of(&page).to_mariadb);
    let store = Store::At(site.servers_store());
    let system = System::builder().data(data).store(store).start();
    let client = system.client();
    let token = client.log_in("ada", PASSWORD);
    let session = client.session(&token).assert_status(200);
    assert_eq!(session.text_at("user_id"), id.to_string());
}

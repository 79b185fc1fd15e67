//! Servers under a user of their own, and operators who are root, that user, or neither.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};

use e2e::{Builder, MariaDb, Server, Store, System, is_root, until};

use crate::PASSWORD;

/// The user that servers run as, and one who has nothing to do with them. Neither needs an account.
const SERVER: u32 = 65_533;
const OTHER: u32 = 65_532;

/// A system whose servers run as [`SERVER`].
struct Site {
    system: System,
    data: PathBuf,
    // After the system, which writes to it.
    _place: tempfile::TempDir,
}

/// The words that have a command run as that user.
fn as_user(uid: u32) -> [String; 4] {
    let [user, group] = ["--reuid", "--regid"].map(|flag| format!("{flag}={uid}"));
    ["setpriv".to_owned(), user, group, "--clear-groups".to_owned()]
}

impl Site {
    /// `None` where this test's user may start nothing as another user.
    fn new() -> Option<Self> {
        Self::with(|builder| builder)
    }

    fn with(set: impl FnOnce(Builder) -> Builder) -> Option<Self> {
        if !is_root() {
            eprintln!("not done: only root may start servers as another user");
            return None;
        }
        let place = tempfile::tempdir().expect("a scratch directory can be made");
        open_to_all(place.path());
        let data = place.path().join("data");
        fs::create_dir(&data).expect("it is new");
        fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).expect("it is ours");
        chown(&data, Some(SERVER), Some(SERVER)).expect("root may");
        let builder = System::builder().data(data.clone()).wrapper(&as_user(SERVER));
        let system = set(builder).start();
        Some(Self { system, data, _place: place })
    }

    /// Nothing is there that the server could not read.
    #[track_caller]
    fn check_owners(&self) {
        for path in files(&self.data) {
            let found = fs::metadata(&path).expect("it is there");
            assert_eq!((found.uid(), found.gid()), (SERVER, SERVER), "{}", path.display());
        }
    }
}

fn open_to_all(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it is ours");
}

/// A directory and everything in it.
fn files(path: &Path) -> Vec<PathBuf> {
    let mut all = vec![path.to_owned()];
    if path.is_dir() {
        let entries = fs::read_dir(path).expect("it can be listed");
        all.extend(entries.flat_map(|entry| files(&entry.expect("an entry").path())));
    }
    all
}

fn readiness(server: &Server) -> (u16, String) {
    let answer = server.ops().get("/readyz", None);
    (answer.status, answer.text().to_owned())
}

#[test]
fn what_root_makes_belongs_to_the_server() {
    let Some(mut site) = Site::new() else { return };
    let user = site.system.client();
    user.register("ada", PASSWORD).assert_status(200);
    // As logrotate leaves it, and a first start before there was such a log.
    for name in ["audit.log", "audit-operators.log"] {
        fs::remove_file(site.data.join(name)).expect("a server makes it");
    }
    let operator = |words: &[&str]| site.system.operator(words);
    for words in [
        &["pepper", "rotate"][..],
        &["token-key", "rotate"],
        &["pepper", "rotate", "--standby"],
        &["token-key", "rotate", "--standby"],
        &["user", "unlock", "ada"],
    ] {
        operator(words).succeed();
        site.check_owners();
    }
    assert!(site.data.join("keys/pepper-3.standby.key").exists());
    until("the note to be read", || {
        site.system.auths()[0].log().contains("unlocked it").then_some(())
    });

    // The server reads them, also when it starts.
    site.system.auth().signal("HUP");
    until("the new keys to be read", || {
        site.system.auths()[0].log().contains("active: 2").then_some(())
    });
    site.system.auth().kill_and_start_again();
    site.system.until_ready();
    user.authenticate("ada", PASSWORD).assert_status(200);
    site.check_owners();
}

/// In a directory of root's, whoever has broken into the server cannot remove it.
#[test]
fn a_backup_that_root_makes_belongs_to_the_owner_of_its_directory() {
    let Some(site) = Site::new() else { return };
    site.system.client().register("ada", PASSWORD).assert_status(200);
    let backup = |place: &Path| {
        let place = place.to_str().expect("UTF-8");
        site.system.operator(&["backup", place]).succeed();
    };
    backup(&site.data.join("backups/one"));
    site.check_owners();
    let place = site.system.scratch().join("backups/one");
    backup(&place);
    for path in files(&place) {
        let found = fs::metadata(&path).expect("it is there");
        assert_eq!((found.uid(), found.mode() & 0o077), (0, 0), "{}", path.display());
    }
    // Neither a companion of the database's is left that the server could not read.
    site.check_owners();
}

#[test]
fn a_store_that_root_makes_belongs_to_the_server() {
    let Some(mut site) = Site::new() else { return };
    assert!(site.system.auth().stop().success());
    for entry in fs::read_dir(&site.data).expect("it can be listed") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
            .expect("root may");
    }
    site.system.operator(&["migrate"]).succeed();
    site.system.operator(&["pepper", "rotate"]).succeed();
    site.check_owners();
    site.system.auth().start_again();
    site.system.until_ready();
    site.system.client().register("ada", PASSWORD).assert_status(200);
    site.check_owners();
}

#[test]
fn whoever_is_neither_root_nor_the_server_is_refused_before_anything_is_done() {
    let Some(site) = Site::new() else { return };
    site.system.client().register("ada", PASSWORD).assert_status(200);
    let other = as_user(OTHER);
    let other: Vec<&str> = other.iter().map(String::as_str).collect();
    // A place that nobody else may look into is not called empty.
    let place = site.data.parent().expect("it is in a directory");
    fs::set_permissions(place, fs::Permissions::from_mode(0o700)).expect("it is ours");
    for words in [&["user", "list"][..], &["user", "disable", "ada"]] {
        let told = site.system.operator(words).behind(&other).run();
        assert_eq!(told.code, Some(2), "{told:?}");
        assert!(told.errors.contains("run this as root or as the servers' user"), "{told:?}");
    }
    open_to_all(place);
    // Nothing but ownership stands in the way.
    for path in [&site.data, &site.data.join("keys")] {
        open_to_all(path);
    }
    let before = files(&site.data);
    for words in [
        &["pepper", "rotate"][..],
        &["token-key", "rotate"],
        &["token-key", "rotate", "--audit", "off"],
        &["user", "disable", "ada"],
        &["user", "unlock", "ada"],
        &["migrate"],
    ] {
        let told = site.system.operator(words).behind(&other).run();
        assert_eq!(told.code, Some(2), "{words:?}: {told:?}");
        let way = format!("sudo -u '#{SERVER}' auth_back");
        assert!(told.errors.contains(&way), "{words:?}: no {way:?} in {told:?}");
    }
    assert_eq!(files(&site.data), before);
    // As that user it goes.
    let server = as_user(SERVER);
    let server: Vec<&str> = server.iter().map(String::as_str).collect();
    let work = site.system.scratch().to_owned();
    open_to_all(work.parent().expect("it is in /tmp"));
    site.system.operator(&["pepper", "rotate"]).behind(&server).succeed();
    site.check_owners();
}

/// Its store is no file, so that nothing but the note would be made.
#[test]
fn who_could_leave_no_note_that_the_server_reads_unlocks_nobody() {
    let mariadb = MariaDb::start();
    let store = Store::MariaDb(mariadb.database_of_account());
    let Some(site) = Site::with(|builder| builder.store(store)) else { return };
    site.system.client().register("ada", PASSWORD).assert_status(200);
    for path in [&site.data, &site.data.join("keys")] {
        open_to_all(path);
    }
    let other = as_user(OTHER);
    let other: Vec<&str> = other.iter().map(String::as_str).collect();
    let unlock = ["user", "unlock", "ada", "--audit", "off"];
    let told = site.system.operator(&unlock).behind(&other).run();
    assert_eq!(told.code, Some(2), "{told:?}");
    assert!(told.errors.contains(&format!("sudo -u '#{SERVER}' auth_back")), "{told:?}");
    assert!(!site.data.join("unlocked").exists());
}

/// Who owns the data may put a link there, which root does not follow.
#[test]
fn root_removes_nothing_where_a_link_leads() {
    let Some(site) = Site::new() else { return };
    site.system.client().register("ada", PASSWORD).assert_status(200);
    let elsewhere = site.data.with_file_name("elsewhere");
    fs::create_dir(&elsewhere).expect("it is new");
    let old = elsewhere.join("0123456789abcdef");
    let file = fs::File::create(&old).expect("it is new");
    file.set_modified(std::time::UNIX_EPOCH).expect("it is ours");
    symlink(&elsewhere, site.data.join("unlocked")).expect("root may");
    let told = site.system.operator(&["user", "unlock", "ada"]).run();
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(told.errors.contains("unlocked is no directory"), "{told:?}");
    assert_eq!(files(&elsewhere), [elsewhere.clone(), old]);
}

/// A key that root placed by hand: logins go on, and nobody takes the server for a whole one.
#[test]
fn a_server_that_cannot_read_its_keys_is_not_ready() {
    let Some(mut site) = Site::new() else { return };
    let user = site.system.client();
    user.register("ada", PASSWORD).assert_status(200);
    let key = site.data.join("keys/pepper-2.key");
    fs::write(&key, format!("0{}\n", "2".repeat(63))).expect("root may");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("it is ours");
    site.system.auth().signal("HUP");
    let why = until("the server to say so", || {
        let (status, text) = readiness(&site.system.auths()[0]);
        (status == 503).then_some(text)
    });
    assert!(why.contains("pepper-2.key") && why.contains("ermission denied"), "{why}");
    user.authenticate("ada", PASSWORD).assert_status(200);
    let refused = site.system.operator(&["pepper", "rewrap"]).run();
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.errors.contains("chown"), "{refused:?}");

    chown(&key, Some(SERVER), Some(SERVER)).expect("root may");
    site.system.auth().signal("HUP");
    until("the server to be ready again", || {
        (readiness(&site.system.auths()[0]).0 == 200).then_some(())
    });
}

/// Neither is refused: volumes and a umask of 002 look like that.
#[test]
fn a_server_says_at_its_start_who_else_may_get_at_its_keys() {
    let place = tempfile::tempdir().expect("a scratch directory can be made");
    let data = place.path().join("data");
    fs::create_dir(&data).expect("it is new");
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).expect("it is ours");
    let set_mode = |mode| {
        fs::set_permissions(place.path(), fs::Permissions::from_mode(mode)).expect("it is ours");
    };
    let mut system = System::builder().data(data.clone()).start();
    let doubts = |system: &System, words: &str| {
        let log = system.servers().map(Server::log).collect::<String>();
        log.lines().filter(|line| line.contains("WARN") && line.contains(words)).count()
    };
    let [others, another] = ["others may exchange what is in it", "who may change it"];
    assert_eq!((doubts(&system, others), doubts(&system, another)), (0, 0));
    set_mode(0o777);
    system.auth().kill_and_start_again();
    // One, whatever is in it.
    assert_eq!((doubts(&system, others), doubts(&system, another)), (1, 0));
    set_mode(0o1777);
    if is_root() {
        chown(data.join("keys/pepper-1.key"), Some(SERVER), None).expect("root may");
    }
    system.auth().kill_and_start_again();
    system.until_ready();
    assert_eq!((doubts(&system, others), doubts(&system, another)), (1, usize::from(is_root())));
    // The data directory itself, also a sticky one: a file that is missing there is anybody's to make.
    fs::set_permissions(&data, fs::Permissions::from_mode(0o1777)).expect("it is ours");
    system.auth().kill_and_start_again();
    system.until_ready();
    let command = format!("chmod go-w {}", data.display());
    assert_eq!((doubts(&system, others), doubts(&system, &command)), (2, 1));
}

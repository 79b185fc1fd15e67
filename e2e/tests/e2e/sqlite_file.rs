//! The file of SQLite is taken away or replaced under a running server, which then says so and serves nobody: what it
//! would acknowledge nobody would find again.

use std::fs;
use std::path::PathBuf;

use e2e::{Client, System};

use crate::PASSWORD;
use crate::faults::{check_all_unavailable, until_readiness};

struct Site {
    system: System,
    user: Client,
    token: String,
    file: PathBuf,
}

impl Site {
    fn new() -> Self {
        let system = System::builder().auth_flags(&["--lease", "0ms"]).start();
        let user = system.client();
        user.register("ada", PASSWORD).assert_status(200);
        let token = user.log_in("ada", PASSWORD);
        let url = system.store_url();
        let file = PathBuf::from(url.strip_prefix("sqlite:").expect("it is SQLite"));
        Self { system, user, token, file }
    }

    /// Where the file may be kept meanwhile.
    fn aside(&self) -> PathBuf {
        self.system.scratch().join("aside.db")
    }

    fn is_not_served(&mut self, expected: &str) {
        // Nothing is acknowledged that would be lost, not even before the server has looked.
        self.user.register("lost", PASSWORD).assert_status(503);
        until_readiness(self.system.auth(), 503);
        let reason = self.system.auth().ops().get("/readyz", None).text().to_owned();
        assert!(reason.contains(expected), "{reason}");
        check_all_unavailable(&self.user, &self.token);
        until_readiness(self.system.front(), 503);
    }

    fn is_served(&mut self) {
        until_readiness(self.system.auth(), 200);
        until_readiness(self.system.front(), 200);
        self.user.session(&self.token).assert_status(200);
        self.user.authenticate("ada", PASSWORD).assert_status(200);
        self.user.authenticate("lost", PASSWORD).assert_status(404);
    }
}

#[test]
fn a_file_that_was_moved_away_is_missed_until_it_is_back() {
    let mut site = Site::new();
    fs::rename(&site.file, site.aside()).expect("it may be moved");
    site.is_not_served("is gone");
    fs::rename(site.aside(), &site.file).expect("it may be moved");
    site.is_served();
}

#[test]
fn a_file_that_was_replaced_is_used_after_a_restart() {
    let mut site = Site::new();
    // A backup of a store that has the same users.
    let backup = site.aside();
    let connection = rusqlite::Connection::open(&site.file).expect("it can be read");
    let to = backup.to_str().expect("it is UTF-8");
    connection.execute("VACUUM INTO ?", [to]).expect("a copy can be made");
    drop(connection);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&backup, mode).expect("it is ours");
    fs::rename(&backup, &site.file).expect("it may be moved");
    site.is_not_served("another file");
    let _ended = site.system.auth().stop();
    for companion in ["-wal", "-shm"] {
        let mut name = site.file.clone().into_os_string();
        name.push(companion);
        // They are of the file that was replaced.
        let _gone = fs::remove_file(name);
    }
    site.system.auth().start_again();
    site.is_served();
}

#[test]
fn a_file_that_was_deleted_is_missed() {
    let mut site = Site::new();
    fs::remove_file(&site.file).expect("it may be deleted");
    site.is_not_served("is gone");
}

//! docs/grants.md: two accounts with exactly the rights that it names.

use e2e::{MariaDb, Store, System, until};
use tempfile::TempDir;

use crate::PASSWORD;
use crate::pages::{Page, shell, shell_succeeds};
use crate::users::an_operator_looks_after_a_user;

const PAGE: &str = include_str!("../../../docs/grants.md");

/// A database that was set up by the page up to its schema.
pub(crate) struct Site {
    pub(crate) mariadb: MariaDb,
    page: Page,
    pub(crate) directory: TempDir,
}

impl Site {
    pub(crate) fn new() -> Self {
        let (mariadb, directory) = (MariaDb::start(), tempfile::tempdir().expect("a directory"));
        // The harness has made the database.
        mariadb.run("DROP DATABASE gatehouse");
        let (address, data) = (mariadb.address().to_string(), directory.path().join("data"));
        let places = [
            ("127.0.0.1:3306", address.as_str()),
            ("/var/lib/gatehouse", data.to_str().expect("it is UTF-8")),
        ];
        let page = Page::new(PAGE, &places);
        for block in page.blocks("sql") {
            for statement in block.split(';').map(str::trim).filter(|text| !text.is_empty()) {
                mariadb.run(statement);
            }
        }
        Self { mariadb, page, directory }
    }

    /// The lines of the page that make the schema, and those that start a server.
    fn commands(&self) -> (&str, &str) {
        let blocks = self.page.blocks("sh");
        let [migrate, serve] = blocks[..] else { panic!("{blocks:?}") };
        (migrate, serve)
    }

    fn run_in_shell(&self, lines: &str) -> String {
        shell_succeeds(lines, self.directory.path())
    }

    /// Makes the schema.
    pub(crate) fn migrate(&self) {
        let (migrate, _) = self.commands();
        self.run_in_shell(migrate);
    }

    /// The store as the line that starts a server names it.
    pub(crate) fn servers_store(&self) -> String {
        let (_, serve) = self.commands();
        let url = serve.lines().find_map(|line| line.strip_prefix("export AUTH_BACK_STORE="));
        url.expect("the page names the store").to_owned()
    }
}

#[test]
fn servers_and_operators_need_the_four_rights_and_no_other() {
    let site = Site::new();
    let (migrate, _) = site.commands();
    let told = site.run_in_shell(migrate);
    assert!(
        told.starts_with("a NEW, EMPTY store was made in mysql://gatehouse_schema:***@"),
        "{told}"
    );
    let told = site.run_in_shell(migrate);
    assert!(told.contains("has this program's schema"), "{told}");

    let flags = ["--sessions-per-user", "3"];
    let store = Store::At(site.servers_store());
    let mut system = System::builder().store(store).fronts(2).auth_flags(&flags).start();
    an_operator_looks_after_a_user(&system);
    let user = system.client();
    user.register("eve", PASSWORD).assert_status(200);
    let token = user.log_in("eve", PASSWORD);
    user.session(&token).assert_status(200);
    // With the fourth, the oldest ends.
    let tokens = [(); 3].map(|()| user.log_in("eve", PASSWORD));
    until("the first session to end", || (user.session(&token).status == 401).then_some(()));
    let [_, _, token] = tokens;
    user.change_password(&token, PASSWORD, "staple battery horse").assert_status(200);
    let token = user.log_in("eve", "staple battery horse");
    user.logout(&token).assert_status(200);

    let operator = |words: &[&str]| system.operator(words).succeed();
    let file = system.scratch().join("users.csv");
    let file = file.to_str().expect("it is UTF-8");
    operator(&["export", file]);
    operator(&["import", file, "--dry-run"]);
    operator(&["pepper", "rotate"]);
    operator(&["pepper", "status"]);
    let log = system.auth().log();
    assert!(!log.contains("denied"), "{log}");
    assert!(system.auth().stop().success());
    drop(site.mariadb);
}

#[test]
fn a_server_without_rights_to_make_the_schema_says_which_command_does() {
    let site = Site::new();
    let (migrate, serve) = site.commands();
    let refused = |expected: &[&str]| {
        let output = shell(serve, site.directory.path());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        for text in expected {
            assert!(errors.contains(text), "{text}: {errors}");
        }
    };
    // The words of the database name what is missing.
    refused(&["cannot start", "CREATE command denied to user 'gatehouse'"]);
    site.run_in_shell(migrate);
    site.mariadb.run(
        "INSERT INTO gatehouse.user (id, username, password_record, created_at_ms) VALUES (1, 'ada', 'x', 0)",
    );
    site.mariadb.run("DELETE FROM gatehouse.schema_migration WHERE version > 4");
    refused(&["has schema version 4, this program needs 7", "auth_back migrate"]);
}

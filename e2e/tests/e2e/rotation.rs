//! docs/rotation.md: its commands, in their order, beside servers that run.

use std::time::Duration;

use e2e::{System, until};

use crate::PASSWORD;
use crate::keys::token_key;
use crate::pages::{Page, shell_succeeds};

const PAGE: &str = include_str!("../../../docs/rotation.md");

/// What commands wait for that must not come too soon has passed.
fn time_passes(system: &System, table: &str) {
    let by = Duration::from_secs(13 * 3_600).as_millis();
    let sql = format!("UPDATE {table} SET since_ms = since_ms - {by}");
    let path = system.store_url().trim_start_matches("sqlite:");
    let changed = rusqlite::Connection::open(path).and_then(|database| database.execute(&sql, []));
    assert!(changed.expect("the list of keys is there") > 0);
}

#[test]
fn the_commands_of_the_page_replace_every_key() {
    let system = System::start();
    let data = system.scratch().join("data");
    let data = data.to_str().expect("it is UTF-8");
    let page = Page::new(PAGE, &[("/var/lib/gatehouse", data)]);
    let blocks = page.blocks("sh");
    let [export, rotate, rewrap, retire, rotate_token, retire_token, leaked] = blocks[..] else {
        panic!("{blocks:?}")
    };
    let store = format!("export AUTH_BACK_STORE={}", system.store_url());
    let run =
        |block: &str| shell_succeeds(&format!("{export}\n{store}\n{block}"), system.scratch());

    let user = system.client();
    user.register("ada", PASSWORD).assert_status(200);
    let token = user.log_in("ada", PASSWORD);

    run(rotate);
    time_passes(&system, "pepper");
    let told = run(rewrap);
    assert!(told.contains("1 records were sealed under pepper 2"), "{told}");
    run(retire);
    assert!(system.keys().join("pepper-1.key.retired").exists());
    user.session(&token).assert_status(200);
    let later = user.log_in("ada", PASSWORD);

    let told = run(rotate_token);
    assert!(told.contains("token key 2"), "{told}");
    until("the server to sign under the new key", || {
        let token = user.log_in("ada", PASSWORD);
        user.logout(&token).assert_status(200);
        (token_key(&token) == 2).then_some(())
    });
    time_passes(&system, "token_key");
    run(retire_token);
    for ended in [&token, &later] {
        until("a session of the first key to end", || {
            (user.session(ended).status == 401).then_some(())
        });
    }
    let token = user.log_in("ada", PASSWORD);
    user.session(&token).assert_status(200);
    run(leaked);
    until("a session of the second key to end", || {
        (user.session(&token).status == 401).then_some(())
    });
    let token = user.log_in("ada", PASSWORD);
    user.session(&token).assert_status(200);
}

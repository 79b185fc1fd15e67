//! What a user does from the first request to the last, the same on every store.

use e2e::{Database, Store, System};
use mysql::prelude::Queryable;
use serde_json::json;

use crate::PASSWORD;

#[test]
fn a_user_comes_and_goes_on_sqlite() {
    user_comes_and_goes(&System::start());
}

#[test]
fn a_user_comes_and_goes_on_mariadb() {
    let system = System::builder().store(Store::MariaDb(Database::new())).start();
    user_comes_and_goes(&system);
}

fn user_comes_and_goes(system: &System) {
    let user = system.client();

    let user_id = user.register("ada", PASSWORD).assert_status(200).text_at("user_id");
    assert!(user_id.parse::<u64>().is_ok_and(|id| id > 0), "an id is a number as text: {user_id}");
    let code = |answer: e2e::Answer, status| answer.assert_status(status).problem_code();
    assert_eq!(code(user.register("ada", PASSWORD), 409), "username_taken");
    assert_eq!(code(user.register("Ada", "another password"), 409), "username_taken");

    assert_eq!(code(user.authenticate("ada", "wrong horse battery"), 401), "password_wrong");
    assert_eq!(code(user.authenticate("grace", PASSWORD), 404), "user_unknown");
    let login = user.authenticate("ADA", PASSWORD).assert_status(200);
    assert!(login.json()["expires_in"].as_u64().is_some_and(|seconds| seconds > 0), "{login:?}");
    let token = login.text_at("token");
    assert_ne!(user.log_in("ada", PASSWORD), token, "each login is a session of its own");

    let session = user.session(&token).assert_status(200);
    assert_eq!(session.text_at("user_id"), user_id);
    assert_eq!(session.text_at("username"), "ada");
    assert!(session.json()["expires_in"].as_u64().is_some_and(|seconds| seconds > 0));

    let products = user.products(Some(&token)).assert_status(200).json();
    let first = &products["products"][0];
    for key in ["id", "name", "description", "currency"] {
        assert!(first[key].as_str().is_some_and(|text| !text.is_empty()), "no {key} in {first}");
    }
    assert!(first["price_minor"].is_u64(), "{first}");
    let challenge = user.products(None).assert_status(401);
    assert_eq!(challenge.field("www-authenticate"), Some("Bearer realm=\"gatehouse\""));

    assert_eq!(user.logout(&token).assert_status(200).json(), json!({}));
    user.products(Some(&token)).assert_status(401);
    user.session(&token).assert_status(401);
    // Whoever did not get the answer may ask again.
    user.logout(&token).assert_status(200);
}

#[test]
fn name_and_age_are_optional_and_taken() {
    let system = System::start();
    let register = |body| system.client().post("/open_api/v1/register", &body);
    let with = |username: &str| json!({ "username": username, "password": PASSWORD });
    register(with("bare")).assert_status(200);
    let mut full = with("full");
    full["name"] = json!("Ada, Countess of Lovelace 👩‍💻");
    full["age"] = json!(36);
    register(full).assert_status(200);
    let mut null = with("null");
    null["name"] = json!(null);
    null["age"] = json!(null);
    register(null).assert_status(200);
}

#[test]
fn what_is_guessed_first_is_no_new_password() {
    let system = System::start();
    for password in ["Password1", "1234567890", "lovelace1815", "gatehouse!"] {
        system.client().register("lovelace", password).assert_status(400);
    }
    system.client().register("lovelace", PASSWORD).assert_status(200);
}

#[test]
fn a_password_is_its_characters_and_not_their_encoding() {
    let system = System::start();
    let user = system.client();
    // Precomposed here, a base letter and a combining diaeresis there: one text to its user.
    user.register("umlaut", "m\u{fc}de M\u{f6}wen").assert_status(200);
    user.authenticate("umlaut", "mu\u{308}de Mo\u{308}wen").assert_status(200);
    user.authenticate("umlaut", "m\u{fc}de m\u{f6}wen").assert_status(401);
}

#[test]
fn a_second_start_still_knows_users_and_sessions() {
    let mut system = System::start();
    let user = system.client();
    user.register("ada", PASSWORD).assert_status(200);
    let token = user.log_in("ada", PASSWORD);
    assert!(system.auth().stop().success());
    system.auth().start_again();
    system.until_ready();
    user.session(&token).assert_status(200);
    user.authenticate("ada", PASSWORD).assert_status(200);
    user.register("ada", PASSWORD).assert_status(409);
}

#[test]
fn a_stolen_user_table_has_no_password_and_no_bare_hash() {
    let database = Database::new();
    let mut connection = database.connect();
    let system = System::builder().store(Store::MariaDb(database)).start();
    system.client().register("ada", PASSWORD).assert_status(200);

    let rows: Vec<mysql::Row> = connection.query("SELECT * FROM user").expect("the table is there");
    assert_eq!(rows.len(), 1);
    let row = format!("{:?}", rows[0].clone().unwrap());
    assert!(!row.contains(PASSWORD), "{row}");
    let record: Option<String> =
        connection.query_first("SELECT password_record FROM user").expect("the column is there");
    let record = record.expect("there is one row");
    // PHC's own form ends in `$salt$hash`, which whoever has it can try passwords against.
    assert!(!record.starts_with("$argon2"), "a bare argon2 record: {record}");
    assert!(record.contains("argon2id"), "the record says how it was made: {record}");

    let unique: Option<u64> = connection
        .query_first(
            "SELECT COUNT(*) FROM information_schema.statistics \
             WHERE table_schema = DATABASE() AND table_name = 'user' \
             AND non_unique = 0 AND column_name = 'username' AND seq_in_index = 1",
        )
        .expect("the catalogue can be read");
    assert_eq!(unique, Some(1), "the username has a unique index");
}

#[test]
fn a_stolen_session_table_has_no_token() {
    let database = Database::new();
    let mut connection = database.connect();
    let system = System::builder().store(Store::MariaDb(database)).start();
    let user = system.client();
    user.register("ada", PASSWORD).assert_status(200);
    let token = user.log_in("ada", PASSWORD);
    let digest: Option<Vec<u8>> =
        connection.query_first("SELECT token_digest FROM session").expect("the table is there");
    let digest = digest.expect("there is one session");
    assert_eq!(digest.len(), 32);
    assert!(!digest.windows(4).any(|bytes| token.as_bytes().windows(4).any(|part| part == bytes)));
}

#[test]
fn neither_server_logs_a_password_or_a_token() {
    let mut system = System::builder()
        .front_flags(&["--log-level", "trace"])
        .auth_flags(&["--log-level", "trace"])
        .start();
    let user = system.client();
    user.register("ada", PASSWORD).assert_status(200);
    user.authenticate("ada", "wrong horse battery").assert_status(401);
    let token = user.log_in("ada", PASSWORD);
    user.products(Some(&token)).assert_status(200);
    user.logout(&token).assert_status(200);
    // Stopped, so that everything that is to be logged has been.
    assert!(system.front().stop().success() && system.auth().stop().success());
    for log in [system.front().log(), system.auth().log()] {
        assert!(!log.is_empty());
        for secret in [PASSWORD, "wrong horse battery", &token] {
            assert!(!log.contains(secret), "{secret:?} is in the log:\n{log}");
        }
    }
}

#[test]
fn operators_see_health_and_metrics() {
    let mut system = System::start();
    for server in [system.front().ops(), system.auth().ops()] {
        server.get("/healthz", None).assert_status(200);
        server.get("/readyz", None).assert_status(200);
        let metrics = server.get("/metrics", None).assert_status(200);
        let kind = metrics.field("content-type").unwrap_or_default();
        assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
        assert!(metrics.text().ends_with("# EOF\n"), "OpenMetrics ends so");
        server.get("/open_api/v1/products", None).assert_status(404);
    }
    // What is for operators is not served to users.
    system.client().get("/metrics", None).assert_status(404);
}

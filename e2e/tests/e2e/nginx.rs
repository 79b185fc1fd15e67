//! nginx asks whether a request may pass, with the lines that the README gives.

use e2e::{Answer, Nginx, Port, System};
use serde_json::json;

use crate::PASSWORD;

/// What the README says, with this test's addresses in it.
fn readme_lines(front: &str, shop: &str) -> String {
    let readme = include_str!("../../../README.md");
    let (_, rest) = readme.split_once("```nginx\n").expect("the README has lines for nginx");
    let (lines, _) = rest.split_once("```").expect("the lines end");
    let changed = lines.replace("127.0.0.1:8080", front).replace("http://shop", shop);
    assert!(changed.contains(front) && changed.contains(shop), "{lines}");
    changed
}

/// The status alone: refusals are in nginx's words.
#[track_caller]
fn check(answer: &Answer, expected: u16) {
    assert_eq!(answer.status, expected, "{answer:?}");
}

#[test]
fn what_is_behind_nginx_is_for_live_sessions() {
    let mut system = System::start();
    let front = system.front().address().to_string();
    let port = Port::free().expect("there is a port");
    let shop = port.address();
    // The shop says whom it takes the user for.
    let server = format!(
        "server {{ listen {shop}; location / {{ return 200 \"user=$http_x_user_id\"; }} }}"
    );
    let nginx = Nginx::start(&server, &readme_lines(&front, &format!("http://{shop}")));
    let (user, visitor) = (system.client(), nginx.client());

    let user_id = user.register("ada", PASSWORD).assert_status(200).text_at("user_id");
    let token = user.log_in("ada", PASSWORD);

    let answer = visitor.get("/basket", Some(&token));
    assert_eq!(answer.text(), format!("user={user_id}"));
    check(&answer, 200);
    check(&visitor.get("/basket", None), 401);
    check(&visitor.get("/basket", Some("gate_forged")), 401);
    // The content is the shop's; the question goes without it.
    check(&visitor.post("/basket", &json!({"item": "1"})), 401);
    check(&visitor.post_as("/basket", &json!({"item": "1"}), &token), 200);

    user.logout(&token).assert_status(200);
    check(&visitor.get("/basket", Some(&token)), 401);

    // Not knowing is no permission.
    let token = user.log_in("ada", PASSWORD);
    system.auth().kill();
    check(&visitor.get("/basket", Some(&token)), 500);
    system.auth().start_again();
    system.until_ready();
    check(&visitor.get("/basket", Some(&token)), 200);
    assert!(nginx.errors().contains("auth request unexpected status: 503"), "{}", nginx.errors());
}

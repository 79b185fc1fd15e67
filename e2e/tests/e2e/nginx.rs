//! nginx asks whether a request may pass, with the lines that the README gives.

use e2e::{Answer, Nginx, Port, RawConnection, System};
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

/// A browser's `If-Match` or `If-None-Match` is about the page that it asks for, and not about its session; a recipe
/// that passes on only what is needed keeps them apart.
#[test]
fn preconditions_are_for_what_is_behind_nginx() {
    let mut system = System::start();
    let front = system.front().address().to_string();
    let ports = [(); 2].map(|()| Port::free().expect("there is a port"));
    let [shop, guarded] = ports.each_ref().map(Port::address);
    let server = format!(
        "server {{ listen {shop}; location / {{ return 200 \"if-match=$http_x_if_match\"; }} }}
         server {{
             listen {guarded};
             location = /auth {{
                 internal;
                 proxy_pass http://{front}/open_api/v1/session;
                 proxy_pass_request_body off;
                 proxy_pass_request_headers off;
                 proxy_set_header Content-Length \"\";
                 proxy_set_header Host $http_host;
                 proxy_set_header Cookie $http_cookie;
                 proxy_set_header Authorization $http_authorization;
             }}
             location / {{
                 auth_request /auth;
                 proxy_pass http://{shop};
                 # The shop is nginx, which has opinions on these itself.
                 proxy_set_header X-If-Match $http_if_match;
                 proxy_set_header If-Match \"\";
                 proxy_set_header If-None-Match \"\";
             }}
         }}"
    );
    let nginx = Nginx::start(&server, "");
    let user = system.client();
    user.register("ada", PASSWORD).assert_status(200);
    let token = user.log_in("ada", PASSWORD);
    let mut visitor = RawConnection::open(guarded);
    for (line, answer) in
        [("If-Match: \"v7\"", "if-match=\"v7\""), ("If-None-Match: *", "if-match=")]
    {
        let request = format!(
            "PUT /note HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n{line}\r\n\
             Content-Length: 2\r\n\r\nhi"
        );
        visitor.send(request.as_bytes());
        let heard = visitor.answer();
        assert_eq!((heard.status, heard.text()), (200, answer), "{}", nginx.errors());
    }
}

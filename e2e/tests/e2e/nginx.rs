//! nginx asks whether a request may pass.

use e2e::{Nginx, Port, RawConnection, System};

use crate::PASSWORD;

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

//! The recipes of `deploy/`, as they are printed apart from addresses: what the application behind a proxy gets to see,
//! and what its users are told.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use e2e::{Answer, Client, HaProxy, Nginx, RawConnection, System, until};
use serde_json::json;

use crate::PASSWORD;

/// Where the recipes have http_front, the application and themselves.
const FRONT: &str = "127.0.0.1:8080";
const APPLICATION: &str = "127.0.0.1:3000";
const HAPROXY: &str = "127.0.0.1:8443";

/// A file of `deploy/` with the addresses of this test.
fn recipe(text: &str, front: SocketAddr, application: SocketAddr) -> String {
    text.replace(FRONT, &front.to_string()).replace(APPLICATION, &application.to_string())
}

const NGINX_HTTP: &str = include_str!("../../../deploy/nginx/gatehouse-http.conf");
const NGINX_SITE: &str = include_str!("../../../deploy/nginx/gatehouse-site.conf");
const HAPROXY_CFG: &str = include_str!("../../../deploy/haproxy/gatehouse.cfg");
const HAPROXY_LUA: &str = include_str!("../../../deploy/haproxy/gatehouse.lua");

/// An application that answers with the head of what it was asked, in lower case, and the length of the content.
fn application() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    // It ends with the process of the test.
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream));
        }
    });
    address
}

/// Serves one request.
fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    let (mut received, mut piece) = (Vec::new(), [0; 65_536]);
    let head_end = loop {
        if let Some(at) = received.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break at;
        }
        let count = stream.read(&mut piece)?;
        if count == 0 {
            return Ok(());
        }
        received.extend_from_slice(&piece[..count]);
    };
    let head = String::from_utf8_lossy(&received[..head_end]).to_lowercase();
    let length = field(&head, "content-length").map_or(0, |text| text.parse().expect("a length"));
    let mut content = received.len() - head_end - 4;
    while content < length {
        let count = stream.read(&mut piece)?;
        assert!(count > 0, "{content} of {length} bytes came");
        content += count;
    }
    let answer = format!("{head}\r\ncontent: {content}");
    let answer_head =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", answer.len());
    stream.write_all((answer_head + &answer).as_bytes())
}

/// The one value of a field in a head that is in lower case.
fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut values =
        head.split("\r\n").filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let value = values.next();
    assert!(values.next().is_none(), "{name} stands twice in {head}");
    value
}

/// A proxy that was set up by a recipe, with the system behind it.
struct Site {
    system: System,
    address: SocketAddr,
    user_id: String,
    token: String,
    _proxy: Proxy,
}

enum Proxy {
    #[expect(dead_code, reason = "kept while it serves")]
    Nginx(Nginx),
    #[expect(dead_code, reason = "kept while it serves")]
    HaProxy(HaProxy),
}

impl Site {
    fn behind_nginx() -> Self {
        Self::behind(|front, application| {
            let http = recipe(NGINX_HTTP, front, application);
            let nginx = Nginx::start(&http, NGINX_SITE);
            (nginx.address(), Proxy::Nginx(nginx))
        })
    }

    fn behind_haproxy() -> Self {
        Self::behind(|front, application| {
            let configuration = recipe(HAPROXY_CFG, front, application);
            let lua = recipe(HAPROXY_LUA, front, application);
            let haproxy = HaProxy::start_with(
                move |address| configuration.replace(HAPROXY, &address.to_string()),
                &[("gatehouse.lua", lua)],
            );
            (haproxy.address(), Proxy::HaProxy(haproxy))
        })
    }

    fn behind(proxy: impl FnOnce(SocketAddr, SocketAddr) -> (SocketAddr, Proxy)) -> Self {
        let mut system = System::builder().front_flags(&["--trusted-proxies", "127.0.0.1"]).start();
        let (address, proxy) = proxy(system.front().address(), application());
        let user = Client::new(address);
        let user_id = user.register("ada", PASSWORD).assert_status(200).text_at("user_id");
        let token = user.log_in("ada", PASSWORD);
        Self { system, address, user_id, token, _proxy: proxy }
    }

    /// The answer to `GET /page` with these fields.
    fn get(&self, fields: &str) -> Answer {
        let mut connection = RawConnection::open(self.address);
        connection
            .send(format!("GET /page HTTP/1.1\r\nHost: shop.example\r\n{fields}\r\n").as_bytes());
        connection.answer()
    }

    /// What the application gets to see of `GET /page` with these fields, of a user who is logged in.
    #[track_caller]
    fn seen(&self, fields: &str) -> String {
        let answer = self.get(fields);
        assert_eq!(answer.status, 200, "{answer:?}");
        let head = answer.text().to_owned();
        assert!(!head.contains("gate_"), "a token: {head}");
        assert!(!head.contains("__host-"), "a cookie of ours: {head}");
        assert_eq!(field(&head, "x-user-id"), Some(&*self.user_id), "{head}");
        assert_eq!(field(&head, "x-user-name"), Some("ada"), "{head}");
        assert_eq!(field(&head, "x-forwarded-for"), Some("127.0.0.1"), "{head}");
        assert_eq!(field(&head, "host"), Some("shop.example"), "{head}");
        head
    }

    fn check(&mut self) {
        self.check_identity();
        self.check_tokens();
        self.check_content();
        self.check_refusals();
        self.check_away();
    }

    /// Who the user is says the proxy alone.
    fn check_identity(&self) {
        const FORGED: &str = "X-User-Name: admin\r\nx-user-id: 1\r\nX_User_Id: 1\r\nX_USER_NAME: admin\r\n\
            X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-For: 198.51.100.2\r\nX-Request-Id: forged\r\n";
        let bearer = format!("Authorization: Bearer {}\r\n", self.token);
        let head = self.seen(&format!("{FORGED}{bearer}"));
        for forged in ["admin", "198.51.100", "forged", "x_user"] {
            assert!(!head.contains(forged), "{head}");
        }
        let request_id = field(&head, "x-request-id").expect("the proxy makes one");
        assert!(request_id.len() >= 32, "{head}");
        assert_eq!(self.get(FORGED).status, 401);
        // The proxy's own goes on to http_front, and comes back in the answer.
        let registered = Client::new(self.address).register("cyd", PASSWORD).assert_status(200);
        let id = registered.field("X-Request-Id").expect("an id");
        let member = format!("\"request_id\":\"{id}\"");
        until("the line of the registration", || {
            let audit = std::fs::read_to_string(self.system.scratch().join("data/audit.log"));
            audit.expect("an audit log").contains(&member).then_some(())
        });
        assert_eq!(self.get("").status, 401);
        assert_eq!(self.get("Cookie: __Host-session=gate_forged\r\n").status, 401);
    }

    /// The application is handed nothing that it could be the user with, and all else.
    fn check_tokens(&self) {
        let token = &self.token;
        let theirs = "Authorization: Bearer theirs\r\n";
        for (cookies, left) in [
            (format!("a=1; __Host-session={token}; __Host-device=d; b=2"), Some("a=1; b=2")),
            (format!("__Host-device=d;a=1;__Host-session={token}"), Some("a=1")),
            (format!("__Host-session={token}"), None),
        ] {
            let head = self.seen(&format!("Cookie: {cookies}\r\n{theirs}"));
            let kept = field(&head, "cookie").map(|kept| kept.trim_end_matches([';', ' ']));
            assert_eq!(kept.filter(|kept| !kept.is_empty()), left, "{cookies}");
            assert_eq!(field(&head, "authorization"), Some("bearer theirs"), "{head}");
        }
        // A name that only ends like ours is not ours. The proxies may take it out too, and never hand ours on.
        let beside = format!("x__Host-session=1; __Host-session={token}; q=\"__Host\"");
        let answer = self.get(&format!("Cookie: {beside}\r\n"));
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(!answer.text().contains("gate_"), "{answer:?}");
        for scheme in ["Bearer", "bearer", "BEARER ", "Bearer   "] {
            let head = self.seen(&format!("Authorization: {scheme} {token}\r\nCookie: a=1\r\n"));
            assert_eq!(
                field(&head, "authorization").filter(|text| !text.is_empty()),
                None,
                "{head}"
            );
            assert_eq!(field(&head, "cookie"), Some("a=1"), "{head}");
        }
        // Twice, which is no browser: whatever the answer is, nothing is handed on.
        let twice = format!("Cookie: __Host-session={token}; __Host-session={token}; c=3\r\n");
        let answer = self.get(&format!("{twice}Authorization: Bearer {token}\r\n"));
        assert!(!answer.text().contains("gate_"), "{answer:?}");
        let head = self.seen(&format!(
            "Cookie: __Host-device=1; __Host-device=2; __Host-device=3\r\nAuthorization: Bearer {token}\r\n"
        ));
        assert!(!head.contains("device"), "{head}");
    }

    /// Uploads and upgrades to other protocols are the application's.
    fn check_content(&self) {
        const UPLOAD_BYTES: usize = 5_000_000;
        let bearer = format!("Authorization: Bearer {}\r\n", self.token);
        let mut connection = RawConnection::open(self.address);
        let head = format!(
            "POST /upload HTTP/1.1\r\nHost: shop.example\r\n{bearer}Content-Length: {UPLOAD_BYTES}\r\n\r\n"
        );
        connection.send(head.as_bytes());
        connection.send(&vec![b'x'; UPLOAD_BYTES]);
        let answer = connection.answer();
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.text().ends_with(&format!("content: {UPLOAD_BYTES}")), "{answer:?}");

        let handshake = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        let head = self.seen(&format!("{bearer}{handshake}"));
        assert_eq!(field(&head, "upgrade"), Some("websocket"), "{head}");
        assert_eq!(field(&head, "connection"), Some("upgrade"), "{head}");
    }

    /// What http_front refuses is told in its words.
    fn check_refusals(&self) {
        let user = Client::new(self.address);
        let large = json!({"username": "ada", "password": "x".repeat(2_000_000)});
        let answer = user.post("/open_api/v1/authenticate", &large);
        assert_eq!((answer.status, &*answer.problem_code()), (413, "content_too_large"));
        let refused = (0..100).find_map(|_| {
            let answer = user.authenticate("ada", "wrong horse battery");
            (answer.status != 401).then_some(answer)
        });
        let refused = refused.expect("guesses are limited");
        assert_eq!((refused.status, &*refused.problem_code()), (429, "too_many_attempts"));
        assert!(refused.field("Retry-After").is_some(), "{refused:?}");

        user.register("bob", PASSWORD).assert_status(200);
        let bearer = user.log_in("bob", PASSWORD);
        user.logout(&bearer).assert_status(200);
        assert_eq!(self.get(&format!("Authorization: Bearer {bearer}\r\n")).status, 401);
    }

    /// Not knowing who it is is a 503, and no 401 or 500.
    fn check_away(&mut self) {
        let bearer = format!("Authorization: Bearer {}\r\n", self.token);
        let is_away = |site: &Self| {
            let answer = site.get(&bearer);
            assert_eq!(answer.status, 503, "{answer:?}");
            assert_eq!(answer.field("Retry-After"), Some("1"), "{answer:?}");
            assert_eq!(answer.json()["status"], 503, "{answer:?}");
        };
        self.system.auth().kill();
        is_away(self);
        self.system.auth().start_again();
        self.system.until_ready();
        let _ = self.seen(&bearer);
        self.system.front().kill();
        is_away(self);
        self.system.front().start_again();
        self.system.until_ready();
        let _ = self.seen(&bearer);
        // Its users were told apart all the time.
        let log = self.system.front().log();
        assert!(!log.contains("count as one address"), "{log}");
    }
}

#[test]
fn what_is_behind_nginx_is_handed_its_users_and_not_their_tokens() {
    Site::behind_nginx().check();
}

#[test]
fn what_is_behind_haproxy_is_handed_its_users_and_not_their_tokens() {
    Site::behind_haproxy().check();
}

#[test]
fn the_readme_quotes_the_recipes() {
    let readme = include_str!("../../../README.md");
    let mut quoted = 0;
    for block in readme.split("```nginx\n").skip(1) {
        let (block, _) = block.split_once("```").expect("a block ends");
        for line in block.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let is_there = |text: &str| text.lines().any(|other| other.trim() == line);
            assert!(is_there(NGINX_HTTP) || is_there(NGINX_SITE), "{line:?} is in no recipe");
            quoted += 1;
        }
    }
    assert!(quoted >= 5, "the README has {quoted} lines of the recipe");
    for address in [FRONT, APPLICATION] {
        assert!(NGINX_HTTP.contains(address) && HAPROXY_CFG.contains(address), "{address}");
    }
    assert!(HAPROXY_CFG.contains(HAPROXY) && HAPROXY_LUA.contains(FRONT));
}

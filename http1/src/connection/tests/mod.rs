//! Connections driven with byte arrays.

mod bodies;
mod ids;
mod life;
mod properties;
mod refusals;

use std::net::IpAddr;
use std::time::{Duration, UNIX_EPOCH};

use reactor::testing::Harness;

use super::Connection;
use crate::{
    Accepted, Answered, Answerer, DateCache, Exchange, Fault, Handler, Head, HeadError, Method,
    PreparedResponse, Problem, Progress, Reason, Reply, RequestId, Response, Shared, Status,
};

/// Content that `POST /echo` accepts.
const ECHO_BYTES_MAX: usize = 64;
/// The time that `POST /later` gives its worker.
const LATER_TIME_MAX: Duration = Duration::from_secs(5);

const NOT_FOUND: Problem =
    Problem::new(Status::NotFound, "not_found", "Not found", "No such path.");
const NOT_ALLOWED: Problem =
    Problem::new(Status::MethodNotAllowed, "method_not_allowed", "Method not allowed", "GET only.")
        .with_field(&("Allow", "GET, HEAD"));

/// A small application: a page, an echo, and something that takes a while.
struct Site {
    page: PreparedResponse,
    /// The requests that were handed over: path and body.
    requests: Vec<String>,
    faults: Vec<Fault>,
    /// The status codes of the answers, as they were counted.
    answered: Vec<u16>,
    /// Those that the protocol gave by itself.
    refused: Vec<u16>,
    peer_is_gateway: bool,
    /// How many ids were given, if the site gives any.
    ids_given: Option<u8>,
}

#[derive(Debug)]
enum Route {
    Page,
    /// Has no effect; its query is the status.
    Look(Status),
    Echo,
    Later,
}

impl Handler for Site {
    type Call = Route;
    type Completion = String;
    const METHODS: &'static str = "GET, HEAD, POST, OPTIONS";

    fn is_gateway(&self, _: IpAddr) -> bool {
        self.peer_is_gateway
    }

    fn on_head(&mut self, head: &Head<'_>, _: &Exchange) -> Result<Accepted<Route>, Problem> {
        match (head.path(), head.method()) {
            ("/page", Method::Get | Method::Head) => {
                Ok(Accepted::without_body(Route::Page).without_id())
            }
            ("/page", _) => Err(NOT_ALLOWED),
            ("/echo", _) => Ok(Accepted::with_body(Route::Echo, ECHO_BYTES_MAX)),
            ("/look", _) => {
                let status = if head.query().is_some() { Status::NotFound } else { Status::Ok };
                Ok(Accepted::with_body(Route::Look(status), ECHO_BYTES_MAX).without_effect())
            }
            ("/later", _) => Ok(Accepted::with_body(Route::Later, ECHO_BYTES_MAX)),
            _ => Err(NOT_FOUND),
        }
    }

    fn request_id(&mut self, head: Option<&Head<'_>>, _: &Exchange) -> Option<RequestId> {
        let given = self.ids_given.as_mut()?;
        *given += 1;
        let told = head.and_then(|head| head.fields("X-Request-Id").next());
        Some(told.and_then(RequestId::given).unwrap_or(RequestId::of_bytes([*given; 16])))
    }

    fn on_request(
        &mut self,
        route: Route,
        body: &[u8],
        exchange: &Exchange,
        reply: Reply<'_>,
    ) -> Progress {
        let name = match route {
            Route::Look(_) => "Look".to_owned(),
            _ => format!("{route:?}"),
        };
        self.requests.push(format!("{name} {}", String::from_utf8_lossy(body)));
        match route {
            Route::Page => reply.send_prepared(&self.page).into(),
            Route::Look(status) => reply.send(&Response::new(status), b"").into(),
            Route::Echo => reply.send(&Response::new(Status::Ok), body).into(),
            Route::Later => reply.later(exchange.now + LATER_TIME_MAX),
        }
    }

    fn on_completion(&mut self, content: String, _: &Exchange, reply: Reply<'_>) -> Answered {
        reply.send(&Response::new(Status::Ok), content.as_bytes())
    }

    fn on_answered(&mut self, status: Status, by: Answerer, _: &Exchange) {
        self.answered.push(status.code());
        if by == Answerer::Protocol {
            self.refused.push(status.code());
        }
    }

    fn on_fault(&mut self, fault: Fault, _: &Exchange) {
        self.faults.push(fault);
    }
}

type Wire = Harness<Connection<Site>>;

fn connect() -> Wire {
    connect_to(|shared| shared)
}

/// A connection to a site with settings of its own.
fn connect_to(set: impl FnOnce(Shared<Site>) -> Shared<Site>) -> Wire {
    Harness::new(set(shared()))
}

fn shared() -> Shared<Site> {
    let site = Site {
        page: PreparedResponse::new(&Response::new(Status::Ok), b"page"),
        requests: Vec::new(),
        faults: Vec::new(),
        answered: Vec::new(),
        refused: Vec::new(),
        peer_is_gateway: false,
        ids_given: None,
    };
    // The example of RFC 9110 section 5.6.7.
    let dates = DateCache::new(|| UNIX_EPOCH + Duration::from_secs(784_111_777));
    Shared::with_dates(site, dates)
}

/// What was sent, without the lines that are the same in each answer.
fn sent(wire: &mut Wire) -> String {
    let text = String::from_utf8(wire.take_output()).expect("the site sends text");
    let answers = text.matches("HTTP/1.1 ").count() - text.matches("HTTP/1.1 100 ").count();
    [
        "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
        "X-Content-Type-Options: nosniff\r\n",
        "Cross-Origin-Resource-Policy: same-origin\r\n",
    ]
    .iter()
    .fold(text, |text, line| {
        assert_eq!(text.matches(line).count(), answers, "{text}");
        text.replace(line, "")
    })
}

/// The status lines' codes of what was sent, in order.
fn codes(sent: &str) -> Vec<u16> {
    sent.split("HTTP/1.1 ").skip(1).map(|answer| answer[..3].parse().expect("digits")).collect()
}

fn ok(content: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{content}", content.len())
}

fn ok_and_close(content: &str) -> String {
    ok(content).replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")
}

const PAGE: &[u8] = b"GET /page HTTP/1.1\r\nHost: a\r\n\r\n";
const LATER: &[u8] = b"POST /later HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";

/// Sends `input` on a fresh connection and compares the codes of the answers, the requests that
/// reached the application, and whether the connection was closed.
fn check(input: &[u8], codes_expected: &[u16], requests: &[&str], closed: bool) {
    let mut wire = connect();
    wire.feed(input);
    let shown = String::from_utf8_lossy(&input[..input.len().min(200)]).into_owned();
    assert_eq!(codes(&sent(&mut wire)), codes_expected, "{shown:?}");
    assert_eq!(wire.shared().handler.answered, codes_expected, "{shown:?}");
    assert_eq!(wire.shared().handler.requests, requests, "{shown:?}");
    assert_eq!(wire.is_finished(), closed, "{shown:?}");
}

fn faults(wire: &mut Wire) -> Vec<Fault> {
    std::mem::take(&mut wire.shared().handler.faults)
}

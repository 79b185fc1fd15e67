//! The ops listener over byte arrays, and what is told of faults.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use http1::Reason;
use reactor::testing::Harness;

use super::*;
use crate::log::tests::written;

struct Bench {
    wire: Harness<Connection<Ops>>,
    registry: Arc<RwLock<Registry>>,
    _probe: Probe,
}

/// A server that is ready.
fn bench() -> Bench {
    let mut registry = Registry::new("test");
    let faults = Faults::observe(&mut registry, "ops");
    let registry = Arc::new(RwLock::new(registry));
    let (asked, was_asked) = std::sync::mpsc::channel();
    let readiness = Readiness::unknown();
    let probe = Probe::start("probe", Duration::from_secs(3600), readiness.clone(), move || {
        let _ = asked.send(());
        Ok(Serves::All)
    });
    let probe = probe.expect("a thread");
    was_asked.recv().expect("the check is made");
    let ops = Ops::new(Arc::clone(&registry), readiness, faults);
    Bench { wire: Harness::new(Shared::new(ops)), registry, _probe: probe }
}

#[track_caller]
fn check(request: &str, expected: &str) -> String {
    let mut bench = bench();
    bench.wire.feed(format!("{request} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
    let answer = String::from_utf8(bench.wire.take_output()).expect("text");
    assert!(answer.starts_with(&format!("HTTP/1.1 {expected} ")), "{request}: {answer}");
    assert!(answer.contains("X-Content-Type-Options: nosniff\r\n"), "{answer}");
    answer
}

#[test]
fn pages_are_there_for_get_and_head() {
    for page in ["/healthz", "/metrics"] {
        let whole = check(&format!("GET {page}"), "200");
        assert!(whole.contains("Cache-Control: no-store\r\n"), "{whole}");
        let head = check(&format!("HEAD {page}"), "200");
        assert!(head.ends_with("\r\n\r\n"), "{head}");
        let refused = check(&format!("POST {page}"), "405");
        assert!(refused.contains("Allow: GET, HEAD\r\n"), "{refused}");
    }
    check("GET /", "404");
}

#[test]
fn what_is_asked_of_the_whole_server_or_by_no_method_is_told() {
    let answer = check("OPTIONS *", "204");
    assert!(answer.contains("Allow: GET, HEAD, OPTIONS\r\n"), "{answer}");
    check("OPTIONS http://a", "204");
    check("OPTIONS /healthz", "405");
    check("LOCK /healthz", "501");
    check("LOCK /nowhere", "501");
    check("GET https://a/healthz", "421");
}

#[test]
fn faults_are_counted_by_reason() {
    let mut bench = bench();
    bench
        .wire
        .feed(b"LOCK / HTTP/1.1\r\nHost: a\r\n\r\nGET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGET");
    bench.wire.feed(b" / HTTP/1.1\r\n\r\n");
    let text = bench.registry.read().encode();
    for (reason, status, count) in
        [("method", 501, 1), ("host", 400, 1), ("tls", 400, 0), ("version", 505, 0)]
    {
        let line = format!(
            "test_http_faults_total{{listener=\"ops\",status=\"{status}\",reason=\"{reason}\"}} {count}"
        );
        assert!(text.lines().any(|it| it == line), "{line} in {text}");
    }
}

#[test]
fn listeners_count_apart_under_one_name() {
    let mut registry = Registry::new("test");
    let (http, ops) =
        (Faults::observe(&mut registry, "http"), Faults::observe(&mut registry, "ops"));
    http.note(Fault::Truncated, LOCALHOST);
    http.clone().note(Fault::Truncated, LOCALHOST);
    assert_eq!((http.count(Reason::Truncated), ops.count(Reason::Truncated)), (2, 0));
}

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

#[test]
fn other_protocols_are_told_with_the_peer_and_sparingly() {
    let text = written("info", crate::log::Format::Text, || {
        let faults = Faults::observe(&mut Registry::new("test"), "http");
        for error in
            [http1::HeadError::Tls, http1::HeadError::Http2, http1::HeadError::ProxyProtocol]
        {
            for last in 1..=3 {
                faults.note(Fault::Head(error), IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)));
            }
        }
        faults.note(Fault::Truncated, LOCALHOST);
    });
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    for (line, name) in lines.iter().zip(["TLS", "HTTP/2", "PROXY"]) {
        assert!(line.contains(name) && line.contains("192.0.2.1"), "{line}");
        assert!(line.contains("listener=\"http\""), "{line}");
    }
}

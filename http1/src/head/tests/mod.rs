//! Heads: what is taken, what is refused, and that it is the same whole and in pieces.

mod headers;
mod request_line;

use super::*;
use crate::limits::HEAD_BYTES_MAX;
use proptest::prelude::*;

/// What a test looks at: method, path, query, length, whether the connection goes on.
type Gist = (Method, String, Option<String>, BodyLength, bool);

fn gist(head: &Head<'_>) -> Gist {
    let query = head.query().map(str::to_owned);
    (head.method(), head.path().to_owned(), query, head.body_length(), head.persists())
}

/// As a head that arrives in pieces is parsed: its gist, and its length.
fn parse_scanned(input: &[u8]) -> Result<Option<(Gist, usize)>, HeadError> {
    let Some(length) = HeadScan::default().advance(input, HEAD_BYTES_MAX)? else { return Ok(None) };
    let copy = as_http_1_1(&input[..length]);
    let mut slots = FieldSlots::new();
    let head = Head::parse(copy.as_ref().map_or(&input[..length], |copy| copy), &mut slots)?;
    Ok(Some((gist(&head), length)))
}

/// As one that has come whole is parsed.
fn parse_whole(input: &[u8]) -> Option<(Gist, usize)> {
    let mut slots = FieldSlots::new();
    let (head, length) = Head::parse_whole(input, &mut slots).ok()??;
    Some((gist(&head), length))
}

fn parse(input: &[u8]) -> Result<Gist, HeadError> {
    let scanned = parse_scanned(input);
    // Later minor versions never count as whole: they are rare.
    if input.len() <= REQUEST_LINE_BYTES_MAX && as_http_1_1(input).is_none() {
        assert_eq!(parse_whole(input), scanned.clone().unwrap_or(None), "both ways find the same");
    }
    let (gist, length) = scanned?.expect("the head is complete");
    assert_eq!(length, input.len(), "the head ends with the input");
    Ok(gist)
}

fn check(input: &[u8], expected: &Result<Gist, HeadError>) {
    let shown = String::from_utf8_lossy(&input[..input.len().min(200)]);
    assert_eq!(&parse(input), expected, "{shown:?}");
}

fn refused(input: &[u8], error: HeadError) {
    check(input, &Err(error));
}

/// A GET with one valid `Host` and these lines.
fn with_lines(lines: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n").into_bytes()
}

fn check_length(lines: &str, expected: Result<BodyLength, HeadError>) {
    check(
        &with_lines(lines),
        &expected.map(|length| (Method::Get, "/".to_owned(), None, length, true)),
    );
}

/// Pieces of heads, right and wrong, of which lines and ends of lines can be made.
fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "GET / HTTP/1.1",
        "POST /a?b HTTP/1.0",
        "OPTIONS * HTTP/1.1",
        "CONNECT a:1 HTTP/1.1",
        "GET / HTTP/2.0",
        "GET / HTTP/1.2",
        "GET http://b/%41 HTTP/1.1",
        "OPTIONS https://b HTTP/1.1",
        "GET /%4 HTTP/1.1",
        "PRI * HTTP/2.0",
        "PROXY TCP4 a b 1 2",
        "\u{16}",
        "If-Match: *",
        "Expect: ,",
        "GET  / HTTP/1.1",
        "\r\n",
        "\r\n",
        "\r\n",
        "\r\n\r\n",
        "\n",
        "\r",
        "\n\n",
        "Host: a",
        "host:b:80",
        "Host: a@b",
        "Content-Length: 5",
        "Transfer-Encoding: chunked",
        "Expect: 100-continue",
        "Connection: close",
        "A: b",
        "A : b",
        " folded",
        ":",
        "\0",
        "\u{e9}",
        "x",
    ])
}

/// All that a head tells but its headers.
fn facts(head: &Head<'_>) -> String {
    let of_whom = (head.authority(), head.names_https());
    let wishes = (head.expects_continue(), head.is_conditional(), head.requires_match());
    format!("{:?} {:?} {of_whom:?} {wishes:?}", gist(head), head.version())
}

/// What [`parse_scanned`] and [`parse_whole`] find, with all facts.
fn facts_both_ways(input: &[u8]) -> [Option<(String, usize)>; 2] {
    let scanned = || {
        let length = HeadScan::default().advance(input, HEAD_BYTES_MAX).ok()??;
        let mut slots = FieldSlots::new();
        Head::parse(&input[..length], &mut slots).ok().map(|head| (facts(&head), length))
    };
    let whole = || {
        let mut slots = FieldSlots::new();
        let (head, length) = Head::parse_whole(input, &mut slots).ok()??;
        Some((facts(&head), length))
    };
    [scanned(), whole()]
}

proptest! {
    /// Whatever arrives in one piece is taken exactly when it would be taken piece by piece, and as the
    /// same request.
    #[test]
    fn a_whole_head_is_parsed_as_one_in_pieces_is(
        begins_well in any::<bool>(),
        pieces in prop::collection::vec(piece(), 0..14),
    ) {
        let begin = if begins_well { "GET / HTTP/1.1\r\nHost: a\r\n" } else { "" };
        let input = [begin, &pieces.concat()].concat();
        let [scanned, whole] = facts_both_ways(input.as_bytes());
        prop_assert_eq!(whole, scanned);
    }
}

#[test]
fn only_so_much_is_looked_at_for_a_whole_head() {
    let of_length = |bytes: usize| {
        let filler = vec![b'b'; bytes - with_lines("A: \r\n").len()];
        with_lines(&format!("A: {}\r\n", String::from_utf8(filler).expect("letters")))
    };
    let longest = of_length(REQUEST_LINE_BYTES_MAX);
    assert_eq!(parse_whole(&longest).expect("it is whole").1, REQUEST_LINE_BYTES_MAX);
    assert_eq!(
        parse_whole(&[&longest[..], b"GET"].concat()).expect("it is whole").1,
        longest.len()
    );
    assert_eq!(parse_whole(&of_length(REQUEST_LINE_BYTES_MAX + 1)), None);
}

#[test]
fn a_bare_line_feed_is_found_wherever_it_stands() {
    for head in [
        &b"GET / HTTP/1.0\r\n\r\n"[..],
        b"GET /a?b HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nA:\r\nB: \t \r\nC: d e \r\nF: g\r\n\r\n",
    ] {
        assert!(parse_whole(head).is_some());
        for at in 0..head.len() {
            let (before, after) = head.split_at(at);
            let lengthened = [before, b"\n", after].concat();
            let expected = parse_scanned(&lengthened).unwrap_or(None);
            assert_eq!(parse_whole(&lengthened), expected, "LF at {at}");
            if let [b'\r', after @ ..] = after {
                let bare = [before, after].concat();
                assert_eq!(parse_whole(&bare), None, "no CR at {at}");
                let mut slots = FieldSlots::new();
                let parsed = Head::parse(&bare, &mut slots).map(|head| gist(&head));
                assert_eq!(parsed, Err(HeadError::BareLineFeed), "no CR at {at}");
            }
        }
    }
}

//! Laws for any input, cut in any way.

use proptest::prelude::*;

use super::*;

/// What came of some input: what was sent, whether it was the end, what was asked.
#[derive(Debug, PartialEq)]
struct Outcome {
    sent: String,
    finished: bool,
    requests: Vec<String>,
    faults: Vec<Fault>,
}

fn run<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut wire = connect();
    for piece in pieces {
        wire.feed(piece);
    }
    Outcome {
        sent: String::from_utf8_lossy(&wire.take_output()).into_owned(),
        finished: wire.is_finished(),
        requests: wire.shared().handler.requests.clone(),
        faults: faults(&mut wire),
    }
}

#[test]
fn every_split_point_of_a_pipelined_sequence_gives_the_same_answers() {
    let sequence = [
        PAGE,
        b"\r\nPOST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
          3\r\nhel\r\n2\r\nlo\r\n0\r\nA: b\r\n\r\n",
        b"HEAD /page HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /none HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        b"POST /none HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"GET /page HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        b"GET /page HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    ]
    .concat();
    let whole = run([&sequence[..]]);
    assert_eq!(codes(&whole.sent), [200, 200, 200, 200, 404, 404, 200, 200]);
    assert!(whole.finished);
    for at in 0..=sequence.len() {
        let (first, second) = sequence.split_at(at);
        assert_eq!(run([first, second]), whole, "split at {at}");
    }
    assert_eq!(run(sequence.chunks(1)), whole, "byte by byte");
}

/// Bytes that are likely to be requests, or nearly.
fn nearly_requests() -> impl Strategy<Value = Vec<u8>> {
    let token = prop::sample::select(vec![
        "GET /page HTTP/1.1\r\n",
        "POST /echo HTTP/1.1\r\n",
        "POST /none HTTP/1.0\r\n",
        "HEAD /page HTTP/1.7\r\n",
        "OPTIONS * HTTP/1.1\r\n",
        "OPTIONS http://b HTTP/1.1\r\n",
        "LOCK https://b/page HTTP/1.1\r\n",
        "GET https://b/page HTTP/1.1\r\n",
        "PROXY TCP4 a b 1 2\r\n",
        "HEAD ",
        "\u{16}",
        "\0",
        "Host: a\r\n",
        "Content-Length: 3\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Connection: keep-alive\r\n",
        "If-Match: \"a\"\r\n",
        "If-None-Match: *\r\n",
        "Expect: ,100-continue\r\n",
        "\r\n",
        "\r\n",
        "abc",
        "3\r\nabc\r\n",
        "3;a=\"b;\"\r\nabc\r\n",
        "3;a=\"b\r\nabc\r\n",
        "0\r\n",
        "\n",
        " ",
        "GET /page HTTP/1.1\r\nHost: a\r\n\r\n",
        "HEAD /page HTTP/1.3\r\nHost: a\r\n\r\n",
        "POST /later HTTP/1.1\r\nHost: a\r\nIf-Match: *\r\nContent-Length: 3\r\n\r\nabc",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    ]);
    let part = prop_oneof![
        8 => token.prop_map(|text| text.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..6),
    ];
    proptest::collection::vec(part, 0..24).prop_map(|parts| parts.concat())
}

/// Output for input: no answer of the site is longer than this, and each takes a request's bytes.
const ANSWER_BYTES_MAX: usize = 512;
/// `GET / HTTP/1.0` and two line ends.
const REQUEST_BYTES_MIN: usize = 18;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_input_ends_in_the_same_state_however_it_is_cut(
        input in nearly_requests(),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
        cuts.extend([0, input.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|cut| &input[cut[0]..cut[1]]);
        prop_assert_eq!(run(pieces), run([&input[..]]));
    }

    #[test]
    fn any_input_leaves_a_connection_that_waits_with_a_deadline_or_has_finished(
        input in prop_oneof![nearly_requests(), proptest::collection::vec(any::<u8>(), 0..600)],
    ) {
        let mut wire = connect();
        wire.feed(&input);
        let sent = wire.take_output();
        let answers_max = input.len() / REQUEST_BYTES_MIN + 1;
        prop_assert!(sent.len() <= answers_max * ANSWER_BYTES_MAX);
        prop_assert!(!wire.is_aborted());
        prop_assert_eq!(wire.is_finished(), wire.deadline().is_none());
        // Time alone ends it, whatever state it is in.
        wire.advance(Duration::from_secs(3600));
        prop_assert!(wire.is_finished());
    }
}

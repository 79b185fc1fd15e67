//! Whole connections: no input panics, however it is cut it is answered alike, and time alone ends every connection.

#![no_main]

use std::time::{Duration, UNIX_EPOCH};

use http1::{
    Accepted, Answered, Connection, DateCache, Exchange, Handler, Head, Method, Problem, Progress,
    Reply, Response, Shared, Status,
};
use libfuzzer_sys::fuzz_target;
use reactor::testing::Harness;

/// Echoes POST, at once or later; shows a page; refuses the rest.
struct Echo;

const REFUSED: Problem = Problem::new(Status::NotFound, "not_found", "Not found", "Not here.");

impl Handler for Echo {
    type Call = bool;
    type Completion = ();

    fn on_head(&mut self, head: &Head<'_>, _: &Exchange) -> Result<Accepted<bool>, Problem> {
        match head.method() {
            Method::Post => Ok(Accepted::with_body(head.query().is_some(), 256)),
            Method::Get | Method::Head => Ok(Accepted::without_body(false)),
            _ => Err(REFUSED),
        }
    }

    fn on_request(
        &mut self,
        later: bool,
        body: &[u8],
        exchange: &Exchange,
        reply: Reply<'_>,
    ) -> Progress {
        if later {
            return reply.later(exchange.now + Duration::from_secs(1));
        }
        reply.send(&Response::new(Status::Ok).entity_tag("\"v7\""), body).into()
    }

    fn on_completion(&mut self, (): (), _: &Exchange, reply: Reply<'_>) -> Answered {
        reply.send(&Response::new(Status::NoContent), b"")
    }
}

/// What is sent for input that comes in pieces of so many bytes.
fn answers(input: &[u8], piece_bytes: usize) -> Vec<u8> {
    let dates = DateCache::new(|| UNIX_EPOCH);
    let mut wire = Harness::<Connection<Echo>>::new(Shared::with_dates(Echo, dates));
    for piece in input.chunks(piece_bytes) {
        wire.feed(piece);
    }
    assert!(!wire.is_aborted());
    let sent = wire.take_output();
    wire.advance(Duration::from_secs(3600));
    assert!(wire.is_finished());
    sent
}

fuzz_target!(|input: &[u8]| {
    let Some((&cut, input)) = input.split_first() else { return };
    let whole = answers(input, input.len().max(1));
    // Whoever has begun to send a body is not told to go on, so pieces may bring one interim answer more.
    let without_interim =
        |sent: &[u8]| String::from_utf8_lossy(sent).replace("HTTP/1.1 100 Continue\r\n\r\n", "");
    let in_pieces = answers(input, usize::from(cut).max(1));
    assert_eq!(without_interim(&in_pieces), without_interim(&whole));
});

//! Whole connections: no input panics, and time alone ends every connection.

#![no_main]

use std::time::Duration;

use http1::{
    Accepted, Answered, Connection, Exchange, Handler, Head, Method, Problem, Progress, Reply,
    Response, Shared, Status,
};
use libfuzzer_sys::fuzz_target;
use reactor::testing::Harness;

/// Echoes POST, at once or later; refuses the rest.
struct Echo;

const REFUSED: Problem = Problem::new(Status::NotFound, "not_found", "Not found", "Only POST.");

impl Handler for Echo {
    type Call = bool;
    type Completion = ();

    fn on_head(&mut self, head: &Head<'_>, _: &Exchange) -> Result<Accepted<bool>, Problem> {
        match head.method() {
            Method::Post => Ok(Accepted::with_body(head.query().is_some(), 256)),
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
        reply.send(&Response::new(Status::Ok), body).into()
    }

    fn on_completion(&mut self, (): (), _: &Exchange, reply: Reply<'_>) -> Answered {
        reply.send(&Response::new(Status::NoContent), b"")
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((&cut, input)) = input.split_first() else { return };
    let mut wire = Harness::<Connection<Echo>>::new(Shared::new(Echo));
    for piece in input.chunks(usize::from(cut).max(1)) {
        wire.feed(piece);
    }
    assert!(!wire.is_aborted());
    wire.advance(Duration::from_secs(3600));
    assert!(wire.is_finished());
});

//! What the tests of several modules need.

use reactor::testing::connection_id;
use reactor::{Mailbox, Ticket};
use service::metrics::Registry;

use std::time::Instant;

use crate::metrics::Metrics;
use crate::token::Token;
use crate::work::{Job, Outcome, Unanswered, Work};

pub(crate) fn metrics() -> Metrics {
    Metrics::new(&mut Registry::new("test"))
}

pub(crate) fn token(text: &str) -> Token {
    Token::new(text.as_bytes()).expect("a token of the test's own")
}

/// A job whose answer is posted for the connection `slot`.
pub(crate) fn job(mailbox: &Mailbox<Outcome>, slot: u32, work: Work, deadline: Instant) -> Job {
    let ticket = Ticket::new(mailbox.clone(), connection_id(slot), Unanswered::Dropped);
    Job { work, deadline, ticket, http_request_id: None, claim: None, in_flight: None }
}

//! Either server may be deployed first: each works with a later release of the other, which sends
//! what is not known today.

use e2e::System;
use framing::registry::{authenticate, hello, response, session};

use crate::{
    PASSWORD,
    peer::{
        self, AUTHENTICATE, Body, CHECK_SESSION, HEALTH, HELLO, Peer, REGISTER, Style,
        fresh_request_id,
    },
};

/// A field number that no release has given out yet, and a value that no type of today has.
const UNKNOWN_FIELD: u64 = 120;
const UNKNOWN_VALUE: &[u8] = b"\xff\x00 from the future";

/// A message type that no release has given out yet.
const UNKNOWN_TYPE: u8 = 200;

fn newer_peer(system: &System) -> Peer {
    let hello =
        Body::hello(3).number(&hello::FEATURES, u64::MAX).with(UNKNOWN_FIELD, false, UNKNOWN_VALUE);
    // Features stand before the limits in order of their numbers; order is free.
    Peer::greet(system.raw_auth(), Style::NEWER, &hello)
}

#[test]
fn auth_back_serves_a_newer_front() {
    let system = System::start();
    let mut front = newer_peer(&system);
    let more = |body: Body| body.with(UNKNOWN_FIELD, false, UNKNOWN_VALUE);

    let register = more(Body::register("ada", PASSWORD, fresh_request_id()));
    assert_eq!(front.ask(REGISTER, &register).status(), 200);
    let login = front.ask(AUTHENTICATE, &more(Body::authenticate("ada", PASSWORD)));
    assert_eq!(login.status(), 200, "{login:?}");
    let token = login.text(&authenticate::TOKEN);
    let check = more(Body::default().bytes(&session::TOKEN, &token));
    let live = front.ask(CHECK_SESSION, &check);
    assert_eq!((live.status(), live.text(&session::USERNAME).as_str()), (200, "ada"));
}

#[test]
fn auth_back_refuses_what_it_must_understand_and_goes_on() {
    let system = System::start();
    let mut front = newer_peer(&system);
    let register = Body::register("ada", PASSWORD, fresh_request_id());
    let refused = front.ask(REGISTER, &register.with(UNKNOWN_FIELD, true, UNKNOWN_VALUE));
    assert_eq!(refused.status(), 400, "{refused:?}");
    // It was refused, not served without what it demanded.
    assert_eq!(front.ask(AUTHENTICATE, &Body::authenticate("ada", PASSWORD)).status(), 404);

    let refused = front.ask(UNKNOWN_TYPE, &Body::default().with(1, true, UNKNOWN_VALUE));
    assert_eq!(refused.status(), 400, "{refused:?}");
    front.assert_served();
}

#[test]
fn http_front_is_served_by_a_newer_auth_back() {
    let answer = |request: &peer::Message| {
        let body = match request.message_type {
            HELLO => Body::hello(3).number(&hello::FEATURES, u64::MAX),
            AUTHENTICATE => Body::default()
                .bytes(&authenticate::TOKEN, "token-of-the-future")
                .number(&authenticate::USER_ID, 42)
                .number(&authenticate::EXPIRES_IN_MS, 60_000),
            HEALTH => Body::default().number(&framing::registry::health::READY, 1),
            // A code that is not known today counts by its status.
            _ => {
                let refusal = Body::default().number(&response::STATUS, 409);
                return refusal.bytes(&response::CODE, "from_the_future");
            }
        };
        body.number(&response::STATUS, 200).with(UNKNOWN_FIELD, false, UNKNOWN_VALUE)
    };
    let auth = peer::serve(Style::NEWER, answer);
    let system = System::builder().foreign_auth(auth).start();
    let user = system.client();
    let login = user.authenticate("ada", PASSWORD).assert_status(200);
    assert_eq!(login.text_at("token"), "token-of-the-future");
    user.register("ada", PASSWORD).assert_status(409);
}

//! The codec allocates nothing in its steady state. A test program of its own, because it counts what
//! the whole process allocates.

use std::alloc::System;
use std::net::{IpAddr, Ipv4Addr};

use framing::v2::{
    Answer, Authenticate, AuthenticateReply, Encoder, Inbox, Refusal, ReplyMessage, Request,
    RequestId, split_frame,
};
use framing::{Secret, Status};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const REQUEST: Authenticate<'_> = Authenticate {
    username: "alice.liddell",
    password: Secret::new("correct horse battery staple"),
    request_id: RequestId::new([7; 16]),
    client_address: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
    user_agent: Some("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    device: Some(Secret::new("marker of an earlier login")),
    forwarded: true,
};

const REPLY: AuthenticateReply<'_> = AuthenticateReply {
    token: Secret::new("token"),
    user_id: u64::MAX,
    expires_in_ms: 1000,
    device: None,
};

/// What `turn` allocates once it has run twice: buffers have their size by then.
#[track_caller]
fn check(mut turn: impl FnMut(), expected: usize) {
    turn();
    turn();
    let region = Region::new(ALLOCATOR);
    for _ in 0..100 {
        turn();
    }
    let change = region.change();
    assert_eq!(change.allocations + change.reallocations, expected);
}

/// One test, so that no other allocates at the same time.
#[test]
fn steady_state() {
    let mut wire = Vec::new();
    check(
        || {
            wire.clear();
            Encoder::default().request(&mut wire, 1, 1000, &REQUEST).unwrap();
            let (frame, _) = split_frame(&wire).unwrap().unwrap();
            assert!(matches!(Request::decode(&frame), Ok(Request::Authenticate(_))));
        },
        0,
    );

    let mut inbox = Inbox::new();
    let mut answered = |answer: &Answer<'_, AuthenticateReply<'_>>| {
        wire.clear();
        Encoder::default().answer(&mut wire, 1, answer).unwrap();
        inbox.space()[..wire.len()].copy_from_slice(&wire);
        inbox.filled(wire.len());
        let frame = inbox.next_frame().unwrap().unwrap();
        assert_eq!(AuthenticateReply::decode(frame.body).unwrap().is_ok(), answer.is_ok());
    };
    check(|| answered(&Ok(REPLY)), 0);
    check(|| answered(&Err(Refusal::new(Status::NOT_FOUND, "user_unknown"))), 0);

    // That counting works.
    check(|| drop(std::hint::black_box(vec![0_u8; 16])), 100);
}

//! HELLO, requests, answers, refusals.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use credentials::PasswordError;
use credentials::ids::UserId;
use framing::Secret;
use framing::v2::{
    Authenticate, CheckSession, CheckSessionReply, Features, Health, HealthReply, Logout,
    LogoutReply, MessageType, Products, ProductsReply, Register, RegisterReply, RequestId,
};
use guard::{Bucket, TooManyAttempts};
use store::{Cause, Product, SessionRow, StoreError};

use super::super::testing::{Bench, frames, hello, request, request_of, request_within, time_left};
use super::super::*;
use crate::accounts::{Ended, Live, Origin};
use crate::job::Done;
use crate::limits::BUDGET_MAX;

const TOKEN: Secret<'_> = Secret::new("a token");
const CHECK: CheckSession<'_> = CheckSession { token: TOKEN };
const LOGOUT: Logout<'_> = Logout { token: TOKEN, all: false, client_address: None };

fn ours() -> Hello<'static> {
    Hello { features: FEATURES, hash_threads: 1, ..Hello::current(SOFTWARE, IN_FLIGHT_MAX) }
}

fn registered() -> Result<Done, AccountError> {
    Ok(Done::Registered(UserId::new(7).unwrap()))
}

fn live(lease: Duration) -> Live {
    let session = SessionRow {
        session_id: 1,
        user_id: 7,
        username: "ada".to_owned(),
        epoch: 0,
        created_at_ms: 5,
        last_seen_at_ms: 5,
        expires_at_ms: 9,
        ends_at_ms: 9,
    };
    Live { session, expires_in: Duration::from_secs(2), lease }
}

fn ended(settles_in: Duration) -> Ended {
    Ended { settles_in, user_id: Some(7) }
}

fn refused(correlation: u64, status: u16, code: &str) -> (u64, u16, String) {
    (correlation, status, code.to_owned())
}

#[test]
fn hello_is_answered_with_ours() {
    let mut bench = Bench::new(false);
    for byte in hello() {
        bench.send(&[byte]);
    }
    let output = bench.harness.take_output();
    assert_eq!(frames(&output)[0].answer::<Hello<'_>>(), Ok(Ok(ours())));
    assert!(!bench.harness.is_finished());
}

#[test]
fn hello_comes_first_and_once() {
    let mut bench = Bench::new(false);
    bench.harness.feed(&request(1, &Health));
    bench.check_closed_for_input();

    let mut bench = Bench::greeted();
    bench.harness.feed(&hello());
    bench.check_closed_for_input();

    let malformed = [&hello()[..24], &[0; 200]].concat();
    let mut bench = Bench::new(false);
    bench.harness.feed(&malformed);
    bench.check_closed_for_input();
}

#[test]
fn a_peer_without_common_ground_learns_what_we_speak() {
    let mut bench = Bench::new(false);
    bench.harness.feed(&request(1, &Hello { version_min: 3, version_max: 9, ..ours() }));
    let output = bench.harness.take_output();
    assert_eq!(frames(&output)[0].answer::<Hello<'_>>(), Ok(Ok(ours())));
    assert!(bench.harness.is_finished() && !bench.harness.is_aborted());
    assert_eq!(bench.protocol_errors(), 1);
}

#[test]
fn each_request_goes_to_its_lane_with_all_it_says() {
    let mut bench = Bench::greeted();
    let request_id = RequestId::new([7; 16]);
    let client_address = Some(IpAddr::from([192, 0, 2, 1]));
    let (username, password) = ("Ada", Secret::new("correct horse"));
    let user_agent = Some("curl/8");
    let (name, age, device) = (Some("A"), Some(36), Some(Secret::new("a marker")));
    let register = Register {
        username,
        password,
        name,
        age,
        request_id,
        client_address,
        user_agent,
        forwarded: false,
    };
    let authenticate = Authenticate {
        username,
        password,
        request_id,
        client_address,
        user_agent,
        device,
        forwarded: false,
    };
    bench.send(&[request(2, &register), request(3, &authenticate)].concat());

    let job = bench.heavy_job();
    let Request::Register(asked) = &job.request else { panic!("not a registration") };
    assert_eq!((&*asked.username, &**asked.password), ("Ada", "correct horse"));
    assert_eq!((asked.name.as_deref(), asked.age), (Some("A"), Some(36)));
    assert_eq!(asked.request_id, Some([7; 16]));
    let job = bench.heavy_job();
    let Request::Authenticate(asked) = &job.request else { panic!("not a login") };
    assert_eq!((&*asked.username, &**asked.password), ("Ada", "correct horse"));
    assert_eq!(
        (Some(asked.origin.client_address), asked.origin.user_agent.as_deref()),
        (client_address, user_agent)
    );
    assert_eq!(asked.device.as_ref().map(|text| text.as_str()), Some("a marker"));

    // An address that nobody says is that of the other side. The harness connects from 127.0.0.1.
    let register = Register { client_address: None, forwarded: true, ..register };
    let authenticate = Authenticate { client_address: None, ..authenticate };
    bench.send(&[request(2, &register), request(3, &authenticate)].concat());
    let Request::Register(asked) = bench.heavy_job().request else { panic!("not a registration") };
    let user_agent = user_agent.map(str::to_owned);
    let here = Origin { user_agent, ..Origin::at(Ipv4Addr::LOCALHOST.into()) };
    assert_eq!(asked.origin, Origin { is_forwarded: true, ..here.clone() });
    let Request::Authenticate(asked) = bench.heavy_job().request else { panic!("not a login") };
    assert_eq!(asked.origin, here);

    bench.send(&[request(4, &CHECK), request(5, &LOGOUT)].concat());
    bench.send(&[request(6, &Products { token: TOKEN }), request(7, &Health)].concat());
    let is = |job: Job, expected: fn(&Request) -> Option<&str>| {
        assert_eq!(expected(&job.request), Some("a token"));
    };
    is(bench.light_job(), |asked| match asked {
        Request::CheckSession(token) => Some(token),
        _ => None,
    });
    is(bench.light_job(), |asked| match asked {
        Request::LogOut(asked) => Some(&asked.token),
        _ => None,
    });
    is(bench.light_job(), |asked| match asked {
        Request::Products(token) => Some(token),
        _ => None,
    });
    assert!(matches!(bench.light_job().request, Request::Health));
}

#[test]
fn a_budget_counts_from_arrival_and_not_for_ever() {
    let mut bench = Bench::greeted();
    let mut check = |budget_ms, expected| {
        bench.send(&request_within(budget_ms, 2, &Health));
        let job = bench.light_job();
        assert_eq!(time_left(&bench, job.deadline), expected);
        bench.answer(job, Ok(Done::Health(Ok(()))));
    };
    check(0, Duration::ZERO);
    check(250, Duration::from_millis(250));
    check(u32::MAX, BUDGET_MAX);
}

#[test]
fn answers_leave_as_they_are_done() {
    let mut bench = Bench::greeted();
    let asked: Vec<u8> = (10..15).flat_map(|correlation| request(correlation, &CHECK)).collect();
    bench.send(&asked);
    let mut jobs: Vec<_> = (10..15).map(|_| bench.light_job()).collect();
    jobs.swap(0, 3);
    jobs.swap(1, 4);
    for job in jobs {
        bench.answer(job, Err(AccountError::SessionNotLive));
    }
    let order: Vec<u64> =
        bench.answers().into_iter().map(|(correlation, ..)| correlation).collect();
    assert_eq!(order, [13, 14, 12, 10, 11]);
}

/// Sends a request, has it come to `outcome`, and reads the answer.
macro_rules! check_answer {
    ($message:expr, $lane:ident, $outcome:expr, $reply:ty, $expected:expr) => {{
        let mut bench = Bench::greeted();
        bench.send(&request(9, &$message));
        let job = bench.$lane();
        bench.answer(job, $outcome);
        let output = bench.harness.take_output();
        let frame = frames(&output)[0];
        assert_eq!((frame.correlation, frame.answer::<$reply>()), (9, Ok($expected)));
    }};
}

const REGISTER: Register<'_> = Register {
    username: "ada",
    password: TOKEN,
    name: None,
    age: None,
    request_id: RequestId::new([0xab; 16]),
    client_address: None,
    user_agent: None,
    forwarded: false,
};

#[test]
fn what_a_request_is_found_again_by_goes_with_it() {
    let mut bench = Bench::greeted();
    bench.send(&request_of("q1", &CHECK));
    assert_eq!(bench.light_job().http_request_id.as_deref(), Some("q1"));
    bench.send(&request_of("q2", &REGISTER));
    assert_eq!(bench.heavy_job().http_request_id.as_deref(), Some("q2"));
    // A front before release 2.2 tells none; what it draws for its own use is better than nothing.
    bench.send(&request(9, &CHECK));
    assert_eq!(bench.light_job().http_request_id, None);
    bench.send(&request(9, &REGISTER));
    assert_eq!(bench.heavy_job().http_request_id.as_deref(), Some(&*"ab".repeat(16)));
    // It goes into logs as it is.
    bench.harness.take_output();
    bench.send(&request_of("q\n", &CHECK));
    let output = bench.harness.take_output();
    let refusal = Refusal::new(Status::BAD_REQUEST, "message_malformed");
    assert_eq!(frames(&output)[0].answer::<CheckSessionReply<'_>>(), Ok(Err(refusal)));
}

#[test]
fn outcomes_as_answers() {
    let register = REGISTER;
    check_answer!(
        register,
        heavy_job,
        registered(),
        RegisterReply,
        Ok(RegisterReply { user_id: 7 })
    );

    let session = |lease_ms| CheckSessionReply {
        user_id: 7,
        username: "ada",
        lease_ms,
        expires_in_ms: 2_000,
        created_at_unix_ms: 5,
    };
    // What may be relied on is rounded down, what has to be waited for is rounded up.
    let lease = Duration::from_micros(250_999);
    check_answer!(
        CHECK,
        light_job,
        Ok(Done::Session(live(lease))),
        CheckSessionReply<'_>,
        Ok(session(250))
    );
    let logout = LOGOUT;
    let settles = |settled_in_ms| Ok(LogoutReply { settled_in_ms });
    check_answer!(
        logout,
        light_job,
        Ok(Done::LoggedOut(ended(Duration::from_micros(260_001)))),
        LogoutReply,
        settles(261)
    );
    check_answer!(
        logout,
        light_job,
        Ok(Done::LoggedOut(ended(Duration::from_millis(260)))),
        LogoutReply,
        settles(260)
    );
    check_answer!(
        logout,
        light_job,
        Ok(Done::LoggedOut(ended(Duration::ZERO))),
        LogoutReply,
        settles(0)
    );

    let well = HealthReply { ready: true, reason: "", draining: false };
    check_answer!(Health, light_job, Ok(Done::Health(Ok(()))), HealthReply<'_>, Ok(well));
}

#[test]
fn a_store_that_is_away_is_not_ready_and_keeps_its_details() {
    let secret = Cause::Database("10.0.0.7: ".to_owned() + &"x".repeat(2_000));
    let away = AccountError::StoreUnavailable(StoreError::Unavailable(secret));
    let ill = HealthReply { ready: false, reason: "the store is not available", draining: false };
    check_answer!(Health, light_job, Ok(Done::Health(Err(away))), HealthReply<'_>, Ok(ill));
}

fn product(product_id: u64, currency: &str, description: String) -> Product {
    let (name, currency) = ("Mug".to_owned(), currency.to_owned());
    Product { product_id, name, description, price_minor: 1490, currency }
}

/// The ids of the products that a peer gets to see of these.
fn shown(products: Vec<Product>) -> Result<Vec<u64>, u16> {
    let mut bench = Bench::greeted();
    bench.send(&request(9, &Products { token: TOKEN }));
    let job = bench.light_job();
    bench.answer(job, Ok(Done::Products(live(Duration::ZERO), products)));
    let output = bench.harness.take_output();
    match frames(&output)[0].answer::<ProductsReply<'_>>().unwrap() {
        Ok(reply) => Ok(reply.products.iter().map(|product| product.id).collect()),
        Err(refusal) => Err(refusal.status().get()),
    }
}

#[test]
fn a_product_that_cannot_be_sent_does_not_take_the_others_along() {
    let good = || product(1, "EUR", "d".repeat(2_048));
    let bad_currency = product(2, "eur", String::new());
    let too_long = product(3, "EUR", "d".repeat(2_049));
    let mut long_name = product(4, "EUR", String::new());
    long_name.name = "n".repeat(257);
    assert_eq!(shown(vec![bad_currency, good(), too_long, long_name]), Ok(vec![1]));
    assert_eq!(shown(vec![]), Ok(vec![]));
    assert_eq!(shown((0..40).map(|_| good()).collect()), Err(500), "no frame holds so many");
}

#[test]
fn refusals_have_a_status_and_a_code() {
    let store = || Cause::Database("secret".to_owned());
    let retry_after = Duration::from_micros(1_500_001);
    let too_many = TooManyAttempts { retry_after, bucket: Bucket::Account };
    for (error, status, code) in [
        (AccountError::UsernameTaken, 409, "username_taken"),
        (AccountError::UserUnknown, 404, "user_unknown"),
        (AccountError::PasswordWrong, 401, "password_wrong"),
        (AccountError::CredentialsWrong, 401, "credentials_wrong"),
        (AccountError::from(too_many), 429, "too_many_attempts"),
        (AccountError::Password(PasswordError::Common), 400, "password_common"),
        (AccountError::Password(PasswordError::Contextual), 400, "password_common"),
        (AccountError::Password(PasswordError::Breached), 400, "password_breached"),
        (AccountError::from(PasswordError::NotCompared), 500, "internal"),
        (AccountError::Password(PasswordError::Empty), 400, "password_invalid"),
        (AccountError::SessionNotLive, 401, "session_not_live"),
        (AccountError::SessionUnknown, 404, "session_unknown"),
        (AccountError::TimedOut, 503, "timed_out"),
        (AccountError::from(StoreError::Unavailable(store())), 503, "store_unavailable"),
        (AccountError::from(StoreError::Unavailable(Cause::Deadline)), 503, "timed_out"),
        (AccountError::KeysUnavailable, 503, "keys_unavailable"),
        (AccountError::from(StoreError::Corrupt(store())), 500, "internal"),
        (AccountError::from(StoreError::Internal(store())), 500, "internal"),
    ] {
        let mut bench = Bench::greeted();
        bench.send(&request(9, &CHECK));
        let job = bench.light_job();
        bench.answer(job, Err(error));
        let output = bench.harness.take_output();
        assert!(!output.windows(6).any(|bytes| bytes == b"secret"));
        let frame = frames(&output)[0];
        let Ok(Err(refusal)) = frame.answer::<CheckSessionReply<'_>>() else { panic!("{frame:?}") };
        assert_eq!((refusal.status().get(), refusal.code()), (status, code));
        assert_eq!(refusal.retry_after_ms(), if status == 429 { 1_501 } else { 0 });
    }
}

#[test]
fn what_cannot_be_understood_costs_its_request_only() {
    let mut unknown_type = request(2, &Health);
    unknown_type[5] = 200;
    let mut overrun = request(3, &CHECK);
    let last = overrun.len() - "a token".len() - 1;
    overrun[last] = 100;
    let mut missing = request(4, &Health);
    missing[5] = MessageType::CheckSession.number();
    let mut not_utf8 = request(5, &CHECK);
    *not_utf8.last_mut().unwrap() = 0xff;
    let mut bench = Bench::greeted();
    bench.send(&[unknown_type, overrun, missing, not_utf8, request(6, &CHECK)].concat());
    let job = bench.light_job();
    bench.answer(job, Err(AccountError::SessionNotLive));
    assert_eq!(
        bench.answers(),
        [
            refused(2, 400, "message_type_unknown"),
            refused(3, 400, "message_malformed"),
            refused(4, 400, "field_missing"),
            refused(5, 400, "not_utf8"),
            refused(6, 401, "session_not_live"),
        ]
    );
    assert_eq!(bench.protocol_errors(), 0);
}

#[test]
fn what_is_no_frame_closes() {
    let mut too_long = request(2, &Health);
    too_long[8..12].copy_from_slice(&(64 * 1024_u32).to_be_bytes());
    let mut response = request(2, &Health);
    response[4] = 2;
    for bytes in [b"GARBAGE".to_vec(), too_long, response, b"\x03REG".to_vec(), vec![0; 30]] {
        let mut bench = Bench::greeted();
        bench.harness.feed(&bytes);
        bench.check_closed_for_input();
    }
    for first in [b'P', 0, 0xff] {
        let mut bench = Bench::new(true);
        bench.harness.feed(&[first]);
        bench.check_closed_for_input();
    }
}

#[test]
fn a_newer_peer_is_understood() {
    let newer_hello = Hello { version_max: 9, features: Features::from_bits(u64::MAX), ..ours() };
    let mut bench = Bench::new(false);
    bench.send(&newer(&request(1, &newer_hello)));
    assert_eq!(bench.answers(), [(1, 200, String::new())]);
    bench.send(&newer(&request(2, &CHECK)));
    let job = bench.light_job();
    bench.answer(job, Err(AccountError::SessionNotLive));
    assert_eq!(bench.answers(), [refused(2, 401, "session_not_live")]);
}

/// The frame as a newer release sends it: a longer header, an unknown flag, an unknown field.
fn newer(frame: &[u8]) -> Vec<u8> {
    let (head, body) = frame.split_at(24);
    // Field 100, which need not be understood, of two bytes.
    let body = [body, &[0xc8, 1, 2, b'?', b'!']].concat();
    let mut head = head.to_vec();
    head[3] += 3;
    head[6] = 0x80;
    head[8..12].copy_from_slice(&u32::try_from(body.len()).unwrap().to_be_bytes());
    [&head[..], &[1, 2, 3], &body].concat()
}

//! The messages that manage sessions: release 2.1.

use std::net::IpAddr;
use std::time::Duration;

use credentials::ids::{SessionId, UserId};
use credentials::{KeyId, Keyring, SecretKey, TokenKeyring};
use framing::Secret;
use framing::limits::USER_AGENT_BYTES_MAX;
use framing::v2::{
    ChangePassword, ChangePasswordReply, Hello, Logout, RevokeSession, RevokeSessionReply,
    Sessions, SessionsReply,
};
use store::{ListedSession, SessionRow};

use super::super::testing::{Bench, frames, hello, request};
use super::super::*;
use crate::accounts::{Changed, Ended, Listed, Opened};
use crate::job::Done;

const TOKEN: Secret<'_> = Secret::new("a token");
const ADDRESS: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));

#[test]
fn they_are_announced() {
    let mut bench = Bench::new(false);
    bench.send(&hello());
    let output = bench.harness.take_output();
    let ours = frames(&output)[0].answer::<Hello<'_>>().unwrap().unwrap();
    assert!(ours.features.contains(Features::SESSION_MANAGEMENT));
}

#[test]
fn each_goes_to_its_lane_with_all_it_says() {
    let mut bench = Bench::greeted();
    bench.send(&request(2, &Logout { token: TOKEN, all: true, client_address: ADDRESS }));
    let job = bench.light_job();
    let Request::LogOut(asked) = &job.request else { panic!("no logout") };
    assert_eq!((&**asked.token, asked.all), ("a token", true));
    assert_eq!(Some(asked.origin.client_address), ADDRESS);

    bench.send(&request(3, &Sessions { token: TOKEN }));
    let job = bench.light_job();
    let Request::Sessions(token) = &job.request else { panic!("no list") };
    assert_eq!(&***token, "a token");

    let revoke = RevokeSession { token: TOKEN, session_id: 9, client_address: ADDRESS };
    bench.send(&request(4, &revoke));
    let job = bench.light_job();
    let Request::RevokeSession(asked) = &job.request else { panic!("no revocation") };
    assert_eq!((&**asked.token, asked.session_id), ("a token", 9));
    assert_eq!(Some(asked.origin.client_address), ADDRESS);

    let change = ChangePassword {
        token: TOKEN,
        current_password: Secret::new("correct horse"),
        new_password: Secret::new("battery staple"),
        client_address: ADDRESS,
        user_agent: Some("curl/8"),
        forwarded: true,
    };
    bench.send(&request(5, &change));
    let job = bench.heavy_job();
    let Request::ChangePassword(asked) = &job.request else { panic!("no change") };
    assert_eq!((&**asked.token, &**asked.current_password), ("a token", "correct horse"));
    assert_eq!(&**asked.new_password, "battery staple");
    let origin = &asked.origin;
    let known = (Some(origin.client_address), origin.is_forwarded, origin.user_agent.as_deref());
    assert_eq!(known, (ADDRESS, true, Some("curl/8")));
}

#[test]
fn ended_sessions_settle() {
    let mut bench = Bench::greeted();
    let settles_in = Duration::from_micros(510_001);
    let ended = Ended { settles_in, user_id: Some(7) };
    bench.send(&request(9, &RevokeSession { token: TOKEN, session_id: 9, client_address: None }));
    let job = bench.light_job();
    bench.answer(job, Ok(Done::Revoked(ended)));
    let output = bench.harness.take_output();
    let answer = frames(&output)[0].answer::<RevokeSessionReply>();
    assert_eq!(answer, Ok(Ok(RevokeSessionReply { settled_in_ms: 511 })));

    let keys = TokenKeyring::new(Keyring::single(KeyId::FIRST, SecretKey::random().unwrap()));
    let token = keys.issue().unwrap();
    let text = token.expose().to_owned();
    let opened = Opened {
        token,
        session_id: SessionId::new(8).unwrap(),
        user_id: UserId::new(7).unwrap(),
        expires_in: Duration::from_secs(5),
        device: None,
    };
    let change = ChangePassword {
        token: TOKEN,
        current_password: TOKEN,
        new_password: TOKEN,
        client_address: None,
        user_agent: None,
        forwarded: false,
    };
    bench.send(&request(10, &change));
    let job = bench.heavy_job();
    bench.answer(job, Ok(Done::PasswordChanged(Changed { opened, settles_in })));
    let output = bench.harness.take_output();
    let answer = frames(&output)[0].answer::<ChangePasswordReply<'_>>().unwrap().unwrap();
    assert_eq!((answer.token.expose(), answer.user_id), (&*text, 7));
    assert_eq!((answer.expires_in_ms, answer.settled_in_ms), (5_000, 511));
}

#[test]
fn a_list_says_which_session_asks_and_cuts_what_is_too_long() {
    let current = SessionRow {
        session_id: 2,
        user_id: 7,
        username: "ada".to_owned(),
        epoch: 0,
        created_at_ms: 5,
        last_seen_at_ms: 6,
        expires_at_ms: 9,
        ends_at_ms: 9,
    };
    let listed = |session_id, user_agent: &str| ListedSession {
        session_id,
        token_digest: [1; 32],
        created_at_ms: 5,
        last_seen_at_ms: 6,
        expires_at_ms: 1_009,
        client_address: ADDRESS,
        user_agent: Some(user_agent.to_owned()),
    };
    let sessions = vec![listed(2, "curl/8"), listed(1, &"é".repeat(255))];
    let mut bench = Bench::greeted();
    bench.send(&request(9, &Sessions { token: TOKEN }));
    let job = bench.light_job();
    bench.answer(job, Ok(Done::Sessions(Listed { current, sessions, at_ms: 9 })));
    let output = bench.harness.take_output();
    let answer = frames(&output)[0].answer::<SessionsReply<'_>>().unwrap().unwrap();
    let sessions: Vec<_> = answer.sessions.iter().collect();
    let [first, second] = sessions[..] else { panic!("{sessions:?}") };
    assert_eq!((first.id, first.current, first.user_agent), (2, true, Some("curl/8")));
    assert_eq!((first.created_at_unix_ms, first.last_seen_unix_ms), (5, 6));
    assert_eq!((first.expires_in_ms, first.client_address), (1_000, ADDRESS));
    assert_eq!((second.id, second.current), (1, false));
    assert_eq!(second.user_agent, Some(&*"é".repeat(USER_AGENT_BYTES_MAX / 2)));
}

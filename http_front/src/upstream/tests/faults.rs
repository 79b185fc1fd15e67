//! Servers that go away, hang, or answer nonsense.

use std::sync::Barrier;

use crossbeam_channel::unbounded;

use super::*;

const TIMED_OUT: Seen = Seen::Unanswered(Unanswered::TimedOut);
const UNREACHABLE: Seen = Seen::Unanswered(Unanswered::Unreachable);

#[test]
fn what_a_lost_connection_left_unanswered_is_sent_again_as_it_was() {
    let (requests, sent) = unbounded::<(char, Got)>();
    let to_b = requests.clone();
    let a = AuthServer::start(move |peer| {
        peer.greet(&HELLO);
        let batch: Vec<Got> = (0..4).map_while(|_| peer.next()).collect();
        for got in &batch {
            requests.send(('a', got.clone())).expect("the test waits");
        }
        peer.answer(&batch[2]);
        peer.answer(&batch[0]);
    });
    let b = AuthServer::start(move |peer| {
        peer.greet(&HELLO);
        while let Some(got) = peer.next() {
            to_b.send(('b', got.clone())).expect("the test waits");
            peer.answer(&got);
        }
    });
    let bench = Bench::new(&[a.address, b.address]);
    let posted = bench.serve((1..=4).map(login).collect());
    assert_eq!(seen(&posted), all_users(4), "each job is answered once");

    let sent: Vec<_> = sent.try_iter().collect();
    let at = |server| -> Vec<_> {
        let there = sent.iter().filter(|(name, _)| *name == server);
        there.map(|(_, got)| (got.who.clone(), got.request_id)).collect()
    };
    let (at_a, at_b) = (at('a'), at('b'));
    assert_eq!(at_a.len(), 4);
    assert_eq!(at_b, [at_a[1].clone(), at_a[3].clone()], "with the same request ids");
}

#[test]
fn connections_from_before_a_restart_cost_nobody_an_answer() {
    const CONNECTIONS: usize = 4;
    // Four checks that are in work at the same time take four connections.
    let together = Barrier::new(CONNECTIONS);
    let server = AuthServer::start(move |peer| {
        peer.greet(&HELLO);
        while let Some(got) = peer.next() {
            if got.who == "token-1" {
                together.wait();
            }
            peer.answer(&got);
        }
    });
    let bench = Bench::new(&[server.address]);
    std::thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let mut jobs = vec![bench.job(0, check_session(1), clock::now() + PATIENCE)];
                bench.upstreams.serve(&mut jobs);
            });
        }
    });
    assert_eq!(seen(&bench.post.take()), [(0, Seen::User(1)); CONNECTIONS]);
    assert_eq!(server.accepted(), CONNECTIONS);

    server.close_connections();
    for _ in 0..3 {
        let posted = bench.serve(vec![check_session(2)]);
        assert_eq!(seen(&posted), [(0, Seen::User(2))]);
    }
    assert_eq!(server.accepted(), CONNECTIONS + 1, "the first failure condemns the others");
}

#[test]
fn a_health_check_does_not_make_a_connection_look_fresh() {
    let server = AuthServer::willing();
    let bench = Bench::new(&[server.address]);
    assert_eq!(bench.upstreams.check_health(PATIENCE), Ok(()));
    server.close_connections();
    assert_eq!(bench.check_one(), Seen::User(1));
    server.close_connections();
    assert_eq!(bench.upstreams.check_health(PATIENCE), Ok(()));
    assert_eq!(server.accepted(), 3);
}

#[test]
fn a_server_that_breaks_each_connection_is_left_for_another() {
    let breaking = AuthServer::start(|peer| {
        peer.greet(&HELLO);
        peer.next();
    });
    let bench = Bench::new(&[breaking.address]);
    assert_eq!(bench.check_one(), UNREACHABLE);
    assert_eq!(breaking.accepted(), 1, "a fresh connection that breaks is not tried again");

    let good = AuthServer::willing();
    let bench = Bench::new(&[breaking.address, good.address]);
    for _ in 0..4 {
        assert_eq!(bench.check_one(), Seen::User(1));
    }
}

#[test]
fn a_job_that_a_server_leaves_hanging_ends_at_its_deadline_and_its_connection_with_it() {
    let server = AuthServer::start(|peer| {
        peer.greet(&HELLO);
        while let Some(got) = peer.next() {
            if got.who == "token-1" {
                peer.answer(&got);
            }
        }
    });
    let bench = Bench::new(&[server.address]);
    let deadline = clock::now() + Duration::from_secs(1);
    let posted = bench.serve_by(check_sessions(2), deadline);
    assert!(clock::now() >= deadline);
    assert_eq!(seen(&posted), [(0, Seen::User(1)), (1, TIMED_OUT)]);
    // Its answer may still come, and must not meet anybody.
    assert_eq!(bench.check_one(), Seen::User(1));
    assert_eq!(server.accepted(), 2);
}

#[test]
fn a_server_that_says_nothing_is_passed_over() {
    let hung = AuthServer::start(|peer| {
        peer.greet(&HELLO);
        peer.hang();
    });
    let good = AuthServer::willing();
    let bench = Bench::new(&[hung.address, good.address]);
    let before = clock::now();
    let posted = bench.serve_by(vec![check_session(1)], before + 3 * crate::limits::SILENCE_MIN);
    assert_eq!(seen(&posted), [(0, TIMED_OUT)]);
    // It failed after `before`, so at that time its next trial lies ahead, however slow this test is.
    assert!(!bench.upstreams.servers[0].health.admits(before));
}

#[test]
fn a_deadline_that_was_near_says_nothing_of_the_server() {
    let server = AuthServer::start(|peer| {
        peer.greet(&HELLO);
        peer.hang();
    });
    let bench = Bench::new(&[server.address]);
    let deadline = clock::now() + Duration::from_millis(50);
    assert_eq!(seen(&bench.serve_by(vec![check_session(1)], deadline)), [(0, TIMED_OUT)]);
    assert!(bench.upstreams.servers[0].health.admits(clock::now()));
}

#[test]
fn a_server_that_sends_bytes_and_no_answer_holds_nobody_beyond_the_deadline() {
    let server = AuthServer::start(|peer| {
        peer.greet(&HELLO);
        peer.next();
        // The head of a frame that is long, and then its body, for as long as anybody reads.
        peer.write(b"GH\x02\x18\x02\x04\0\0\0\0\xf0\0\0\0\0\0\0\0\0\0\0\0\0\x01");
        for _ in 0..0xf000 {
            peer.write(&[0]);
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    let bench = Bench::new(&[server.address]);
    let deadline = clock::now() + Duration::from_millis(50);
    assert_eq!(seen(&bench.serve_by(vec![check_session(1)], deadline)), [(0, TIMED_OUT)]);
}

#[test]
fn without_any_server_the_answer_comes_at_once() {
    let bench = Bench::new(&[nobody(), nobody()]);
    let posted = bench.serve(check_sessions(2));
    assert_eq!(seen(&posted), [(0, UNREACHABLE), (1, UNREACHABLE)]);
    // The servers are known to be away now, and are tried all the same.
    assert_eq!(bench.check_one(), UNREACHABLE);
}

#[test]
fn bytes_that_are_no_frames_end_the_connection() {
    let garbled = || {
        AuthServer::start(|peer| {
            peer.greet(&HELLO);
            peer.next();
            peer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            peer.hang();
        })
    };
    let (alone, first, second) = (garbled(), garbled(), AuthServer::willing());
    assert_eq!(Bench::new(&[alone.address]).check_one(), UNREACHABLE);
    let bench = Bench::new(&[first.address, second.address]);
    assert_eq!(bench.check_one(), Seen::User(1));
}

#[test]
fn an_answer_that_cannot_be_understood_is_for_its_own_request_alone() {
    let server = AuthServer::start(|peer| {
        peer.greet(&HELLO);
        while let Some(got) = peer.next() {
            if got.who == "token-2" {
                peer.reply(&got, &framing::v2::LogoutReply { settled_in_ms: 0 });
            } else {
                peer.answer(&got);
            }
        }
    });
    let bench = Bench::new(&[server.address]);
    let mut expected = all_users(3);
    expected[1].1 = Seen::Unanswered(Unanswered::Incomprehensible);
    assert_eq!(seen(&bench.serve(check_sessions(3))), expected);
    assert_eq!(bench.check_one(), Seen::User(1));
    assert_eq!(server.accepted(), 1);
}

#[test]
fn answers_that_nobody_waits_for_are_passed_over() {
    let server = AuthServer::start(|peer| {
        peer.greet(&HELLO);
        while let Some(got) = peer.next() {
            for correlation in [0, got.correlation + 1, u64::MAX] {
                peer.reply(&Got { correlation, ..got.clone() }, &session(99, "eve"));
            }
            peer.answer(&got);
            // And once more.
            peer.answer(&got);
        }
    });
    let bench = Bench::new(&[server.address]);
    for _ in 0..3 {
        assert_eq!(bench.check_one(), Seen::User(1));
    }
}

/// A process of its own runs this, which may have few files open.
fn without_descriptors() {
    let server = AuthServer::willing();
    let bench = Bench::new(&[server.address]);
    let taken: Vec<_> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
    assert!(taken.len() > 8, "only {} files could be opened", taken.len());
    assert_eq!(bench.check_one(), UNREACHABLE);
    let said = bench.upstreams.check_health(Duration::from_secs(1)).expect_err("out of files");
    assert!(said.contains("Too many open files"), "{said}");
    assert!(bench.upstreams.is_up(0), "the server has done nothing wrong");
    drop(taken);
    assert_eq!(bench.check_one(), Seen::User(1), "without a pause");
}

#[test]
fn lack_of_descriptors_here_is_no_fault_of_a_server() {
    const CHILD: &str = "UPSTREAM_TEST_CHILD";
    const TEST: &str = "upstream::tests::faults::lack_of_descriptors_here_is_no_fault_of_a_server";
    if std::env::var_os(CHILD).is_some() {
        return without_descriptors();
    }
    let test = std::env::current_exe().expect("the path of this test");
    let mut child = std::process::Command::new("sh");
    child.args(["-c", "ulimit -n 64 && exec \"$0\" \"$@\""]).arg(test);
    child.args(["--exact", TEST, "--nocapture"]).env(CHILD, "1");
    let output = child.output().expect("this test, once more");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("1 passed"), "{said}");
}

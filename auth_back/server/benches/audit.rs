//! What an entry of the audit log costs the thread that records it: `cargo bench -p server`.

use std::hint::black_box;
use std::thread;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use server::accounts::Code;
use server::accounts::Origin;
use server::audit::{Audit, AuditTarget, Entry, Event, Outcome, Turning};

/// Fewer than may wait, so that none is lost.
const TOGETHER: u64 = 1_000;

fn record(c: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a scratch directory can be made");
    let target = AuditTarget::File(directory.path().join("audit.log"));
    let turning = Turning { file_bytes_max: 64 << 20, files: 2 };
    let (audit, opened) = Audit::open(&target, turning).expect("a file can be made");
    let writer = opened.start().expect("a thread can be started");
    let origin = Origin {
        client_address: [192, 0, 2, 1].into(),
        is_forwarded: false,
        user_agent: Some(USER_AGENT.to_owned()),
    };
    let mut user_id = 0;
    let login = |user_id: &mut u64| {
        *user_id += 1;
        let entry = Entry::new(Event::Authenticate, Outcome::Ok).user_id(*user_id);
        let entry = entry.session_id(*user_id).username("ada").origin(&origin);
        audit.record(black_box(&entry.request_id(Some("abababababababababababababababab"))));
    };
    c.bench_function("record a login", |b| {
        b.iter_custom(|iterations| {
            let mut took = Duration::ZERO;
            let mut left = iterations;
            while left > 0 {
                let now = left.min(TOGETHER);
                let before = audit.written_lines();
                let began = clock::now();
                (0..now).for_each(|_| login(&mut user_id));
                took += clock::since(began);
                left -= now;
                while audit.written_lines() < before + now {
                    thread::sleep(Duration::from_millis(1));
                }
            }
            took
        });
    });
    let refused = Entry::new(Event::Authenticate, Outcome::Refused(Code::UserUnknown));
    let refused = refused
        .username("ada")
        .origin(&origin)
        .request_id(Some("abababababababababababababababab"));
    c.bench_function("record one failure of very many", |b| {
        b.iter(|| audit.record(black_box(&refused)));
    });
    writer.stop(clock::now() + Duration::from_secs(5));
}

/// As long as browsers' usually are.
const USER_AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";

criterion_group!(benches, record);
criterion_main!(benches);

//! `micro [ROUNDS [pool|framing]]`: measures, and prints every round as JSON.

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use micro::contention::{self, Hold};
use micro::lenders::{Ageless, DeadpoolManaged, DeadpoolUnmanaged, Floor, Lender, R2d2, Timed};
use micro::messages::{Ours, Prost};
use micro::rounds::{Contender, nanoseconds_each, take_turns};
use serde_json::{Value, json};

/// Rounds that are kept, unless told otherwise.
const ROUNDS: usize = 7;
/// Of one round of one thread.
const SPAN: Duration = Duration::from_millis(50);
/// Of one round of threads that compete: many turns of the scheduler.
const SPAN_CONTENDED: Duration = Duration::from_millis(150);
/// Of a peer that a connection waits for.
const PEER: Duration = Duration::from_micros(50);

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let Ok(rounds) = arguments.next().map_or(Ok(ROUNDS), |text| text.parse()) else {
        eprintln!("usage: micro [ROUNDS [pool|framing]]");
        return ExitCode::FAILURE;
    };
    let measured = match arguments.next().as_deref() {
        Some("pool") => pools(rounds),
        Some("framing") => messages(rounds),
        _ => json!({"pool": pools(rounds), "framing": messages(rounds)}),
    };
    println!("{measured:#}");
    ExitCode::SUCCESS
}

fn pools(rounds: usize) -> Value {
    let ageless = Ageless::filled();
    let timed = Timed::filled();
    let r2d2 = R2d2::filled();
    let managed = DeadpoolManaged::filled();
    let unmanaged = DeadpoolUnmanaged::filled();
    let floor = Floor::filled();
    let uncontended = take_turns(
        rounds,
        vec![
            alone(&floor),
            alone(&ageless),
            alone(&timed),
            alone(&r2d2),
            alone(&managed),
            alone(&unmanaged),
        ],
    );
    let holds = [
        ("nothing", Hold::Nothing),
        ("1 us of computing", Hold::a_microsecond()),
        ("50 us of sleep", Hold::Sleep(PEER)),
    ];
    let contended = holds.map(|(name, hold)| {
        let turns = take_turns(
            rounds,
            vec![
                competing(&ageless, hold),
                competing(&timed, hold),
                competing(&r2d2, hold),
                competing(&managed, hold),
                competing(&unmanaged, hold),
            ],
        );
        json!({"while_holding": name, "contenders": turns})
    });
    json!({
        "items": micro::lenders::ITEMS,
        "threads": contention::THREADS,
        "uncontended": uncontended,
        "contended": contended,
    })
}

fn alone<L: Lender>(lender: &L) -> Contender<'_> {
    let run = || {
        let ns = nanoseconds_each(SPAN, || lender.borrow(|| (), |item| Hold::Nothing.with(item)));
        json!({"ns": ns})
    };
    (L::NAME, Box::new(run))
}

fn competing<L: Lender>(lender: &L, hold: Hold) -> Contender<'_> {
    let run = move || {
        json!({
            "throughput": contention::throughput(lender, hold, SPAN_CONTENDED),
            "acquire": contention::latency(lender, hold, SPAN_CONTENDED),
        })
    };
    (L::NAME, Box::new(run))
}

fn messages(rounds: usize) -> Value {
    let mut ours = Ours::default();
    let mut prost = Prost::default();
    let mut again = Prost::default();
    let bytes = [ours.wire_bytes(), prost.wire_bytes()];
    let turns = take_turns(
        rounds,
        vec![
            ("framing", Box::new(|| coded(&mut ours, Ours::encode, |ours| ours.decode()))),
            ("prost", Box::new(|| coded(&mut prost, Prost::encode, |prost| prost.decode()))),
            (
                "prost, message used again",
                Box::new(|| coded(&mut again, Prost::encode, Prost::decode_again)),
            ),
        ],
    );
    json!({"bytes": {"framing": bytes[0], "prost": bytes[1]}, "contenders": turns})
}

fn coded<T>(codec: &mut T, encode: impl Fn(&mut T), decode: impl Fn(&mut T)) -> Value {
    json!({
        "encode_ns": nanoseconds_each(SPAN, || encode(codec)),
        "decode_ns": nanoseconds_each(SPAN, || decode(codec)),
        "both_ns": nanoseconds_each(SPAN, || {
            encode(codec);
            decode(codec);
        }),
    })
}

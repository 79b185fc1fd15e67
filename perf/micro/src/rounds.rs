//! Taking turns: one round of every contender, then the next round.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// One contender: its name, and what runs it once and says what it found.
pub type Contender<'a> = (&'static str, Box<dyn FnMut() -> Value + 'a>);

/// Runs each contender once per round, so that a noisy moment of the machine falls on all. A first
/// round warms up and is not kept.
pub fn take_turns(rounds: usize, mut contenders: Vec<Contender<'_>>) -> Value {
    let mut kept: Vec<Vec<Value>> = vec![Vec::new(); contenders.len()];
    for round in 0..=rounds {
        for ((_, run), kept) in contenders.iter_mut().zip(&mut kept) {
            let found = run();
            if round > 0 {
                kept.push(found);
            }
        }
    }
    let entry = |((name, _), rounds): (&Contender<'_>, _)| json!({"name": name, "rounds": rounds});
    contenders.iter().zip(kept).map(entry).collect()
}

/// Nanoseconds that one run of `work` takes, on average over about `span`.
pub fn nanoseconds_each(span: Duration, mut work: impl FnMut()) -> f64 {
    /// Between two looks at the clock, so that looking does not count.
    const BATCH: u32 = 1000;
    let start = Instant::now();
    let mut runs = 0.0;
    loop {
        (0..BATCH).for_each(|_| work());
        runs += f64::from(BATCH);
        let elapsed = start.elapsed();
        if elapsed >= span {
            return elapsed.as_secs_f64() * 1e9 / runs;
        }
    }
}

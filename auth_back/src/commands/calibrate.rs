//! `auth_back calibrate`: what a work factor costs on this machine.
//!
//! OWASP's sets are equally strong and not equally fast: with less memory and more passes, more of a hash
//! stays in the processor's caches. Which one serves most logins depends on the machine, so this measures
//! all of them, with both engines: the time of one hash alone, which a user waits for, and how many a second
//! all threads of `--hash-threads` compute together, which bounds the logins a second; two at a time, where they would
//! (`--hashes-per-thread`).

use std::num::NonZeroUsize;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use clap::{ArgMatches, Command};
use credentials::Password;
use hashing::{Arena, HashEngine, HashError, Params, Salt};
use serde::Serialize;
use server::memory::Needs;
use server::settings::Settings;
use service::hardening::usable_memory;
use service::settings::format_bytes;

use super::console::say;
use super::progress::{Progress, Unit};
use super::subcommand::{Done, Subcommand, Telling};
use super::{interrupt, keys};
use crate::limits::{CALIBRATE_HASHES_ALONE, CALIBRATE_TIME};

pub(super) const COMMAND: Subcommand = Subcommand { command, run, telling: |_| Telling::No };

const SALT: Salt = Salt([7; 16]);

fn command() -> Command {
    Command::new("calibrate")
        .about("Measure what each of OWASP's work factors costs on this machine")
        .arg(keys::json_switch())
}

#[derive(Serialize)]
struct Report {
    hash_threads: usize,
    /// What this process may use; `null` where that cannot be told.
    memory_bytes: Option<u64>,
    measured: Vec<Measured>,
    /// The place in `measured` of what serves most logins within this memory.
    best: Option<usize>,
}

#[derive(Clone, Serialize)]
struct Measured {
    argon2: String,
    engine: &'static str,
    /// Of one hash alone: the median.
    milliseconds: f64,
    /// Of all threads together.
    hashes_per_second: f64,
    /// For the arenas of all threads.
    memory_bytes: u64,
    /// Whether the server would start with that.
    fits: bool,
}

fn run(arguments: &ArgMatches, settings: &Settings) -> Done {
    let threads = settings.hash_threads.get();
    let memory = usable_memory();
    let mut measured: Vec<Measured> = Vec::new();
    interrupt::watch()?;
    let due = Params::owasp_sets().into_iter().count() * HashEngine::ALL.len();
    let progress = Progress::new(Unit::Things("sets and engines"), Some(due as u64));
    for params in Params::owasp_sets() {
        let per_thread = Needs::per_thread(settings, params, memory);
        for engine in HashEngine::ALL {
            interrupt::check(|| {
                format!(
                    "{} of {due} sets and engines were measured, so there is no best",
                    measured.len()
                )
            })?;
            let per_thread = if engine.gains_from_two() { per_thread } else { NonZeroUsize::MIN };
            let in_twos = per_thread > NonZeroUsize::MIN;
            let needs = Needs::of(settings, params, per_thread);
            let fits = needs.check(memory).is_ok();
            if engine == HashEngine::Simd
                && let Err(fault) = HashEngine::fastest_correct(params, 0, in_twos)
            {
                progress.tell(&format!("{params}: the simd engine is left out: {fault}"));
                progress.add(1);
                continue;
            }
            measured.push(Measured {
                argon2: params.to_string(),
                engine: name(engine),
                milliseconds: alone(engine, params)?.as_secs_f64() * 1_000.0,
                hashes_per_second: together(engine, params, threads, in_twos)?,
                memory_bytes: needs.arenas_bytes,
                fits,
            });
            progress.add(1);
        }
    }
    progress.finish();
    let best = best(&measured);
    let memory_bytes = memory.map(|memory| memory.bytes);
    let report = Report { hash_threads: threads, memory_bytes, measured, best };
    if keys::wants_json(arguments) {
        say(&serde_json::to_string(&report)?)?;
        return Ok(());
    }
    print(&report)
}

fn print(report: &Report) -> Done {
    let threads = report.hash_threads;
    say(&format!(
        "{:<18} {:<9} {:>9} {:>10} {:>10}",
        "argon2", "engine", "ms a hash", "hashes/s", "memory"
    ))?;
    for row in &report.measured {
        let memory = format_bytes(row.memory_bytes);
        let unfit = if row.fits { "" } else { "  does not fit" };
        say(&format!(
            "{:<18} {:<9} {:>9.1} {:>10.1} {memory:>10}{unfit}",
            row.argon2, row.engine, row.milliseconds, row.hashes_per_second
        ))?;
    }
    match report.best.map(|best| &report.measured[best]) {
        Some(best) => say(&format!(
            "most logins here: --argon2 {}, {:.0} a second with {threads} threads and {} for arenas",
            best.argon2,
            best.hashes_per_second,
            format_bytes(best.memory_bytes)
        ))?,
        None => say("none of them fits the memory that this process may use")?,
    }
    Ok(())
}

/// The place of what computes most hashes a second and fits.
fn best(measured: &[Measured]) -> Option<usize> {
    let fitting = measured.iter().enumerate().filter(|(_, row)| row.fits);
    let most = fitting
        .max_by(|(_, one), (_, other)| one.hashes_per_second.total_cmp(&other.hashes_per_second));
    most.map(|(index, _)| index)
}

const fn name(engine: HashEngine) -> &'static str {
    match engine {
        HashEngine::Reference => "reference",
        HashEngine::Simd => "simd",
    }
}

/// The median time of a hash while no other is computed.
fn alone(engine: HashEngine, params: Params) -> Result<Duration, Box<dyn std::error::Error>> {
    let mut arena = Arena::new(engine, params)?;
    let mut times = [Duration::ZERO; CALIBRATE_HASHES_ALONE];
    // Once unmeasured: the first one meets cold caches.
    hash(&mut arena, params)?;
    for time in &mut times {
        let began = clock::now();
        hash(&mut arena, params)?;
        *time = clock::since(began);
    }
    times.sort_unstable();
    Ok(times[CALIBRATE_HASHES_ALONE / 2])
}

/// Hashes a second of so many threads, each with an arena of its own, or two.
fn together(
    engine: HashEngine,
    params: Params,
    threads: usize,
    in_twos: bool,
) -> Result<f64, Box<dyn std::error::Error>> {
    let mut arenas = Vec::new();
    for _ in 0..threads {
        let second = if in_twos { Some(Arena::new(engine, params)?) } else { None };
        arenas.push((Arena::new(engine, params)?, second));
    }
    let start = Barrier::new(threads);
    let rates = thread::scope(|scope| {
        let hasher = |(mut arena, mut second): (Arena, Option<Arena>)| {
            let start = &start;
            scope.spawn(move || {
                start.wait();
                let began = clock::now();
                let mut count = 0.0;
                while clock::since(began) < CALIBRATE_TIME {
                    count += match &mut second {
                        None => hash(&mut arena, params).map(|()| 1.0)?,
                        Some(second) => hash_two([&mut arena, second], params).map(|()| 2.0)?,
                    };
                }
                // By its own clock, since its last hash ends after the time is up.
                Ok::<f64, HashError>(count / clock::since(began).as_secs_f64())
            })
        };
        let hashers: Vec<_> = arenas.into_iter().map(hasher).collect();
        let rate = |hasher: thread::ScopedJoinHandle<'_, _>| {
            hasher.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        hashers.into_iter().map(rate).collect::<Result<Vec<f64>, _>>()
    });
    Ok(rates?.iter().sum())
}

fn hash(arena: &mut Arena, params: Params) -> Result<(), HashError> {
    arena.hash(&password(), &SALT, params).map(drop)
}

fn hash_two(arenas: [&mut Arena; 2], params: Params) -> Result<(), HashError> {
    let password = password();
    Arena::hash_two(arenas, [(&password, &SALT); 2], params).map(drop)
}

fn password() -> Password {
    Password::for_login("correct horse battery").expect("a password")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_is_the_fastest_that_fits() {
        let row = |hashes_per_second, fits| Measured {
            argon2: String::new(),
            engine: "simd",
            milliseconds: 1.0,
            hashes_per_second,
            memory_bytes: 1,
            fits,
        };
        let check = |rows: &[(f64, bool)], expected| {
            let rows: Vec<_> = rows.iter().map(|(rate, fits)| row(*rate, *fits)).collect();
            assert_eq!(best(&rows), expected);
        };
        check(&[(10.0, true), (30.0, true), (20.0, true)], Some(1));
        check(&[(10.0, true), (30.0, false), (20.0, true)], Some(2));
        check(&[(10.0, false)], None);
        check(&[], None);
    }

    #[test]
    fn hashes_are_counted_on_every_thread() {
        let params = Params::in_record(8, 1, 1).unwrap();
        for engine in HashEngine::ALL {
            assert!(alone(engine, params).unwrap() > Duration::ZERO);
            for in_twos in [false, true] {
                assert!(together(engine, params, 2, in_twos).unwrap() > 2.0);
            }
        }
    }
}

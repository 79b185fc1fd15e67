//! An open-loop load generator for HTTP/1.1: requests are due at a constant rate whatever the answers take,
//! and latency counts from the moment a request was *due*. A server that stalls is charged for every request that
//! would have come meanwhile, which closed loops such as wrk leave out (coordinated omission).
//!
//! One thread, one epoll instance. A request that is due goes out on the connection that has been idle
//! longest; when none is idle it waits, and its latency runs. Requests come from a file of raw HTTP
//! requests, taken in turn. Nothing is allocated for one.
//!
//! Why not a ready-made one: k6 takes some 270 µs of CPU a request, which leaves two cores no room for
//! a server at 5,000 a second; wrk2 is in no registry. oha 1.16 is good, and cheaper than this (12 to 14 µs a request at
//! 20,000 to 40,000 a second, this one 19 to 30), because it wakes once a millisecond and sends what is
//! due in a burst. That is the trouble with it: the burst is in what it measures (p99 of the same server, in
//! turn: 2.1 ms, here 0.9). Nor does it send a session of its own from each user, give p99.99 of
//! a corrected histogram, or tell how late it was itself.
//!
//! It speaks version 1 of auth_back's protocol as well, so that its clients can be many too.
//!
//! Left out on purpose: TLS, HTTP/2, pipelining, chunked answers (an error here).

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::requests::Requests;
use crate::run::Run;
use crate::schedule::Schedule;

mod answer;
mod connection;
mod look;
mod report;
mod requests;
mod run;
mod schedule;
mod v1;

/// Sends requests at a constant rate and prints what came of it as JSON.
///
/// Exit code 0 when the rate was kept, 3 when the connections or this program could not keep it, 1 when nothing could
/// be measured. Answers that are no 2xx, and connections that break, are counted and do not change the code.
#[derive(Parser)]
#[command(name = "load")]
struct Options {
    /// Where the server listens.
    #[arg(long)]
    address: SocketAddr,
    /// A file of raw requests, one behind the other: HTTP/1.1, bodies by Content-Length, or version 1 of auth_back's
    /// protocol.
    #[arg(long)]
    requests: PathBuf,
    /// Requests a second.
    #[arg(long)]
    rate: f64,
    /// Keep-alive connections; at most that many requests are under way.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// How long requests are measured.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// How long requests are sent at the same rate before, and not measured.
    #[arg(long, default_value_t = 0.0)]
    warm_up: f64,
    /// After so many seconds an answer is given up: an error, and its latency is that long at least.
    #[arg(long, default_value_t = 10.0)]
    timeout: f64,
}

fn main() -> ExitCode {
    match measure(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(3),
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the load and prints the report; whether the rate was kept.
fn measure(options: &Options) -> Result<bool, Box<dyn std::error::Error>> {
    let requests = Requests::read(&options.requests)?;
    let schedule = Schedule::new(options.rate, options.warm_up, options.seconds)?;
    if options.connections == 0 || options.connections > u32::MAX as usize {
        return Err("--connections is at least 1".into());
    }
    let timeout = Duration::try_from_secs_f64(options.timeout)?;
    let report =
        Run::new(options.address, requests, schedule, options.connections, timeout)?.finish()?;
    println!("{}", report.to_json());
    if !report.kept_up() {
        eprintln!("load: the rate was not kept: {}", report.shortfall());
    }
    Ok(report.kept_up())
}

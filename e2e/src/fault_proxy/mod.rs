//! A proxy that does to connections what networks do.
//!
//! It sits between any two that speak TCP: a client and a front, a proxy and a front, a front and its
//! auth_back, auth_back and its MariaDB or Redis. Each direction has a [`Link`] of its own: latency, jitter,
//! bandwidth, single bytes, a black hole, and how it ends, half-closed, cut or reset. A test sets links while
//! the proxy runs, for all connections, for new ones, or for one; or a [`Schedule`] draws them from a seed.
//!
//! ```no_run
//! use e2e::System;
//! use e2e::fault_proxy::{FaultProxy, Link, Links, Who};
//!
//! let mut auth = System::builder().fronts(0).start();
//! let proxy = FaultProxy::before(auth.auth().address());
//! let system = System::builder().foreign_auth(proxy.address()).start();
//! proxy.set(Who::All, Links::to_client(Link::default().single_bytes()));
//! system.client().register("ada", "correct horse battery").assert_status(200);
//! ```
//!
//! One thread, which sleeps while nothing happens, and bounded buffers (`limits.rs`). When a test fails, it
//! prints what every connection met.
//!
//! Left out on purpose: packets. Loss, duplicates and reordering of them are the kernel's affair, and all that
//! TCP lets anybody see of them is latency.

mod connection;
mod event_loop;
mod limits;
mod link;
mod random;
mod relay;
mod schedule;
#[cfg(test)]
mod tests;

use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

use event_loop::{Order, Rules, State};
pub use link::{BlackHole, End, Ending, Link, Links};
pub use random::Random;
pub use relay::Traffic;
pub use schedule::{Chance, Fault, Schedule};

/// A running proxy before one server. Dropping it resets its connections.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    orders: Sender<Order>,
    waker: UnixStream,
    thread: Option<JoinHandle<()>>,
}

/// Which connections links are set for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Those that are open and those that will be.
    All,
    /// Those that are open.
    Open,
    /// Those that will be.
    New,
    /// The open one with this number.
    One(u64),
}

/// An open connection, as it was when it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passing {
    /// Its number: how many had been opened before it.
    pub number: u64,
    /// What has been passed on to the server.
    pub to_server: Traffic,
    /// What has been passed on to the client.
    pub to_client: Traffic,
}

impl FaultProxy {
    /// A proxy before the server at `upstream`, through which everything passes as it comes.
    #[must_use]
    pub fn before(upstream: SocketAddr) -> Self {
        Self::start(upstream, Rules::Same(Links::default()))
    }

    /// A proxy before the server at `upstream` whose connections meet what the schedule has for them.
    #[must_use]
    pub fn with_schedule(upstream: SocketAddr, schedule: Schedule) -> Self {
        Self::start(upstream, Rules::Drawn(schedule))
    }

    fn start(upstream: SocketAddr, rules: Rules) -> Self {
        let state = State::new(upstream, rules).expect("a proxy can listen");
        let address = state.address();
        let (waker, asleep) = UnixStream::pair().expect("a pair of sockets can be made");
        for socket in [&waker, &asleep] {
            socket.set_nonblocking(true).expect("a socket can be made so");
        }
        let (orders, received) = mpsc::channel();
        let thread = thread::Builder::new().name("fault-proxy".to_owned());
        let thread = thread.spawn(move || state.run(&received, asleep)).expect("a thread starts");
        Self { address, orders, waker, thread: Some(thread) }
    }

    /// Where clients connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on these links hold, also for bytes that are on their way. Returns when they do. What a
    /// schedule had for new connections is over when links are set for them.
    pub fn set(&self, who: Who, links: Links) {
        self.ask(move |state| {
            for (number, connection) in &mut state.connections {
                if matches!(who, Who::All | Who::Open) || who == Who::One(*number) {
                    connection.set(&links);
                }
            }
            if matches!(who, Who::All | Who::New) {
                state.rules = Rules::Same(links);
            }
        });
    }

    /// From now on all passes as it comes.
    pub fn heal(&self) {
        self.set(Who::All, Links::default());
    }

    /// Ends all open connections in this way, without waiting for a byte. With [`Ending::HalfClose`] it is the
    /// server that says no more.
    pub fn end_all(&self, how: Ending) {
        self.set(Who::Open, Links::to_client(Link::default().end(how, 0)));
    }

    /// Refuses new connections, as if nobody listened. Those that are open go on.
    pub fn refuse(&self) {
        self.ask(State::refuse);
    }

    /// Takes connections again.
    pub fn accept_again(&self) {
        self.ask(State::listen).expect("the port is the proxy's own");
    }

    /// Sends new connections to the server at `upstream`, as an address does that moves to another machine. Those that
    /// are open stay where they are.
    pub fn lead_to(&self, upstream: SocketAddr) {
        self.ask(move |state| state.upstream = upstream);
    }

    /// How many connections there have been.
    #[must_use]
    pub fn opened(&self) -> u64 {
        self.ask(|state| state.opened)
    }

    /// The connections that are open now.
    #[must_use]
    pub fn connections(&self) -> Vec<Passing> {
        self.ask(|state| {
            let passing = |(number, connection): (&u64, &connection::Connection)| {
                let [to_server, to_client] = connection.traffic();
                Passing { number: *number, to_server, to_client }
            };
            state.connections.iter().map(passing).collect()
        })
    }

    /// What its connections met and how they ended, for a person.
    #[must_use]
    pub fn report(&self) -> String {
        self.ask(|state| state.report())
    }

    /// Has the thread do something, and waits until it has.
    fn ask<T: Send + 'static>(&self, act: impl FnOnce(&mut State) -> T + Send + 'static) -> T {
        let (answer, answered) = mpsc::channel();
        // Its receiver is below.
        let order = move |state: &mut State| drop(answer.send(act(state)));
        self.orders.send(Box::new(order)).expect("the proxy runs");
        self.wake();
        answered.recv().expect("the proxy runs")
    }

    fn wake(&self) {
        // A byte that does not fit has others before it, which wake as well.
        let _ = (&self.waker).write(&[1]);
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        if thread::panicking() {
            let _ = self.orders.send(Box::new(|state| eprintln!("--- {}\n---", state.report())));
        }
        let _ = self.orders.send(Box::new(|state| state.is_over = true));
        self.wake();
        if let Some(thread) = self.thread.take() {
            // A panic of it has been printed.
            let _ = thread.join();
        }
    }
}

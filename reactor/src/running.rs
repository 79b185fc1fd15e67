//! Starting and stopping a reactor: its threads, seen from outside.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::counters::Counters;
use crate::event_loop::{EventLoop, Prepared};
use crate::listener::Listener;
use crate::mailbox::Mailbox;
use crate::protocol::Protocol;

/// What a server sets per listener.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections open at a time, over all loops. At least one per loop.
    pub connections_max: usize,
    /// Connections open at a time from one IP address, over all loops. Each loop admits its share,
    /// rounded up, since loops share nothing. A protocol can exempt addresses
    /// ([`Protocol::is_capped`]).
    pub connections_per_address_max: usize,
}

/// A running reactor. Dropping it leaves the loops running; [`Reactor::shut_down`] stops them.
pub struct Reactor<P: Protocol> {
    address: SocketAddr,
    mailboxes: Vec<Mailbox<P::Completion>>,
    threads: Vec<JoinHandle<()>>,
    counters: Arc<Counters>,
}

/// Starts one thread per socket of `listener`. `shared` is called on each of them with the number
/// of the loop and its mailbox, and makes the state that the loop's connections share.
///
/// A loop that panics aborts the process: its connections could never be answered, and a process
/// that listens without serving is worse than one that its supervisor restarts.
///
/// # Errors
/// When epoll instances or threads cannot be made.
pub fn start<P, F>(
    name: &str,
    listener: Listener,
    limits: Limits,
    shared: F,
) -> io::Result<Reactor<P>>
where
    P: Protocol,
    F: Fn(usize, Mailbox<P::Completion>) -> P::Shared + Send + Sync + 'static,
{
    let address = listener.local_addr();
    let loops = listener.sockets.len();
    let counters = Arc::new(Counters::default());
    let shared = Arc::new(shared);
    let per_loop = Limits {
        connections_max: limits.connections_max.div_ceil(loops),
        connections_per_address_max: limits.connections_per_address_max.div_ceil(loops),
    };
    let mut reactor = Reactor { address, mailboxes: Vec::new(), threads: Vec::new(), counters };
    for (number, socket) in listener.sockets.into_iter().enumerate() {
        let (prepared, mailbox) = Prepared::new(socket, per_loop, Arc::clone(&reactor.counters))?;
        let shared = Arc::clone(&shared);
        let its_mailbox = mailbox.clone();
        let thread = std::thread::Builder::new().name(format!("{name}-{number}"));
        let thread = clock::spawn(thread, move || {
            let guard = AbortOnPanic;
            EventLoop::<P>::new(prepared, shared(number, its_mailbox)).run();
            drop(guard);
        })?;
        reactor.mailboxes.push(mailbox);
        reactor.threads.push(thread);
    }
    Ok(reactor)
}

impl<P: Protocol> Reactor<P> {
    /// The address it listens on, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// What the loops have counted.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Stops accepting, tells every connection, waits until what is in flight was answered or
    /// `grace` has passed, closes what is left and joins the threads. Blocks that long.
    pub fn shut_down(self, grace: Duration) {
        let by = clock::now() + grace;
        for mailbox in &self.mailboxes {
            mailbox.shut_down(by);
        }
        for thread in self.threads {
            // A panic on a loop has aborted the process already.
            let _ = thread.join();
        }
    }
}

struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("an event loop panicked; the process ends");
            std::process::abort();
        }
    }
}

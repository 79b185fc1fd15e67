//! Starting and stopping a reactor: its threads, seen from outside.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::common::Common;
use crate::counters::Counters;
use crate::event_loop::{EventLoop, Prepared};
use crate::limits::Limits;
use crate::listener::Listener;
use crate::mailbox::Mailbox;
use crate::protocol::Protocol;

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
    let common = Arc::new(Common::new(name, limits));
    let counters = Arc::clone(&common.counters);
    let shared = Arc::new(shared);
    let prepared: io::Result<Vec<_>> = listener
        .sockets
        .into_iter()
        .map(|socket| Prepared::new(socket, Arc::clone(&common)))
        .collect();
    let (prepared, mailboxes): (Vec<_>, Vec<_>) = prepared?.into_iter().unzip();
    let mut reactor = Reactor { address, mailboxes, threads: Vec::new(), counters };
    for (number, prepared) in prepared.into_iter().enumerate() {
        let shared = Arc::clone(&shared);
        let mailbox = reactor.mailboxes[number].clone();
        let mut others = reactor.mailboxes.clone();
        others.remove(number);
        let thread = std::thread::Builder::new().name(format!("{name}-{number}"));
        let thread = clock::spawn(thread, move || {
            let guard = AbortOnPanic;
            EventLoop::<P>::new(prepared, others, shared(number, mailbox)).run();
            drop(guard);
        })?;
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

    /// Whether every loop has answered since the last call, which asks them again. The first call says yes, and a loop
    /// that has ended answers nothing. Calling it does not block.
    pub fn heartbeat(&self) -> impl FnMut() -> bool + Send + use<P> {
        let mailboxes = self.mailboxes.clone();
        let answers = Arc::new(AtomicUsize::new(mailboxes.len()));
        move || {
            let all = answers.load(Ordering::Acquire) == mailboxes.len();
            // One question at a time: letters to a loop that takes none would add up.
            if all {
                answers.store(0, Ordering::Release);
                mailboxes.iter().for_each(|mailbox| mailbox.ask(Arc::clone(&answers)));
            }
            all
        }
    }

    /// Goes on serving, and has the protocol tell its peers that the server stops before long
    /// ([`Protocol::on_drain`]). Does not block.
    pub fn drain(&self) {
        self.mailboxes.iter().for_each(Mailbox::drain);
    }

    /// Accepts the connections that the kernel has taken already, then stops listening. Reads every connection once more,
    /// tells it ([`Protocol::on_shutdown`]), waits until what has come was answered or `grace` has passed, closes what is
    /// left and joins the threads. Blocks that long.
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
            sparing::rare!("once, at the end", ERROR, "an event loop panicked; the process ends");
            std::process::abort();
        }
    }
}

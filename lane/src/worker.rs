//! The threads of a lane.

use std::{
    any::Any,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Instant,
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use sparing::sparing;

use super::{Inbox, LaneOptions, Niceness, job::Job, queue::Queue, stats::Counters};

/// The threads of a lane, to be waited for after its last [`Lane`](super::Lane) is dropped.
///
/// Dropping this instead leaves the threads to end on their own.
#[derive(Debug)]
pub struct Workers {
    threads: Vec<JoinHandle<()>>,
    /// Each thread holds a sender and never sends: the last one to end disconnects it.
    ended: Receiver<()>,
}

impl Workers {
    pub(super) fn spawn<J, W>(
        options: &LaneOptions,
        queue: &Arc<Queue<J>>,
        counters: &Arc<Counters>,
        worker: &Arc<W>,
    ) -> io::Result<Self>
    where
        J: Job,
        W: Fn(&mut Inbox<J>) + Send + Sync + 'static,
    {
        let (alive, ended) = bounded(0);
        let threads = (0..options.threads.get()).map(|index| {
            let thread = Thread {
                place: Place::at(queue),
                counters: Arc::clone(counters),
                worker: Arc::clone(worker),
                niceness: options.niceness,
                _alive: alive.clone(),
            };
            let named = thread::Builder::new().name(format!("{}-{index}", options.name));
            clock::spawn(named, move || thread.run())
        });
        Ok(Self { threads: threads.collect::<io::Result<_>>()?, ended })
    }

    /// Waits until all threads have ended. Blocks for as long as the jobs take.
    pub fn join(self) {
        for thread in self.threads {
            // An error would be a panic outside a worker, which `Thread::run` leaves no room for;
            // the hook has logged it.
            let _ = thread.join();
        }
    }

    /// Waits until all threads have ended, or until `deadline`.
    ///
    /// # Errors
    ///
    /// [`StillRunning`] when some have not: they are left alone, and end with the process.
    pub fn join_by(self, deadline: Instant) -> Result<(), StillRunning> {
        match self.ended.recv_deadline(deadline) {
            Err(RecvTimeoutError::Disconnected) => {
                self.join();
                Ok(())
            }
            Ok(()) | Err(RecvTimeoutError::Timeout) => {
                let running = self.threads.iter().filter(|thread| !thread.is_finished());
                Err(StillRunning { threads: running.count() })
            }
        }
    }
}

/// Threads of a lane that did not end in time: their jobs are stuck, or were given too little time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{threads} threads of the lane are still working")]
pub struct StillRunning {
    /// How many.
    pub threads: usize,
}

/// One thread of a lane.
struct Thread<J, W> {
    place: Place<J>,
    counters: Arc<Counters>,
    worker: Arc<W>,
    niceness: Niceness,
    _alive: Sender<()>,
}

/// A worker's place at the queue, from before its thread starts until it has ended.
struct Place<J>(Arc<Queue<J>>);

impl<J> Place<J> {
    fn at(queue: &Arc<Queue<J>>) -> Self {
        queue.join();
        Self(Arc::clone(queue))
    }
}

impl<J> Drop for Place<J> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

impl<J: Job, W: Fn(&mut Inbox<J>)> Thread<J, W> {
    fn run(self) {
        give_way(self.counters.name, self.niceness);
        while self.work() == Then::StartAgain {}
        self.counters.thread_ended();
    }

    fn work(&self) -> Then {
        let mut inbox = Inbox::new(Arc::clone(&self.place.0), Arc::clone(&self.counters));
        // Nothing of a worker that panicked is seen again: its state unwinds, and the inbox, whose
        // methods leave it whole, is dropped below.
        let Err(panic) = catch_unwind(AssertUnwindSafe(|| (self.worker)(&mut inbox))) else {
            return Then::End;
        };
        self.counters.panicked();
        let lane = self.counters.name;
        let goes_on = inbox.taken_any();
        // Apart: what a request brings about over and over must not hide that the lane has lost a thread.
        if goes_on {
            sparing!(ERROR, lane, goes_on, panic = message(&*panic), "a worker panicked");
        } else {
            sparing!(ERROR, lane, goes_on, panic = message(&*panic), "a worker panicked");
        }
        // The payload is whatever was thrown, and its own `Drop` may panic.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(panic)));
        if goes_on { Then::StartAgain } else { Then::End }
    }
}

#[derive(PartialEq, Eq)]
enum Then {
    StartAgain,
    End,
}

/// Lowers the priority of the calling thread. Failing to do so costs fairness, not correctness.
fn give_way(lane: &str, niceness: Niceness) {
    if niceness == Niceness::default() {
        return;
    }
    // POSIX means the process; Linux means the thread that calls (setpriority(2), "C
    // library/kernel differences"), which is what is wanted here.
    let set = rustix::process::setpriority_process(None, i32::from(niceness.get()));
    if let Err(error) = set {
        let niceness = niceness.get();
        sparing!(ERROR, lane, niceness, %error, "cannot lower the priority of a thread");
    }
}

/// What a panic said, when it said it in text.
fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("not a text")
}

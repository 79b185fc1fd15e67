//! A peer made of byte arrays, lanes whose jobs come to the test, and where tickets post.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use credentials::{KeyId, Keyring, SecretKey, TokenKeyring};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use framing::v2::{Encoder, Frame, HealthReply, Hello, ReplyMessage, RequestMessage, split_frame};
use lane::{FlowKeys, Lane, LaneOptions};
use reactor::testing::{Harness, Post, Posted, connection_id, mailbox};
use reactor::{Mailbox, Ticket};
use service::metrics::Registry;

use super::{Conversation, Desk, Lanes, Turns};
use crate::accounts::AccountError;
use crate::job::{Call, Done, Job, Reply, Unanswered};
use crate::keyrings::LiveRing;
use crate::metrics::Metrics;

/// What the bench tells its peers.
pub(super) const HASH_THREADS: NonZeroUsize = NonZeroUsize::MIN;

/// How long anything may take that should not fail.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the answers of workers come in, in place of a loop.
pub(crate) struct PostOffice {
    mailbox: Mailbox<Reply>,
    post: Post<Reply>,
    /// Posted, and not yet looked at.
    waiting: RefCell<VecDeque<Posted<Reply>>>,
}

impl PostOffice {
    pub(crate) fn open() -> Self {
        let (mailbox, post) = mailbox();
        Self { mailbox, post, waiting: RefCell::default() }
    }

    /// A ticket of a connection that does not exist.
    pub(crate) fn ticket(&self, call: Call) -> Ticket<Reply, Unanswered> {
        Ticket::new(self.mailbox.clone(), connection_id(0), Unanswered(call))
    }

    /// The next letter. Waits for it.
    pub(crate) fn next(&self) -> Posted<Reply> {
        let deadline = clock::now() + PATIENCE;
        let mut waiting = self.waiting.borrow_mut();
        while waiting.is_empty() {
            assert!(clock::now() < deadline, "nothing was posted");
            thread::yield_now();
            waiting.extend(self.post.take());
        }
        waiting.pop_front().expect("not empty")
    }

    #[track_caller]
    pub(crate) fn check_empty(&self) {
        self.waiting.borrow_mut().extend(self.post.take());
        assert!(self.waiting.borrow().is_empty());
    }
}

/// A connection whose peer, and whose workers, are the test.
pub(super) struct Bench {
    pub(super) harness: Harness<Conversation>,
    pub(super) post: PostOffice,
    pub(super) heavy: Receiver<Job>,
    pub(super) light: Receiver<Job>,
}

impl Bench {
    /// A fresh connection.
    pub(super) fn new(accept_v1: bool) -> Self {
        let (heavy, heavy_jobs) = lane("heavy", unbounded());
        let (light, light_jobs) = lane("light", unbounded());
        Self::with(accept_v1, Lanes { heavy, light }, heavy_jobs, light_jobs)
    }

    /// A connection after HELLO.
    pub(super) fn greeted() -> Self {
        let mut bench = Self::new(false);
        bench.greet();
        bench
    }

    /// A connection after HELLO whose light lane is full.
    pub(super) fn full() -> Self {
        let (heavy, heavy_jobs) = lane("heavy", unbounded());
        let (light, light_jobs) = lane("light", bounded(0));
        let mut bench = Self::with(false, Lanes { heavy, light }, heavy_jobs, light_jobs);
        bench.greet();
        // One job in the hands of the worker, who cannot pass it on, and one in the queue.
        for correlation in [1, 2] {
            bench.send(&request(correlation, &framing::v2::Health));
            while bench.harness.shared().lanes.light.stats().snapshot().in_work == 0 {
                thread::yield_now();
            }
        }
        bench
    }

    fn with(accept_v1: bool, lanes: Lanes, heavy: Receiver<Job>, light: Receiver<Job>) -> Self {
        let post = PostOffice::open();
        let metrics = Metrics::new(&mut Registry::new("auth_back"));
        let keys = TokenKeyring::new(Keyring::single(KeyId::FIRST, SecretKey::random().unwrap()));
        let turns = Turns::new(FlowKeys::default(), Arc::new(LiveRing::fixed(keys)));
        let desk = Desk {
            mailbox: post.mailbox.clone(),
            lanes,
            turns,
            accept_v1,
            hash_threads: HASH_THREADS,
            metrics,
            draining: false,
        };
        Self { harness: Harness::new(desk), post, heavy, light }
    }

    fn greet(&mut self) {
        self.send(&hello());
        assert_eq!(self.answers(), [(1, 200, String::new())]);
    }

    /// Bytes from the peer, all of which have to be taken.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        assert_eq!(self.harness.feed(bytes), bytes.len());
    }

    /// The next job of the light lane.
    pub(super) fn light_job(&self) -> Job {
        self.light.recv_timeout(PATIENCE).expect("a job is queued")
    }

    /// The next job of the heavy lane.
    pub(super) fn heavy_job(&self) -> Job {
        self.heavy.recv_timeout(PATIENCE).expect("a job is queued")
    }

    /// Answers a job as a worker does, and lets the answer arrive.
    pub(super) fn answer(&mut self, job: Job, outcome: Result<Done, AccountError>) {
        job.ticket.answer(Reply { call: job.call, outcome });
        self.deliver();
    }

    /// Lets the next answer arrive.
    pub(super) fn deliver(&mut self) {
        let posted = self.post.next();
        assert_eq!(posted.to, self.harness.id());
        self.harness.complete(posted.completion);
    }

    /// The answers since the last time: correlation id, status and code of each.
    pub(super) fn answers(&mut self) -> Vec<(u64, u16, String)> {
        let output = self.harness.take_output();
        frames(&output)
            .iter()
            .map(|frame| {
                // Every answer starts with a status; what follows 200 is for the message's own reader.
                let (status, code) = match HealthReply::decode(frame.body) {
                    Ok(Err(refusal)) => (refusal.status().get(), refusal.code().to_owned()),
                    _ => (200, String::new()),
                };
                (frame.correlation, status, code)
            })
            .collect()
    }

    pub(super) fn protocol_errors(&mut self) -> u64 {
        self.harness.shared().metrics.protocol_errors.get()
    }

    #[track_caller]
    pub(super) fn check_closed_for_input(&mut self) {
        assert!(self.harness.is_aborted());
        assert_eq!(self.protocol_errors(), 1);
        assert!(self.light.is_empty() && self.heavy.is_empty(), "nothing was begun");
    }
}

/// A lane whose worker hands each job on.
fn lane(
    name: &'static str,
    (jobs, received): (Sender<Job>, Receiver<Job>),
) -> (Lane<Job>, Receiver<Job>) {
    let queue = if jobs.capacity().is_some() { 1 } else { 4096 };
    let queue = NonZeroUsize::new(queue).unwrap();
    let options = LaneOptions::new(name, NonZeroUsize::MIN, queue).unwrap();
    let (lane, _) = Lane::start(&options, move |inbox| {
        while let Some(job) = inbox.recv() {
            // At its end a test leaves jobs behind.
            let _ = jobs.send(job);
        }
    })
    .unwrap();
    (lane, received)
}

/// The frames that `bytes` are made of, all whole.
pub(super) fn frames(mut bytes: &[u8]) -> Vec<Frame<'_>> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let (frame, taken) = split_frame(bytes).unwrap().expect("only whole frames are sent");
        frames.push(frame);
        bytes = &bytes[taken..];
    }
    frames
}

/// A frame that asks, with a minute for its answer.
pub(super) fn request<'a>(correlation: u64, message: &impl RequestMessage<'a>) -> Vec<u8> {
    request_within(60_000, correlation, message)
}

/// A frame that asks, with so many milliseconds for its answer.
pub(super) fn request_within<'a>(
    budget_ms: u32,
    correlation: u64,
    message: &impl RequestMessage<'a>,
) -> Vec<u8> {
    let mut bytes = Vec::new();
    Encoder::default().request(&mut bytes, correlation, budget_ms, message).unwrap();
    bytes
}

/// A frame that asks, for a user's request that is found again by `id`.
pub(super) fn request_of<'a>(id: &str, message: &impl RequestMessage<'a>) -> Vec<u8> {
    let mut bytes = Vec::new();
    Encoder::default().request_of(&mut bytes, 9, 60_000, Some(id), message).unwrap();
    bytes
}

/// The HELLO of a front, with correlation id 1.
pub(super) fn hello() -> Vec<u8> {
    request(1, &Hello::current("http_front/0.0.0", 64))
}

/// What is left until a deadline, as the connection sees the time.
pub(super) fn time_left(bench: &Bench, deadline: Instant) -> Duration {
    deadline.saturating_duration_since(bench.harness.now())
}

//! One blocking connection to an auth server.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use framing::v2::{
    Agreed, Encoder, Features, Frame, Health, HealthReply, Hello, Inbox, Incompatible,
    RequestMessage, negotiate,
};
use framing::{DecodeError, EncodeError, FrameError};
use reactor::Bundle;
use service::sparing;
use zeroize::Zeroize;

use super::messages;
use super::serving::Serving;
use crate::in_flight::Answered;
use crate::limits::{CONNECT_TIME_MAX, READ_TICK, SILENCE_MIN};
use crate::work::{Job, Outcome, Unanswered};

/// Name and version of this program, for the logs of auth_back.
const SOFTWARE: &str = concat!("http_front/", env!("CARGO_PKG_VERSION"));

/// Unanswered requests that this side is prepared for. Batches are smaller.
const IN_FLIGHT_MAX: u32 = 1024;

/// A connection after HELLO. One thread uses it at a time, for one exchange after the other.
pub(crate) struct Connection {
    stream: TcpStream,
    opened_at: Instant,
    outgoing: Vec<u8>,
    inbox: Inbox,
    /// Answers that are passed on together.
    bundle: Bundle<Outcome>,
    encoder: Encoder,
    features: Features,
    in_flight_max: usize,
    hash_threads: u32,
    next_correlation: u64,
    /// It has carried requests before, so what breaks it may have happened while it waited.
    used: bool,
    /// Set when the stream cannot be used again.
    broken: bool,
}

/// Why an exchange or the opening of a connection failed. What requests that were sent came to is
/// not known then.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectionError {
    /// The network, or the auth server went away.
    #[error("the connection failed")]
    Io(#[from] io::Error),
    /// The auth server ended the connection.
    #[error("the auth server closed the connection")]
    Closed,
    /// The auth server said nothing for as long as anybody waited: it is taken for hung.
    #[error("the auth server did not answer in time")]
    TimedOut,
    /// A deadline passed before its answer came, but the auth server may be well: it answered
    /// others, or had little time. The connection cannot be used again, since the answer to what
    /// was given up may still come.
    #[error("some answers did not come in time")]
    Late,
    /// The auth server, or something else that listens there, does not speak the protocol.
    #[error("what came is no frame")]
    Frame(#[from] FrameError),
    /// The auth server's answer to our own question is not as it should be.
    #[error("an answer could not be understood")]
    Decode(#[from] DecodeError),
    /// The operator deployed releases that are too far apart.
    #[error("the auth server is of a release that does not fit ours")]
    Incompatible(#[from] Incompatible),
    /// The auth server refuses what every one answers.
    #[error("the auth server refused with status {0}")]
    Refused(u16),
    /// A defect of this program.
    #[error("a message could not be encoded")]
    Encode(#[from] EncodeError),
}

impl ConnectionError {
    /// Whether this side had no descriptor, memory or port for it: nothing is known of the auth server then.
    pub(crate) fn is_local(&self) -> bool {
        let is_local = |error: &io::Error| {
            reactor::is_exhaustion(error) || error.kind() == io::ErrorKind::AddrNotAvailable
        };
        matches!(self, Self::Io(error) if is_local(error))
    }
}

impl Connection {
    /// Connects and exchanges HELLO. Blocks until `deadline` at the most.
    pub(crate) fn open(address: SocketAddr, deadline: Instant) -> Result<Self, ConnectionError> {
        let opened_at = clock::now();
        let patience = deadline.saturating_duration_since(opened_at).min(CONNECT_TIME_MAX);
        // Zero is refused by the system, and would mean no time-out at all for reads.
        let patience = patience.max(Duration::from_millis(1));
        let stream = TcpStream::connect_timeout(&address, patience)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(CONNECT_TIME_MAX))?;
        stream.set_read_timeout(Some(READ_TICK))?;
        let mut connection = Self {
            stream,
            opened_at,
            outgoing: Vec::new(),
            inbox: Inbox::new(),
            bundle: Bundle::default(),
            encoder: Encoder::default(),
            features: Features::NONE,
            in_flight_max: 1,
            hash_threads: 0,
            next_correlation: 0,
            used: false,
            broken: false,
        };
        let (agreed, hash_threads) = connection.greet(opened_at + patience)?;
        connection.hash_threads = hash_threads;
        connection.encoder = agreed.encoder();
        connection.features = agreed.features;
        connection.in_flight_max = usize::try_from(agreed.in_flight_max).unwrap_or(usize::MAX);
        Ok(connection)
    }

    /// How many passwords its server hashes at a time; 0 if it does not tell.
    pub(crate) fn hash_threads(&self) -> u32 {
        self.hash_threads
    }

    pub(crate) fn opened_at(&self) -> Instant {
        self.opened_at
    }

    /// Whether it has carried requests before.
    pub(crate) fn is_used(&self) -> bool {
        self.used
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Whether the other side has neither closed the connection nor sent anything unasked. Does not
    /// wait.
    pub(crate) fn is_quiet(&self) -> bool {
        let look = || -> io::Result<bool> {
            self.stream.set_nonblocking(true)?;
            let peeked = self.stream.peek(&mut [0]);
            self.stream.set_nonblocking(false)?;
            Ok(matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock))
        };
        self.inbox.waiting() == 0 && look().unwrap_or(false)
    }

    /// Asks whether the auth server can serve, and why not.
    pub(crate) fn health(
        &mut self,
        deadline: Instant,
    ) -> Result<Result<Serving, String>, ConnectionError> {
        self.used = true;
        let correlation = self.send(&Health)?;
        self.receive(correlation, deadline, |frame| match frame.answer::<HealthReply<'_>>()? {
            Ok(HealthReply { ready: true, draining, .. }) => Ok(Ok(Serving { draining })),
            Ok(HealthReply { reason, .. }) => Ok(Err(reason.to_owned())),
            Err(refusal) => Err(ConnectionError::Refused(refusal.status().get())),
        })
    }

    /// Sends the requests of `jobs` in one write and answers each job when its reply arrives.
    /// Blocks until all are answered; a job whose deadline passes is answered with that. Jobs that
    /// this auth server has not announced to do are left in `jobs`.
    ///
    /// After an error the connection is of no more use, and jobs that were not answered are left in
    /// `jobs`. Whether they took effect is not known; all of them can be sent again.
    pub(crate) fn exchange(&mut self, jobs: &mut Vec<Job>) -> Result<(), ConnectionError> {
        let features = self.features;
        let beyond: Vec<Job> =
            jobs.extract_if(.., |job| !features.contains(job.work.needs())).collect();
        let exchanged = self.exchange_known(jobs);
        jobs.extend(beyond);
        exchanged
    }

    fn exchange_known(&mut self, jobs: &mut Vec<Job>) -> Result<(), ConnectionError> {
        while !jobs.is_empty() {
            let rest = jobs.split_off(jobs.len().min(self.in_flight_max));
            let mut waiting = Waiting::new(self.next_correlation, std::mem::replace(jobs, rest));
            let exchanged = self.exchange_batch(&mut waiting);
            self.bundle.post();
            self.used = true;
            if exchanged.is_err() {
                self.broken = true;
                for job in waiting.into_unanswered() {
                    match job.work.is_repeatable() {
                        true => jobs.push(job),
                        false => job.answer(Outcome::Unanswered(Unanswered::Lost)),
                    }
                }
                return exchanged;
            }
        }
        Ok(())
    }

    fn exchange_batch(&mut self, waiting: &mut Waiting) -> Result<(), ConnectionError> {
        // A lease counts from before the request leaves.
        let sent_at = clock::now();
        let patience = waiting.patience(sent_at);
        self.write_requests(waiting, sent_at)?;
        let (mut heard, mut expired) = (false, false);
        while waiting.count > 0 {
            match self.inbox.next_frame()? {
                Some(frame) => {
                    heard = true;
                    if let Some(job) = waiting.take(frame.correlation) {
                        messages::answer(job, &frame, sent_at, &mut self.bundle);
                    }
                }
                None => {
                    // Replies that came together are passed on together, and before any wait.
                    self.bundle.post();
                    self.read_some()?;
                    // Also when something came: a peer that sends byte after byte and no answer
                    // must not hold this thread.
                    expired |= waiting.expire(sent_at, clock::now());
                }
            }
        }
        // The last reply may have brought a token, and the connection may idle for long.
        self.inbox.release();
        match expired {
            false => Ok(()),
            true if heard || patience < SILENCE_MIN => Err(ConnectionError::Late),
            true => Err(ConnectionError::TimedOut),
        }
    }

    fn write_requests(
        &mut self,
        waiting: &mut Waiting,
        now: Instant,
    ) -> Result<(), ConnectionError> {
        for slot in &mut waiting.jobs {
            let Some(job) = slot else { continue };
            let budget_ms = job.deadline.saturating_duration_since(now).as_millis();
            let budget_ms = u32::try_from(budget_ms).unwrap_or(u32::MAX);
            let correlation = self.next_correlation;
            self.next_correlation += 1;
            let encoded =
                messages::encode(self.encoder, &mut self.outgoing, correlation, budget_ms, job);
            if let Err(error) = encoded
                && let Some(job) = slot.take()
            {
                // The API refuses what no frame can carry, so the auth server's limit is lower.
                sparing!(ERROR, %error, "a request does not fit the auth server's limits");
                waiting.count -= 1;
                job.answer(Outcome::Unanswered(Unanswered::Incomprehensible));
            }
        }
        self.flush()
    }

    /// What was agreed, and how many passwords the server hashes at a time.
    fn greet(&mut self, deadline: Instant) -> Result<(Agreed, u32), ConnectionError> {
        let ours = Hello::current(SOFTWARE, IN_FLIGHT_MAX);
        let correlation = self.send(&ours)?;
        self.receive(correlation, deadline, |frame| match frame.answer::<Hello<'_>>()? {
            Ok(theirs) => Ok((negotiate(&ours, &theirs)?, theirs.hash_threads)),
            Err(refusal) => Err(ConnectionError::Refused(refusal.status().get())),
        })
    }

    fn send<'a, M: RequestMessage<'a>>(&mut self, message: &M) -> Result<u64, ConnectionError> {
        let correlation = self.next_correlation;
        self.next_correlation += 1;
        self.encoder.request(&mut self.outgoing, correlation, u32::MAX, message)?;
        self.flush()?;
        Ok(correlation)
    }

    /// Waits for one reply and reads it. Replies to what was given up earlier are passed over.
    fn receive<T>(
        &mut self,
        correlation: u64,
        deadline: Instant,
        read: impl FnOnce(&Frame<'_>) -> Result<T, ConnectionError>,
    ) -> Result<T, ConnectionError> {
        loop {
            match self.inbox.next_frame()? {
                Some(frame) if frame.correlation == correlation => return read(&frame),
                Some(_) => {}
                None => {
                    self.read_some()?;
                    if clock::now() >= deadline {
                        return Err(ConnectionError::TimedOut);
                    }
                }
            }
        }
    }

    fn flush(&mut self) -> Result<(), ConnectionError> {
        let written = self.stream.write_all(&self.outgoing);
        // Requests carry passwords and tokens.
        self.outgoing.zeroize();
        Ok(written?)
    }

    /// Reads what is there, waiting for at most a tick.
    fn read_some(&mut self) -> Result<(), ConnectionError> {
        match self.stream.read(self.inbox.space()) {
            Ok(0) => Err(ConnectionError::Closed),
            Ok(count) => {
                self.inbox.filled(count);
                Ok(())
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock
                | io::ErrorKind::TimedOut
                | io::ErrorKind::Interrupted => Ok(()),
                _ => Err(error.into()),
            },
        }
    }
}

/// Jobs that were sent together; a reply finds its job by the distance of its correlation id from
/// the first.
struct Waiting {
    first: u64,
    jobs: Vec<Option<Job>>,
    count: usize,
}

impl Waiting {
    fn new(first: u64, jobs: Vec<Job>) -> Self {
        let count = jobs.len();
        Self { first, jobs: jobs.into_iter().map(Some).collect(), count }
    }

    /// How long somebody waits, counted from `now`.
    fn patience(&self, now: Instant) -> Duration {
        let last = self.jobs.iter().flatten().map(|job| job.deadline).max();
        last.map_or(Duration::ZERO, |last| last.saturating_duration_since(now))
    }

    /// The job of a reply; `None` for a reply that nobody waits for.
    fn take(&mut self, correlation: u64) -> Option<Job> {
        let index = usize::try_from(correlation.checked_sub(self.first)?).ok()?;
        let job = self.jobs.get_mut(index)?.take()?;
        self.count -= 1;
        Some(job)
    }

    /// Answers jobs whose deadline has passed; whether there were any.
    fn expire(&mut self, sent_at: Instant, now: Instant) -> bool {
        let before = self.count;
        for slot in &mut self.jobs {
            if let Some(job) = slot.take_if(|job| job.deadline <= now) {
                // As late as an answer can be.
                job.answered(sent_at, Answered::Refused);
                job.answer(Outcome::Unanswered(Unanswered::TimedOut));
                self.count -= 1;
            }
        }
        self.count < before
    }

    fn into_unanswered(self) -> impl Iterator<Item = Job> {
        self.jobs.into_iter().flatten()
    }
}

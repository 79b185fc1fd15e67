//! Frames on the reactor: what one connection of a front, or of a v1 client, goes through.
//!
//! The first byte tells v1 from v2. In v2 HELLO comes first; then up to [`IN_FLIGHT_MAX`] requests
//! may be unanswered, and answers leave as they are done. In v1 one request is in work at a time.
//! Bytes that are no message close their connection and no other.

mod refusals;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod turns;
mod v1;
mod v2;

pub use turns::Turns;

use std::num::NonZeroUsize;
use std::time::Instant;

use framing::v2::{
    Encoder, Features, Frame, Hello, Refusal, Request as Message, negotiate, split_frame,
};
use framing::{FrameError, Status, Version};
use lane::Lane;
use reactor::{Io, Mailbox, Protocol, Ticket};
use service::sparing;

use crate::accounts::AccountError;
use crate::job::{Call, Job, Reply, Request, Unanswered};
use crate::limits::{FRAME_TIME_MAX, GREETING_TIME_MAX, IDLE_TIME_MAX, IN_FLIGHT_MAX};
use crate::metrics::Metrics;

/// Name and version of this program, for the logs of its peers.
const SOFTWARE: &str = concat!("auth_back/", env!("CARGO_PKG_VERSION"));

/// What this server does beyond release 2.0.
const FEATURES: Features = Features::SESSION_MANAGEMENT;

/// What all connections of the loop share.
pub struct Desk {
    /// Where workers' answers come in.
    pub mailbox: Mailbox<Reply>,
    /// The two lanes of workers.
    pub lanes: Lanes,
    /// Whose turn a request waits for.
    pub turns: Turns,
    /// Whether v1 is spoken.
    pub accept_v1: bool,
    /// How many passwords are hashed at a time. Fronts are told.
    pub hash_threads: NonZeroUsize,
    /// What is counted.
    pub metrics: Metrics,
    /// Whether the server stops before long. Whoever asks how it is is told.
    pub draining: bool,
}

/// The two lanes of workers. A flood in one leaves the other free.
#[derive(Clone, Debug)]
pub struct Lanes {
    /// For requests that hash a password.
    pub heavy: Lane<Job>,
    /// For all others.
    pub light: Lane<Job>,
}

/// One connection.
pub struct Conversation {
    stage: Stage,
    /// Whether the deadline is that of a message: the first, which is due from the start, or one of
    /// which some bytes have come.
    message_due: bool,
    /// Whether no more requests are taken.
    stopping: bool,
}

enum Stage {
    /// Nothing has come yet.
    Fresh,
    /// v1: at most one request in work.
    V1 { in_work: bool },
    /// v2, before HELLO.
    Greeting,
    /// v2 after HELLO.
    Talking { encoder: Encoder, in_flight: u32 },
}

/// What came of looking at the input.
enum Taken {
    /// So many bytes were consumed.
    Bytes(usize),
    /// A message has begun, or not even that.
    NeedMore,
    /// As many requests are in work as may be; look again after an answer.
    Full,
}

impl Protocol for Conversation {
    type Shared = Desk;
    type Completion = Reply;
    const INPUT_BYTES_MAX: usize = framing::limits::FRAME_BYTES_MAX;

    fn open(_: &mut Desk, io: &mut Io<'_>) -> Self {
        io.set_deadline(Some(io.now() + GREETING_TIME_MAX));
        Self { stage: Stage::Fresh, message_due: true, stopping: false }
    }

    fn on_input(&mut self, input: &[u8], desk: &mut Desk, io: &mut Io<'_>) -> usize {
        match self.take(input, desk, io) {
            Ok(Taken::Bytes(count)) => {
                self.message_due = false;
                self.set_idle_deadline(io);
                count
            }
            Ok(Taken::NeedMore) => {
                self.wait_for_rest(io);
                0
            }
            Ok(Taken::Full) => {
                io.pause_input();
                0
            }
            Err(error) => {
                desk.metrics.protocol_errors.inc();
                // Whoever finds this port can send nonsense.
                sparing!(WARN, %error, "a connection was closed for what came over it");
                match error {
                    // Our HELLO is on its way, and says what the peer would have to be.
                    ProtocolError::Incompatible(_) => io.finish(),
                    _ => io.abort(),
                }
                0
            }
        }
    }

    fn on_completion(&mut self, reply: Reply, desk: &mut Desk, io: &mut Io<'_>) {
        if let Err(AccountError::Overloaded { .. }) = reply.outcome {
            desk.metrics.overloaded.inc();
        }
        match &mut self.stage {
            Stage::V1 { in_work } => {
                *in_work = false;
                v1::answer(io.output(), &reply);
            }
            Stage::Talking { encoder, in_flight } => {
                *in_flight -= 1;
                v2::answer(*encoder, io.output(), &reply, desk.draining);
            }
            Stage::Fresh | Stage::Greeting => {
                unreachable!("an answer without a request: requests come after the greeting");
            }
        }
        if self.stopping {
            return self.finish_if_done(io);
        }
        io.resume_input();
        if !self.message_due {
            self.set_idle_deadline(io);
        }
    }

    fn on_deadline(&mut self, desk: &mut Desk, io: &mut Io<'_>) {
        if self.message_due {
            desk.metrics.protocol_errors.inc();
            sparing!(WARN, "a connection was closed: a message did not arrive in time");
        }
        io.abort();
    }

    fn idle_since(&self, deadline: Option<Instant>, _: &Desk) -> Option<Instant> {
        let patience = match self.stage {
            _ if self.in_work() > 0 || self.stopping => return None,
            Stage::Fresh => GREETING_TIME_MAX,
            _ if self.message_due => return None,
            Stage::Greeting | Stage::V1 { .. } | Stage::Talking { .. } => IDLE_TIME_MAX,
        };
        deadline?.checked_sub(patience)
    }

    fn on_input_end(&mut self, _: &mut Desk, io: &mut Io<'_>) {
        self.stop(io);
    }

    fn on_drain(desk: &mut Desk) {
        desk.draining = true;
    }

    fn on_shutdown(&mut self, _: &mut Desk, io: &mut Io<'_>) {
        // What has come is answered, also what waits because as many requests are in work as may be.
        io.end_input();
    }

    fn on_turn_end(desk: &mut Desk) {
        desk.lanes.heavy.notify();
        desk.lanes.light.notify();
    }
}

impl Conversation {
    fn take(
        &mut self,
        input: &[u8],
        desk: &mut Desk,
        io: &mut Io<'_>,
    ) -> Result<Taken, ProtocolError> {
        if let Stage::Fresh = self.stage {
            let Some(&first) = input.first() else { return Ok(Taken::NeedMore) };
            self.stage = match framing::sniff(first)? {
                Version::V1 if desk.accept_v1 => Stage::V1 { in_work: false },
                Version::V1 => return Err(ProtocolError::V1Off),
                Version::V2 => Stage::Greeting,
            };
        }
        match &mut self.stage {
            Stage::Fresh => unreachable!("left above"),
            Stage::V1 { in_work: true } => Ok(Taken::Full),
            Stage::V1 { in_work } => take_v1(in_work, input, desk, io),
            Stage::Greeting => self.greet(input, desk, io),
            Stage::Talking { in_flight, .. } if *in_flight >= IN_FLIGHT_MAX => Ok(Taken::Full),
            Stage::Talking { encoder, in_flight } => {
                let Some((frame, taken)) = split_frame(input)? else { return Ok(Taken::NeedMore) };
                take_frame(*encoder, in_flight, &frame, desk, io)?;
                Ok(Taken::Bytes(taken))
            }
        }
    }

    fn greet(
        &mut self,
        input: &[u8],
        desk: &Desk,
        io: &mut Io<'_>,
    ) -> Result<Taken, ProtocolError> {
        let Some((frame, taken)) = split_frame(input)? else { return Ok(Taken::NeedMore) };
        let Ok(Message::Hello(theirs)) = Message::decode(&frame) else {
            return Err(ProtocolError::NoHello);
        };
        let ours = Hello {
            features: FEATURES,
            hash_threads: u32::try_from(desk.hash_threads.get()).unwrap_or(u32::MAX),
            ..Hello::current(SOFTWARE, IN_FLIGHT_MAX)
        };
        let answered = Encoder::default().answer(io.output(), frame.correlation, &Ok(ours));
        answered.expect("our own HELLO fits a frame");
        let agreed = negotiate(&ours, &theirs)?;
        let (peer, version) = (theirs.software, agreed.version);
        // A front has about ten connections, and makes each anew every few minutes.
        sparing!(after 16, INFO, peer, version, "a front has connected");
        self.stage = Stage::Talking { encoder: agreed.encoder(), in_flight: 0 };
        Ok(Taken::Bytes(taken))
    }

    /// The rest of a message has to come within a time that counts from its first byte.
    fn wait_for_rest(&mut self, io: &mut Io<'_>) {
        if !self.message_due {
            self.message_due = true;
            io.set_deadline(Some(io.now() + FRAME_TIME_MAX));
        }
    }

    fn set_idle_deadline(&self, io: &mut Io<'_>) {
        // A worker always answers, so while it works there is nothing to watch over.
        let idle = self.in_work() == 0;
        io.set_deadline(idle.then(|| io.now() + IDLE_TIME_MAX));
    }

    fn in_work(&self) -> u32 {
        match self.stage {
            Stage::Fresh | Stage::Greeting => 0,
            Stage::V1 { in_work } => in_work.into(),
            Stage::Talking { in_flight, .. } => in_flight,
        }
    }

    /// Takes no more requests; those in work are still answered. Half a message does not matter any
    /// more, nor does its deadline, which would cut those answers off.
    fn stop(&mut self, io: &mut Io<'_>) {
        self.stopping = true;
        io.pause_input();
        io.set_deadline(None);
        self.finish_if_done(io);
    }

    fn finish_if_done(&self, io: &mut Io<'_>) {
        if self.in_work() == 0 {
            io.finish();
        }
    }
}

fn take_v1(
    in_work: &mut bool,
    input: &[u8],
    desk: &Desk,
    io: &mut Io<'_>,
) -> Result<Taken, ProtocolError> {
    match v1::cut(input, io.peer(), io.now())? {
        v1::Cut::NeedMore => Ok(Taken::NeedMore),
        v1::Cut::Refused(message, taken) => {
            v1::refuse(io.output(), Status::BAD_REQUEST, message);
            Ok(Taken::Bytes(taken))
        }
        v1::Cut::Request(call, request, deadline, taken) => {
            match desk.submit(request, call, None, deadline, io) {
                Ok(()) => *in_work = true,
                Err(error) => v1::answer(io.output(), &Reply { call, outcome: Err(error) }),
            }
            Ok(Taken::Bytes(taken))
        }
    }
}

fn take_frame(
    encoder: Encoder,
    in_flight: &mut u32,
    frame: &Frame<'_>,
    desk: &Desk,
    io: &mut Io<'_>,
) -> Result<(), ProtocolError> {
    let understood = Message::decode(frame)
        .and_then(|message| Ok((message, v2::http_request_id(frame, &message)?)));
    let (message, http_request_id) = match understood {
        Ok(understood) => understood,
        Err(framing::DecodeError::KindUnexpected(_)) => return Err(ProtocolError::NotARequest),
        Err(error) => {
            refuse(encoder, frame, &Refusal::from(error), io);
            return Ok(());
        }
    };
    let Some(request) = v2::request(&message, io.peer()) else {
        return Err(ProtocolError::SecondHello);
    };
    let call = Call { correlation: frame.correlation, message_type: message.message_type() };
    let deadline = v2::deadline(frame, io.now());
    match desk.submit(request, call, http_request_id, deadline, io) {
        Ok(()) => *in_flight += 1,
        Err(error) => {
            let reply = Reply { call, outcome: Err(error) };
            v2::answer(encoder, io.output(), &reply, desk.draining);
        }
    }
    Ok(())
}

fn refuse(encoder: Encoder, frame: &Frame<'_>, refusal: &Refusal<'_>, io: &mut Io<'_>) {
    encoder
        .refusal(io.output(), frame.correlation, frame.message_type, refusal)
        .expect("our own refusals fit every frame");
}

impl Desk {
    /// Queues a request, or answers at once that it cannot be served.
    fn submit(
        &self,
        request: Request,
        call: Call,
        http_request_id: Option<Box<str>>,
        deadline: Instant,
        io: &Io<'_>,
    ) -> Result<(), AccountError> {
        let flow = self.turns.flow(&request, io.peer());
        let lane = if request.is_heavy() { &self.lanes.heavy } else { &self.lanes.light };
        let ticket = Ticket::new(self.mailbox.clone(), io.id(), Unanswered(call));
        let job = Job { request, deadline, flow, call, http_request_id, ticket };
        let ask = job.ask();
        lane.try_queue(job, &ask).map_err(|rejected| {
            rejected.job.ticket.withdraw();
            self.metrics.overloaded.inc();
            AccountError::Overloaded { retry_after: rejected.why.retry_after }
        })
    }
}

/// Why a connection is closed. The peer is at fault, or whoever deployed it.
#[derive(Debug, thiserror::Error)]
enum ProtocolError {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("v1 is not accepted here (--accept-v1)")]
    V1Off,
    #[error("the first frame is not HELLO")]
    NoHello,
    #[error("HELLO came a second time")]
    SecondHello,
    #[error("a response came where requests are expected")]
    NotARequest,
    #[error(transparent)]
    Incompatible(#[from] framing::v2::Incompatible),
}

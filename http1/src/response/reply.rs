//! The right to write exactly one answer.

use std::time::Instant;
use std::{fmt, io};

use wipe::{append, reserve};
use zeroize::Zeroize;

use super::{PreparedResponse, Response, append_decimal};
use crate::date::{DateCache, DateLine};
use crate::precondition::{Conditions, Verdict};
use crate::problem::{FIELDS_MAX, Problem};
use crate::request_id::{self, RequestId};
use crate::status::Status;

const CLOSE_AND_END: &[u8] = b"Connection: close\r\n\r\n";
const KEEP_ALIVE_AND_END: &[u8] = b"Connection: keep-alive\r\n\r\n";
/// `Date` and the longer of the two above; only a hint for reserving.
const END_OF_HEAD_BYTES_MAX: usize = 64;

/// Whether the connection goes on after an answer (RFC 9112 section 9.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Persistence {
    /// No, and the answer says so.
    Close,
    /// Yes, as HTTP/1.1 implies.
    Implied,
    /// Yes, and the answer says so, because an HTTP/1.0 client asked for it.
    Announced,
}

/// How a request wants its answer.
pub(crate) struct Form {
    /// The answer to HEAD ends after its head (RFC 9110 section 9.3.2).
    pub(crate) head_only: bool,
    pub(crate) persistence: Persistence,
    /// What an answer of 2xx has to meet. Boxed, since nearly no request has any.
    pub(crate) conditions: Option<Box<Conditions>>,
    /// What it is found again by.
    pub(crate) request_id: Option<RequestId>,
}

/// The right, and the duty, to answer one request.
///
/// Every method that answers consumes it and gives the [`Answered`] that a handler has to return,
/// so a request gets one answer, not none and not two.
#[must_use = "a request has to be answered"]
pub struct Reply<'a> {
    out: &'a mut Vec<u8>,
    date: Option<&'a DateLine>,
    form: Form,
}

/// Proof that an answer was written.
#[derive(Debug)]
#[must_use = "it is what a handler returns"]
pub struct Answered {
    pub(crate) status: Status,
    pub(crate) persists: bool,
}

/// How far a request came in the call that handed it over.
#[must_use = "it is what a handler returns"]
pub struct Progress(pub(crate) Step);

pub(crate) enum Step {
    Answered(Answered),
    Pending { deadline: Instant, form: Form },
}

/// The step only: preconditions are nobody's business.
impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Step::Answered(answered) => f.debug_tuple("Answered").field(answered).finish(),
            Step::Pending { deadline, .. } => f.debug_tuple("Pending").field(deadline).finish(),
        }
    }
}

impl From<Answered> for Progress {
    fn from(answered: Answered) -> Self {
        Self(Step::Answered(answered))
    }
}

/// The answer when `If-Match` is not met.
pub(crate) const PRECONDITION_FAILED: Problem = Problem::new(
    Status::PreconditionFailed,
    "precondition_failed",
    "The precondition is not met",
    "If-Match names no entity tag of what is there. Nothing was done.",
);

impl<'a> Reply<'a> {
    #[inline]
    pub(crate) fn new(
        out: &'a mut Vec<u8>,
        dates: &'a mut DateCache,
        now: Instant,
        form: Form,
    ) -> Self {
        Self { out, date: dates.line(now), form }
    }

    /// Makes this the connection's last answer.
    pub fn closing(mut self) -> Self {
        self.form.persistence = Persistence::Close;
        self
    }

    /// What the request is found again by, if its handler gave it anything.
    #[must_use]
    pub fn request_id(&self) -> Option<&RequestId> {
        self.form.request_id.as_ref()
    }

    /// Answers with `content`.
    ///
    /// # Panics
    ///
    /// When a field of `response` cannot stand in a head, or there is content where its status
    /// allows none. Both are made by programmers only.
    pub fn send(mut self, response: &Response<'_>, content: &[u8]) -> Answered {
        match self.judge(response.status(), response.entity_tag) {
            Verdict::Send => {}
            Verdict::NotModified => return self.send_unchanged(response),
            Verdict::Failed => return self.problem(&PRECONDITION_FAILED),
        }
        response.append_head(self.out, content.len());
        self.append_end_of_head();
        if !self.form.head_only {
            append(self.out, content);
        }
        self.answered(response.status())
    }

    /// Answers with an answer prepared before; the cheapest way.
    pub fn send_prepared(mut self, prepared: &PreparedResponse) -> Answered {
        match self.judge(prepared.status, prepared.entity_tag.as_deref()) {
            Verdict::Send => {}
            Verdict::NotModified => {
                append(self.out, &prepared.unchanged);
                return self.end_unchanged();
            }
            Verdict::Failed => return self.problem(&PRECONDITION_FAILED),
        }
        reserve(self.out, prepared.head.len() + prepared.content.len() + END_OF_HEAD_BYTES_MAX);
        self.out.extend_from_slice(&prepared.head);
        self.append_end_of_head();
        if !self.form.head_only {
            self.out.extend_from_slice(&prepared.content);
        }
        self.answered(prepared.status)
    }

    /// Answers with what `fill` writes, straight into the connection's output: for content whose
    /// length is known only when it is written.
    ///
    /// # Panics
    ///
    /// As [`Reply::send`].
    pub fn send_with(
        mut self,
        response: &Response<'_>,
        fill: impl FnOnce(&mut ContentWriter<'_>),
    ) -> Answered {
        match self.judge(response.status(), response.entity_tag) {
            Verdict::Send => {}
            Verdict::NotModified => return self.send_unchanged(response),
            Verdict::Failed => return self.problem(&PRECONDITION_FAILED),
        }
        let start = self.out.len();
        fill(&mut ContentWriter { out: self.out });
        let content_bytes = self.out.len() - start;
        response.append_head(self.out, content_bytes);
        self.append_end_of_head();
        // The head holds the length of the content, so it is written second, and then both change
        // places. For the few hundred bytes of an answer that is cheaper than a buffer in between.
        // `rotate_left` would leave a copy of a short content, which may be a token, on the stack.
        if !self.form.head_only {
            reserve(self.out, content_bytes);
            self.out.extend_from_within(start..start + content_bytes);
        }
        self.out.copy_within(start + content_bytes.., start);
        let end = self.out.len() - content_bytes;
        self.out[end..].zeroize();
        self.out.truncate(end);
        self.answered(response.status())
    }

    /// Answers with a problem document.
    pub fn problem(self, problem: &Problem) -> Answered {
        // Ten digits hold every u32.
        let mut digits = [0; 10];
        let mut fields = [("", ""); 2 + FIELDS_MAX];
        // Errors pass, and some statuses may be cached by default (RFC 9110 section 15.1).
        fields[0] = ("Cache-Control", "no-store");
        let mut count = 1;
        let retry_after = problem.retry_after_seconds.map(|seconds| decimal(seconds, &mut digits));
        let retry_after = retry_after.map(|seconds| ("Retry-After", seconds));
        let further = problem.fields.into_iter().map(Option::<&_>::copied);
        for field in [retry_after].into_iter().chain(further).flatten() {
            fields[count] = field;
            count += 1;
        }
        let response = Response::new(problem.status)
            .content_type("application/problem+json")
            .fields(&fields[..count]);
        let request_id = self.request_id().cloned();
        self.send_with(&response, |content| {
            content.push(b"{\"type\":\"/problems/");
            content.push(problem.code.as_bytes());
            content.push(b"\",\"title\":");
            content.push_json_string(problem.title);
            content.push(b",\"status\":");
            content.push_decimal(u64::from(problem.status.code()));
            content.push(b",\"detail\":");
            content.push_json_string(&problem.detail);
            if let Some(id) = &request_id {
                content.push(b",\"request_id\":");
                content.push_request_id(id);
            }
            content.push(b"}");
        })
    }

    /// Leaves the answer to [`crate::Handler::on_completion`]. When none has come by `deadline`,
    /// the client gets a 503 and the connection is closed: a request is always answered. Input is
    /// paused until then; pipelined requests wait.
    pub fn later(self, deadline: Instant) -> Progress {
        Progress(Step::Pending { deadline, form: self.form })
    }

    /// What the request's preconditions make of an answer.
    #[inline(always)]
    fn judge(&self, status: Status, entity_tag: Option<&str>) -> Verdict {
        match &self.form.conditions {
            Some(conditions) if status.is_success() => conditions.judge(entity_tag),
            _ => Verdict::Send,
        }
    }

    fn send_unchanged(self, response: &Response<'_>) -> Answered {
        response.append_unchanged_head(self.out);
        self.end_unchanged()
    }

    fn end_unchanged(mut self) -> Answered {
        self.append_end_of_head();
        self.answered(Status::NotModified)
    }

    #[inline(always)]
    fn append_end_of_head(&mut self) {
        if let Some(id) = &self.form.request_id {
            append_request_id(self.out, id);
        }
        if let (Some(date), Persistence::Implied) = (self.date, self.form.persistence) {
            return append(self.out, date.and_end_of_head());
        }
        if let Some(date) = self.date {
            append(self.out, date.line());
        }
        let end = match self.form.persistence {
            Persistence::Close => CLOSE_AND_END,
            Persistence::Implied => b"\r\n",
            Persistence::Announced => KEEP_ALIVE_AND_END,
        };
        append(self.out, end);
    }

    fn answered(self, status: Status) -> Answered {
        Answered { status, persists: self.form.persistence != Persistence::Close }
    }
}

/// Never inlined, so that answers without an id, which are the cheapest, do not carry it along.
#[inline(never)]
fn append_request_id(out: &mut Vec<u8>, id: &RequestId) {
    append(out, request_id::FIELD.as_bytes());
    append(out, b": ");
    id.append_to(out);
    append(out, b"\r\n");
}

fn decimal(number: u32, digits: &mut [u8; 10]) -> &str {
    let mut rest = &mut digits[..];
    io::Write::write_fmt(&mut rest, format_args!("{number}")).expect("ten digits hold a u32");
    let unused = rest.len();
    let used = digits.len() - unused;
    std::str::from_utf8(&digits[..used]).expect("digits are ASCII")
}

/// Takes the content of one answer. Writing never fails.
#[derive(Debug)]
pub struct ContentWriter<'a> {
    out: &'a mut Vec<u8>,
}

impl ContentWriter<'_> {
    /// Appends bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        append(self.out, bytes);
    }

    /// Appends `text` as a JSON string, with its quotes.
    #[expect(clippy::missing_panics_doc, reason = "neither a string nor a Vec can make it fail")]
    pub fn push_json_string(&mut self, text: &str) {
        serde_json::to_writer(self, text).expect("a string is JSON, and writing never fails");
    }

    /// Appends an id as a JSON string, with its quotes. No byte of it has to be escaped.
    pub(crate) fn push_request_id(&mut self, id: &RequestId) {
        self.push(b"\"");
        id.append_to(self.out);
        self.push(b"\"");
    }

    /// Appends `number` in decimal.
    pub fn push_decimal(&mut self, number: u64) {
        append_decimal(self.out, number);
    }
}

impl io::Write for ContentWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

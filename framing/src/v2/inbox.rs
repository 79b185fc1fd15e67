//! A receive buffer for a blocking socket.

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

use super::frame::{Frame, split_frame};
use crate::{
    FrameError,
    limits::{FRAME_BYTES_MAX, INBOX_BYTES_FIRST},
};

/// Collects bytes as they arrive and hands out whole frames. It owns one buffer, which starts at
/// [`INBOX_BYTES_FIRST`] bytes and grows no further than [`FRAME_BYTES_MAX`], so that any valid
/// frame fits and nothing else is kept.
///
/// Replies carry tokens: what a frame occupied is wiped on the next call, the rest on drop.
///
/// # Examples
///
/// ```
/// use std::io::Read;
/// use framing::v2::{Encoder, HealthReply, Inbox};
///
/// let mut wire = Vec::new();
/// Encoder::default().answer(&mut wire, 7, &Ok(HealthReply { ready: true, reason: "", draining: false }))?;
/// let mut socket = wire.as_slice();
///
/// let mut inbox = Inbox::new();
/// let correlation = loop {
///     if let Some(frame) = inbox.next_frame()? {
///         break frame.correlation;
///     }
///     let n = socket.read(inbox.space())?;
///     assert_ne!(n, 0, "the peer closed the connection");
///     inbox.filled(n);
/// };
/// assert_eq!(correlation, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Inbox {
    buffer: Zeroizing<Box<[u8]>>,
    /// Everything before it is zero.
    wiped: usize,
    /// Start of what no frame was made of yet; `wiped..start` is the frame handed out last.
    start: usize,
    /// End of what has arrived.
    end: usize,
}

impl Inbox {
    /// An empty inbox.
    #[must_use]
    pub fn new() -> Self {
        Self { buffer: zeroed(INBOX_BYTES_FIRST), wiped: 0, start: 0, end: 0 }
    }

    /// Where to put bytes that arrive; say with [`filled`](Self::filled) how many they were.
    ///
    /// Never empty after [`next_frame`](Self::next_frame) has returned `None`. It can be empty while
    /// [`FRAME_BYTES_MAX`] bytes wait to be taken as frames, and a read into it would then look like
    /// the end of the stream: take frames first.
    pub fn space(&mut self) -> &mut [u8] {
        self.release();
        if self.end == self.buffer.len() {
            self.make_room();
        }
        &mut self.buffer[self.end..]
    }

    /// The first `n` bytes of [`space`](Self::space) have arrived.
    ///
    /// # Panics
    ///
    /// When `n` is more than there was space.
    pub fn filled(&mut self, n: usize) {
        assert!(n <= self.buffer.len() - self.end, "more bytes than there was space for");
        self.end += n;
        self.check();
    }

    /// The next whole frame, or `None` when more bytes are needed. The frame's bytes are wiped on
    /// the next call of any method that takes `&mut self`.
    ///
    /// # Errors
    ///
    /// [`FrameError`]: the stream is lost, and every further call says so again.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, FrameError> {
        self.release();
        let split = split_frame(&self.buffer[self.start..self.end])?;
        Ok(split.map(|(frame, consumed)| {
            self.start += consumed;
            frame
        }))
    }

    /// How many bytes have arrived that no frame was made of yet. A connection is fit for reuse only
    /// at 0.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.end - self.start
    }

    /// Wipes the frame that was handed out last, as the next call would: for who has all frames that
    /// were waited for, and may not call again for a long time.
    pub fn release(&mut self) {
        self.check();
        self.buffer[self.wiped..self.start].zeroize();
        self.wiped = self.start;
        if self.start == self.end {
            (self.wiped, self.start, self.end) = (0, 0, 0);
        }
    }

    /// Moves what waits to the front when that frees half the buffer, or when the buffer must not
    /// grow; doubles the buffer otherwise. Either way the cost of copying stays linear in what
    /// arrives.
    fn make_room(&mut self) {
        let len = self.buffer.len();
        let waiting = self.start..self.end;
        if self.start >= len / 2 || len == FRAME_BYTES_MAX {
            self.buffer.copy_within(waiting.clone(), 0);
            self.buffer[waiting.len()..self.end].zeroize();
        } else {
            let mut grown = zeroed((len * 2).min(FRAME_BYTES_MAX));
            grown[..waiting.len()].copy_from_slice(&self.buffer[waiting.clone()]);
            self.buffer = grown;
        }
        (self.wiped, self.start, self.end) = (0, 0, waiting.len());
        self.check();
    }

    /// The invariant of the cursors.
    fn check(&self) {
        let Self { wiped, start, end, .. } = *self;
        let len = self.buffer.len();
        assert!(wiped <= start && start <= end && end <= len && len <= FRAME_BYTES_MAX);
    }
}

fn zeroed(len: usize) -> Zeroizing<Box<[u8]>> {
    Zeroizing::new(vec![0; len].into_boxed_slice())
}

impl Default for Inbox {
    fn default() -> Self {
        Self::new()
    }
}

/// Cursors only: the bytes may be a token.
impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox")
            .field("waiting", &self.waiting())
            .field("buffer_bytes", &self.buffer.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v2::{Currency, Encoder, Health, HealthReply, Product, ProductList, ProductsReply};

    /// Receives `wire` in pieces of at most `piece` bytes, checks that nothing stays outside of what
    /// waits, and returns the correlation ids of the frames.
    fn receive(inbox: &mut Inbox, mut wire: &[u8], piece: usize) -> Result<Vec<u64>, FrameError> {
        let mut ids = Vec::new();
        let zeros = zeroed(FRAME_BYTES_MAX);
        loop {
            while let Some(frame) = inbox.next_frame()? {
                ids.push(frame.correlation);
            }
            // Slices are compared whole, because a closure per byte takes seconds unoptimised.
            let outside = [&inbox.buffer[..inbox.start], &inbox.buffer[inbox.end..]];
            let wiped = outside.iter().all(|bytes| **bytes == zeros[..bytes.len()]);
            assert!(wiped, "a consumed byte was not wiped");
            if wire.is_empty() {
                return Ok(ids);
            }
            let space = inbox.space();
            assert!(!space.is_empty());
            let n = piece.min(space.len()).min(wire.len());
            space[..n].copy_from_slice(&wire[..n]);
            wire = &wire[n..];
            inbox.filled(n);
        }
    }

    fn frames(description_bytes: &[usize]) -> Vec<u8> {
        let mut wire = Vec::new();
        for (id, bytes) in description_bytes.iter().enumerate() {
            let reason = "x".repeat(*bytes);
            let reply = HealthReply { ready: false, reason: &reason, draining: false };
            Encoder::default().answer(&mut wire, id as u64, &Ok(reply)).expect("within limits");
        }
        wire
    }

    #[test]
    fn frames_in_pieces() {
        let wire = frames(&[0, 1, 512, 100, 512, 511, 0, 512, 512, 512, 512, 512, 512, 0]);
        assert!(wire.len() > INBOX_BYTES_FIRST);
        for piece in [1, 2, 23, 24, 25, 500, INBOX_BYTES_FIRST, wire.len()] {
            let mut inbox = Inbox::new();
            assert_eq!(receive(&mut inbox, &wire, piece), Ok((0..14).collect()));
            assert_eq!(inbox.waiting(), 0);
            assert_eq!(inbox.buffer.len(), INBOX_BYTES_FIRST, "small frames need no growing");
        }
    }

    #[test]
    fn a_frame_that_is_released_is_gone() {
        let wire = frames(&[20, 30]);
        let mut inbox = Inbox::new();
        inbox.space()[..wire.len()].copy_from_slice(&wire);
        inbox.filled(wire.len());
        for (left, correlation) in [(true, 0), (false, 1)] {
            let frame = inbox.next_frame().expect("well framed").expect("complete");
            assert_eq!(frame.correlation, correlation);
            inbox.release();
            assert_eq!(inbox.waiting() > 0, left);
            assert_eq!(inbox.buffer.iter().any(|&byte| byte != 0), left);
        }
    }

    #[test]
    fn the_longest_frame_fits_after_any_other() {
        let mut wire = frames(&[10]);
        let description = "d".repeat(2000);
        let product = Product {
            id: 1,
            name: "p",
            description: &description,
            price_minor: 1,
            currency: Currency::new("EUR").expect("three letters"),
        };
        let products = [product; 32];
        let session = crate::v2::CheckSessionReply {
            user_id: 1,
            username: "u",
            lease_ms: 0,
            expires_in_ms: 1,
            created_at_unix_ms: 1,
        };
        let reply = |products| {
            Ok(ProductsReply {
                session,
                products: ProductList::new(products),
                products_fresh_ms: 0,
            })
        };
        let encoder = Encoder::default();
        encoder.answer(&mut wire, 1, &reply(&products)).expect("within limits");
        wire.extend(frames(&[3]));
        for piece in [1000, 4096, wire.len()] {
            let mut inbox = Inbox::new();
            assert_eq!(receive(&mut inbox, &wire, piece), Ok(vec![0, 1, 0]));
            assert_eq!(inbox.buffer.len(), FRAME_BYTES_MAX);
        }
    }

    #[test]
    fn a_lost_stream_stays_lost() {
        let mut wire = Vec::new();
        Encoder::default().request(&mut wire, 5, 0, &Health).expect("no fields");
        wire.extend(b"GX");
        let mut inbox = Inbox::new();
        assert_eq!(receive(&mut inbox, &wire, wire.len()), Err(FrameError::Magic));
        assert_eq!(inbox.next_frame(), Err(FrameError::Magic));
        assert_eq!(inbox.waiting(), 2);
    }

    #[test]
    fn debug_hides_the_bytes() {
        let mut inbox = Inbox::new();
        inbox.space()[..5].copy_from_slice(b"GHtok");
        inbox.filled(5);
        assert_eq!(format!("{inbox:?}"), "Inbox { waiting: 5, buffer_bytes: 4096 }");
    }

    #[test]
    #[should_panic(expected = "more bytes than there was space for")]
    fn filling_past_the_space_is_a_bug() {
        Inbox::new().filled(INBOX_BYTES_FIRST + 1);
    }
}

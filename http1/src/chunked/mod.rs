//! The chunked transfer coding (RFC 9112 section 7.1), decoded strictly and incrementally.
//!
//! httparse's parser of chunk sizes accepts an empty size line, a bare LF, and NUL in extensions;
//! each of them lets a body end elsewhere for another parser. So this is a decoder of its own, a
//! state machine over bytes that follows the grammar and nothing else. Extensions are checked and
//! skipped, and so is the trailer section.

use crate::grammar::{is_field_value_byte, is_token_byte};
use crate::limits::{CHUNK_LINE_BYTES_MAX, CHUNK_OVERHEAD_BYTES_MAX, TRAILER_BYTES_MAX};
use crate::status::Status;

/// Decodes one chunked body that arrives in pieces.
///
/// What it gives out depends on the bytes alone and not on how they were cut.
#[derive(Clone, Debug)]
pub struct ChunkDecoder {
    state: State,
    /// Content bytes that may still come.
    content_left: u64,
    /// Bytes of the current size line so far.
    line_bytes: usize,
    /// Bytes of size lines, extensions and CRLFs so far.
    overhead_bytes: usize,
    trailer_bytes: usize,
}

/// What the next byte has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The first digit of a size.
    Size,
    /// The rest of a size line.
    SizeLine {
        size: u64,
        at: SizeLine,
    },
    /// Content; `left` is never 0.
    Content {
        left: u64,
    },
    /// The CR after a chunk's content.
    ContentReturn,
    /// The LF after that.
    ContentLineFeed,
    /// The first byte of a trailer line, or the CR of the empty line.
    TrailerStart,
    /// A further byte of a trailer's name, or its colon.
    TrailerName,
    /// A trailer's value up to CR.
    TrailerValue,
    /// The LF of a trailer line.
    TrailerLineFeed,
    /// The very last LF.
    FinalLineFeed,
    Done,
}

/// Where in a size line: `chunk-size *( BWS ";" BWS name [ BWS "=" BWS value ] ) CRLF`, where `BWS` are blanks,
/// a name is a token, and a value is a token or a quoted string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SizeLine {
    /// A further digit, a blank, `;` or CR.
    Digits,
    /// After blanks behind a size or a value: a further blank, or `;`.
    BeforeExtension,
    /// After `;`: blanks, then the first byte of a name.
    Semicolon,
    /// Within a name.
    Name,
    /// After blanks behind a name: a further blank, `=` or `;`.
    AfterName,
    /// After `=`: blanks, then the first byte of a value.
    Equals,
    /// Within a value that is a token.
    Token,
    /// Within a quoted value.
    Quoted,
    /// After a backslash in it: the byte that it stands for.
    Escaped,
    /// After the quote that ends it.
    QuoteEnd,
    /// The LF.
    LineFeed,
}

/// How far one call of [`ChunkDecoder::decode`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Bytes of the input that belong to this body: all of them, unless it is done.
    pub consumed: usize,
    /// Whether the body is complete.
    pub done: bool,
}

/// Why a chunked body is refused. Every variant is the peer's fault, and where the next request
/// starts is not known after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ChunkError {
    /// A chunk-size line breaks the grammar.
    #[error("A chunk-size line is malformed.")]
    SizeLine,
    /// A size does not fit in 64 bits.
    #[error("A chunk size is not a number that fits in 64 bits.")]
    SizeOverflow,
    /// A chunk-size line is longer than [`CHUNK_LINE_BYTES_MAX`].
    #[error("A chunk-size line is longer than {CHUNK_LINE_BYTES_MAX} bytes.")]
    SizeLineTooLong,
    /// A chunk's content is not followed by CRLF.
    #[error("The content of a chunk is not followed by CRLF.")]
    ContentEnd,
    /// The coding adds more than [`CHUNK_OVERHEAD_BYTES_MAX`] to the content.
    #[error("The chunked coding adds more than {CHUNK_OVERHEAD_BYTES_MAX} bytes to the content.")]
    Overhead,
    /// A trailer line breaks the grammar.
    #[error("A trailer line is malformed.")]
    Trailer,
    /// The trailer section is longer than [`TRAILER_BYTES_MAX`].
    #[error("The trailer section is longer than {TRAILER_BYTES_MAX} bytes.")]
    TrailerTooLong,
    /// The content is longer than allowed here.
    #[error("The content is longer than is allowed here.")]
    ContentTooLong,
}

impl ChunkError {
    /// The status of the answer.
    #[must_use]
    pub const fn status(self) -> Status {
        match self {
            Self::ContentTooLong => Status::ContentTooLarge,
            _ => Status::BadRequest,
        }
    }
}

impl ChunkDecoder {
    /// A decoder for a body with at most `content_bytes_max` bytes of content.
    #[must_use]
    pub const fn new(content_bytes_max: usize) -> Self {
        Self {
            state: State::Size,
            content_left: content_bytes_max as u64,
            line_bytes: 0,
            overhead_bytes: 0,
            trailer_bytes: 0,
        }
    }

    /// Takes the next piece of the body and hands its content on to `on_content`, in order and
    /// without copying it. Everything is consumed until the body is done; what follows belongs to
    /// the next request.
    ///
    /// # Errors
    ///
    /// When the body breaks the grammar or a limit. The decoder must not be used after that.
    ///
    /// ```
    /// use http1::{ChunkDecoder, Decoded};
    /// let mut content = Vec::new();
    /// let decoded = ChunkDecoder::new(100)
    ///     .decode(b"5\r\nhello\r\n0\r\n\r\nGET", |piece| content.extend_from_slice(piece))?;
    /// assert_eq!(content, b"hello");
    /// assert_eq!(decoded, Decoded { consumed: 15, done: true });
    /// # Ok::<(), http1::ChunkError>(())
    /// ```
    pub fn decode(
        &mut self,
        input: &[u8],
        mut on_content: impl FnMut(&[u8]),
    ) -> Result<Decoded, ChunkError> {
        let mut consumed = 0;
        while self.state != State::Done {
            let rest = &input[consumed..];
            let Some(&byte) = rest.first() else {
                return Ok(Decoded { consumed, done: false });
            };
            if let State::Content { left } = self.state {
                let count = usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()));
                on_content(&rest[..count]);
                consumed += count;
                self.state = match left - count as u64 {
                    0 => State::ContentReturn,
                    left => State::Content { left },
                };
            } else {
                self.state = self.after(byte)?;
                consumed += 1;
            }
        }
        Ok(Decoded { consumed, done: true })
    }

    /// The transition for a byte that is not content.
    fn after(&mut self, byte: u8) -> Result<State, ChunkError> {
        match self.state {
            State::TrailerStart
            | State::TrailerName
            | State::TrailerValue
            | State::TrailerLineFeed
            | State::FinalLineFeed => {
                count(&mut self.trailer_bytes, TRAILER_BYTES_MAX, ChunkError::TrailerTooLong)?;
                self.after_trailer_byte(byte)
            }
            State::ContentReturn | State::ContentLineFeed => {
                count(&mut self.overhead_bytes, CHUNK_OVERHEAD_BYTES_MAX, ChunkError::Overhead)?;
                self.after_content_end(byte)
            }
            _ => {
                count(&mut self.overhead_bytes, CHUNK_OVERHEAD_BYTES_MAX, ChunkError::Overhead)?;
                count(&mut self.line_bytes, CHUNK_LINE_BYTES_MAX + 2, ChunkError::SizeLineTooLong)?;
                self.after_size_line_byte(byte)
            }
        }
    }

    /// `chunk-size [ chunk-ext ] CRLF`
    fn after_size_line_byte(&mut self, byte: u8) -> Result<State, ChunkError> {
        let State::SizeLine { size, at } = self.state else {
            return Ok(State::SizeLine { size: digit(byte)?, at: SizeLine::Digits });
        };
        match (at, byte) {
            (SizeLine::Digits, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let size = size.checked_mul(16).ok_or(ChunkError::SizeOverflow)? + digit(byte)?;
                Ok(State::SizeLine { size, at })
            }
            (SizeLine::LineFeed, b'\n') => {
                self.line_bytes = 0;
                self.content_left =
                    self.content_left.checked_sub(size).ok_or(ChunkError::ContentTooLong)?;
                Ok(if size == 0 { State::TrailerStart } else { State::Content { left: size } })
            }
            _ => Ok(State::SizeLine { size, at: at.after(byte).ok_or(ChunkError::SizeLine)? }),
        }
    }

    fn after_content_end(&self, byte: u8) -> Result<State, ChunkError> {
        match (self.state, byte) {
            (State::ContentReturn, b'\r') => Ok(State::ContentLineFeed),
            (State::ContentLineFeed, b'\n') => Ok(State::Size),
            _ => Err(ChunkError::ContentEnd),
        }
    }

    /// `*( field-line CRLF ) CRLF`
    fn after_trailer_byte(&self, byte: u8) -> Result<State, ChunkError> {
        match (self.state, byte) {
            (State::TrailerStart, b'\r') => Ok(State::FinalLineFeed),
            (State::FinalLineFeed, b'\n') => Ok(State::Done),
            (State::TrailerStart | State::TrailerName, _) if is_token_byte(byte) => {
                Ok(State::TrailerName)
            }
            (State::TrailerName, b':') => Ok(State::TrailerValue),
            (State::TrailerValue, b'\r') => Ok(State::TrailerLineFeed),
            (State::TrailerValue, _) if is_field_value_byte(byte) => Ok(State::TrailerValue),
            (State::TrailerLineFeed, b'\n') => Ok(State::TrailerStart),
            _ => Err(ChunkError::Trailer),
        }
    }
}

impl SizeLine {
    /// Where `byte` leads in what follows the digits; `None` outside the grammar. A parser that honours quotes and
    /// one that does not would see different ends of a line, so both have to find the same in it.
    const fn after(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            // Blanks around `;` and `=` are bad, but RFC 9110 section 5.6.3 has us take them.
            (Self::Digits | Self::BeforeExtension | Self::Token | Self::QuoteEnd, b' ' | b'\t') => {
                Self::BeforeExtension
            }
            (
                Self::Digits
                | Self::BeforeExtension
                | Self::Name
                | Self::AfterName
                | Self::Token
                | Self::QuoteEnd,
                b';',
            )
            | (Self::Semicolon, b' ' | b'\t') => Self::Semicolon,
            (Self::Name | Self::AfterName, b' ' | b'\t') => Self::AfterName,
            (Self::Name | Self::AfterName, b'=') | (Self::Equals, b' ' | b'\t') => Self::Equals,
            (Self::Semicolon | Self::Name, _) if is_token_byte(byte) => Self::Name,
            (Self::Equals | Self::Token, _) if is_token_byte(byte) => Self::Token,
            (Self::Equals, b'"') => Self::Quoted,
            (Self::Quoted, b'"') => Self::QuoteEnd,
            (Self::Quoted, b'\\') => Self::Escaped,
            // A quoted string is made of what a field value is made of (RFC 9110 section 5.6.4).
            (Self::Quoted | Self::Escaped, _) if is_field_value_byte(byte) => Self::Quoted,
            (Self::Digits | Self::Name | Self::Token | Self::QuoteEnd, b'\r') => Self::LineFeed,
            _ => return None,
        })
    }
}

fn count(bytes: &mut usize, max: usize, error: ChunkError) -> Result<(), ChunkError> {
    *bytes += 1;
    if *bytes > max { Err(error) } else { Ok(()) }
}

fn digit(byte: u8) -> Result<u64, ChunkError> {
    char::from(byte).to_digit(16).map(u64::from).ok_or(ChunkError::SizeLine)
}

#[cfg(test)]
mod tests;

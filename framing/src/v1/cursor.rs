//! Reading and writing the `u16 length, bytes` of v1.

use crate::{EncodeError, FrameError};

/// Why a message could not be cut off the front of the input.
pub(super) enum Stop {
    /// The input ends inside the message, which is right so far.
    NeedMore,
    Bad(FrameError),
}

/// Turns the outcome of reading one message from the front of `input` into that of a splitter.
pub(super) fn split<'a, M>(
    input: &'a [u8],
    read: impl FnOnce(&mut Cursor<'a>) -> Result<M, Stop>,
) -> Result<Option<(M, usize)>, FrameError> {
    let mut cursor = Cursor { rest: input };
    match read(&mut cursor) {
        Ok(message) => Ok(Some((message, input.len() - cursor.rest.len()))),
        Err(Stop::NeedMore) => Ok(None),
        Err(Stop::Bad(error)) => Err(error),
    }
}

pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) fn u8(&mut self) -> Result<u8, Stop> {
        self.take(1).map(|bytes| bytes[0])
    }

    pub(super) fn u16(&mut self) -> Result<u16, Stop> {
        self.take(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// Bytes that must be exactly these; the first that differs is the error.
    pub(super) fn literal(&mut self, want: &[u8], otherwise: FrameError) -> Result<(), Stop> {
        let present = &self.rest[..want.len().min(self.rest.len())];
        if !want.starts_with(present) {
            return Err(Stop::Bad(otherwise));
        }
        self.take(want.len()).map(|_| ())
    }

    /// A length and as many bytes. A length over the limit is an error before the bytes arrive, and
    /// at its first byte when that is enough to tell.
    pub(super) fn prefixed(
        &mut self,
        field: &'static str,
        bytes_max: usize,
    ) -> Result<&'a [u8], Stop> {
        let high = self.rest.first().copied().unwrap_or(0);
        let low = self.rest.get(1).copied().unwrap_or(0);
        let bytes = usize::from(u16::from_be_bytes([high, low]));
        if bytes > bytes_max {
            return Err(Stop::Bad(FrameError::V1FieldTooLong { field, bytes, bytes_max }));
        }
        self.take(2)?;
        self.take(bytes)
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], Stop> {
        let (taken, rest) = self.rest.split_at_checked(n).ok_or(Stop::NeedMore)?;
        self.rest = rest;
        Ok(taken)
    }
}

/// Appends a length and as many bytes.
pub(super) fn append_prefixed(
    out: &mut Vec<u8>,
    field: &'static str,
    text: &str,
    bytes_max: usize,
) -> Result<(), EncodeError> {
    let bytes = text.len();
    let len = u16::try_from(bytes)
        .ok()
        .filter(|_| bytes <= bytes_max)
        .ok_or(EncodeError::FieldTooLong { field, bytes, bytes_max })?;
    wipe::append(out, &len.to_be_bytes());
    wipe::append(out, text.as_bytes());
    Ok(())
}

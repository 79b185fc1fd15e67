//! LEB128 varints of up to 64 bits, in their shortest form only.
//!
//! The encoding is that of Protocol Buffers ("Base 128 Varints"): 7 bits a byte, least significant
//! first, the top bit set on all but the last. Other than there, a longer form of the same number
//! is an error, so that each number has exactly one encoding.

use crate::{DecodeError, limits::VARINT_BYTES_MAX};

/// The encoded form of a number, on the stack.
pub(crate) struct Varint {
    bytes: [u8; VARINT_BYTES_MAX],
    len: usize,
}

impl Varint {
    #[expect(clippy::cast_possible_truncation, reason = "the low 7 bits are what is wanted")]
    pub(crate) fn new(mut value: u64) -> Self {
        let mut varint = Self { bytes: [0; VARINT_BYTES_MAX], len: 0 };
        loop {
            let low = value as u8 & 0x7f;
            value >>= 7;
            varint.bytes[varint.len] = if value == 0 { low } else { low | 0x80 };
            varint.len += 1;
            if value == 0 {
                return varint;
            }
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Takes one varint off the front of `input`.
#[inline]
pub(crate) fn take(input: &mut &[u8]) -> Result<u64, DecodeError> {
    // Almost every number on the wire is a key or a length below 128.
    if let [byte @ ..=0x7f, rest @ ..] = *input {
        *input = rest;
        return Ok(u64::from(*byte));
    }
    take_long(input)
}

fn take_long(input: &mut &[u8]) -> Result<u64, DecodeError> {
    let mut value = 0_u64;
    for (index, &byte) in input.iter().take(VARINT_BYTES_MAX).enumerate() {
        // The tenth byte holds bit 63 alone.
        if index == VARINT_BYTES_MAX - 1 && byte > 1 {
            return Err(DecodeError::VarintTooLong);
        }
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            if byte == 0 && index > 0 {
                return Err(DecodeError::VarintNotMinimal);
            }
            *input = &input[index + 1..];
            return Ok(value);
        }
    }
    Err(DecodeError::Overrun)
}

/// Takes a varint length and as many bytes off the front of `input`.
#[inline]
pub(crate) fn take_prefixed<'a>(input: &mut &'a [u8]) -> Result<&'a [u8], DecodeError> {
    let len = usize::try_from(take(input)?).map_err(|_| DecodeError::Overrun)?;
    let (value, rest) = input.split_at_checked(len).ok_or(DecodeError::Overrun)?;
    *input = rest;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(mut input: &[u8], expected: Result<(u64, usize), DecodeError>) {
        let before = input.len();
        let got = take(&mut input).map(|value| (value, before - input.len()));
        assert_eq!(got, expected);
    }

    #[test]
    fn known_answers() {
        check(b"\x00", Ok((0, 1)));
        check(b"\x7f", Ok((127, 1)));
        check(b"\x80\x01", Ok((128, 2)));
        // The example of the Protocol Buffers documentation.
        check(b"\x96\x01", Ok((150, 2)));
        check(b"\x96\x01\x96", Ok((150, 2)));
        check(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", Ok((u64::MAX, 10)));
        check(b"", Err(DecodeError::Overrun));
        check(b"\x80", Err(DecodeError::Overrun));
        check(b"\x80\x00", Err(DecodeError::VarintNotMinimal));
        check(b"\xff\x80\x00", Err(DecodeError::VarintNotMinimal));
        check(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00", Err(DecodeError::VarintNotMinimal));
        check(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", Err(DecodeError::VarintTooLong));
        check(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x00", Err(DecodeError::VarintTooLong));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value: u64, shift in 0_u32..64) {
            // Shifting makes every length equally likely.
            let value = value >> shift;
            let varint = Varint::new(value);
            check(varint.as_bytes(), Ok((value, varint.len)));
        }

        #[test]
        fn what_is_accepted_is_the_shortest_form(input in prop::collection::vec(any::<u8>(), 0..12)) {
            let mut rest = input.as_slice();
            if let Ok(value) = take(&mut rest) {
                let consumed = input.len() - rest.len();
                let shortest = Varint::new(value);
                prop_assert_eq!(shortest.as_bytes(), &input[..consumed]);
            }
        }
    }
}

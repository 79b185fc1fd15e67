//! A key as text.

use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use zeroize::Zeroizing;

use crate::limits::{KEY_COMMAND_OUTPUT_MAX, KEY_FILE_LEN_MAX, KEY_LEN, KEYS_PER_RING_MAX};
use crate::secret::SecretKey;

const HEX_LEN: usize = 2 * KEY_LEN;
const BASE64_LEN: usize = (KEY_LEN * 4).div_ceil(3);
const BASE64_PADDED_LEN: usize = KEY_LEN.div_ceil(3) * 4;

// As many bytes as are read at most are longer than any key, so a file that was cut off there does
// not pass for one.
const _: () = assert!(KEY_FILE_LEN_MAX > HEX_LEN + "\r\n".len());
// A command can print a full ring.
const _: () = assert!(
    KEY_COMMAND_OUTPUT_MAX >= KEYS_PER_RING_MAX * ("65535 ".len() + HEX_LEN + "\r\n".len())
);

/// A key as a line of hexadecimal digits.
pub(super) fn print(key: &SecretKey) -> Zeroizing<Vec<u8>> {
    let mut line = Zeroizing::new(Vec::with_capacity(HEX_LEN + 1));
    for byte in key.expose() {
        for nibble in [byte >> 4, byte & 0xf] {
            line.push(b"0123456789abcdef"[usize::from(nibble)]);
        }
    }
    line.push(b'\n');
    line
}

/// The key of one line, with or without a line end. Its length tells the encoding.
pub(super) fn parse(line: &[u8]) -> Option<SecretKey> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let fill = |key: &mut [u8; KEY_LEN]| match line.len() {
        HEX_LEN => hex(line, key),
        BASE64_LEN => base64(&STANDARD_NO_PAD, line, key),
        BASE64_PADDED_LEN => base64(&STANDARD, line, key),
        _ => None,
    };
    SecretKey::try_fill(|key| fill(key).ok_or(())).ok()
}

fn hex(digits: &[u8], key: &mut [u8; KEY_LEN]) -> Option<()> {
    let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|n| u8::try_from(n).ok());
    let (pairs, _) = digits.as_chunks();
    for (byte, [high, low]) in key.iter_mut().zip(pairs) {
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some(())
}

fn base64(engine: &impl base64::Engine, line: &[u8], key: &mut [u8; KEY_LEN]) -> Option<()> {
    // The decoder wants room for whole groups of three.
    let mut bytes = Zeroizing::new([0; KEY_LEN.next_multiple_of(3)]);
    let len = engine.decode_slice(line, &mut bytes[..]).ok()?;
    key.copy_from_slice(bytes.get(..len).filter(|bytes| bytes.len() == KEY_LEN)?);
    Some(())
}

//! Appending to a caller's buffer that holds secrets.

use zeroize::Zeroize;

/// Appends `bytes`. When the buffer must grow, the memory it grows out of is wiped, which
/// `Vec::extend_from_slice` would not do.
#[inline]
pub(crate) fn append(out: &mut Vec<u8>, bytes: &[u8]) {
    reserve(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// Makes room for so many bytes, which `Vec` can then append by itself. What the buffer grows out of
/// is wiped.
#[inline]
pub(crate) fn reserve(out: &mut Vec<u8>, additional: usize) {
    if out.capacity() - out.len() < additional {
        grow(out, additional);
    }
}

/// Runs `write` on `out`; when it fails, wipes what it wrote and restores the length.
pub(crate) fn append_or_restore<E>(
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let start = out.len();
    let result = write(out);
    if result.is_err() {
        out[start..].zeroize();
        out.truncate(start);
    }
    result
}

/// Doubles, as `Vec` does, so that appending stays linear in all.
#[cold]
fn grow(out: &mut Vec<u8>, additional: usize) {
    let capacity = (out.len() + additional).max(out.capacity() * 2);
    let mut grown = Vec::with_capacity(capacity);
    grown.extend_from_slice(out);
    out.zeroize();
    *out = grown;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growing_keeps_the_content() {
        let mut out = Vec::with_capacity(2);
        for byte in 0..100 {
            append(&mut out, &[byte]);
        }
        assert!(out.iter().copied().eq(0..100));
    }

    #[test]
    fn a_failed_write_leaves_what_was_there() {
        let mut out = b"before".to_vec();
        let result = append_or_restore(&mut out, |out| {
            append(out, b"secret");
            Err("refused")
        });
        assert_eq!(result, Err("refused"));
        assert_eq!(out, b"before");
    }
}

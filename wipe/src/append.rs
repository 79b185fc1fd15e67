//! Appending to a buffer that holds secrets.

use zeroize::Zeroize;

/// Appends `bytes`. When the buffer has to grow, the memory it grows out of is wiped, which
/// `Vec::extend_from_slice` would not do.
#[inline]
pub fn append(out: &mut Vec<u8>, bytes: &[u8]) {
    reserve(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// Makes room for `additional` bytes, which `Vec` can then append by itself. The memory that the
/// buffer grows out of is wiped. The capacity doubles at least, as that of a `Vec` does, so that
/// appending stays linear in all.
#[inline]
pub fn reserve(out: &mut Vec<u8>, additional: usize) {
    if out.capacity() - out.len() < additional {
        grow(out, additional);
    }
}

/// Runs `write` on `out`; when it fails, wipes what it wrote and restores the length.
///
/// # Errors
///
/// What `write` failed with.
pub fn append_or_restore<E>(
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
    fn a_buffer_grows_with_what_is_in_it() {
        let mut out = Vec::with_capacity(2);
        let mut grown = 0;
        for byte in 0..100 {
            let before = out.capacity();
            append(&mut out, &[byte]);
            grown += usize::from(out.capacity() != before);
        }
        assert!(out.iter().copied().eq(0..100));
        assert!(grown <= 6, "it doubles");
        reserve(&mut out, 1000);
        assert!(out.capacity() >= 1100 && out.len() == 100);
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

//! Wiping what calls have left on the stack and in vector registers.
//!
//! Code that handles a password or a token works on pieces of it in places of its own: the block
//! buffer of a hash function, a decoder's array, a string that is moved by its bytes. Their owners are
//! wiped; what compilers and libraries put beside them on the stack is not, and a thread that then
//! waits for its next request keeps it for as long as it waits. So it does the vector registers, up to
//! 512 bytes of what was copied last, which lie in memory while the thread sleeps.

use std::hint::black_box;

use crate::limits::WIPED_STACK_BYTES;

/// A copy of each of these lengths goes another way through the C library's `memcpy`, and takes other
/// registers: two, four and eight vectors of 16, 32 or 64 bytes, and a loop.
const COPIED_BYTES: [usize; 6] = [48, 96, 192, 384, 768, 1536];

const _: () = assert!(COPIED_BYTES[COPIED_BYTES.len() - 1] <= WIPED_STACK_BYTES / 2);

/// Overwrites the stack below the caller's frame, where the calls that it has made had theirs, and the
/// registers that copying takes. For a thread that is about to wait. Takes less than a microsecond.
///
/// What lies deeper than [`WIPED_STACK_BYTES`] stays.
#[inline(never)]
pub fn wipe_stack() {
    let mut zeros = [0_u8; WIPED_STACK_BYTES];
    // The compiler has to believe that somebody looks at the zeros, or it would not write them.
    let (from, to) = black_box(&mut zeros).split_at_mut(WIPED_STACK_BYTES / 2);
    for len in COPIED_BYTES {
        // Of a length that it does not know, so that it calls the library as others do.
        let len = black_box(len);
        to[..len].copy_from_slice(&from[..len]);
        black_box(&mut *to);
    }
}

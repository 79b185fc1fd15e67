//! Wiping what calls have left on the stack.
//!
//! Code that handles a password or a token works on pieces of it in places of its own: the block
//! buffer of a hash function, a decoder's array, a string that is moved by its bytes. Their owners are
//! wiped; what compilers and libraries put beside them on the stack is not, and a thread that then
//! waits for its next request keeps it for as long as it waits.

use std::hint::black_box;

use crate::limits::WIPED_STACK_BYTES;

/// Overwrites the stack below the caller's frame, where the calls that it has made had theirs. For a
/// thread that is about to wait. Takes less than a microsecond.
///
/// What lies deeper than [`WIPED_STACK_BYTES`] stays.
#[inline(never)]
pub fn wipe_stack() {
    // The compiler has to believe that somebody looks at the zeros, or it would not write them.
    black_box(&mut [0_u8; WIPED_STACK_BYTES]);
}

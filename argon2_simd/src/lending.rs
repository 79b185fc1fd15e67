//! Memory that is something else for the time of a call.

use std::mem::MaybeUninit;
use std::slice;

use crate::block::{Block, WORDS};

/// Makes `count` times `value` of the first blocks, has them computed with, and makes zeros of those blocks again.
/// `None` when there are too few.
#[allow(unsafe_code, reason = "what is lent is of another type")]
pub(crate) fn lend<T: Copy, R>(
    blocks: &mut [Block],
    value: T,
    count: usize,
    compute: impl FnOnce(&mut [T]) -> R,
) -> Option<R> {
    const { assert!(align_of::<T>() <= align_of::<Block>(), "a block is where a T may be") }
    let taken = count.checked_mul(size_of::<T>())?.div_ceil(size_of::<Block>());
    let blocks = blocks.get_mut(..taken)?;
    let len = blocks.len();
    // SAFETY: they are the same blocks, and `Loan` writes each before their owner can look again.
    let blocks = unsafe { slice::from_raw_parts_mut(blocks.as_mut_ptr().cast(), len) };
    let loan = Loan(blocks);
    let items = loan.0.as_mut_ptr().cast::<MaybeUninit<T>>();
    // SAFETY: `count` items take no more than those blocks, and are aligned as they are; both were looked at.
    // They are reached through `loan` alone, which is left alone until `compute` is done.
    let items = unsafe { slice::from_raw_parts_mut(items, count) };
    items.fill(MaybeUninit::new(value));
    // SAFETY: each has just been written.
    Some(compute(unsafe { items.assume_init_mut() }))
}

/// Blocks again when it is dropped, also by a panic.
struct Loan<'a>(&'a mut [MaybeUninit<Block>]);

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        self.0.fill(MaybeUninit::new(Block([0; WORDS])));
        // As `zeroize` does it: nobody may conclude that what was written is never read.
        zeroize::optimization_barrier(&*self.0);
    }
}

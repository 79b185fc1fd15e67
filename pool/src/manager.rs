//! What the pool needs to know about the things it lends.

use std::time::Instant;

/// Makes items and judges them. The pool calls it outside its lock, from the thread that borrows or
/// returns, so a slow call delays that thread alone.
///
/// A panic in any of these methods costs at most the item at hand: its place in the pool is freed.
pub trait Manager: Send + Sync + 'static {
    /// What is lent. The pool boxes it when it is made, so its size does not matter. Dropping it closes
    /// it, on the thread that borrows or returns.
    type Item: Send + 'static;
    /// Why an item could not be made.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Makes an item. May block, but not beyond `deadline`, which only this method can enforce.
    ///
    /// # Errors
    ///
    /// Whatever kept it from being made. The caller of
    /// [`acquire`](crate::Pool::acquire) gets it; the pool does not try again by itself.
    fn connect(&self, deadline: Instant) -> Result<Self::Item, Self::Error>;

    /// Whether an item that has idled for a while still works. May block until `deadline`.
    ///
    /// Asked only after [`Config::liveness_after`](crate::Config::liveness_after).
    fn is_alive(&self, _item: &mut Self::Item, _deadline: Instant) -> bool {
        true
    }

    /// Whether an item was spoilt while it was lent. Asked at each return, so it must be cheap and
    /// must not block: look at a flag, send nothing.
    fn is_broken(&self, _item: &Self::Item) -> bool {
        false
    }
}

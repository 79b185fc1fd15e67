//! The thread that holds a node.

use std::io;
use std::time::Instant;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use service::background::Background;
use service::{rare, sparing};

use super::{Holder, Renewed, Says};
use crate::limits::{
    NODE_RELEASE_TIME_MAX, NODE_RENEW_INTERVAL, NODE_RENEW_RETRY, NODE_RENEW_TIME_MAX,
};

/// The thread. Renews the node once a second, and gives it back at the end.
pub struct Keeper(Background);

impl Keeper {
    /// Starts it. `says` is asked at each renewal, and must not block.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(holder: Holder, says: impl Fn() -> Says + Send + 'static) -> io::Result<Self> {
        let work = move |stopped: &Receiver<()>| keep(holder, &says, stopped);
        Ok(Self(Background::start("node", work)?))
    }

    /// Gives the node back: to be called when nobody makes ids any more. Blocks for a call of the store, but not longer
    /// than until `by`. Returns whether the thread has ended.
    pub fn end_by(self, by: Instant) -> bool {
        self.0.end_by(by)
    }
}

fn keep(mut holder: Holder, says: &dyn Fn() -> Says, stopped: &Receiver<()>) {
    let mut patience = NODE_RENEW_INTERVAL;
    let mut fails = false;
    while stopped.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
        let renewed = holder.renew(says(), clock::wall(), clock::now() + NODE_RENEW_TIME_MAX);
        patience = if renewed.is_ok() { NODE_RENEW_INTERVAL } else { NODE_RENEW_RETRY };
        match &renewed {
            Ok(Renewed::Kept) if fails => {
                rare!("once an outage", INFO, "the node of ids is renewed again");
            }
            Ok(Renewed::Kept) => {}
            Ok(Renewed::Moved { from, to }) => {
                sparing!(WARN, %from, %to, "another process has taken this server's node of ids: was this one stopped for a while?");
            }
            Err(error) => {
                sparing!(WARN, %error, "the node of ids could not be renewed; seconds later no ids are made until it is");
            }
        }
        fails = renewed.is_err();
    }
    // A store that is away forgets it in a while.
    if let Err(error) = holder.release(clock::now() + NODE_RELEASE_TIME_MAX) {
        rare!("once, at the end", INFO, %error, "the node of ids was not given back; it is free in ten seconds");
    }
}

//! The thread that holds a node, and goes by what the store says of all servers.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use background::{Background, steadily};
use crossbeam_channel::{Receiver, RecvTimeoutError};
use server_time::ServerTime;
use service::{rare, sparing};
use store::{StoreError, Tag};

use crate::limits::{
    NODE_RELEASE_TIME_MAX, NODE_RENEW_INTERVAL, NODE_RENEW_RETRY, NODE_RENEW_TIME_MAX,
};
use crate::node::{Holder, NodeError, Renewed, Says};

/// What a process that holds a node says of itself, and learns of the others.
pub trait Member: Send {
    /// What its row says from now on. Does not block.
    fn says(&self) -> Says;

    /// Learns what the store says of all; this process is `run` there. Blocks until `deadline` at the most.
    ///
    /// # Errors
    /// [`StoreError`].
    fn learn(&mut self, run: Tag, deadline: Instant) -> Result<(), StoreError>;

    /// Its node could not be renewed.
    fn failed(&mut self, error: &NodeError);
}

/// A process that only needs ids.
pub struct Guest;

impl Member for Guest {
    fn says(&self) -> Says {
        Says::default()
    }

    fn learn(&mut self, _: Tag, _: Instant) -> Result<(), StoreError> {
        Ok(())
    }

    fn failed(&mut self, _: &NodeError) {}
}

/// The thread. Renews the node once a second, and gives it back at the end.
pub struct Keeper(Background);

impl Keeper {
    /// Starts it.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        holder: Holder,
        mut member: impl Member + 'static,
        time: Arc<ServerTime>,
    ) -> io::Result<Self> {
        let work = move |stopped: &Receiver<()>| keep(holder, &mut member, &time, stopped);
        Ok(Self(Background::start("node", work)?))
    }

    /// Asks it to give the node back. Does not block.
    pub fn ask_to_end(&mut self) {
        self.0.ask_to_end();
    }

    /// Gives the node back: to be called when nobody makes ids any more. Blocks for a call of the store, but not longer
    /// than until `by`. Returns whether the thread has ended.
    pub fn end_by(self, by: Instant) -> bool {
        self.0.end_by(by)
    }
}

fn keep(mut holder: Holder, member: &mut dyn Member, time: &ServerTime, stopped: &Receiver<()>) {
    let mut patience = NODE_RENEW_INTERVAL;
    let mut fails = false;
    while stopped.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
        let deadline = clock::now() + NODE_RENEW_TIME_MAX;
        // First what it says: others are to wait for what it has promised before it learns of more.
        let round = || {
            let renewed = holder.renew(member.says(), time.now().to_system_time(), deadline)?;
            member.learn(holder.run(), deadline)?;
            Ok(renewed)
        };
        // The next round may do better, and without any this server makes no ids.
        let Some(done) = steadily(round) else { continue };
        patience = if done.is_ok() { NODE_RENEW_INTERVAL } else { NODE_RENEW_RETRY };
        match &done {
            Ok(Renewed::Kept) if fails => {
                rare!("once an outage", INFO, "the node of ids is renewed again");
            }
            Ok(Renewed::Kept) => {}
            Ok(Renewed::Moved { from, to }) => {
                sparing!(WARN, %from, %to, "another process has taken this server's node of ids: was this one stopped for a while?");
            }
            Err(error) => {
                member.failed(error);
                sparing!(WARN, %error, "the node of ids could not be renewed; seconds later no ids are made until it is");
            }
        }
        fails = done.is_err();
    }
    // A store that is away forgets it in a while.
    if let Err(error) = holder.release(clock::now() + NODE_RELEASE_TIME_MAX) {
        rare!("once, at the end", INFO, %error, "the node of ids was not given back; it is free in ten seconds");
    }
}

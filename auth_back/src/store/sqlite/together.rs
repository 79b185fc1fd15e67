//! Group commit: writes of several threads in one transaction, which waits for the disk once.
//!
//! Each thread runs its statements by itself, one after the other on the one connection that writes, in a transaction
//! that stays open in between. Whoever sees no reason to wait for more commits it for all. A commit takes what it takes
//! however much is in it: the disk and, on a virtual machine, interrupts that cost more than the statements.
//!
//! Nobody is told that something was written before it is durable. Other writes do not go into the transaction: they
//! commit it first. While it is open, for [`COMMIT_WAIT_MAX`] and one commit at the most, other processes cannot write.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;

use super::connection::fault;
use super::{SqliteStore, run};
use crate::company::Company;
use crate::store::limits::{COMMIT_TOGETHER_MAX, COMMIT_WAIT_MAX};
use crate::store::{Cause, StoreError};

/// The transaction that is open, if one is. Looked at by whoever has the connection that writes.
#[derive(Debug)]
pub(super) struct Together {
    open: Mutex<Option<Open>>,
    wait_max: Duration,
}

#[derive(Debug)]
struct Open {
    group: Arc<Group>,
    /// Threads whose writes are in it.
    members: usize,
}

/// Where those who have written into a transaction wait until it is committed.
#[derive(Debug)]
struct Group {
    outcome: Mutex<Option<Result<(), StoreError>>>,
    bell: Condvar,
    company: Company,
}

/// For a commit that is overdue: it is done whatever the deadlines of those who wait for it.
const OVERDUE_TIME_MAX: Duration = Duration::from_secs(10);

impl SqliteStore {
    /// Runs `work`, which begins no transaction, and returns when what it wrote is durable. Several that run at about the
    /// same time are committed together, and get the same company, if `more_to_come` was said of all but the last: that
    /// others will call this soon. If nobody does, it is committed after [`COMMIT_WAIT_MAX`].
    ///
    /// A statement that fails undoes itself and nothing else. When the commit fails, nothing of anybody was written.
    pub(super) fn write_together<T>(
        &self,
        more_to_come: bool,
        deadline: Instant,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<(T, Company), StoreError> {
        let (done, group, company) = run(&self.writer, deadline, |connection| {
            let mut open = self.together.open.lock();
            let members = Together::join(&mut open, connection)?;
            let done = match work(connection) {
                Ok(done) => done,
                Err(error) => {
                    let is_lost = connection.is_autocommit() || fault(&error).spoils_connection();
                    if is_lost || members == 0 {
                        Together::roll_back(&mut open, connection, &error);
                    }
                    return Err(error);
                }
            };
            let group = open.as_mut().map(|open| {
                open.members += 1;
                Arc::clone(&open.group)
            });
            let company = group.as_ref().map(|group| group.company.clone()).unwrap_or_default();
            if more_to_come && members + 1 < COMMIT_TOGETHER_MAX {
                return Ok((done, group, company));
            }
            Together::commit(&mut open, connection)?;
            Ok((done, None, company))
        })?;
        if let Some(group) = group {
            self.wait_for_commit(&group)?;
        }
        Ok((done, company))
    }

    /// For a write that is not one of several: what is open is committed before it.
    pub(super) fn commit_open(&self, connection: &Connection) -> rusqlite::Result<()> {
        Together::commit(&mut self.together.open.lock(), connection)
    }

    fn wait_for_commit(&self, group: &Arc<Group>) -> Result<(), StoreError> {
        let overdue_at = Instant::now() + self.together.wait_max;
        let mut outcome = group.outcome.lock();
        while outcome.is_none() {
            if group.bell.wait_until(&mut outcome, overdue_at).timed_out() {
                break;
            }
        }
        if let Some(outcome) = &*outcome {
            return outcome.clone();
        }
        drop(outcome);
        run(&self.writer, Instant::now() + OVERDUE_TIME_MAX, |connection| {
            let mut open = self.together.open.lock();
            // Somebody may have committed it, and the next group be open.
            if open.as_ref().is_some_and(|open| Arc::ptr_eq(&open.group, group)) {
                Together::commit(&mut open, connection)?;
            }
            Ok(())
        })?;
        group.outcome.lock().clone().unwrap_or(Err(lost()))
    }
}

impl Default for Together {
    fn default() -> Self {
        Self { open: Mutex::default(), wait_max: COMMIT_WAIT_MAX }
    }
}

impl Together {
    /// Begins a transaction unless one is open. Returns how many have written into it.
    fn join(open: &mut Option<Open>, connection: &Connection) -> rusqlite::Result<usize> {
        if let Some(known) = open {
            if !connection.is_autocommit() {
                return Ok(known.members);
            }
            // The connection is another: the one that it was begun on was closed.
            known.group.tell(&Err(lost()));
            *open = None;
        }
        // The lock at once: a transaction that began with reading could not write if another process had meanwhile.
        connection.execute_batch("BEGIN IMMEDIATE")?;
        *open = Some(Open { group: Arc::new(Group::new()), members: 0 });
        Ok(0)
    }

    /// Commits what is open, and tells those who wait what came of it.
    fn commit(open: &mut Option<Open>, connection: &Connection) -> rusqlite::Result<()> {
        let Some(Open { group, .. }) = open.as_ref() else { return Ok(()) };
        if connection.is_autocommit() {
            group.tell(&Err(lost()));
            *open = None;
            return Ok(());
        }
        match connection.execute_batch("COMMIT") {
            Ok(()) => {
                group.tell(&Ok(()));
                *open = None;
                Ok(())
            }
            Err(error) => {
                Self::roll_back(open, connection, &error);
                Err(error)
            }
        }
    }

    /// Gives up what is open, and tells those who wait why.
    fn roll_back(open: &mut Option<Open>, connection: &Connection, why: &rusqlite::Error) {
        if !connection.is_autocommit() {
            // If that fails too, the connection is closed, which does the same.
            let _ = connection.execute_batch("ROLLBACK");
        }
        if let Some(open) = open.take() {
            open.group.tell(&Err(StoreError::Unavailable(Cause::Database(why.to_string()))));
        }
    }
}

impl Group {
    fn new() -> Self {
        Self { outcome: Mutex::default(), bell: Condvar::new(), company: Company::of_several() }
    }

    fn tell(&self, outcome: &Result<(), StoreError>) {
        *self.outcome.lock() = Some(outcome.clone());
        self.bell.notify_all();
    }
}

fn lost() -> StoreError {
    StoreError::Unavailable(Cause::Database("the transaction was lost".to_owned()))
}

#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::thread::{self, ScopedJoinHandle};

use tempfile::TempDir;

use super::*;
use crate::store::testing::patient;
use crate::store::{Inserted, Kept, NewSession, NewUser, Sessions as _, Store as _, Users as _};

/// A store whose threads wait for each other as long as it takes.
struct Desk {
    store: SqliteStore,
    directory: TempDir,
}

impl Desk {
    fn new(wait_max: Duration) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut store = SqliteStore::open(&Self::path(&directory), 1).unwrap();
        store.together.wait_max = wait_max;
        store.migrate(patient()).unwrap();
        let ada = NewUser {
            user_id: 1,
            username: "ada",
            password_record: "record",
            name: None,
            age: None,
            request_id: None,
            created_at_ms: 0,
        };
        assert_eq!(store.insert_user(&ada, patient()).unwrap(), Inserted::Created);
        Self { store, directory }
    }

    fn patient() -> Self {
        Self::new(Duration::from_secs(60))
    }

    fn path(directory: &TempDir) -> PathBuf {
        directory.path().join("gatehouse.db")
    }

    fn keep(&self, digest: u8, more_to_come: bool) -> Result<Kept, StoreError> {
        let session = NewSession {
            session_id: digest.into(),
            token_digest: [digest; 32],
            user_id: 1,
            epoch: 0,
            created_at_ms: 1_000,
            expires_at_ms: 5_000,
            ends_at_ms: 5_000,
            client_address: None,
            user_agent: None,
        };
        self.store.keep_session(&session, 100, more_to_come, patient())
    }

    /// The digests of the sessions that are there for others.
    fn kept(&self) -> Vec<u8> {
        let other = Connection::open(Self::path(&self.directory)).unwrap();
        let mut query = other.prepare("SELECT id FROM session ORDER BY id").unwrap();
        query.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }

    /// Keeps a session on a thread that then waits for more.
    fn keep_waiting<'s>(
        &'s self,
        scope: &'s thread::Scope<'s, '_>,
        digest: u8,
        members: usize,
    ) -> ScopedJoinHandle<'s, Result<Kept, StoreError>> {
        let waiting = scope.spawn(move || self.keep(digest, true));
        while self.store.together.open.lock().as_ref().map_or(0, |open| open.members) != members {
            thread::yield_now();
        }
        waiting
    }
}

#[test]
fn whoever_expects_no_more_commits_for_all() {
    let desk = &Desk::patient();
    thread::scope(|scope| {
        let waiting = [desk.keep_waiting(scope, 1, 1), desk.keep_waiting(scope, 2, 2)];
        assert!(waiting.iter().all(|thread| !thread.is_finished()), "nothing is durable yet");
        assert_eq!(desk.kept(), [0; 0]);
        let last = desk.keep(3, false).unwrap();
        assert_eq!(desk.kept(), [1, 2, 3]);
        for thread in waiting {
            let kept = thread.join().unwrap().unwrap();
            assert!(kept.company.is_same(&last.company), "they go on together");
        }
        let next = desk.keep(4, false).unwrap();
        assert!(!next.company.is_same(&last.company));
        // Nobody but those who have it: the transaction has let go of it.
        assert_eq!(last.company.len(), 1);
    });
}

#[test]
fn a_full_transaction_is_committed() {
    let desk = &Desk::patient();
    let count = u8::try_from(COMMIT_TOGETHER_MAX).unwrap();
    thread::scope(|scope| {
        let waiting: Vec<_> =
            (1..count).map(|number| desk.keep_waiting(scope, number, number.into())).collect();
        desk.keep(count, true).unwrap();
        waiting.into_iter().for_each(|thread| drop(thread.join().unwrap().unwrap()));
    });
    assert_eq!(desk.kept(), (1..=count).collect::<Vec<_>>());
}

#[test]
fn who_waits_for_nobody_commits_after_a_while() {
    let desk = Desk::new(Duration::from_millis(5));
    desk.keep(1, true).unwrap();
    assert_eq!(desk.kept(), [1]);
}

#[test]
fn what_is_refused_is_undone_alone() {
    let desk = &Desk::patient();
    thread::scope(|scope| {
        let waiting = desk.keep_waiting(scope, 1, 1);
        let taken = desk.keep(1, true);
        assert!(matches!(taken, Err(StoreError::Internal(_))), "{taken:?}");
        desk.keep(2, false).unwrap();
        waiting.join().unwrap().unwrap();
    });
    assert_eq!(desk.kept(), [1, 2]);
    // Alone in its transaction, it leaves none open.
    assert!(desk.keep(1, true).is_err());
    assert!(desk.store.together.open.lock().is_none());
    desk.keep(3, false).unwrap();
}

#[test]
fn another_write_commits_it_first() {
    let desk = &Desk::patient();
    thread::scope(|scope| {
        let waiting = desk.keep_waiting(scope, 1, 1);
        assert!(desk.store.delete_session(&[1; 32], patient()).unwrap());
        waiting.join().unwrap().unwrap();
    });
    assert_eq!(desk.kept(), [0; 0]);
}

#[test]
fn a_commit_that_fails_is_told_to_all() {
    let desk = &Desk::patient();
    thread::scope(|scope| {
        let waiting = desk.keep_waiting(scope, 1, 1);
        // A reference to nobody, which is found at the commit.
        let failed = desk.store.write_together(false, patient(), |connection| {
            connection.execute_batch(
                "PRAGMA defer_foreign_keys = ON; \
                 INSERT INTO session (token_digest, id, user_id, created_at_ms, expires_at_ms) \
                 VALUES (zeroblob(32), 9, 99, 0, 0)",
            )
        });
        assert!(failed.is_err(), "{failed:?}");
        let told = waiting.join().unwrap();
        assert!(matches!(told, Err(StoreError::Unavailable(_))), "{told:?}");
    });
    assert_eq!(desk.kept(), [0; 0]);
    desk.keep(1, false).unwrap();
}

#[test]
fn a_connection_that_is_lost_is_told_to_all() {
    let desk = &Desk::patient();
    thread::scope(|scope| {
        let waiting = desk.keep_waiting(scope, 1, 1);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            desk.store.write_together(true, patient(), |_| -> rusqlite::Result<()> {
                panic!("of the test")
            })
        }));
        assert!(panicked.is_err());
        desk.keep(2, false).unwrap();
        let told = waiting.join().unwrap();
        assert!(matches!(told, Err(StoreError::Unavailable(_))), "{told:?}");
    });
    assert_eq!(desk.kept(), [2]);
}

//! What tests of this crate need.

use std::sync::Arc;
use std::time::Duration;

use server_time::ServerTime;
use store::testing::{Spy, patient};
use tempfile::TempDir;

use crate::SessionRules;

/// Rules as a deployment has them.
pub(crate) fn rules() -> SessionRules {
    SessionRules {
        lifetime: Duration::from_secs(3600),
        idle: Duration::from_secs(1800),
        per_user: 100,
        lease: Duration::from_millis(250),
    }
}

/// A store, and the time that it has.
pub(crate) struct Fixture {
    pub(crate) store: Arc<Spy>,
    pub(crate) time: Arc<ServerTime>,
    _directory: TempDir,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(Spy::in_directory(directory.path()));
        let time = Arc::new(ServerTime::ask_first(&*store, patient()).unwrap());
        Self { store, time, _directory: directory }
    }
}

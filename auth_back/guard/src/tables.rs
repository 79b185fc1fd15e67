//! What is counted, here and in Redis.

use crate::local::Local;
use crate::shared::Shared;

/// This server's own tables, and those that servers share. An attempt that was let through keeps them.
pub(super) struct Tables {
    pub(super) local: Local,
    pub(super) shared: Option<Shared>,
}

//! What the loops of a reactor share.

use std::sync::Arc;

use sparing::Sparing;

use crate::census::Census;
use crate::counters::Counters;
use crate::limits::Limits;

/// What the loops of a reactor share.
pub(crate) struct Common {
    /// The reactor's name, for the log.
    pub(crate) name: Box<str>,
    pub(crate) limits: Limits,
    pub(crate) census: Census,
    pub(crate) counters: Arc<Counters>,
    // Lines that strangers or an outage could write any number of times.
    pub(crate) exhausted: Sparing,
    pub(crate) refused: Sparing,
    pub(crate) unregistered: Sparing,
    pub(crate) relieved: Sparing,
}

impl Common {
    pub(crate) fn new(name: &str, limits: Limits) -> Self {
        Self {
            name: name.into(),
            limits,
            census: Census::new(limits),
            counters: Arc::new(Counters::default()),
            exhausted: Sparing::new(),
            refused: Sparing::new(),
            unregistered: Sparing::new(),
            relieved: Sparing::new(),
        }
    }
}

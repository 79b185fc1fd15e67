//! Several processes on one store: who makes which ids.
//!
//! | module | what it does |
//! |---|---|
//! | [`instance`] | tells a server from its copies, and finds it again after a restart |
//! | [`node`] | a node of ids that a process has to itself |
//! | [`keeper`] | the thread that holds it |

pub mod instance;
pub mod keeper;
pub mod node;

pub use instance::Instance;
pub use keeper::Keeper;
pub use node::{Holder, Identity, Ids, NodeError, Renewed, Says};

//! Several processes on one store: who makes which ids, and what all of them do alike.
//!
//! | module | what it does |
//! |---|---|
//! | [`instance`] | tells a server from its copies, and finds it again after a restart |
//! | [`node`] | a node of ids that a process has to itself |
//! | [`deployment`] | the settings in the store, and a start that was given others |
//! | [`rules`] | the rules of sessions now, and how leases change while servers run |
//! | [`server`] | a server joins the others, and goes by what all do |
//! | [`keeper`] | the thread that does both, once a second |

pub mod deployment;
pub mod instance;
pub mod keeper;
pub mod node;
pub mod rules;
pub mod server;

pub use deployment::DeploymentFault;
pub use instance::Instance;
pub use keeper::{Guest, Keeper};
pub use node::{Holder, Identity, Ids, NodeError, Renewed, Says};
pub use rules::Follower;
pub use server::{Joined, ServerMember, Standing, View, join};

//! Several processes on one store: who makes which ids, and what all of them do alike.
//!
//! | module | what it does |
//! |---|---|
//! | [`deployment`] | the settings in the store, and a start that was given others |
//! | [`rules`] | the rules of sessions as the store has them, and how leases change while servers run |
//! | [`server`] | a server joins the others, and goes by what all do |
//! | [`keeper`] | the thread that does both, once a second |

pub mod deployment;
pub mod keeper;
pub mod rules;
pub mod server;

pub use deployment::DeploymentFault;
pub use keeper::{Guest, Keeper};
pub use rules::Follower;
pub use server::{Joined, ServerMember, Standing, View, join};

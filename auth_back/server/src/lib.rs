//! Serves fronts: accounts, the messages about them, and the threads that do the work.
//!
//! The way of a request, forward: the [`reactor`] reads bytes, [`rpc`] makes frames of them and of
//! those [`job::Job`]s; a lane queues a job, a [`worker`] takes it and runs it against
//! [`accounts`], which use [`guard`], [`credentials`], [`hashing`], [`sessions`] and a [`store`]; the
//! [`job::Reply`] goes through the loop's mailbox back to [`rpc`], which makes it a frame.
//!
//! | module | what it does |
//! |---|---|
//! | [`rpc`] | v1 and v2 on the reactor |
//! | [`job`], [`worker`], [`pace`] | what passes between loop and workers, and the workers |
//! | [`login`] | a login, in stages: begin here |
//! | [`accounts`] | register, check, change a password, log out |
//! | [`keyrings`] | keys that change while the server runs |
//! | [`node`] | who makes which ids |
//! | [`installation`] | several processes on one store, which do alike |
//! | [`janitor`] | deletes expired sessions |
//! | [`run`], [`opening`] | start and stop |
//! | [`audit`] | who did what, one line each |
//! | [`memory`], [`descriptors`] | whether what is set fits the machine |
//! | [`settings`], [`limits`], [`metrics`] | what can be set, bounded, counted |
//!
//! The program `auth_back` is this and the operator's commands, which work on the same store beside it.

pub mod accounts;
pub mod audit;
mod data_directory;
pub mod descriptors;
pub mod installation;
pub mod janitor;
pub mod job;
pub mod keyrings;
pub mod limits;
pub mod login;
pub mod memory;
pub mod metrics;
pub mod node;
pub mod opening;
pub mod pace;
pub mod rpc;
pub mod run;
pub mod settings;
pub mod worker;

//! The signup and login service: hashes passwords with argon2id, keeps users and sessions.
//!
//! The way of a request, forward: the [`reactor`] reads bytes, [`rpc`] makes frames of them and of
//! those [`work::Job`]s; a lane queues a job, a [`worker`] takes it and runs it against
//! [`accounts`], which use [`credentials`] and a [`store`]; the [`work::Reply`] goes through the
//! loop's mailbox back to [`rpc`], which makes it a frame.
//!
//! | module | what it does |
//! |---|---|
//! | [`rpc`] | v1 and v2 on the reactor |
//! | [`work`], [`worker`], [`pace`] | what passes between loop and workers, and the workers |
//! | [`accounts`] | register, authenticate, check, log out: straight-line code |
//! | [`credentials`] | names, passwords, records, peppers, tokens |
//! | [`keyrings`] | keys that change while the server runs |
//! | [`guard`] | who may try a password now, and who has to wait |
//! | [`ids`] | what ids are |
//! | [`installation`] | several processes on one store: who makes which ids |
//! | [`store`] | SQLite, MySQL and MariaDB |
//! | [`sessions`] | sessions in the store, and their copy in Redis |
//! | [`redis_pool`] | connections to Redis |
//! | [`janitor`] | deletes expired sessions |
//! | [`server`], [`opening`] | start and stop |
//! | [`commands`] | what operators do beside it |
//! | [`ownership`] | whose files are that are made for a server |
//! | [`audit`] | who did what, one line each |
//! | [`memory`], [`descriptors`] | whether what is set fits the machine |
//! | [`settings`], [`limits`], [`metrics`] | what can be set, bounded, counted |

pub mod accounts;
pub mod audit;
pub mod commands;
mod data_directory;
pub mod descriptors;
pub mod installation;
pub mod janitor;
pub mod keyrings;
pub mod limits;
pub mod memory;
pub mod metrics;
pub mod opening;
pub mod pace;
pub mod rpc;
pub mod server;
pub mod settings;
pub mod work;
pub mod worker;

//! The HTTP server in front of `auth_back`.
//!
//! The way of a request, forward: the [`reactor`] reads it, [`http1`] takes it apart, [`api`]
//! answers it on the loop or makes it a [`work::Job`]; a lane queues it, a [`worker`] takes it with
//! others and has them served by [`upstream`]; the [`work::Outcome`] goes through the loop's
//! mailbox back to [`api`], which words the answer.
//!
//! | module | what it does |
//! |---|---|
//! | [`api`] | routes, bodies, problems, answers |
//! | [`lease`], [`catalog`] | what a loop may answer by itself |
//! | [`markers`] | who is taken for known |
//! | [`request_ids`] | what a request is found again by |
//! | [`work`] | what passes between loops and workers |
//! | [`worker`], [`in_flight`], [`upstream`] | batches, how many are on their way, auth servers, connections |
//! | [`server`] | start and stop |
//! | [`settings`], [`limits`], [`metrics`] | what can be set, bounded, counted |
//! | [`descriptors`], [`memory`] | whether what is set fits the machine |

pub mod api;
pub mod catalog;
pub mod descriptors;
pub mod in_flight;
pub mod lease;
pub mod limits;
pub mod markers;
pub mod memory;
pub mod metrics;
pub mod proxies;
pub mod request_ids;
pub mod server;
pub mod settings;
#[cfg(test)]
mod testing;
pub mod token;
pub mod upstream;
pub mod work;
pub mod worker;

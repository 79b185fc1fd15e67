//! Both servers together, as users, operators, attackers and accidents meet them.

mod addresses;
mod audit;
mod bad_input;
mod breached;
mod buffers;
mod database;
mod descriptors;
mod durability;
mod fairness;
mod faults;
mod flows;
mod frames;
mod grants;
mod guessing;
mod import;
mod interrupts;
mod keys;
mod leases;
mod limits;
mod lingering;
mod network;
mod nginx;
mod notes;
mod owners;
mod pages;
mod peer;
mod peppers;
mod recipes;
mod request_ids;
mod responsiveness;
mod revocation;
mod run;
mod schema;
mod secrets;
mod settings;
mod shutdown;
mod smuggling;
mod start_signals;
mod starting;
mod supervisor;
mod uniform;
mod upgrades;
mod users;
mod v1;

/// A password that every policy takes, unlike anything else that the tests look for.
const PASSWORD: &str = "correct horse battery";

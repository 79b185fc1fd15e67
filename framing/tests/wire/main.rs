//! The wire protocol from outside: golden bytes, properties, a newer peer, the contract's text.

mod contract;
mod golden;
mod newer_peer;
mod samples;
mod v1_properties;
mod v2_properties;

//! The signup and login service: hashes passwords with argon2id, keeps users and sessions.

pub mod credentials;
pub mod ids;
pub mod store;

//! The messages of v2, one file for each subject. Field meanings, units and limits stand in the
//! [`registry`](crate::registry) and in `PROTOCOL.md`.

mod account;
mod health;
mod hello;
mod products;
mod session;

pub use account::{Authenticate, AuthenticateReply, Register, RegisterReply};
pub use health::{Health, HealthReply};
pub use hello::Hello;
pub use products::{Currency, Product, ProductIter, ProductList, Products, ProductsReply};
pub use session::{CheckSession, CheckSessionReply, Logout, LogoutReply};

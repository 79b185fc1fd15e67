//! The messages of v2, one file for each subject. Field meanings, units and limits stand in the
//! [`registry`](crate::registry) and in `PROTOCOL.md`.

mod account;
mod health;
mod hello;
mod list;
mod products;
mod session;
mod sessions;

pub use account::{
    Authenticate, AuthenticateReply, ChangePassword, ChangePasswordReply, Register, RegisterReply,
};
pub use health::{Health, HealthReply};
pub use hello::Hello;
pub use list::{Item, List, ListIter};
pub use products::{Product, ProductList, Products, ProductsReply};
pub use session::{CheckSession, CheckSessionReply, Logout, LogoutReply};
pub use sessions::{
    RevokeSession, RevokeSessionReply, SessionList, SessionSummary, Sessions, SessionsReply,
};

//! Settings: each is defined once and given as a flag, an environment variable or a line of a file.
//!
//! A server describes itself in one [`Program`]: its name and the table of its [`Setting`]s. The
//! flags, the variables, `--help`, the sample file and the reference page are all derived from it.
//!
//! Reading takes two steps. [`Program::read`] finds the text of each setting and remembers where it
//! came from: a flag wins over a variable, a variable over the file, the file over the default.
//! [`Raw::check`] then turns texts into the server's own checked struct. Whatever is wrong is
//! collected and reported together, so an operator corrects a configuration once, not line by line.
//!
//! ```
//! use std::{net::SocketAddr, time::Duration};
//! use service::{gather, settings::{Invocation, Program, Setting}};
//!
//! static PROGRAM: Program = Program::new(
//!     "auth_back",
//!     "1.0.0",
//!     "Keeps accounts and sessions.",
//!     &[
//!         Setting::value("listen", "ADDRESS", "Where frames are accepted").default("127.0.0.1:7051"),
//!         Setting::value("lease", "DURATION", "How long a front may trust an answer").default("250ms"),
//!     ],
//! );
//!
//! struct Checked { listen: SocketAddr, lease: Duration }
//!
//! let variables = [("AUTH_BACK_LEASE".into(), "12 parsecs".into())];
//! let Ok(Invocation::Run(raw)) = PROGRAM.read(PROGRAM.command(), ["auth_back".into()], variables)
//! else { panic!("nothing to print was asked for") };
//! let checked = raw.check(|raw| gather!(Checked {
//!     listen: raw.address("listen"),
//!     lease: raw.duration("lease", Duration::ZERO..=Duration::from_secs(5)),
//! }));
//! assert_eq!(
//!     checked.err().map(|faults| faults.to_string()).as_deref(),
//!     Some(
//!         "--lease (from AUTH_BACK_LEASE): \"12 parsecs\" is not allowed: \
//!          want a duration from 0ms to 5s, such as 250ms"
//!     )
//! );
//! ```
//!
//! # Secrets
//!
//! A setting marked [`Setting::secret`] never appears in an error, a log line or `Debug` output; its
//! text is wiped when [`Raw`] is dropped. The process cannot wipe what the kernel and the argument
//! parser hold: flags can be read by other users in the process list, so a secret belongs in a
//! variable or in the file.
//!
//! There is one way to read a value, [`values::Values`], and it looks a text up through one function;
//! reading a secret from a file of its own (`NAME_FILE`) would be added there.

mod command;
mod document;
mod enter;
mod error;
mod file;
mod gather;
mod given;
mod raw;
mod read;
mod setting;
mod suggest;
mod text;
pub mod values;

pub use document::{markdown, sample_toml};
pub use enter::{cannot_start, refuse};
pub use error::{SettingError, SettingErrors, UnknownKey};
pub use given::Origin;
pub use raw::Raw;
pub use read::{Invocation, ReadError};
pub use setting::{Program, Setting};
pub use text::{format_bytes, format_duration};

#[cfg(test)]
mod tests;

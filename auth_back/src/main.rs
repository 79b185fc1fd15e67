//! The signup and login service. Everything is in the library, where tests reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    auth_back::commands::main()
}

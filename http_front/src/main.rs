//! The HTTP server in front of `auth_back`. Everything is in the library, where tests reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    http_front::server::main()
}

//! The signup and login service: [`server`], or one of the operator's [`commands`] beside it.

mod commands;
mod limits;

use std::process::ExitCode;

fn main() -> ExitCode {
    commands::main()
}

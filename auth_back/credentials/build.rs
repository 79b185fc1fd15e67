//! Makes the automaton of common passwords that `credentials::blocklist` compiles in.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

const WORDS: &str = "data/common_passwords/common_passwords.txt";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={WORDS}");
    let words = fs::read_to_string(WORDS)?;
    // Fails on words that are not sorted, so a list that was edited by hand does not slip through.
    let set = fst::Set::from_iter(words.lines())?;
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    fs::write(out.join("common_passwords.fst"), set.as_fst().as_bytes())?;
    Ok(())
}

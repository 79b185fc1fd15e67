//! What a command prints, and what it says beside that.

use std::io::{self, Write as _};

/// Prints a line of what a command found. `println!` would panic when the reader (`| head -1`) has gone.
pub(super) fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}

/// Says something to the operator, on standard error. It may be closed; the exit code says what matters.
pub(super) fn tell(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// JSON in printable ASCII: no terminal obeys what somebody put into a name.
pub(super) fn ascii_json(value: &impl serde::Serialize) -> String {
    use std::fmt::Write as _;
    let json = serde_json::to_string(value).expect("texts and numbers are always JSON");
    let mut ascii = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            ' '..='~' => ascii.push(character),
            // Beyond ASCII is text, and within text an escape means the same.
            _ => character.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
                let _ = write!(ascii, "\\u{unit:04x}");
            }),
        }
    }
    ascii
}

//! Names, passwords, keys and tokens.

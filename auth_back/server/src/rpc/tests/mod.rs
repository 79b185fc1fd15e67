//! Conversations, driven with byte arrays.

mod life;
mod sessions;
mod v1;
mod v2;

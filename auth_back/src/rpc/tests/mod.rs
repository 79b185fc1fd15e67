//! Conversations, driven with byte arrays.

mod life;
mod v1;
mod v2;

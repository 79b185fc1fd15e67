//! What surrounds the memory: the first hash, and the hash of any length (RFC 9106, sections 3.2 and 3.3).

use blake2::Blake2bVarCore;
use blake2::digest::block_api::{UpdateCore, VariableOutputCore};
use blake2::digest::block_buffer::LazyBuffer;
use zeroize::{Zeroize as _, Zeroizing};

use crate::geometry::Cost;

/// What is hashed.
#[derive(Clone, Copy, Default)]
pub struct Input<'a> {
    /// The password.
    pub password: &'a [u8],
    /// The salt, at least 8 bytes.
    pub salt: &'a [u8],
    /// The secret of RFC 9106 (K), or nothing.
    pub secret: &'a [u8],
    /// Its associated data (X), or nothing.
    pub associated_data: &'a [u8],
}

/// Lengths outside of what RFC 9106, section 3.1, allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a length of argon2: {0}")]
pub struct TagError(&'static str);

/// Bytes of `BLAKE2b` at its longest.
const DIGEST_LEN: usize = 64;
/// Bytes that a link of the chain of [`stretch`] gives to its output.
const LINK_LEN: usize = DIGEST_LEN / 2;

/// `H_0`, with room behind it for the number of a block and of a lane.
pub(crate) type Seed = Zeroizing<[u8; DIGEST_LEN + 8]>;

/// `H_0` of RFC 9106, section 3.2.
pub(crate) fn seed(cost: &Cost, input: &Input<'_>, tag_len: usize) -> Result<Seed, TagError> {
    if tag_len < 4 {
        return Err(TagError("tag"));
    }
    if input.salt.len() < 8 {
        return Err(TagError("salt"));
    }
    let length =
        |len: usize, what| u32::try_from(len).map(u32::to_le_bytes).map_err(|_| TagError(what));
    let number = u32::to_le_bytes;
    let mut seed = Seed::new([0; DIGEST_LEN + 8]);
    blake2b(
        &[
            &number(cost.lanes),
            &length(tag_len, "tag")?,
            &number(cost.m_kib),
            &number(cost.passes),
            &number(cost.version.number()),
            &number(cost.kind.number()),
            &length(input.password.len(), "password")?,
            input.password,
            &length(input.salt.len(), "salt")?,
            input.salt,
            &length(input.secret.len(), "secret")?,
            input.secret,
            &length(input.associated_data.len(), "associated data")?,
            input.associated_data,
        ],
        &mut seed[..DIGEST_LEN],
    );
    Ok(seed)
}

/// H' of RFC 9106, section 3.3: `BLAKE2b` for any length.
pub(crate) fn stretch(input: &[u8], output: &mut [u8]) {
    let len =
        u32::try_from(output.len()).expect("lengths were checked with the seed").to_le_bytes();
    if output.len() <= DIGEST_LEN {
        blake2b(&[&len, input], output);
        return;
    }
    let mut link = Zeroizing::new([0; DIGEST_LEN]);
    blake2b(&[&len, input], &mut *link);
    let mut rest = output;
    loop {
        let (here, after) = rest.split_at_mut(LINK_LEN);
        here.copy_from_slice(&link[..LINK_LEN]);
        rest = after;
        if rest.len() <= DIGEST_LEN {
            blake2b(&[&*link], rest);
            return;
        }
        let mut next = Zeroizing::new([0; DIGEST_LEN]);
        blake2b(&[&*link], &mut *next);
        link = next;
    }
}

/// `BLAKE2b` (RFC 7693) without a key, of `output.len()` bytes, which are 1 to 64.
fn blake2b(parts: &[&[u8]], output: &mut [u8]) {
    let mut hash = Blake2bVarCore::new(output.len()).expect("a length of BLAKE2b");
    let mut buffer = LazyBuffer::new(&[]);
    for part in parts {
        buffer.digest_blocks(part, |blocks| hash.update_blocks(blocks));
    }
    let mut digest = Default::default();
    hash.finalize_variable_core(&mut buffer, &mut digest);
    output.copy_from_slice(&digest[..output.len()]);
    digest[..].zeroize();
}

//! Chunked bodies: the first byte says where the rest is cut; the cut changes nothing.

#![no_main]

use http1::{ChunkDecoder, ChunkError};
use libfuzzer_sys::fuzz_target;

const CONTENT_BYTES_MAX: usize = 1024;

fn decode(pieces: &[&[u8]]) -> Result<(Vec<u8>, usize, bool), ChunkError> {
    let mut decoder = ChunkDecoder::new(CONTENT_BYTES_MAX);
    let (mut content, mut consumed, mut done) = (Vec::new(), 0, false);
    for input in pieces {
        let decoded = decoder.decode(input, |piece| content.extend_from_slice(piece))?;
        consumed += decoded.consumed;
        done = decoded.done;
    }
    assert!(content.len() <= CONTENT_BYTES_MAX && content.len() <= consumed);
    Ok((content, consumed, done))
}

fuzz_target!(|input: &[u8]| {
    let Some((&cut, body)) = input.split_first() else { return };
    let (first, second) = body.split_at(usize::from(cut).min(body.len()));
    assert_eq!(decode(&[first, second]), decode(&[body]));
});

//! Chunked bodies: the first byte says where the rest is cut; the cut changes nothing. Size lines are taken exactly
//! when the grammar takes them.

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

/// `*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )`, read from left to right.
fn is_extensions(mut line: &[u8]) -> bool {
    let skip =
        |line: &[u8], class: fn(u8) -> bool| line.iter().take_while(|byte| class(**byte)).count();
    let blank: fn(u8) -> bool = |byte| matches!(byte, b' ' | b'\t');
    let token: fn(u8) -> bool =
        |byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let quotable: fn(u8) -> bool = |byte| matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
    while !line.is_empty() {
        line = &line[skip(line, blank)..];
        let Some(rest) = line.strip_prefix(b";") else { return false };
        line = &rest[skip(rest, blank)..];
        let name = skip(line, token);
        line = &line[name..];
        if name == 0 {
            return false;
        }
        let Some(value) = line[skip(line, blank)..].strip_prefix(b"=") else { continue };
        let mut value = &value[skip(value, blank)..];
        if let [b'"', rest @ ..] = value {
            value = rest;
            loop {
                value = match value {
                    [b'"', rest @ ..] => break value = rest,
                    [b'\\', byte, rest @ ..] if quotable(*byte) => rest,
                    [b'\\', ..] => return false,
                    [byte, rest @ ..] if quotable(*byte) => rest,
                    _ => return false,
                }
            }
        } else {
            let length = skip(value, token);
            if length == 0 {
                return false;
            }
            value = &value[length..];
        }
        line = value;
    }
    true
}

fuzz_target!(|input: &[u8]| {
    let Some((&cut, body)) = input.split_first() else { return };
    let (first, second) = body.split_at(usize::from(cut).min(body.len()));
    assert_eq!(decode(&[first, second]), decode(&[body]));

    // The same bytes as the extensions of a last chunk, if they are short and end no line.
    if body.len() < 200
        && !body.contains(&b'\r')
        && !body.first().is_some_and(u8::is_ascii_hexdigit)
    {
        let line = [b"0", body, b"\r\n\r\n"].concat();
        assert_eq!(decode(&[&line]).is_ok(), is_extensions(body));
    }
});

use proptest::prelude::*;

use super::*;

const CONTENT_MAX: usize = 4096;

type Outcome = Result<(Vec<u8>, Decoded), ChunkError>;

/// Decodes pieces one after the other, as they would arrive.
fn decode_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut decoder = ChunkDecoder::new(CONTENT_MAX);
    let mut content = Vec::new();
    let mut total = Decoded { consumed: 0, done: false };
    for piece in pieces {
        let decoded = decoder.decode(piece, |piece| content.extend_from_slice(piece))?;
        total.consumed += decoded.consumed;
        total.done = decoded.done;
    }
    Ok((content, total))
}

fn check(input: &[u8], expected: &Outcome) {
    let shown = String::from_utf8_lossy(&input[..input.len().min(80)]);
    assert_eq!(&decode_pieces([input]), expected, "{shown:?}");
    assert_eq!(&decode_pieces(input.chunks(1)), expected, "{shown:?} byte by byte");
}

fn check_done(input: &[u8], content: &[u8], rest: usize) {
    let decoded = Decoded { consumed: input.len() - rest, done: true };
    check(input, &Ok((content.to_vec(), decoded)));
}

fn check_refused(input: &[u8], error: ChunkError) {
    check(input, &Err(error));
}

#[test]
fn bodies_by_the_grammar_are_decoded() {
    check_done(b"0\r\n\r\n", b"", 0);
    check_done(b"5\r\nhello\r\n0\r\n\r\n", b"hello", 0);
    check_done(b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\nGET /", b"abc", 5);
    check_done(b"A\r\n0123456789\r\n000\r\n\r\n", b"0123456789", 0);
    check_done(b"00000a\r\n0123456789\r\n0\r\n\r\n", b"0123456789", 0);
    check_done(b"2\r\n\r\n\r\n0\r\n\r\n", b"\r\n", 0);
    check_done(b"1;a\r\nx\r\n0;b=c;d=\"e;f\"\r\n\r\n", b"x", 0);
    check_done(b"1 ; a = b\r\nx\r\n0 \t;\ta\r\n\r\n", b"x", 0);
    check_done(b"0\r\nA: b\r\nC:\r\nD: \xe9\t\r\n\r\n0", b"", 1);
}

/// `line` stands after the size of a chunk, and after that of the last chunk.
fn check_extension(line: &[u8], valid: bool) {
    let first = [b"1", line, b"\r\nx\r\n0\r\n\r\n"].concat();
    let last = [b"1\r\nx\r\n0", line, b"\r\n\r\n"].concat();
    // The line break is no part of a value that never ends.
    let expected = if valid { Ok(()) } else { Err(ChunkError::SizeLine) };
    for body in [first, last] {
        let shown = String::from_utf8_lossy(&body).into_owned();
        let whole = decode_pieces([&body[..]]);
        assert_eq!(
            whole.clone().map(|(content, _)| assert_eq!(content, b"x")),
            expected,
            "{shown:?}"
        );
        for at in 0..=body.len() {
            let (first, second) = body.split_at(at);
            assert_eq!(decode_pieces([first, second]), whole, "{shown:?} split at {at}");
        }
    }
}

#[test]
fn chunk_extensions_by_the_grammar_are_skipped() {
    for line in [
        &b";a"[..],
        b";a=b",
        b";a=b;c;d=e",
        b";a=\"\"",
        b";a=\"b\"",
        b";a=\"b\";c=\"d\"",
        b" ; a = b",
        b"\t;\ta\t=\tb",
        b";a ;b",
        b";a =b",
        b";a= b",
        b";a=\"b\" ; c",
        b";a=b ;c",
        // Within quotes: tab, blank, whatever is visible but quote and backslash, and bytes over 0x7F.
        b";a=\"\t !#$[]~;=,\"",
        b";a=\"\xc3\xa9\xff\x80\"",
        b";a=\"\\\"\"",
        b";a=\"\\\\\"",
        b";a=\"\\b\\\t\\ \\\xff\"",
        b";!#$%&'*+-.^_`|~09azAZ=!#$%&'*+-.^_`|~09azAZ",
    ] {
        check_extension(line, true);
    }
}

#[test]
fn chunk_extensions_outside_the_grammar_are_refused() {
    for line in [
        &b";"[..],
        b"; ",
        b";;a",
        b";a;",
        b";a;;b",
        b";=b",
        b";a=",
        b";a= ",
        b";a=;b",
        b";a==b",
        b";a=b=c",
        b";a b",
        b";a=b c",
        b"g",
        b" a",
        b" =a",
        b",a",
        // Not tokens.
        b";no{te",
        b";note=a{b",
        b";\"a\"",
        b";a=b\"c\"",
        b";a\xff",
        b";a=\xff",
        b";a\x7f",
        b";a\0",
        b";a=b\0",
        // Quotes that do not end, or go on after their end.
        b";note=\"half",
        b";note=\"half\\\"",
        b";note=\"half\\",
        b";note=\"",
        b";note=\"x\"y",
        b";note=\"x\"\"y\"",
        // Nothing of a line break or another control character within them.
        b";a=\"\n\"",
        b";a=\"\r\"",
        b";a=\"\r\n\"",
        b";a=\"\\\r\n\"",
        b";a=\"\\\n\"",
        b";a=\"\0\"",
        b";a=\"\\\0\"",
        b";a=\"\x7f\"",
        b";a=\"\\\x7f\"",
        // Blanks may stand around `;` and `=`, not before the end of the line.
        b" ",
        b";a ",
        b";a=b ",
        b";a=\"b\"\t",
    ] {
        check_extension(line, false);
    }
}

#[test]
fn what_has_begun_and_not_ended_waits() {
    for input in [&b"5\r\nhello\r\n0\r\n\r"[..], b"5\r\nhel", b"5", b"", b"0\r\nA: b\r\n"] {
        let Ok((_, decoded)) = decode_pieces([input]) else { panic!("{input:?} is refused") };
        assert_eq!(decoded, Decoded { consumed: input.len(), done: false }, "{input:?}");
    }
}

#[test]
fn size_lines_outside_the_grammar_are_refused() {
    for input in [
        &b"\r\n\r\n"[..],
        b"\n",
        b"5\nhello\r\n0\r\n\r\n",
        b"5\rhello",
        b"5\r\r\nhello",
        b" 5\r\nhello",
        b"5 \r\nhello",
        b"+5\r\nhello",
        b"-5\r\nhello",
        b"0x5\r\nhello",
        b"5_0\r\n",
        b"5h\r\n",
        b"g\r\n",
        b";a\r\n",
        b"5;\r\nhello",
        b"5; \r\nhello",
        b"5;;a\r\nhello",
        b"5;a\nhello",
        b"5;a\0\r\nhello",
        b"5;a\x7f\r\nhello",
        b"5;a\xff\r\nhello",
        b"5;a=\"\n\"\r\nhello",
        b"5\0\r\nhello",
        b"5,5\r\nhello",
        b"5\x0b\r\nhello",
    ] {
        check_refused(input, ChunkError::SizeLine);
    }
}

#[test]
fn sizes_beyond_64_bits_and_beyond_the_limit_are_told_apart() {
    check_refused(b"10000000000000000\r\n", ChunkError::SizeOverflow);
    check_refused(b"fffffffffffffffff\r\n", ChunkError::SizeOverflow);
    check_refused(b"ffffffffffffffff\r\n", ChunkError::ContentTooLong);
    check_refused(b"1001\r\n", ChunkError::ContentTooLong);
    check_refused(b"1\r\na\r\n1000\r\n", ChunkError::ContentTooLong);
    // One after the other they must not add up to less.
    check_refused(b"2\r\nab\r\nffffffffffffffff\r\n", ChunkError::ContentTooLong);
    let content = vec![b'a'; CONTENT_MAX];
    let whole = [b"1000\r\n", &content[..], b"\r\n0\r\n\r\n"].concat();
    check_done(&whole, &content, 0);
}

#[test]
fn content_has_to_end_where_its_size_says() {
    check_refused(b"5\r\nhello0\r\n\r\n", ChunkError::ContentEnd);
    check_refused(b"5\r\nhello\n0\r\n\r\n", ChunkError::ContentEnd);
    check_refused(b"5\r\nhello\r0\r\n", ChunkError::ContentEnd);
    check_refused(b"4\r\nhello\r\n", ChunkError::ContentEnd);
    check_refused(b"6\r\nhello\r\n0\r\n\r\n", ChunkError::ContentEnd);
}

#[test]
fn trailers_outside_the_grammar_are_refused() {
    for input in [
        &b"0\r\n\n"[..],
        b"0\r\n\rX",
        b"0\r\nA: b\n\r\n",
        b"0\r\nA\r\n\r\n",
        b"0\r\n: b\r\n\r\n",
        b"0\r\nA : b\r\n\r\n",
        b"0\r\nA: b\r\n folded\r\n\r\n",
        b"0\r\nA: b\rc\r\n\r\n",
        b"0\r\nA: \0\r\n\r\n",
        b"0\r\nA: \x7f\r\n\r\n",
        b"0\r\nGET / HTTP/1.1\r\n\r\n",
    ] {
        check_refused(input, ChunkError::Trailer);
    }
}

#[test]
fn each_limit_holds_to_the_byte() {
    let size_line = |bytes: usize| {
        let extension = "a".repeat(bytes - "0;".len());
        format!("0;{extension}\r\n\r\n").into_bytes()
    };
    check_done(&size_line(CHUNK_LINE_BYTES_MAX), b"", 0);
    check_refused(&size_line(CHUNK_LINE_BYTES_MAX + 1), ChunkError::SizeLineTooLong);

    let trailers = |bytes: usize| {
        let value = "b".repeat(bytes - "A:\r\n\r\n".len());
        format!("0\r\nA:{value}\r\n\r\n").into_bytes()
    };
    check_done(&trailers(TRAILER_BYTES_MAX), b"", 0);
    check_refused(&trailers(TRAILER_BYTES_MAX + 1), ChunkError::TrailerTooLong);

    // Five bytes of overhead for each byte of content, and three for the last size line.
    let tiny_chunks =
        |count: usize| format!("{}0\r\n\r\n", "1\r\na\r\n".repeat(count)).into_bytes();
    let fits = (CHUNK_OVERHEAD_BYTES_MAX - 3) / 5;
    check_done(&tiny_chunks(fits), &vec![b'a'; fits], 0);
    check_refused(&tiny_chunks(fits + 1), ChunkError::Overhead);
}

#[test]
fn a_long_line_resets_its_count_with_each_chunk() {
    let line = format!("1;{}\r\na\r\n", "x".repeat(CHUNK_LINE_BYTES_MAX - 2));
    check_done(format!("{line}{line}0\r\n\r\n").as_bytes(), b"aa", 0);
}

/// What may stand after a size, or nearly.
fn extensions() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        &b";"[..],
        b";",
        b";",
        b"=",
        b"=",
        b"\"",
        b"\"",
        b"g",
        b"g",
        b"note",
        b" ",
        b"\t",
        b"\\",
        b"\\\"",
        b"\xe9",
        b"{",
        b"\r",
        b"\n",
        b"\0",
    ]);
    proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// The grammar of RFC 9112 section 7.1.1, read from left to right without a machine of states.
fn is_chunk_ext(mut line: &[u8]) -> bool {
    let blanks = |line: &[u8]| line.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let token = |line: &[u8]| line.iter().take_while(|byte| is_token_byte(**byte)).count();
    let quoted = |line: &[u8]| {
        let mut at = 1;
        loop {
            match line.get(at..)? {
                [b'"', ..] => return Some(at + 1),
                [b'\\', b'\t' | b' '..=b'~' | 0x80.., ..] => at += 2,
                [b'\\', ..] => return None,
                [b'\t' | b' '..=b'~' | 0x80.., ..] => at += 1,
                _ => return None,
            }
        }
    };
    while !line.is_empty() {
        line = &line[blanks(line)..];
        let Some(rest) = line.strip_prefix(b";") else { return false };
        line = &rest[blanks(rest)..];
        let name = token(line);
        if name == 0 {
            return false;
        }
        line = &line[name..];
        let Some(value) = line[blanks(line)..].strip_prefix(b"=") else { continue };
        let value = &value[blanks(value)..];
        let length = if value.first() == Some(&b'"') { quoted(value) } else { Some(token(value)) };
        match length {
            None | Some(0) => return false,
            Some(length) => line = &value[length..],
        }
    }
    true
}

/// Bytes that are likely to be a chunked body, or nearly one.
fn nearly_chunked() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        6 => proptest::collection::vec(any::<u8>(), 0..40)
            .prop_map(|data| [format!("{:x}\r\n", data.len()).as_bytes(), &data, b"\r\n"].concat()),
        1 => Just(b"0\r\n".to_vec()),
        1 => Just(b"\r\n".to_vec()),
        1 => Just(b"A: b\r\n".to_vec()),
        1 => Just(b"3;a=b\r\nabc\r\n".to_vec()),
        2 => extensions().prop_map(|line| [b"3", &line[..], b"\r\nabc\r\n"].concat()),
        1 => proptest::collection::vec(any::<u8>(), 0..4),
    ];
    proptest::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_split_point_equals_the_whole(input in nearly_chunked()) {
        let whole = decode_pieces([&input[..]]);
        for at in 0..=input.len() {
            let (first, second) = input.split_at(at);
            prop_assert_eq!(&decode_pieces([first, second]), &whole, "split at {}", at);
        }
    }

    #[test]
    fn extensions_are_taken_exactly_when_the_grammar_does(line in extensions()) {
        // A line feed after CR would end the line, and what follows would not be looked at.
        prop_assume!(!line.contains(&b'\r'));
        check_extension(&line, is_chunk_ext(&line));
    }

    #[test]
    fn what_was_encoded_is_decoded(
        chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..100), 0..20),
    ) {
        let mut encoded = Vec::new();
        for chunk in &chunks {
            encoded.extend_from_slice(format!("{:X}\r\n", chunk.len()).as_bytes());
            encoded.extend_from_slice(chunk);
            encoded.extend_from_slice(b"\r\n");
        }
        encoded.extend_from_slice(b"0\r\n\r\n");
        let expected = Decoded { consumed: encoded.len(), done: true };
        prop_assert_eq!(decode_pieces([&encoded[..]]), Ok((chunks.concat(), expected)));
    }
}

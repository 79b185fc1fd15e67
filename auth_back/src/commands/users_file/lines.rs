//! A file, line by line, however long its lines are.

use std::io::{self, BufRead, BufReader, Read};

use zeroize::{Zeroize as _, Zeroizing};

use crate::limits::IMPORT_LINE_BYTES_MAX;

/// The byte order mark that spreadsheets put before UTF-8.
const MARK: &[u8] = "\u{feff}".as_bytes();

/// The lines of a file. Holds one of them in memory.
pub(in super::super) struct Lines<R> {
    reader: BufReader<R>,
    /// Has room for the longest line that is taken, and never grows: lines hold hashes.
    line: Zeroizing<Vec<u8>>,
    number: u64,
    bytes: u64,
}

/// What stands on a line.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) enum Line<'a> {
    /// Text without its line end.
    Text(&'a str),
    /// More bytes than are taken.
    TooLong,
    /// Something that is not UTF-8.
    NotUtf8,
}

impl<R: Read> Lines<R> {
    pub(in super::super) fn new(reader: R) -> Self {
        Self {
            reader: BufReader::new(reader),
            line: Zeroizing::new(Vec::with_capacity(IMPORT_LINE_BYTES_MAX)),
            number: 0,
            bytes: 0,
        }
    }

    /// The number of the line that was read last, from 1.
    pub(in super::super) fn number(&self) -> u64 {
        self.number
    }

    /// Bytes read so far.
    pub(in super::super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next line, or `None` at the end.
    pub(in super::super) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.line.zeroize();
        let mut too_long = false;
        loop {
            let available = match self.reader.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if available.is_empty() {
                if self.line.is_empty() && !too_long {
                    return Ok(None);
                }
                break;
            }
            let end = available.iter().position(|byte| *byte == b'\n');
            let part = &available[..end.unwrap_or(available.len())];
            if part.len() <= IMPORT_LINE_BYTES_MAX - self.line.len() {
                self.line.extend_from_slice(part);
            } else {
                too_long = true;
            }
            let used = part.len() + usize::from(end.is_some());
            self.reader.consume(used);
            self.bytes += used as u64;
            // A line that is empty but for its end is a line.
            if end.is_some() {
                break;
            }
        }
        self.number += 1;
        if too_long {
            return Ok(Some(Line::TooLong));
        }
        let line = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
        let line = if self.number == 1 { line.strip_prefix(MARK).unwrap_or(line) } else { line };
        Ok(Some(str::from_utf8(line).map_or(Line::NotUtf8, Line::Text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads through a reader that gives `step` bytes at a time.
    #[track_caller]
    fn check(bytes: &[u8], expected: &[Line<'_>]) {
        for step in [1, 2, 3, 7, bytes.len().max(1)] {
            let chunks = bytes.chunks(step).map(|chunk| Box::new(chunk) as Box<dyn Read>);
            let all = chunks.fold(Box::new(io::empty()) as Box<dyn Read>, |all, chunk| {
                Box::new(all.chain(chunk))
            });
            let mut lines = Lines::new(all);
            for (index, line) in expected.iter().enumerate() {
                assert_eq!(lines.next().unwrap().as_ref(), Some(line), "{step}");
                assert_eq!(lines.number(), index as u64 + 1);
            }
            assert_eq!(lines.next().unwrap(), None, "{step}");
            assert_eq!(lines.bytes(), bytes.len() as u64);
        }
    }

    #[test]
    fn lines() {
        use Line::{NotUtf8, Text};
        check(b"", &[]);
        check(b"a", &[Text("a")]);
        check(b"a\n", &[Text("a")]);
        check(b"a\r\n\r\nb\r", &[Text("a"), Text(""), Text("b")]);
        check(b"\n", &[Text("")]);
        check(b"a\xffb\nc\n", &[NotUtf8, Text("c")]);
        check("\u{feff}a\n\u{feff}b".as_bytes(), &[Text("a"), Text("\u{feff}b")]);
    }

    #[test]
    fn a_long_line_spoils_no_other() {
        let longest = "x".repeat(IMPORT_LINE_BYTES_MAX);
        let text = format!("a\n{longest}\n{longest}y\nb\n{longest}{longest}");
        let mut lines = Lines::new(text.as_bytes());
        for expected in
            [Line::Text("a"), Line::Text(&longest), Line::TooLong, Line::Text("b"), Line::TooLong]
        {
            assert!(lines.next().unwrap() == Some(expected), "line {}", lines.number());
            assert_eq!(lines.line.capacity(), IMPORT_LINE_BYTES_MAX, "it never grows");
        }
        assert_eq!(lines.next().unwrap(), None);
    }
}

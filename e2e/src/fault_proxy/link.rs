//! What a test may do to the bytes of one direction.

use std::fmt;
use std::time::Duration;

/// What happens to the bytes that go one way. [`Link::default`] passes them on as they come.
///
/// Counts of bytes are of those that were passed on since the link was set; of a connection that is opened
/// later, since its beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Each byte arrives this much later.
    pub latency: Duration,
    /// And up to this much later still, drawn anew for each piece that is read. Order is kept.
    pub jitter: Duration,
    /// No more bytes than these in a second.
    pub bytes_per_second: Option<u32>,
    /// Each write has one byte.
    pub single_bytes: bool,
    /// Nothing arrives, and nobody is told.
    pub black_hole: Option<BlackHole>,
    /// This is how it ends.
    pub end: Option<End>,
}

/// Nothing passes, neither bytes nor the end of them. What was sent waits, as it would in the sender's
/// kernel, and passes when the hole is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlackHole {
    /// It opens after so many bytes.
    pub after: u64,
    /// It closes by itself; without a time it does when the link is set anew.
    pub lasts: Option<Duration>,
}

/// How a link ends, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// After so many bytes.
    pub after: u64,
    /// In this way.
    pub how: Ending,
}

/// How a link ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The receiver is told that no more will come. The other direction goes on.
    HalfClose,
    /// Both parties are told so, in order (FIN).
    Cut,
    /// Both are told that the connection is broken (RST).
    Reset,
}

impl Link {
    /// Each byte arrives this much later.
    #[must_use]
    pub fn latency(self, latency: Duration) -> Self {
        Self { latency, ..self }
    }

    /// Pieces arrive up to this much later.
    #[must_use]
    pub fn jitter(self, jitter: Duration) -> Self {
        Self { jitter, ..self }
    }

    /// No more bytes than these in a second; one at the least.
    #[must_use]
    pub fn bytes_per_second(self, bytes: u32) -> Self {
        Self { bytes_per_second: Some(bytes.max(1)), ..self }
    }

    /// Each write has one byte.
    #[must_use]
    pub fn single_bytes(self) -> Self {
        Self { single_bytes: true, ..self }
    }

    /// Nothing arrives from now on.
    #[must_use]
    pub fn black_hole(self) -> Self {
        Self { black_hole: Some(BlackHole { after: 0, lasts: None }), ..self }
    }

    /// Nothing arrives after so many bytes, for so long.
    #[must_use]
    pub fn pause(self, after: u64, lasts: Duration) -> Self {
        Self { black_hole: Some(BlackHole { after, lasts: Some(lasts) }), ..self }
    }

    /// It ends in this way after so many bytes.
    #[must_use]
    pub fn end(self, how: Ending, after: u64) -> Self {
        Self { end: Some(End { after, how }), ..self }
    }
}

/// Both links of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// From whoever has connected.
    pub to_server: Link,
    /// From whoever was connected to.
    pub to_client: Link,
}

impl Links {
    /// The same both ways.
    #[must_use]
    pub fn both(link: Link) -> Self {
        Self { to_server: link.clone(), to_client: link }
    }

    /// Only what the server says is touched.
    #[must_use]
    pub fn to_client(link: Link) -> Self {
        Self { to_client: link, ..Self::default() }
    }

    /// Only what the client says is touched.
    #[must_use]
    pub fn to_server(link: Link) -> Self {
        Self { to_server: link, ..Self::default() }
    }
}

/// `20 ms late, one byte a write, reset after 317 bytes`; `clean` if nothing happens.
impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if !self.latency.is_zero() {
            parts.push(format!("{:?} late", self.latency));
        }
        if !self.jitter.is_zero() {
            parts.push(format!("up to {:?} late by chance", self.jitter));
        }
        if let Some(bytes) = self.bytes_per_second {
            parts.push(format!("{bytes} bytes a second"));
        }
        if self.single_bytes {
            parts.push("one byte a write".to_owned());
        }
        if let Some(BlackHole { after, lasts }) = self.black_hole {
            let lasts = lasts.map(|lasts| format!(" for {lasts:?}")).unwrap_or_default();
            parts.push(format!("a black hole after {after} bytes{lasts}"));
        }
        if let Some(End { after, how }) = self.end {
            let how = match how {
                Ending::HalfClose => "half-closed",
                Ending::Cut => "cut",
                Ending::Reset => "reset",
            };
            parts.push(format!("{how} after {after} bytes"));
        }
        if parts.is_empty() { f.write_str("clean") } else { f.write_str(&parts.join(", ")) }
    }
}

impl fmt::Display for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::default() {
            return f.write_str("clean");
        }
        write!(f, "to the server {}; to the client {}", self.to_server, self.to_client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_can_read_links() {
        fn check(links: &Links, expected: &str) {
            assert_eq!(links.to_string(), expected);
        }
        let ms = Duration::from_millis;
        check(&Links::default(), "clean");
        check(
            &Links::to_client(Link::default().single_bytes().end(Ending::Reset, 317)),
            "to the server clean; to the client one byte a write, reset after 317 bytes",
        );
        check(
            &Links::to_server(Link::default().latency(ms(20)).jitter(ms(5)).bytes_per_second(0)),
            "to the server 20ms late, up to 5ms late by chance, 1 bytes a second; to the client clean",
        );
        check(
            &Links::both(Link::default().pause(7, ms(300))),
            "to the server a black hole after 7 bytes for 300ms; \
             to the client a black hole after 7 bytes for 300ms",
        );
    }
}

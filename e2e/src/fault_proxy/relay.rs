//! One direction of one connection, without sockets: bytes and the time in, bytes and the next time out.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::limits::{BUFFER_BYTES_MAX, PIECE_BYTES_MAX, SLICES_PER_SECOND};
use super::link::{Ending, Link};
use super::random::Random;

/// What is on its way.
#[derive(Debug)]
pub(super) struct Relay {
    link: Link,
    random: Random,
    pieces: VecDeque<Piece>,
    buffered: usize,
    input: Input,
    sender_is_gone: bool,
    /// Nobody takes what comes: it is thrown away.
    is_over: bool,
    /// Bytes passed on since the link was set.
    since_set: u64,
    /// The bandwidth is used up until then.
    free_at: Option<Instant>,
    /// The black hole is open, since then.
    hole: Option<Instant>,
    pub(super) traffic: Traffic,
}

/// What has been passed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes.
    pub bytes: u64,
    /// Writes that they took.
    pub writes: u64,
}

#[derive(Debug)]
struct Piece {
    arrived: Instant,
    /// Its part of the jitter, in 65,536ths.
    share: u32,
    bytes: Vec<u8>,
    sent: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    Open,
    /// No more will come.
    Finished,
    /// The sender has reset the connection, or is gone.
    Broken,
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// Pass these on.
    Write(&'a [u8]),
    /// Nothing before this time.
    Until(Instant),
    /// Nothing before something comes in.
    Wait,
    /// Tell the receiver that no more will come.
    Finish,
    /// The connection ends in this way.
    End(Ending),
}

impl Relay {
    pub(super) fn new(link: Link, random: Random) -> Self {
        Self {
            link,
            random,
            pieces: VecDeque::new(),
            buffered: 0,
            input: Input::Open,
            sender_is_gone: false,
            is_over: false,
            since_set: 0,
            free_at: None,
            hole: None,
            traffic: Traffic::default(),
        }
    }

    /// From now on this holds, also for what is on its way.
    pub(super) fn set(&mut self, link: Link) {
        self.link = link;
        self.since_set = 0;
        self.free_at = None;
        self.hole = None;
    }

    /// Whether more may be read.
    pub(super) fn wants_input(&self) -> bool {
        self.input == Input::Open
            && (self.is_over || (self.hole.is_none() && self.buffered < BUFFER_BYTES_MAX))
    }

    /// Whether nothing will ever be passed on any more.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Whether the sender has nothing more to say.
    pub(super) fn has_all_input(&self) -> bool {
        self.input != Input::Open
    }

    /// Takes what was read.
    pub(super) fn take(&mut self, now: Instant, bytes: &[u8]) {
        if self.is_over {
            return;
        }
        // No more than 16 bits of it.
        let share = u32::try_from(self.random.within(0..=0xffff)).unwrap_or(0);
        self.buffered += bytes.len();
        self.pieces.push_back(Piece { arrived: now, share, bytes: bytes.to_vec(), sent: 0 });
    }

    /// The sender will send no more.
    pub(super) fn finish_input(&mut self) {
        self.input = if self.sender_is_gone { Input::Broken } else { Input::Finished };
    }

    /// Nothing more can be read: the sender has reset the connection.
    pub(super) fn break_input(&mut self) {
        self.input = Input::Broken;
    }

    /// Nothing can be written to the sender any more. What it has sent may still be there to be read; the end
    /// of that is no orderly one, although the kernel, which tells of a reset once, will say so.
    pub(super) fn lose_sender(&mut self) {
        self.sender_is_gone = true;
        if self.input == Input::Finished {
            self.input = Input::Broken;
        }
    }

    /// Throws away what is on its way and whatever comes.
    pub(super) fn throw_away(&mut self) {
        self.is_over = true;
        self.pieces.clear();
        self.buffered = 0;
    }

    /// What is to be done now. [`wrote`](Self::wrote) says that it was.
    pub(super) fn step(&mut self, now: Instant) -> Step<'_> {
        if self.is_over {
            return Step::Wait;
        }
        if let Some(step) = self.step_of_hole(now) {
            return step;
        }
        let mut most = PIECE_BYTES_MAX;
        if let Some(end) = self.link.end {
            if self.since_set >= end.after {
                return Step::End(end.how);
            }
            most = most.min(until(end.after, self.since_set));
        }
        if let Some(hole) = self.link.black_hole {
            most = most.min(until(hole.after, self.since_set));
        }
        let Some(piece) = self.pieces.front() else {
            return match self.input {
                Input::Open => Step::Wait,
                Input::Finished => Step::Finish,
                Input::Broken => Step::End(Ending::Reset),
            };
        };
        let due = piece.arrived + self.link.latency + self.link.jitter * piece.share / 0xffff;
        if let Some(wait) =
            [Some(due), self.free_at].into_iter().flatten().max().filter(|it| *it > now)
        {
            return Step::Until(wait);
        }
        if self.link.single_bytes {
            most = 1;
        }
        if let Some(rate) = self.link.bytes_per_second {
            most = most.min((rate / SLICES_PER_SECOND).max(1) as usize);
        }
        let left = &piece.bytes[piece.sent..];
        Step::Write(&left[..left.len().min(most)])
    }

    /// So many of the bytes that [`step`](Self::step) gave were passed on, with one write.
    pub(super) fn wrote(&mut self, now: Instant, count: usize) {
        let Some(piece) = self.pieces.front_mut() else { return };
        piece.sent += count;
        if piece.sent == piece.bytes.len() {
            self.buffered -= piece.bytes.len();
            self.pieces.pop_front();
        }
        self.since_set += count as u64;
        self.traffic.bytes += count as u64;
        self.traffic.writes += 1;
        if let Some(rate) = self.link.bytes_per_second {
            let took = Duration::from_secs_f64(count as f64 / f64::from(rate));
            // A late turn of the loop is not made up for, or a burst would follow it.
            self.free_at = Some(now + took);
        }
    }

    /// What the black hole lets be done: nothing, if it is open.
    fn step_of_hole(&mut self, now: Instant) -> Option<Step<'static>> {
        let hole = self.link.black_hole.filter(|hole| self.since_set >= hole.after)?;
        let since = *self.hole.get_or_insert(now);
        match hole.lasts.map(|lasts| since + lasts) {
            None => Some(Step::Wait),
            Some(end) if now < end => Some(Step::Until(end)),
            Some(_) => {
                self.hole = None;
                self.link.black_hole = None;
                None
            }
        }
    }
}

/// How many bytes there are until a count is reached.
fn until(count: u64, so_far: u64) -> usize {
    usize::try_from(count.saturating_sub(so_far)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// A relay at whose times a test plays.
    struct Bench {
        relay: Relay,
        begin: Instant,
    }

    impl Bench {
        fn new(link: Link) -> Self {
            Self { relay: Relay::new(link, Random::new(1)), begin: Instant::now() }
        }

        fn take(&mut self, ms: u32, bytes: &[u8]) {
            self.relay.take(self.begin + MS * ms, bytes);
        }

        /// All writes up to `ms`, each with the millisecond in which it came.
        fn writes(&mut self, ms: u32) -> Vec<(u128, String)> {
            let (mut now, end) = (self.begin, self.begin + MS * ms);
            let mut writes = Vec::new();
            while now <= end {
                match self.relay.step(now) {
                    Step::Write(bytes) => {
                        let bytes = bytes.to_vec();
                        self.relay.wrote(now, bytes.len());
                        let at = now.duration_since(self.begin).as_millis();
                        writes.push((at, String::from_utf8(bytes).unwrap()));
                    }
                    Step::Until(next) => now = next,
                    Step::Wait | Step::Finish | Step::End(_) => return writes,
                }
            }
            writes
        }

        fn step(&mut self, ms: u32) -> Step<'_> {
            self.relay.step(self.begin + MS * ms)
        }
    }

    fn written(writes: &[(u128, &str)]) -> Vec<(u128, String)> {
        writes.iter().map(|(at, text)| (*at, (*text).to_owned())).collect()
    }

    #[test]
    fn a_clean_link_passes_on_what_comes() {
        let mut bench = Bench::new(Link::default());
        assert_eq!(bench.step(0), Step::Wait);
        bench.take(0, b"one");
        bench.take(0, b"two");
        assert_eq!(bench.writes(0), written(&[(0, "one"), (0, "two")]));
        bench.relay.finish_input();
        assert_eq!(bench.step(0), Step::Finish);
        assert_eq!(bench.relay.traffic, Traffic { bytes: 6, writes: 2 });
    }

    #[test]
    fn latency_delays_each_byte_and_jitter_keeps_their_order() {
        let mut bench = Bench::new(Link::default().latency(MS * 20));
        bench.take(0, b"a");
        bench.take(5, b"b");
        assert_eq!(bench.writes(19), []);
        assert_eq!(bench.writes(100), written(&[(20, "a"), (25, "b")]));

        let mut bench = Bench::new(Link::default().latency(MS * 20).jitter(MS * 10));
        let letters = "abcdefghijklmnopqrstuvwxyz";
        letters.bytes().for_each(|letter| bench.take(0, &[letter]));
        let writes = bench.writes(100);
        assert_eq!(writes.iter().map(|(_, text)| text.as_str()).collect::<String>(), letters);
        assert!(writes.iter().all(|(at, _)| (20..=30).contains(at)), "{writes:?}");
        assert!(writes.first().map(|write| write.0) < writes.last().map(|write| write.0));
    }

    #[test]
    fn the_end_comes_after_what_was_sent_before_it() {
        let mut bench = Bench::new(Link::default().latency(MS * 20));
        bench.take(0, b"last words");
        bench.relay.finish_input();
        let due = bench.begin + MS * 20;
        assert_eq!(bench.step(0), Step::Until(due));
        assert_eq!(bench.writes(20), written(&[(20, "last words")]));
        assert_eq!(bench.step(20), Step::Finish);

        let mut bench = Bench::new(Link::default());
        bench.take(0, b"last words");
        bench.relay.break_input();
        assert_eq!(bench.writes(0), written(&[(0, "last words")]));
        assert_eq!(bench.step(0), Step::End(Ending::Reset));
    }

    #[test]
    fn a_bandwidth_is_kept() {
        // Slices of a hundredth of a second.
        let mut bench = Bench::new(Link::default().bytes_per_second(1_000));
        bench.take(0, &[b'x'; 100]);
        let writes = bench.writes(1_000);
        assert_eq!(writes.iter().map(|(_, text)| text.len()).sum::<usize>(), 100);
        assert_eq!(writes.last().map(|(at, _)| *at), Some(90));
        // Slower than a byte a slice.
        let mut bench = Bench::new(Link::default().bytes_per_second(10));
        bench.take(0, b"abc");
        assert_eq!(bench.writes(1_000), written(&[(0, "a"), (100, "b"), (200, "c")]));
    }

    #[test]
    fn single_bytes_are_written_singly() {
        let mut bench = Bench::new(Link::default().single_bytes());
        bench.take(0, b"abc");
        assert_eq!(bench.writes(0), written(&[(0, "a"), (0, "b"), (0, "c")]));
        assert_eq!(bench.relay.traffic, Traffic { bytes: 3, writes: 3 });
    }

    #[test]
    fn a_black_hole_shows_nothing_and_loses_nothing() {
        let mut bench = Bench::new(Link::default().black_hole());
        bench.take(0, b"waits");
        bench.relay.finish_input();
        assert_eq!(bench.writes(100_000), []);
        assert_eq!(bench.step(100_000), Step::Wait);
        bench.relay.set(Link::default());
        assert_eq!(bench.writes(0), written(&[(0, "waits")]));
        assert_eq!(bench.step(0), Step::Finish);

        let mut bench = Bench::new(Link::default().pause(3, MS * 50));
        bench.take(0, b"before");
        assert_eq!(bench.writes(49), written(&[(0, "bef")]));
        // Nothing more is read meanwhile.
        assert!(!bench.relay.wants_input());
        assert_eq!(bench.writes(50), written(&[(50, "ore")]));
        assert!(bench.relay.wants_input());
    }

    #[test]
    fn an_end_comes_after_exactly_so_many_bytes() {
        for how in [Ending::HalfClose, Ending::Cut, Ending::Reset] {
            let mut bench = Bench::new(Link::default().end(how, 4));
            bench.take(0, b"abc");
            bench.take(0, b"def");
            assert_eq!(bench.writes(0), written(&[(0, "abc"), (0, "d")]));
            assert_eq!(bench.step(0), Step::End(how));
        }
        // Of a link that is set later, after so many from then on.
        let mut bench = Bench::new(Link::default());
        bench.take(0, b"abc");
        assert_eq!(bench.writes(0), written(&[(0, "abc")]));
        bench.relay.set(Link::default().end(Ending::Cut, 1));
        bench.take(0, b"def");
        assert_eq!(bench.writes(0), written(&[(0, "d")]));
        bench.relay.set(Link::default().end(Ending::Cut, 0));
        assert_eq!(bench.step(0), Step::End(Ending::Cut));
    }

    #[test]
    fn what_is_buffered_is_bounded() {
        let mut bench = Bench::new(Link::default().latency(MS));
        let piece = [b'x'; PIECE_BYTES_MAX];
        while bench.relay.wants_input() {
            bench.take(0, &piece);
        }
        assert!(bench.relay.buffered < BUFFER_BYTES_MAX + PIECE_BYTES_MAX);
        bench.relay.throw_away();
        assert!(bench.relay.wants_input());
        bench.take(0, &piece);
        assert_eq!((bench.relay.buffered, bench.step(9)), (0, Step::Wait));
    }
}

//! The loop's timers: what the wheel holds, when it is put there, and what happens when it fires.

use std::time::Instant;

use super::state::Timer;
use super::{Event, EventLoop};
use crate::connection::Verdict;
use crate::limits::{TIDY_INTERVAL, TIMERS_PER_CONNECTION_MAX, TIMERS_SPARE};
use crate::protocol::{ConnectionId, Protocol};

impl<P: Protocol> EventLoop<P> {
    pub(super) fn fire_timers(&mut self) {
        let mut due = std::mem::take(&mut self.due);
        self.wheel.expire(self.now, |timer| due.push(timer));
        for timer in due.drain(..) {
            self.handle(Event::Timer(timer));
        }
        self.due = due;
    }

    pub(super) fn expire(&mut self, id: ConnectionId, at: Instant) {
        let Some((connection, mut around)) = self.enter(id) else { return };
        if connection.armed != Some(at) {
            return;
        }
        connection.armed = None;
        // The wheel fires at its horizon for what lies beyond; the visit arms it again.
        match connection.expire(&mut around) {
            Verdict::Close => self.close(id),
            _ => self.list(id),
        }
    }

    pub(super) fn wake(&mut self, at: Instant) {
        if self.wake_armed == Some(at) {
            self.wake_armed = None;
            // It may have moved since, and the end of the turn arms it again.
            if P::wake_at(&self.shared).is_some_and(|due| due <= self.now) {
                P::on_wake(&mut self.shared, self.now);
            }
        }
    }

    /// Puts the connection's deadline on the wheel, unless an entry that fires sooner is there:
    /// that one will find the deadline moved and arm it again.
    pub(super) fn arm(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let Some(at) = connection.deadline() else { return };
        if connection.armed.is_none_or(|armed| at < armed) {
            connection.armed = Some(at);
            self.wheel.insert(at, Timer::Deadline { id, at });
        }
    }

    /// At the end of a turn: arms the protocol's own time, unless an entry that fires sooner is there; arms tidying;
    /// removes timers if there are too many.
    pub(super) fn arm_own_timers(&mut self) {
        if let Some(at) = P::wake_at(&self.shared)
            && self.wake_armed.is_none_or(|armed| at < armed)
        {
            self.wake_armed = Some(at);
            self.wheel.insert(at, Timer::Wake { at });
        }
        if !self.tidy_armed && (self.storage.has_spares() || self.storage.is_tight()) {
            self.tidy_armed = true;
            self.wheel.insert(self.now + TIDY_INTERVAL, Timer::Tidy);
        }
        let owners = self.connections.len() + self.completions_kept;
        if self.wheel.len() > TIMERS_SPARE + TIMERS_PER_CONNECTION_MAX * owners {
            self.sweep_timers();
        }
    }

    /// Removes timers without a meaning: of closed connections, and of connections that have a timer that fires sooner. What
    /// remains is one for each connection, a few of the loop itself, and completions for open connections, each
    /// of which answers an admitted request.
    #[cold]
    fn sweep_timers(&mut self) {
        let Self { wheel, connections, wake_armed, .. } = self;
        let mut completions = 0;
        wheel.retain(|timer| match timer {
            Timer::Deadline { id, at } => {
                connections.get_mut(*id).is_some_and(|connection| connection.armed == Some(*at))
            }
            Timer::Completion { to, .. } => {
                let is_there = connections.get_mut(*to).is_some();
                completions += usize::from(is_there);
                is_there
            }
            Timer::Wake { at } => *wake_armed == Some(*at),
            Timer::AcceptRetry | Timer::Tidy | Timer::GraceOver => true,
        });
        self.completions_kept = completions;
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
    use std::sync::Arc;
    use std::time::Duration;

    use socket2::{Domain, Socket, Type};

    use super::super::Prepared;
    use super::*;
    use crate::common::Common;
    use crate::{Io, Limits, Mailbox};

    /// Has a minute for what it waits for, or as much as a completion says.
    struct Patient;

    const MINUTE: Duration = Duration::from_secs(60);

    impl Protocol for Patient {
        type Shared = ();
        type Completion = Duration;
        const INPUT_BYTES_MAX: usize = 16;

        fn open((): &mut (), io: &mut Io<'_>) -> Self {
            io.set_deadline(Some(io.now() + MINUTE));
            Self
        }

        fn on_input(&mut self, input: &[u8], (): &mut (), _: &mut Io<'_>) -> usize {
            input.len()
        }

        fn on_completion(&mut self, time: Duration, (): &mut (), io: &mut Io<'_>) {
            io.set_deadline(Some(io.now() + time));
        }

        fn on_deadline(&mut self, (): &mut (), io: &mut Io<'_>) {
            io.leave();
        }

        fn on_shutdown(&mut self, (): &mut (), io: &mut Io<'_>) {
            io.finish();
        }
    }

    /// A loop that the test drives.
    struct Bench {
        turning: EventLoop<Patient>,
        mailbox: Mailbox<Duration>,
    }

    impl Bench {
        fn new() -> Self {
            let limits = Limits {
                connections_max: 1_000_000,
                connections_per_address_max: 1_000_000,
                buffer_bytes_max: usize::MAX,
            };
            let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let listener = TcpListener::bind(any).unwrap();
            listener.set_nonblocking(true).unwrap();
            let common = Arc::new(Common::new("test", limits));
            let (prepared, mailbox) = Prepared::new(listener, common).unwrap();
            Self { turning: EventLoop::new(prepared, Vec::new(), ()), mailbox }
        }

        fn open(&mut self) -> ConnectionId {
            // Nobody is at its other end, and nothing is read or written.
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            let stream = mio::net::TcpStream::from_std(socket.into());
            self.turning.meet(stream, IpAddr::V4(Ipv4Addr::LOCALHOST));
            *self.turning.ready.back().expect("it is to be visited")
        }

        /// What a turn does after its poll.
        fn turn(&mut self) {
            self.turning.take_mail();
            self.turning.visit_ready();
            self.turning.fire_timers();
            self.turning.arm_own_timers();
        }

        #[track_caller]
        fn check_bound(&self, open: usize) {
            assert_eq!(self.turning.connections.len(), open);
            // At most one of them waits for an answer.
            let most = TIMERS_SPARE + TIMERS_PER_CONNECTION_MAX * (open + 1);
            let timers = self.turning.wheel.len();
            assert!(timers <= most, "{timers} timers for {open} connections");
        }
    }

    #[test]
    fn timers_of_a_hundred_thousand_connections_that_have_gone_do_not_stay() {
        let mut bench = Bench::new();
        let stay: Vec<_> = (0..100).map(|_| bench.open()).collect();
        bench.turn();
        // No time passes, so none of their timers fires.
        for _ in 0..100_000 {
            let id = bench.open();
            // An answer that must wait, for a connection that does not.
            bench.mailbox.post_at(bench.turning.now + MINUTE, id, MINUTE);
            bench.turn();
            bench.check_bound(stay.len() + 1);
            bench.turning.close(id);
        }
        // Those that mean something are there still.
        bench.turning.now += MINUTE + Duration::from_millis(1);
        bench.turn();
        bench.turn();
        bench.check_bound(0);
    }

    #[test]
    fn timers_of_one_connection_do_not_add_up() {
        let mut bench = Bench::new();
        let id = bench.open();
        bench.turn();
        for _ in 0..10_000 {
            // As with requests that are answered: a time that is short, and before it has passed a longer one.
            for time in [Duration::from_millis(10), MINUTE] {
                bench.mailbox.post(id, time);
                bench.turn();
            }
            bench.turning.now += Duration::from_millis(20);
            bench.turn();
            bench.turn();
            bench.check_bound(1);
        }
        assert!(bench.turning.connections.get_mut(id).is_some());
        bench.turning.now += MINUTE;
        bench.turn();
        bench.turn();
        bench.check_bound(0);
    }

    #[test]
    fn answers_that_wait_for_a_connection_that_is_there_stay() {
        let mut bench = Bench::new();
        let id = bench.open();
        bench.turn();
        for later in 0..5_000 {
            let at = bench.turning.now + Duration::from_micros(later);
            bench.mailbox.post_at(at + Duration::from_secs(1), id, MINUTE / 2);
            bench.turn();
        }
        assert!(bench.turning.wheel.len() >= 5_000);
        bench.turning.now += Duration::from_secs(2);
        bench.turn();
        let deadline = bench.turning.connections.get_mut(id).unwrap().deadline();
        assert_eq!(deadline, Some(bench.turning.now + MINUTE / 2));
    }
}

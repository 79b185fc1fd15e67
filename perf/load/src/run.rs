//! The loop: sends what is due, reads what has come, counts.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::time::{ClockId, clock_gettime};

use crate::connection::{Connection, Event, Sent, State};
use crate::report::{LATE, Latencies, Report};
use crate::requests::Requests;
use crate::schedule::Schedule;

/// Events taken from the kernel at a time.
const EVENTS: usize = 256;

/// How often timeouts are looked for.
const TICK: Duration = Duration::from_millis(100);

pub(crate) struct Run {
    address: SocketAddr,
    requests: Requests,
    schedule: Schedule,
    timeout: Duration,
    epoll: OwnedFd,
    connections: Vec<Connection>,
    /// Idle connections, the one that has been idle longest first.
    idle: VecDeque<usize>,
    /// The number of the request to be sent next.
    next: u64,
    start: Instant,
    report: Report,
}

impl Run {
    /// Opens all connections.
    pub(crate) fn new(
        address: SocketAddr,
        requests: Requests,
        schedule: Schedule,
        connections: usize,
        timeout: Duration,
    ) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let open = (0..connections).map(|i| {
            let connection = Connection::open(address, Duration::ZERO)?;
            epoll::add(&epoll, &connection.stream, EventData::new_u64(i as u64), EventFlags::IN)?;
            Ok(connection)
        });
        let open = open.collect::<io::Result<Vec<_>>>()?;
        let report = Report {
            due: schedule.measured(),
            rate: schedule.rate(),
            took: Duration::ZERO,
            connections,
            statuses: [].into(),
            broken: 0,
            unreadable: 0,
            timed_out: 0,
            unsent: 0,
            reconnects: 0,
            waited: 0,
            late: 0,
            backlog: 0,
            cpu: Duration::ZERO,
            from_due: Latencies::new(),
            from_sent: Latencies::new(),
            lateness: Latencies::new(),
        };
        let idle = (0..connections).collect();
        let start = Instant::now();
        Ok(Self {
            address,
            requests,
            schedule,
            timeout,
            epoll,
            connections: open,
            idle,
            next: 0,
            start,
            report,
        })
    }

    /// Sends all requests and waits for their answers.
    ///
    /// # Errors
    /// A server that cannot be connected to any more.
    pub(crate) fn finish(mut self) -> io::Result<Report> {
        // Else the kernel may wake this thread 50 µs late.
        rustix::thread::set_current_timer_slack(NonZero::new(1))?;
        let last_due = self.schedule.due(self.schedule.total());
        let mut backlog_seen = false;
        let mut tick = TICK;
        let mut events =
            [epoll::Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; EVENTS];
        self.start = Instant::now();
        loop {
            let now = self.send_due()?;
            if now >= last_due && !backlog_seen {
                self.report.backlog = self.schedule.total() - self.next;
                backlog_seen = true;
            }
            let all_sent = self.next == self.schedule.total();
            if all_sent && self.idle.len() == self.connections.len()
                || now >= last_due + self.timeout
            {
                break;
            }
            if now >= tick {
                self.give_up_late_answers(now)?;
                tick = now + TICK;
            }
            let mut wait = tick.saturating_sub(now);
            if !all_sent && !self.idle.is_empty() {
                wait = wait.min(self.schedule.due(self.next).saturating_sub(now));
            }
            let count = match epoll::wait(&self.epoll, &mut events[..], Some(&timespec(wait))) {
                Ok(count) => count,
                Err(rustix::io::Errno::INTR) => 0,
                Err(error) => return Err(error.into()),
            };
            for event in &events[..count] {
                let (flags, data) = (event.flags, event.data);
                self.visit(data.u64() as usize, flags)?;
                // Many events may have come at once; what falls due meanwhile does not wait for the last.
                self.send_due()?;
            }
        }
        self.close_the_books()
    }

    /// Sends requests that are due while there are idle connections; gives the time afterwards.
    fn send_due(&mut self) -> io::Result<Duration> {
        loop {
            let now = self.start.elapsed();
            let due = self.schedule.due(self.next);
            if self.next == self.schedule.total() || due > now {
                return Ok(now);
            }
            let Some(i) = self.idle.pop_front() else { return Ok(now) };
            let number = self.next;
            self.next += 1;
            let connection = &mut self.connections[i];
            if let State::Idle { since } = connection.state
                && self.schedule.is_measured(number)
            {
                let lateness = now.saturating_sub(due.max(since));
                self.report.waited += u64::from(since > due);
                self.report.late += u64::from(lateness > LATE);
                self.report.lateness.record(lateness);
            }
            match connection.send(number, due, now, self.requests.get(number)) {
                Ok(true) => {}
                Ok(false) => self.watch(i, EventFlags::IN | EventFlags::OUT)?,
                Err(_) => self.replace_broken(i, now)?,
            }
        }
    }

    /// Does what an event asks for.
    fn visit(&mut self, i: usize, flags: EventFlags) -> io::Result<()> {
        if flags.contains(EventFlags::OUT)
            && let Some(sent) = self.connections[i].under_way()
        {
            match self.connections[i].write_on(self.requests.get(sent.number)) {
                Ok(false) => {}
                Ok(true) => self.watch(i, EventFlags::IN)?,
                Err(_) => return self.replace_broken(i, self.start.elapsed()),
            }
        }
        let event = self.connections[i].read();
        let now = self.start.elapsed();
        match event {
            Event::Nothing => Ok(()),
            Event::Answered { sent, status, keeps } => {
                self.count(sent, now, |report| *report.statuses.entry(status).or_default() += 1);
                if keeps {
                    self.connections[i].state = State::Idle { since: now };
                    self.idle.push_back(i);
                    return Ok(());
                }
                self.replace(i, now)
            }
            Event::Broken { sent: Some(sent), unreadable: true } => {
                self.count(sent, now, |report| report.unreadable += 1);
                self.replace(i, now)
            }
            Event::Broken { .. } => self.replace_broken(i, now),
        }
    }

    fn give_up_late_answers(&mut self, now: Duration) -> io::Result<()> {
        for i in 0..self.connections.len() {
            if let Some(sent) = self.connections[i].under_way()
                && now.saturating_sub(sent.at) > self.timeout
            {
                self.count(sent, now, |report| report.timed_out += 1);
                self.replace(i, now)?;
            }
        }
        Ok(())
    }

    /// Counts what was under way on a connection that broke, if anything, and opens another.
    fn replace_broken(&mut self, i: usize, now: Duration) -> io::Result<()> {
        match self.connections[i].under_way() {
            Some(sent) => self.count(sent, now, |report| report.broken += 1),
            // The server has closed it while it was idle.
            None => self.idle.retain(|idle| *idle != i),
        }
        self.replace(i, now)
    }

    /// Opens another connection in the place of one that is not idle.
    fn replace(&mut self, i: usize, now: Duration) -> io::Result<()> {
        self.report.reconnects += 1;
        // The old one is closed when it is dropped, and with that the kernel forgets it.
        self.connections[i] = Connection::open(self.address, now)?;
        epoll::add(
            &self.epoll,
            &self.connections[i].stream,
            EventData::new_u64(i as u64),
            EventFlags::IN,
        )?;
        self.connections[i].state = State::Idle { since: self.start.elapsed() };
        self.idle.push_back(i);
        Ok(())
    }

    fn watch(&self, i: usize, flags: EventFlags) -> io::Result<()> {
        epoll::modify(
            &self.epoll,
            &self.connections[i].stream,
            EventData::new_u64(i as u64),
            flags,
        )?;
        Ok(())
    }

    fn count(&mut self, sent: Sent, now: Duration, as_what: impl FnOnce(&mut Report)) {
        if self.schedule.is_measured(sent.number) {
            self.report.from_due.record(now.saturating_sub(sent.due));
            self.report.from_sent.record(now.saturating_sub(sent.at));
            as_what(&mut self.report);
        }
    }

    fn close_the_books(mut self) -> io::Result<Report> {
        let now = self.start.elapsed();
        let unanswered: Vec<_> =
            self.connections.iter().filter_map(Connection::under_way).collect();
        for sent in unanswered {
            self.count(sent, now, |report| report.timed_out += 1);
        }
        // What was never sent has waited as well.
        for number in self.next..self.schedule.total() {
            if self.schedule.is_measured(number) {
                self.report.unsent += 1;
                self.report.from_due.record(now.saturating_sub(self.schedule.due(number)));
            }
        }
        self.report.took = now.saturating_sub(self.schedule.measured_from());
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        self.report.cpu = Duration::try_from(cpu).unwrap_or_default();
        Ok(self.report)
    }
}

fn timespec(duration: Duration) -> Timespec {
    // At most a tick, so it fits.
    Timespec::try_from(duration).unwrap_or(Timespec { tv_sec: 0, tv_nsec: 0 })
}

//! Keeping what was started, until somebody asks to stop or something ends by itself.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use harness::{Error, MariaDb, Redis, Server, System, Waited, wait_for};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::failure::Failure;

/// Who asks to stop: by a signal, and, where that is watched, by closing standard input.
pub(crate) struct Owner {
    signals: Arc<UnixStream>,
    input: Option<io::Stdin>,
}

impl Owner {
    pub(crate) fn with_input() -> Result<Self, Error> {
        Ok(Self { input: Some(io::stdin()), ..Self::without_input()? })
    }

    pub(crate) fn without_input() -> Result<Self, Error> {
        Ok(Self {
            signals: Arc::new(signals().map_err(system("listen for signals"))?),
            input: None,
        })
    }

    /// Becomes readable with the first signal, and stays so.
    pub(crate) fn signals(&self) -> &Arc<UnixStream> {
        &self.signals
    }

    /// Whether standard input, which has something to read, is at its end.
    fn has_closed_input(&self) -> bool {
        // What it says is of no interest.
        !matches!(self.input.as_ref().map(|input| input.lock().read(&mut [0; 4096])), Some(Ok(1..)))
    }
}

/// What was started, in the order in which it ends, and what there is to know of it.
#[derive(Default)]
pub(crate) struct Kept {
    system: Option<System>,
    server: Option<Server>,
    redis: Option<Redis>,
    mariadb: Option<MariaDb>,
    told: String,
}

impl Kept {
    pub(crate) fn keep_mariadb(&mut self, server: MariaDb, prefix: &str) {
        self.add(prefix, "url", server.url());
        self.add(prefix, "pid", server.pid());
        self.mariadb = Some(server);
    }

    pub(crate) fn keep_redis(&mut self, server: Redis, prefix: &str) {
        self.add(prefix, "url", server.url());
        self.add(prefix, "pid", server.pid());
        self.redis = Some(server);
    }

    pub(crate) fn keep_server(&mut self, server: Server) {
        self.add_server(&server, "");
        self.server = Some(server);
    }

    pub(crate) fn keep_system(&mut self, mut system: System) {
        self.add("", "base", format!("http://{}", system.front_address(0)));
        self.add_server(system.front(), "front_");
        self.add_server(system.auth(), "auth_");
        self.system = Some(system);
    }

    fn add_server(&mut self, server: &Server, prefix: &str) {
        self.add(prefix, server.program().place(), server.address());
        self.add(prefix, "ops", server.ops_address());
        self.add(prefix, "pid", server.pid());
    }

    fn add(&mut self, prefix: &str, key: &str, value: impl fmt::Display) {
        self.told += &format!("{prefix}{key}={value}\n");
    }

    /// Prints what there is to know, and closes standard output, so that nobody has to know which line is
    /// the last.
    pub(crate) fn tell(&self) -> Result<(), Error> {
        write_out(&self.told)?;
        let nowhere = File::options().write(true).open("/dev/null");
        let closed = nowhere.and_then(|nowhere| Ok(rustix::stdio::dup2_stdout(nowhere)?));
        closed.map_err(system("close standard output"))
    }

    /// Waits until the owner asks to stop, and stops everything in order.
    pub(crate) fn until_asked(mut self, owner: &Owner) -> Result<(), Failure> {
        let asked = self.wait(owner);
        // A signal while it stops asks for what is being done.
        let mut clean = self.system.as_mut().is_none_or(System::stop);
        clean &= self
            .server
            .as_mut()
            .is_none_or(|server| server.stop_patiently().is_none_or(|status| status.success()));
        asked?;
        if clean { Ok(()) } else { Err(Failure::NotClean) }
    }

    /// Returns when the owner asks to stop.
    fn wait(&self, owner: &Owner) -> Result<(), Error> {
        let daemons = [
            self.redis.as_ref().map(|server| ("redis-server", server.end())),
            self.mariadb.as_ref().map(|server| ("mariadbd", server.end())),
        ];
        let daemons = daemons.into_iter().flatten().map(|(name, end)| Ok((name, end?)));
        let daemons: io::Result<Vec<(&str, OwnedFd)>> = daemons.collect();
        let daemons = daemons.map_err(system("wait for a process"))?;
        let servers = self.system.iter().flat_map(System::servers).chain(&self.server);

        let mut sources = vec![(Source::Signal, owner.signals.as_fd())];
        sources.extend(owner.input.as_ref().map(|input| (Source::Input, input.as_fd())));
        sources.extend(daemons.iter().map(|(name, end)| (Source::End(name), end.as_fd())));
        sources.extend(servers.map(|it| (Source::End(it.program().name()), it.as_fd())));
        let descriptors: Vec<BorrowedFd<'_>> = sources.iter().map(|(_, it)| *it).collect();
        loop {
            let ready = wait_for(&descriptors, None).map_err(system("wait"))?;
            let Waited::Ready(ready) = ready else { continue };
            match sources[ready].0 {
                Source::Signal => return Ok(()),
                Source::Input if owner.has_closed_input() => return Ok(()),
                Source::Input => {}
                Source::End(program) => return Err(Error::Ended { program: program.to_owned() }),
            }
        }
    }
}

/// What a wait can end with.
enum Source<'a> {
    Signal,
    Input,
    /// The end of this program.
    End(&'a str),
}

/// Writes to standard output at once.
pub(crate) fn write_out(text: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(system("write to standard output"))
}

/// From now on, signals that ask to stop make this readable instead of ending the process.
fn signals() -> io::Result<UnixStream> {
    let (ours, theirs) = UnixStream::pair()?;
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::low_level::pipe::register(signal, theirs.try_clone()?)?;
    }
    Ok(ours)
}

fn system(what: &str) -> impl FnOnce(io::Error) -> Error {
    let what = what.to_owned();
    move |reason| Error::System { what, reason }
}

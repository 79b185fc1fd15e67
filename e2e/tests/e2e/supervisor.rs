//! What a service manager is told over the socket that it names.

use std::os::unix::net::UnixDatagram;

use e2e::{Program, Recipe, Scratch, Server, limits::HANG_GUARD};

use crate::shutdown::in_directory;

/// The service manager's end.
struct Manager(UnixDatagram);

impl Manager {
    fn next(&self) -> String {
        let mut message = [0; 256];
        let length = self.0.recv(&mut message).expect("a message comes");
        str::from_utf8(&message[..length]).expect("it is text").trim_end().to_owned()
    }

    /// What comes after all that says no more than that the server is alive.
    fn next_news(&self) -> String {
        loop {
            let message = self.next();
            if message != "WATCHDOG=1" {
                return message;
            }
        }
    }
}

#[test]
fn a_service_manager_is_told_what_becomes_of_a_server() {
    for program in [Program::HttpFront, Program::AuthBack] {
        let scratch = Scratch::new("manager").expect("a scratch directory can be made");
        let socket = in_directory(&scratch, "notify");
        let manager = Manager(UnixDatagram::bind(&socket).expect("a socket can be made"));
        manager.0.set_read_timeout(Some(HANG_GUARD)).expect("a time can be set");
        let data = in_directory(&scratch, "data");
        let flags = match program {
            Program::HttpFront => vec!["--auth", "127.0.0.1:1"],
            Program::AuthBack => {
                vec!["--data", &data, "--argon2", "m=8,t=1,p=1", "--allow-weak-argon2"]
            }
        };
        let variables = [("NOTIFY_SOCKET", &*socket), ("WATCHDOG_USEC", "200000")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let recipe = Recipe {
            flags: [&flags[..], &["--drain", "10m"]]
                .concat()
                .into_iter()
                .map(str::to_owned)
                .collect(),
            variables: variables.to_vec(),
            ..Recipe::for_test(program, scratch.path().join("log"))
        };
        let mut server = Server::start(recipe).expect("it starts");
        assert_eq!(manager.next(), "READY=1");
        // Each of them is an answer of every loop.
        for _ in 0..3 {
            assert_eq!(manager.next(), "WATCHDOG=1");
        }
        server.signal("TERM");
        assert_eq!(manager.next_news(), "STOPPING=1");
        // It is not taken for dead while it drains.
        assert_eq!(manager.next(), "WATCHDOG=1");
        assert!(server.stop().success());
    }
}

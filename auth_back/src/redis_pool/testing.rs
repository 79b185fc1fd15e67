//! A private Redis for tests, as this crate talks to one.

use std::ops::Deref;

use super::RedisUrl;

pub(crate) struct Redis {
    server: harness::Redis,
}

impl Redis {
    pub(crate) fn start() -> Self {
        Self { server: harness::Redis::start() }
    }

    pub(crate) fn url(&self) -> RedisUrl {
        self.server.url().parse().unwrap()
    }

    /// A connection of the test's own.
    pub(crate) fn connect(&self) -> redis::Connection {
        redis::Client::open(self.server.url()).unwrap().get_connection().unwrap()
    }
}

impl Deref for Redis {
    type Target = harness::Redis;

    fn deref(&self) -> &harness::Redis {
        &self.server
    }
}

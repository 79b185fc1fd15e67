//! A private Redis for tests, as this crate talks to one.

use std::ops::Deref;

use crate::RedisUrl;

/// A server of the test's own. It ends when this is dropped.
pub struct Redis {
    server: harness::Redis,
}

impl Redis {
    /// Starts one.
    ///
    /// # Panics
    ///
    /// If it does not start.
    #[must_use]
    pub fn start() -> Self {
        Self { server: harness::Redis::start() }
    }

    /// What leads to it.
    ///
    /// # Panics
    ///
    /// Never: it is a URL.
    #[must_use]
    pub fn url(&self) -> RedisUrl {
        self.server.url().parse().expect("a private Redis answers")
    }

    /// A connection of the test's own.
    ///
    /// # Panics
    ///
    /// If the server does not answer.
    #[must_use]
    pub fn connect(&self) -> redis::Connection {
        redis::Client::open(self.server.url())
            .expect("a private Redis answers")
            .get_connection()
            .expect("a private Redis answers")
    }
}

impl Deref for Redis {
    type Target = harness::Redis;

    fn deref(&self) -> &harness::Redis {
        &self.server
    }
}

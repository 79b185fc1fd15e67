//! The list of products, rendered once and sent many times.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http1::PreparedResponse;

/// The newest answer to `GET /open_api/v1/products` that a loop has. The list is the same for every
/// user, so what was fetched with one session serves the others, for as long as auth_back said.
#[derive(Default)]
pub struct Catalog {
    newest: Option<Rendered>,
}

/// The list as a whole answer.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// The answer.
    pub response: Arc<PreparedResponse>,
    /// When it has to be fetched again.
    pub fresh_until: Instant,
}

impl Rendered {
    /// An answer that counts as fresh for `fresh_for`, from the moment at which it was asked for.
    #[must_use]
    pub fn new(response: PreparedResponse, asked_at: Instant, fresh_for: Duration) -> Self {
        Self { response: Arc::new(response), fresh_until: asked_at + fresh_for }
    }
}

impl Catalog {
    /// The answer, if it is fresh.
    #[must_use]
    pub fn fresh(&self, now: Instant) -> Option<&PreparedResponse> {
        let newest = self.newest.as_ref()?;
        (now < newest.fresh_until).then_some(&newest.response)
    }

    /// The newest answer, fresh or not: for a request that found it fresh when it began.
    #[must_use]
    pub fn newest(&self) -> Option<&PreparedResponse> {
        self.newest.as_ref().map(|newest| &*newest.response)
    }

    /// Takes an answer, unless a fresher one is here: answers can overtake each other.
    pub fn update(&mut self, rendered: Rendered) {
        if self.newest.as_ref().is_none_or(|newest| newest.fresh_until <= rendered.fresh_until) {
            self.newest = Some(rendered);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http1::{Response, Status};

    fn rendered(content: &[u8], asked_at: Instant) -> Rendered {
        let response = PreparedResponse::new(&Response::json(Status::Ok), content);
        Rendered::new(response, asked_at, Duration::from_secs(1))
    }

    #[test]
    fn freshness_ends_and_the_newest_stays() {
        let now = Instant::now();
        let mut catalog = Catalog::default();
        assert!(catalog.fresh(now).is_none());
        catalog.update(rendered(b"[1]", now));
        assert!(catalog.fresh(now).is_some());
        let stale = now + Duration::from_secs(1);
        assert!(catalog.fresh(stale).is_none());
        assert!(catalog.newest().is_some());
    }

    #[test]
    fn an_answer_that_was_overtaken_is_dropped() {
        let now = Instant::now();
        let mut catalog = Catalog::default();
        let (old, new) = (rendered(b"[1]", now), rendered(b"[2]", now + Duration::from_millis(5)));
        catalog.update(new.clone());
        catalog.update(old);
        assert_eq!(catalog.newest(), Some(&*new.response));
    }
}

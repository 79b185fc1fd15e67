//! The list of products, rendered once and sent many times.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http1::PreparedResponse;

use crate::limits::{CATALOG_FETCH_TIME, CATALOG_STALE_MAX};

/// The newest answer to `GET /open_api/v1/products` that a loop has. The list is the same for every
/// user, so what was fetched with one session serves the others, for as long as auth_back said.
///
/// When it goes stale, one request fetches it again and the others go on with what is here
/// (stale-while-revalidate, RFC 5861 section 3): otherwise every client of a busy loop would go to
/// auth_back in the same moment.
#[derive(Default)]
pub struct Catalog {
    newest: Option<Rendered>,
    /// Until when the request that went to fetch the list is waited for.
    fetching_until: Option<Instant>,
}

/// What a request for the list does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// Answer with the newest.
    Current,
    /// Fetch it: there is none, or it is stale and nobody else is fetching it.
    Fetch,
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
    /// What a request at `now` does. Whoever is told to fetch counts as fetching from then on.
    pub fn look(&mut self, now: Instant) -> Listing {
        match &self.newest {
            None => Listing::Fetch,
            Some(newest) if now < newest.fresh_until || self.is_fetched(newest, now) => {
                Listing::Current
            }
            Some(_) => {
                self.fetching_until = Some(now + CATALOG_FETCH_TIME);
                Listing::Fetch
            }
        }
    }

    /// Whether a request at `now` would be answered with what is here, and so does not have to fetch.
    #[must_use]
    pub fn is_current(&self, now: Instant) -> bool {
        self.newest
            .as_ref()
            .is_some_and(|newest| now < newest.fresh_until || self.is_fetched(newest, now))
    }

    /// Whether somebody fetches the list, and the old one still serves.
    fn is_fetched(&self, newest: &Rendered, now: Instant) -> bool {
        self.fetching_until.is_some_and(|until| now < until)
            && now < newest.fresh_until + CATALOG_STALE_MAX
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
            self.fetching_until = None;
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

    fn is_current(catalog: &mut Catalog, now: Instant) -> bool {
        let is_current = catalog.is_current(now);
        let looked = catalog.look(now);
        assert_eq!(is_current, looked == Listing::Current, "both say the same");
        is_current
    }

    #[test]
    fn one_request_fetches_a_stale_list_and_the_others_go_on() {
        let now = clock::now();
        let mut catalog = Catalog::default();
        assert!(!is_current(&mut catalog, now), "there is nothing to go on with");
        assert!(!is_current(&mut catalog, now), "nor for a second request");
        catalog.update(rendered(b"[1]", now));
        assert!(is_current(&mut catalog, now));
        let stale = now + Duration::from_secs(1);
        assert!(!is_current(&mut catalog, stale), "the first one fetches");
        assert!(is_current(&mut catalog, stale), "the second one does not");
        catalog.update(rendered(b"[2]", stale));
        assert!(is_current(&mut catalog, stale));
    }

    #[test]
    fn a_fetch_that_never_comes_back_is_made_again() {
        let now = clock::now();
        let mut catalog = Catalog::default();
        catalog.update(rendered(b"[1]", now));
        let stale = now + Duration::from_secs(1);
        assert!(!is_current(&mut catalog, stale));
        assert!(!is_current(&mut catalog, stale + CATALOG_FETCH_TIME));
        assert!(is_current(&mut catalog, stale + CATALOG_FETCH_TIME));
    }

    #[test]
    fn a_list_that_is_too_old_serves_nobody() {
        let now = clock::now();
        let mut catalog = Catalog::default();
        catalog.update(rendered(b"[1]", now));
        let old = now + Duration::from_secs(1) + CATALOG_STALE_MAX;
        assert!(!is_current(&mut catalog, old));
        assert!(!is_current(&mut catalog, old));
    }

    #[test]
    fn an_answer_that_was_overtaken_is_dropped() {
        let now = clock::now();
        let mut catalog = Catalog::default();
        let (old, new) = (rendered(b"[1]", now), rendered(b"[2]", now + Duration::from_millis(5)));
        catalog.update(new.clone());
        catalog.update(old);
        assert_eq!(catalog.newest(), Some(&*new.response));
    }
}

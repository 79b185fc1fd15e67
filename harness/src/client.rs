//! A well-behaved user of the HTTP API.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use ureq::{Agent, Body, RequestBuilder, http::Response, typestate::WithBody};

use crate::{answer::Answer, limits::HANG_GUARD, nginx::Nginx, server::Server, system::System};

/// Speaks to one http_front over kept-alive connections. Clones share them.
#[derive(Clone, Debug)]
pub struct Client {
    agent: Agent,
    base: String,
    forwarded_for: Option<String>,
}

impl Client {
    /// A user of the server at `address`.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        let base = format!("http://{address}");
        Self { agent: agent(HANG_GUARD), base, forwarded_for: None }
    }

    /// The same user, who waits no longer for an answer. Only the methods that return an error are of use to them.
    #[must_use]
    pub fn patient_for(&self, patience: Duration) -> Self {
        Self { agent: agent(patience), ..self.clone() }
    }

    /// The same user, whose requests come from `address` through a proxy.
    #[must_use]
    pub fn behind_proxy(&self, address: &str) -> Self {
        Self { forwarded_for: Some(address.to_owned()), ..self.clone() }
    }

    /// `POST /open_api/v1/register`.
    #[must_use]
    pub fn register(&self, username: &str, password: &str) -> Answer {
        let body = json!({ "username": username, "password": password });
        self.post("/open_api/v1/register", &body)
    }

    /// `POST /open_api/v1/authenticate`.
    #[must_use]
    pub fn authenticate(&self, username: &str, password: &str) -> Answer {
        let body = json!({ "username": username, "password": password });
        self.post("/open_api/v1/authenticate", &body)
    }

    /// A token from [`authenticate`](Self::authenticate), which has to succeed.
    #[must_use]
    #[track_caller]
    pub fn log_in(&self, username: &str, password: &str) -> String {
        self.authenticate(username, password).assert_status(200).text_at("token")
    }

    /// `GET /open_api/v1/products`.
    #[must_use]
    pub fn products(&self, token: Option<&str>) -> Answer {
        self.get("/open_api/v1/products", token)
    }

    /// `GET /open_api/v1/session`.
    #[must_use]
    pub fn session(&self, token: &str) -> Answer {
        self.get("/open_api/v1/session", Some(token))
    }

    /// `POST /open_api/v1/logout`.
    #[must_use]
    pub fn logout(&self, token: &str) -> Answer {
        self.post_as("/open_api/v1/logout", &json!({}), token)
    }

    /// `POST /open_api/v1/logout` of every session.
    #[must_use]
    pub fn logout_everywhere(&self, token: &str) -> Answer {
        self.post_as("/open_api/v1/logout", &json!({ "all": true }), token)
    }

    /// `GET /open_api/v1/sessions`.
    #[must_use]
    pub fn sessions(&self, token: &str) -> Answer {
        self.get("/open_api/v1/sessions", Some(token))
    }

    /// `POST /open_api/v1/revoke_session`.
    #[must_use]
    pub fn revoke_session(&self, token: &str, session_id: &str) -> Answer {
        self.post_as("/open_api/v1/revoke_session", &json!({ "session_id": session_id }), token)
    }

    /// `POST /open_api/v1/change_password`.
    #[must_use]
    pub fn change_password(&self, token: &str, current: &str, new: &str) -> Answer {
        let body = json!({ "current_password": current, "new_password": new });
        self.post_as("/open_api/v1/change_password", &body, token)
    }

    /// `GET` of any path.
    #[must_use]
    pub fn get(&self, path: &str, token: Option<&str>) -> Answer {
        self.try_get(path, token).unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    /// `GET` of any path.
    ///
    /// # Errors
    ///
    /// When there is no answer: nobody listens, or the connection is cut.
    pub fn try_get(&self, path: &str, token: Option<&str>) -> Result<Answer, ureq::Error> {
        let mut request = self.agent.get(format!("{}{path}", self.base));
        if let Some(address) = &self.forwarded_for {
            request = request.header("x-forwarded-for", address);
        }
        if let Some(token) = token {
            request = request.header("authorization", bearer(token));
        }
        request.call().and_then(answer)
    }

    /// `POST` of JSON to any path.
    #[must_use]
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.try_post(path, body, None).unwrap_or_else(|error| panic!("POST {path}: {error}"))
    }

    /// `POST` of JSON to any path, by somebody who has logged in.
    #[must_use]
    pub fn post_as(&self, path: &str, body: &Value, token: &str) -> Answer {
        let answer = self.try_post(path, body, Some(token));
        answer.unwrap_or_else(|error| panic!("POST {path}: {error}"))
    }

    /// `POST` of JSON to any path.
    ///
    /// # Errors
    ///
    /// When there is no answer: nobody listens, or the connection is cut.
    pub fn try_post(
        &self,
        path: &str,
        body: &Value,
        token: Option<&str>,
    ) -> Result<Answer, ureq::Error> {
        let mut request = self.json_to(&format!("{}{path}", self.base));
        if let Some(token) = token {
            request = request.header("authorization", bearer(token));
        }
        request.send(body.to_string()).and_then(answer)
    }

    fn json_to(&self, url: &str) -> RequestBuilder<WithBody> {
        let request = self.agent.post(url).content_type("application/json");
        match &self.forwarded_for {
            None => request,
            Some(address) => request.header("x-forwarded-for", address),
        }
    }
}

impl System {
    /// A user of the first http_front.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client_of(0)
    }

    /// A user of the http_front with this index.
    #[must_use]
    pub fn client_of(&self, front: usize) -> Client {
        Client::new(self.front_address(front))
    }
}

impl Server {
    /// An HTTP client of its operations listener.
    #[must_use]
    pub fn ops(&self) -> Client {
        Client::new(self.ops_address())
    }

    /// The value of a series of its metrics, by the name and the labels as they are printed.
    #[must_use]
    pub fn metric(&self, series: &str) -> f64 {
        let metrics = self.ops().get("/metrics", None).assert_status(200);
        let text = metrics.text();
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        let value = value.unwrap_or_else(|| panic!("no {series} in {text}"));
        value.parse().unwrap_or_else(|_| panic!("{series} is no number: {value}"))
    }
}

impl Nginx {
    /// A client of it.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(self.address())
    }
}

fn agent(patience: Duration) -> Agent {
    let config = Agent::config_builder().http_status_as_error(false);
    config.timeout_global(Some(patience)).build().into()
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn answer(response: Response<Body>) -> Result<Answer, ureq::Error> {
    let (head, mut body) = response.into_parts();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let fields = head.headers.iter();
    let fields = fields.map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect();
    Ok(Answer::new(head.status.as_u16(), fields, body.read_to_vec()?))
}

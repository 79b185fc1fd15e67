//! Routes, and the JSON that goes in and out.

use std::error::Error;
use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Json, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::password::Hasher;
use crate::store::{Registered, Store};

const SESSION_LIFETIME: Duration = Duration::from_secs(12 * 3600);
const TOKEN_BYTES: usize = 32;

/// What every request needs.
pub(crate) struct App {
    store: Store,
    hasher: Hasher,
    /// The answer, read once and kept as text.
    products: Bytes,
}

impl App {
    pub(crate) async fn new(store: Store, hasher: Hasher) -> Result<Self, Box<dyn Error>> {
        #[derive(Serialize)]
        struct Products<T> {
            products: T,
        }
        let products = serde_json::to_vec(&Products { products: store.products().await? })?;
        Ok(Self { store, hasher, products: products.into() })
    }
}

pub(crate) fn routes(app: Arc<App>) -> Router {
    Router::new()
        .route("/open_api/v1/register", post(register))
        .route("/open_api/v1/authenticate", post(authenticate))
        .route("/open_api/v1/products", get(products))
        .route("/open_api/v1/logout", post(logout))
        .with_state(app)
}

#[derive(Deserialize)]
struct Registration {
    username: String,
    password: String,
    name: Option<String>,
    age: Option<u8>,
}

#[derive(Serialize)]
struct NewUser {
    user_id: String,
}

async fn register(
    State(app): State<Arc<App>>,
    body: Result<Json<Registration>, JsonRejection>,
) -> Result<Json<NewUser>, Problem> {
    let Json(Registration { mut username, password, name, age }) = body?;
    username.make_ascii_lowercase();
    let password_is_sound = (8..=128).contains(&password.chars().count());
    let name_is_sound = name.as_ref().is_none_or(|name| name.len() <= 255);
    if !is_username(&username) || !password_is_sound || !name_is_sound {
        return Err(Problem::NAMING_CONVENTION);
    }
    let hash = app.hasher.hash(password).await.map_err(internal)?;
    let registered = app.store.insert_user(&username, &hash, name, age, now_ms()).await;
    match registered.map_err(internal)? {
        Registered::As(id) => Ok(Json(NewUser { user_id: id.to_string() })),
        Registered::NameIsTaken => Err(Problem::USERNAME_TAKEN),
    }
}

#[derive(Deserialize)]
struct Login {
    username: String,
    password: String,
}

#[derive(Serialize)]
struct NewSession {
    token: String,
    expires_in: u64,
}

async fn authenticate(
    State(app): State<Arc<App>>,
    body: Result<Json<Login>, JsonRejection>,
) -> Result<Json<NewSession>, Problem> {
    let Json(Login { mut username, password }) = body?;
    username.make_ascii_lowercase();
    let user = app.store.find_user(&username).await.map_err(internal)?;
    let (user_id, hash) = user.ok_or(Problem::NO_SUCH_USER)?;
    if !app.hasher.verify(hash, password).await.map_err(internal)? {
        return Err(Problem::WRONG_PASSWORD);
    }
    let mut secret = [0; TOKEN_BYTES];
    getrandom::fill(&mut secret).map_err(internal)?;
    let now = now_ms();
    let expires_at = now + SESSION_LIFETIME.as_millis() as i64;
    app.store.insert_session(&digest(&secret), user_id, now, expires_at).await.map_err(internal)?;
    Ok(Json(NewSession {
        token: URL_SAFE_NO_PAD.encode(secret),
        expires_in: SESSION_LIFETIME.as_secs(),
    }))
}

async fn products(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Problem> {
    let digest = digest_of_token(&headers).ok_or(Problem::SESSION_NOT_LIVE)?;
    if !app.store.session_is_live(&digest, now_ms()).await.map_err(internal)? {
        return Err(Problem::SESSION_NOT_LIVE);
    }
    Ok(([(CONTENT_TYPE, "application/json")], app.products.clone()).into_response())
}

async fn logout(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Problem> {
    let digest = digest_of_token(&headers).ok_or(Problem::SESSION_NOT_LIVE)?;
    if !app.store.end_session(&digest, now_ms()).await.map_err(internal)? {
        return Err(Problem::SESSION_NOT_LIVE);
    }
    Ok(([(CONTENT_TYPE, "application/json")], "{}").into_response())
}

fn is_username(text: &str) -> bool {
    let rest =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    (3..=32).contains(&text.len())
        && text.as_bytes()[0].is_ascii_lowercase()
        && text.bytes().all(rest)
}

fn digest_of_token(headers: &HeaderMap) -> Option<[u8; 32]> {
    let token = headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
    let mut secret = [0; TOKEN_BYTES + 1];
    // A longer token does not fit, a shorter one is none.
    let length = URL_SAFE_NO_PAD.decode_slice(token, &mut secret).ok()?;
    (length == TOKEN_BYTES).then(|| digest(&secret[..TOKEN_BYTES]))
}

fn digest(secret: &[u8]) -> [u8; 32] {
    Sha256::digest(secret).into()
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

/// An answer that is not 200 (RFC 9457).
#[derive(Clone, Copy)]
struct Problem {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
}

impl Problem {
    const BAD_REQUEST: Self =
        Self::new(StatusCode::BAD_REQUEST, "bad_request", "The body is not what was expected.");
    const NAMING_CONVENTION: Self = Self::new(
        StatusCode::BAD_REQUEST,
        "naming_convention",
        "The username or password breaks a rule.",
    );
    const USERNAME_TAKEN: Self =
        Self::new(StatusCode::CONFLICT, "username_taken", "The name is taken.");
    const NO_SUCH_USER: Self =
        Self::new(StatusCode::NOT_FOUND, "no_such_user", "There is no such user.");
    const WRONG_PASSWORD: Self =
        Self::new(StatusCode::UNAUTHORIZED, "wrong_password", "The password is wrong.");
    const SESSION_NOT_LIVE: Self =
        Self::new(StatusCode::UNAUTHORIZED, "session_not_live", "The token is of no live session.");
    const INTERNAL: Self =
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The request was not served.");

    const fn new(status: StatusCode, code: &'static str, title: &'static str) -> Self {
        Self { status, code, title }
    }
}

impl From<JsonRejection> for Problem {
    fn from(_: JsonRejection) -> Self {
        Self::BAD_REQUEST
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self { status, code, title } = self;
        let body = serde_json::json!({
            "type": format!("/problems/{code}"),
            "title": title,
            "status": status.as_u16(),
            "detail": title,
        });
        (status, [(CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
    }
}

fn internal(error: impl Display) -> Problem {
    eprintln!("{error}");
    Problem::INTERNAL
}

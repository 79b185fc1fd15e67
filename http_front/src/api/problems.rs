//! Every error of the API, in the words of the API. This is the one place where what auth_back said
//! and what the client is told part ways: details of our own faults stay in the log.

use http1::{Problem, RequestId, Status};
use service::log::Sparing;
use service::sparing;
use tracing::field::display;

use super::cookies;
use crate::limits::{RETRY_AFTER_SECONDS, RETRY_AFTER_SPREAD_MS};
use crate::work::{Basis, Refusal, Unanswered};

macro_rules! problems {
    ($($name:ident = $status:ident $code:literal $title:literal $detail:literal;)*) => {
        $(
            pub(super) const $name: Problem =
                decorate(Problem::new(Status::$status, $code, $title, $detail));
        )*

        /// All of them, to find one by its code.
        static ALL: &[Problem] = &[$($name),*];
    };
}

problems! {
    NOT_FOUND = NotFound "not_found" "There is no such resource"
        "The paths of this API start with /open_api/v1/.";
    METHOD_NOT_ALLOWED = MethodNotAllowed "method_not_allowed" "The resource does not have this method"
        "The Allow field lists the methods that it has.";
    UNSUPPORTED_MEDIA_TYPE = UnsupportedMediaType "unsupported_media_type" "The content is not JSON"
        "Send the content as application/json.";
    UNSUPPORTED_CONTENT_CODING = UnsupportedMediaType "unsupported_content_coding" "The content is coded"
        "Send the content as it is, without Content-Encoding.";
    BODY_MALFORMED = BadRequest "body_malformed" "The content is not as expected"
        "The body is not the JSON object that this resource takes.";
    USERNAME_INVALID = BadRequest "username_invalid" "The username does not follow the convention"
        "A username has 3 to 32 of a-z, 0-9, '.', '_' and '-', and starts with a letter.";
    PASSWORD_INVALID = BadRequest "password_invalid" "The password does not follow the convention"
        "The password is too short, too long, or has a character that no password may have.";
    PASSWORD_COMMON = BadRequest "password_common" "The password is too common"
        "Many people use this password, so it is among the first that are guessed. Choose another.";
    PASSWORD_BREACHED = BadRequest "password_breached" "The password is known from a breach"
        "This password has been stolen somewhere before, so it is among the first that are guessed. Choose another.";
    NAME_INVALID = BadRequest "name_invalid" "The name cannot be stored"
        "The name is too long, or has control characters.";
    AGE_INVALID = BadRequest "age_invalid" "The age cannot be right"
        "The age is out of range.";
    REQUEST_REFUSED = BadRequest "request_refused" "The request was refused"
        "The request is not as it should be.";
    TOKEN_MISSING = Unauthorized "token_missing" "A session token is needed"
        "Send the token of a session as Authorization: Bearer TOKEN, or log in with a cookie.";
    TOKEN_MALFORMED = Unauthorized "token_malformed" "This cannot be a session token"
        "Send the token as authenticate has answered it, once: as Authorization: Bearer TOKEN, or in its cookie.";
    SESSION_NOT_LIVE = Unauthorized "session_not_live" "The session is not live"
        "The token is of no live session: it has ended, or there was none.";
    PASSWORD_WRONG = Unauthorized "password_wrong" "The password is wrong"
        "The password is not that of this user.";
    CREDENTIALS_WRONG = Unauthorized "credentials_wrong" "The username or the password is wrong"
        "There is no user with this name and this password.";
    CROSS_SITE = Forbidden "cross_site" "The request is not known to come from this site"
        "A request with a cookie has to say where it comes from, as browsers do: Sec-Fetch-Site has to be same-origin or none, or Origin has to be https:// and the host of the request.";
    ACCOUNT_DISABLED = Forbidden "account_disabled" "The account is disabled"
        "This account may not be used at present.";
    FORBIDDEN = Forbidden "forbidden" "The request is not allowed"
        "This is not allowed.";
    SESSION_UNKNOWN = NotFound "session_unknown" "There is no such session"
        "You have no session with this session_id: it has ended, or there was none.";
    TOO_MANY_ATTEMPTS = TooManyRequests "too_many_attempts" "There were too many attempts"
        "Nothing was tried. The Retry-After field says when to try again.";
    USER_UNKNOWN = NotFound "user_unknown" "There is no such user"
        "Nobody has registered this username.";
    USERNAME_TAKEN = Conflict "username_taken" "The username is taken"
        "Somebody has registered this username before.";
    INTERNAL = InternalServerError "internal" "The server failed"
        "A defect of the server kept it from answering; its log says more.";
    OVERLOADED = ServiceUnavailable "overloaded" "The server is overloaded"
        "More requests of this kind are waiting than can be served in time. Nothing was done.";
    TIMED_OUT = ServiceUnavailable "timed_out" "The request was not served in time"
        "The request could not be served in time; whether it took effect is not known.";
    AUTH_UNREACHABLE = ServiceUnavailable "auth_unreachable" "The service cannot be reached"
        "No auth server could be reached; whether the request took effect is not known.";
    OUTCOME_UNKNOWN = ServiceUnavailable "outcome_unknown" "The outcome is not known"
        "The auth server went away after it got the request; whether it took effect is not known.";
    STORE_UNAVAILABLE = ServiceUnavailable "store_unavailable" "The store cannot be reached"
        "The store of users and sessions does not answer at present.";
    UNAVAILABLE = ServiceUnavailable "unavailable" "The service is not available"
        "The request could not be served at present.";
}

/// Adds what a status has to carry, or should.
const fn decorate(problem: Problem) -> Problem {
    match problem.status() {
        // RFC 9110 section 15.5.2: a 401 has a challenge. RFC 6750 section 3: one with a parameter, and only
        // where a token came is there a word of what is wrong with it.
        Status::Unauthorized => {
            let is_about_token = is_about_token(problem.code());
            problem.with_field(if is_about_token { &INVALID_TOKEN } else { &CHALLENGE })
        }
        // RFC 9110 section 15.5.16.
        Status::UnsupportedMediaType => match problem.code().as_bytes() {
            b"unsupported_content_coding" => problem.with_field(&("Accept-Encoding", "identity")),
            _ => problem.with_field(&("Accept", "application/json")),
        },
        Status::ServiceUnavailable | Status::TooManyRequests => {
            problem.with_retry_after(RETRY_AFTER_SECONDS)
        }
        _ => problem,
    }
}

/// Whether a 401 with this code says that a token came, and that it opens nothing.
const fn is_about_token(code: &str) -> bool {
    matches!(code.as_bytes(), b"token_malformed" | b"session_not_live")
}

const CHALLENGE: (&str, &str) = ("WWW-Authenticate", "Bearer realm=\"gatehouse\"");
const INVALID_TOKEN: (&str, &str) =
    ("WWW-Authenticate", "Bearer realm=\"gatehouse\", error=\"invalid_token\"");

/// The same problem for a logout whose token was in a cookie: a cookie that opens nothing is of no use.
pub(super) const fn ending_cookie(problem: Problem) -> Problem {
    problem.with_field(&("Set-Cookie", cookies::NO_SESSION))
}

/// The problem for a refusal of auth_back. A code that is known here is passed on; of one that a
/// newer auth_back has brought, the status counts. Its detail is passed on when it says what is
/// wrong with the request; when the fault is ours, it is for the log alone.
pub(super) fn of_refusal(
    refusal: &Refusal,
    id: Option<&RequestId>,
    spread: &mut Spread,
) -> Problem {
    let came_with_token = refusal.basis != Basis::Password;
    let fits = |problem: &&Problem| {
        let is_this = problem.code() == refusal.code && problem.status().code() == refusal.status;
        // What is wrong with a token is no answer to who had none.
        is_this && (came_with_token || !is_about_token(problem.code()))
    };
    let known = ALL.iter().find(fits);
    let problem = known.cloned().unwrap_or(match refusal.status {
        401 if came_with_token => SESSION_NOT_LIVE,
        401 => CREDENTIALS_WRONG,
        403 => FORBIDDEN,
        404 => USER_UNKNOWN,
        409 => USERNAME_TAKEN,
        429 => TOO_MANY_ATTEMPTS,
        400..=499 => REQUEST_REFUSED,
        503 => UNAVAILABLE,
        _ => INTERNAL,
    });
    if refusal.status == 401 && refusal.basis == Basis::LogoutCookie {
        return ending_cookie(problem);
    }
    if refusal.status == 400 && !refusal.detail.is_empty() {
        return problem.with_detail(refusal.detail.clone());
    }
    if refusal.status >= 500 {
        tell_of_refusal(refusal, id);
    }
    match refusal.status {
        // Whoever waits that long has waited long enough.
        429 if refusal.retry_after_ms > 0 => {
            problem.with_retry_after(refusal.retry_after_ms.div_ceil(1000))
        }
        503 => problem.with_retry_after(spread.seconds_after(refusal.retry_after_ms)),
        _ => problem,
    }
}

/// Spreads out when those come back who were refused at one moment. No secret: any sequence will do.
#[derive(Debug)]
pub(super) struct Spread(u64);

impl Default for Spread {
    fn default() -> Self {
        // Each loop has another, by the address that its own gets.
        Self(std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0))
    }
}

impl Spread {
    /// Whole seconds to wait: `wait_ms` and up to [`RETRY_AFTER_SPREAD_MS`] more, rounded up.
    fn seconds_after(&mut self, wait_ms: u32) -> u32 {
        // splitmix64 (Steele, Lea, Flood, 2014), without the last of its steps.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32;
        let more = u32::try_from(mixed).unwrap_or_default() % RETRY_AFTER_SPREAD_MS;
        wait_ms.saturating_add(more).div_ceil(1000).max(RETRY_AFTER_SECONDS)
    }
}

/// Apart, so that a store that is away does not hide a defect.
fn tell_of_refusal(refusal: &Refusal, id: Option<&RequestId>) {
    static UNAVAILABLE: Sparing = Sparing::new();
    static FAILED: Sparing = Sparing::new();
    let lines = if refusal.status == 503 { &UNAVAILABLE } else { &FAILED };
    let Refusal { status, code, detail, .. } = refusal;
    let request_id = id.map(display);
    sparing!(by lines, WARN, request_id, status, code, detail, "auth_back failed");
}

/// The problem for a request that nobody answered.
pub(super) fn of_silence(why: Unanswered, id: Option<&RequestId>, spread: &mut Spread) -> Problem {
    // Apart, so that an overload does not hide the rest.
    static OVERLOAD: Sparing = Sparing::new();
    static AWAY: Sparing = Sparing::new();
    static DEFECT: Sparing = Sparing::new();
    let (problem, lines, wait_ms) = match why {
        Unanswered::Overloaded { retry_after_ms } => (OVERLOADED, &OVERLOAD, Some(retry_after_ms)),
        Unanswered::TimedOut => (TIMED_OUT, &OVERLOAD, Some(0)),
        Unanswered::Unreachable => (AUTH_UNREACHABLE, &AWAY, Some(0)),
        Unanswered::Lost => (OUTCOME_UNKNOWN, &AWAY, Some(0)),
        Unanswered::Unsupported => (UNAVAILABLE, &AWAY, Some(0)),
        Unanswered::Incomprehensible | Unanswered::Dropped => (INTERNAL, &DEFECT, None),
    };
    let (request_id, code) = (id.map(display), problem.code());
    let status = problem.status().code();
    sparing!(by lines, WARN, request_id, status, code, "a request was not served");
    match wait_ms {
        Some(wait_ms) => problem.with_retry_after(spread.seconds_after(wait_ms)),
        None => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, code: &str, expected: &Problem) {
        let refusal = refusal(status, code, "");
        assert_eq!(&of_refusal(&refusal, None, &mut Spread(0)), expected, "{status} {code}");
    }

    /// The challenge of the 401 for a refusal with this code.
    #[track_caller]
    fn check_challenge(basis: Basis, code: &str, expected: (&str, (&str, &str))) {
        let problem =
            of_refusal(&Refusal { basis, ..refusal(401, code, "") }, None, &mut Spread(0));
        let shown = format!("{problem:?}");
        assert_eq!(problem.code(), expected.0, "{code}");
        assert!(shown.contains(&format!("{:?}", expected.1)), "{shown}");
    }

    #[test]
    fn a_challenge_says_invalid_token_only_to_who_sent_one() {
        for basis in [Basis::Token, Basis::LogoutCookie] {
            check_challenge(basis, "session_not_live", ("session_not_live", INVALID_TOKEN));
            check_challenge(basis, "token_malformed", ("token_malformed", INVALID_TOKEN));
            check_challenge(basis, "something_new", ("session_not_live", INVALID_TOKEN));
            // The token was live, the password was not the user's.
            check_challenge(basis, "password_wrong", ("password_wrong", CHALLENGE));
        }
        check_challenge(Basis::Password, "password_wrong", ("password_wrong", CHALLENGE));
        check_challenge(Basis::Password, "credentials_wrong", ("credentials_wrong", CHALLENGE));
        for code in ["something_new", "session_not_live", "token_malformed"] {
            check_challenge(Basis::Password, code, ("credentials_wrong", CHALLENGE));
        }
    }

    fn refusal(status: u16, code: &str, detail: &str) -> Refusal {
        let (code, detail) = (code.to_owned(), detail.to_owned());
        Refusal { status, code, detail, retry_after_ms: 0, basis: Basis::Token }
    }

    #[test]
    fn known_codes_are_passed_on_and_unknown_ones_count_by_status() {
        check(409, "username_taken", &USERNAME_TAKEN);
        check(503, "store_unavailable", &STORE_UNAVAILABLE);
        check(401, "password_wrong", &PASSWORD_WRONG);
        check(401, "credentials_wrong", &CREDENTIALS_WRONG);
        check(403, "account_disabled", &ACCOUNT_DISABLED);
        check(404, "session_unknown", &SESSION_UNKNOWN);
        check(403, "something_new", &FORBIDDEN);
        check(429, "something_new", &TOO_MANY_ATTEMPTS);
        check(400, "something_new", &REQUEST_REFUSED);
        check(418, "teapot", &REQUEST_REFUSED);
        check(500, "anything", &INTERNAL);
        check(503, "maintenance", &UNAVAILABLE);
        check(302, "", &INTERNAL);
    }

    #[test]
    fn a_code_with_a_foreign_status_does_not_change_the_status() {
        check(503, "password_wrong", &UNAVAILABLE);
        check(500, "username_taken", &INTERNAL);
    }

    #[test]
    fn details_of_our_own_faults_stay_here() {
        let defect = refusal(500, "internal", "table user is corrupt");
        assert_eq!(of_refusal(&defect, None, &mut Spread(0)), INTERNAL);
        let refusal = refusal(400, "password_invalid", "too short by 3");
        let expected = PASSWORD_INVALID.with_detail("too short by 3");
        assert_eq!(of_refusal(&refusal, None, &mut Spread(0)), expected);
    }

    #[test]
    fn the_time_to_wait_is_in_seconds_and_rounded_up() {
        for (retry_after_ms, seconds) in
            [(0, RETRY_AFTER_SECONDS), (1, 1), (1000, 1), (1001, 2), (u32::MAX, 4_294_968)]
        {
            let refusal = Refusal { retry_after_ms, ..refusal(429, "too_many_attempts", "") };
            let expected = TOO_MANY_ATTEMPTS.with_retry_after(seconds);
            assert_eq!(of_refusal(&refusal, None, &mut Spread(0)), expected);
        }
    }

    #[test]
    fn who_is_refused_for_want_of_time_comes_back_later_and_not_all_at_once() {
        let mut spread = Spread::default();
        for (wait_ms, seconds) in [(0, 1..=1), (650, 1..=2), (1_500, 2..=3), (4_200, 5..=6)] {
            let mut found = std::collections::BTreeSet::new();
            for _ in 0..2_000 {
                let why = Unanswered::Overloaded { retry_after_ms: wait_ms };
                let refusal = Refusal { retry_after_ms: wait_ms, ..refusal(503, "overloaded", "") };
                let problem = of_silence(why, None, &mut spread);
                found.insert(format!("{problem:?}"));
                found.insert(format!("{:?}", of_refusal(&refusal, None, &mut spread)));
            }
            let expected =
                seconds.map(|seconds| format!("{:?}", OVERLOADED.with_retry_after(seconds)));
            assert!(found.into_iter().eq(expected), "{wait_ms}");
        }
    }

    #[test]
    fn codes_are_unique() {
        for (index, problem) in ALL.iter().enumerate() {
            assert!(ALL[..index].iter().all(|earlier| earlier.code() != problem.code()));
        }
    }
}

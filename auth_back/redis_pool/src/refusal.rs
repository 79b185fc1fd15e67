//! What only the operator of Redis can change, told from what passes by itself.

use redis::RedisError;
use thiserror::Error;

use super::limits::WORDS_MAX;

/// Redis does not let us in, or not as far as we have to. Says so in Redis' own words.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "Redis refuses us: {words}. This stays so until somebody changes the account, its password, its rights or the \
     number of the database, in Redis or in --sessions (AUTH_BACK_SESSIONS); docs/redis.md has the rights"
)]
pub struct Refusal {
    words: String,
}

/// Codes of errors that waiting does not mend.
const CODES: [&str; 4] = ["WRONGPASS", "NOAUTH", "NOPERM", "DENIED"];

/// What a script that lacks a right is told, without a code: Redis 6 and 7 put it in these words.
const LACKING_IN_SCRIPT: &str = "The user executing the script can't";

/// What Redis 3 to 8 say without a code to AUTH or SELECT, and say again however long one waits. Everything else may pass:
/// a proxy has words of its own for a Redis that is away, and Redis some for having no connection left.
const LASTING_IN_GREETING: [&str; 10] = [
    "invalid password",
    "AUTH <password> called without any password",
    // The same of Redis 5 and before.
    "no password is set",
    "DB index is out of range",
    "invalid DB index",
    // A number that is none in Redis 6 and later.
    "value is not an integer or out of range",
    "value is out of range",
    "SELECT is not allowed in cluster mode",
    // Such as one that was renamed, or that a proxy does not pass on.
    "unknown command",
    "wrong number of arguments",
];

/// What stands in the place of a code where there is none.
const NO_CODE: &str = "ERR";

/// What follows quotes what was asked, which may have been a password.
const QUOTES: &str = ", with args beginning with";

impl Refusal {
    /// Of an answer to anything but the greeting.
    pub(super) fn of(error: &RedisError) -> Option<Self> {
        let mut answers = answers_of(error).into_iter();
        let refuses = |answer: &Answer| {
            CODES.contains(&answer.code.as_str()) || answer.words.contains(LACKING_IN_SCRIPT)
        };
        answers.find(refuses).map(|Answer { words, .. }| Self { words })
    }

    /// Of an answer to AUTH or SELECT, which say no in several ways, some of them without a code.
    pub(super) fn of_greeting(error: &RedisError) -> Option<Self> {
        let answer = answers_of(error).pop();
        let lasts = |answer: &Answer| {
            let has = |words: &&str| answer.words.contains(*words);
            answer.code == NO_CODE && LASTING_IN_GREETING.iter().any(has)
        };
        match answer.filter(lasts) {
            Some(Answer { words, .. }) => Some(Self { words }),
            None => Self::of(error),
        }
    }
}

/// An error that Redis answered.
struct Answer {
    code: String,
    /// All of it that may be repeated, the code included.
    words: String,
}

/// Several commands can be answered with an error each. None is what never came from Redis.
fn answers_of(error: &RedisError) -> Vec<Answer> {
    let errors = error.clone().into_server_errors();
    let errors = errors.iter().flat_map(|errors| errors.iter());
    errors.map(|(_, error)| Answer::of(error.code(), error.details())).collect()
}

impl Answer {
    fn of(code: &str, detail: Option<&str>) -> Self {
        let detail = detail.and_then(|detail| detail.split(QUOTES).next()).unwrap_or_default();
        let words: String = code.chars().chain([' ']).chain(detail.chars()).collect();
        let words = words.chars().filter(|c| !c.is_control()).take(WORDS_MAX).collect::<String>();
        // Redis ends some with a full stop; the sentence goes on behind it.
        let words = words.trim_end_matches(['.', ' ']).to_owned();
        Self { code: code.to_owned(), words }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> RedisError {
        redis::parse_redis_value(format!("-{text}\r\n").as_bytes())
            .and_then(redis::Value::extract_error)
            .expect_err("it is an error")
    }

    fn words(refused: Option<Refusal>) -> Option<String> {
        refused.map(|refusal| refusal.words)
    }

    #[test]
    fn what_waiting_does_not_mend_is_a_refusal() {
        #[track_caller]
        fn check(text: &str, expected: Option<&str>) {
            assert_eq!(words(Refusal::of(&answer(text))).as_deref(), expected, "{text}");
        }
        check("NOAUTH Authentication required.", Some("NOAUTH Authentication required"));
        check("NOPERM no permissions to run 'info'", Some("NOPERM no permissions to run 'info'"));
        check("DENIED protected mode", Some("DENIED protected mode"));
        check(
            "ERR The user executing the script can't run this command or subcommand script: ab",
            Some(
                "ERR The user executing the script can't run this command or subcommand script: ab",
            ),
        );
        for passes in [
            "OOM command not allowed when used memory > 'maxmemory'.",
            "READONLY You can't write against a read only replica.",
            "LOADING Redis is loading the dataset in memory",
            "MISCONF Redis is configured to save RDB snapshots",
            "NOREPLICAS Not enough good replicas to write.",
            "ERR max number of clients reached",
        ] {
            check(passes, None);
        }
    }

    #[test]
    fn a_greeting_is_refused_in_many_ways() {
        #[track_caller]
        fn check(text: &str, expected: Option<&str>) {
            let refused = Refusal::of_greeting(&answer(text));
            assert_eq!(words(refused).as_deref(), expected, "{text}");
        }
        check(
            "WRONGPASS invalid username-password pair",
            Some("WRONGPASS invalid username-password pair"),
        );
        check("ERR invalid password", Some("ERR invalid password"));
        check("ERR DB index is out of range", Some("ERR DB index is out of range"));
        check("NOPERM no 'select'", Some("NOPERM no 'select'"));
        check(
            "ERR unknown command 'AUTH', with args beginning with: 'gate' 's3cret' ",
            Some("ERR unknown command 'AUTH'"),
        );
        let without_password = "ERR AUTH <password> called without any password configured for the default user. Are \
                                you sure your configuration is correct?";
        check(without_password, Some(without_password));
        for lasts in [
            "ERR Client sent AUTH, but no password is set",
            "ERR invalid DB index",
            "ERR value is not an integer or out of range",
            "ERR value is out of range, value must between -2147483648 and 2147483647",
            "ERR SELECT is not allowed in cluster mode",
            "ERR wrong number of arguments for 'auth' command",
        ] {
            check(lasts, Some(lasts));
        }
        for passes in [
            "ERR max number of clients reached",
            "LOADING Redis is loading the dataset in memory",
            // Such as proxies say whose Redis is away.
            "ERR Connection refused",
            "ERR upstream failure",
            "ERR no server connection available",
            "ERR handle response, backend conn reset",
            "ERR",
        ] {
            check(passes, None);
        }
    }

    #[test]
    fn words_have_a_bound() {
        let long = answer(&format!("NOPERM {}", "x".repeat(10 * WORDS_MAX)));
        assert!(words(Refusal::of(&long)).is_some_and(|words| words.len() < 2 * WORDS_MAX));
    }
}

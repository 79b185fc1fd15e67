//! What an operator sees of a user, for eyes and for programs.

use credentials::PasswordRecord;
use serde_json::{Value, json};
use store::{ListedSession, UserProfile};
use unix_time::rfc3339;

/// A user, for programs.
pub(super) fn json(profile: &UserProfile) -> Value {
    let (function, pepper) = password(profile);
    json!({
        "user_id": profile.user_id.to_string(),
        "username": profile.username,
        "name": profile.name,
        "age": profile.age,
        "created_at": rfc3339(profile.created_at_ms),
        "disabled_at": profile.disabled_at_ms.map(rfc3339),
        "password_function": function,
        "pepper": pepper,
    })
}

/// A user, for eyes. What somebody else chose is escaped: a terminal would obey it.
pub(super) fn text(profile: &UserProfile) -> String {
    let (function, pepper) = password(profile);
    let none = || "-".to_owned();
    let name = profile.name.as_deref().map_or_else(none, escaped);
    let age = profile.age.map_or_else(none, |age| age.to_string());
    let disabled = profile.disabled_at_ms.map_or_else(none, rfc3339);
    let password = function.unwrap_or_else(|| "cannot be read".to_owned());
    let pepper = pepper.map_or_else(none, |pepper| pepper.to_string());
    format!(
        "user id   {}\nusername  {}\nname      {name}\nage       {age}\ncreated   {}\n\
         disabled  {disabled}\npassword  {password}\npepper    {pepper}",
        profile.user_id,
        escaped(&profile.username),
        rfc3339(profile.created_at_ms),
    )
}

/// A user, for eyes, on one line.
pub(super) fn line(profile: &UserProfile) -> String {
    let state = profile
        .disabled_at_ms
        .map_or_else(|| "enabled".to_owned(), |at_ms| format!("disabled since {}", rfc3339(at_ms)));
    let name = profile.name.as_deref().map_or_else(|| "-".to_owned(), escaped);
    let username = escaped(&profile.username);
    format!(
        "{username}  {}  created {}, {state}, {name}",
        profile.user_id,
        rfc3339(profile.created_at_ms)
    )
}

/// A session, for programs.
pub(super) fn session_json(session: &ListedSession) -> Value {
    json!({
        "session_id": session.session_id.to_string(),
        "created_at": rfc3339(session.created_at_ms),
        "last_seen_at": rfc3339(session.last_seen_at_ms),
        "expires_at": rfc3339(session.expires_at_ms),
        "client_address": session.client_address.map(|address| address.to_string()),
        "user_agent": session.user_agent,
    })
}

/// A session, for eyes, on one line.
pub(super) fn session_text(session: &ListedSession) -> String {
    let address = session.client_address.map_or_else(|| "-".to_owned(), |it| it.to_string());
    let agent = session.user_agent.as_deref().map_or_else(|| "-".to_owned(), escaped);
    let [created, seen, expires] =
        [session.created_at_ms, session.last_seen_at_ms, session.expires_at_ms].map(rfc3339);
    let id = session.session_id;
    format!("{id}  since {created}, seen {seen}, until {expires}, from {address}, {agent}")
}

/// Function and cost, and the pepper, of a record that can be read.
fn password(profile: &UserProfile) -> (Option<String>, Option<u16>) {
    let record: Option<PasswordRecord> = profile.password_record.parse().ok();
    let pepper = record.as_ref().map(|record| record.pepper_id().get());
    (record.map(|record| record.function()), pepper)
}

fn escaped(text: &str) -> String {
    text.escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = "$gh1$argon2id$v=19$m=64,t=3,p=1$AAECAwQFBgcICQoLDA0ODw$k=7\
        $QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZX\
        $o2gbY4s+nlzmXN/dc28qYiypAIhZy2OqDPhak/DdPT68N0OiYKaJ8UXSefIuvkyx";

    fn profile(name: Option<&str>, record: &str) -> UserProfile {
        UserProfile {
            user_id: 7,
            username: "ada".to_owned(),
            password_record: record.to_owned(),
            name: name.map(ToOwned::to_owned),
            age: None,
            created_at_ms: 0,
            disabled_at_ms: Some(1),
            session_epoch: 0,
        }
    }

    #[test]
    fn a_user_is_shown_without_the_hash() {
        let ada = profile(Some("Ada \u{202e}\u{1b}[2J"), RECORD);
        let expected = "user id   7\nusername  ada\nname      Ada \\u{202e}\\u{1b}[2J\nage       -\n\
            created   1970-01-01T00:00:00.000Z\ndisabled  1970-01-01T00:00:00.001Z\n\
            password  argon2id$v=19$m=64,t=3,p=1\npepper    7";
        assert_eq!(text(&ada), expected);
        let shown = json(&ada);
        assert_eq!(shown["password_function"], "argon2id$v=19$m=64,t=3,p=1");
        assert_eq!((&shown["pepper"], &shown["user_id"]), (&7.into(), &"7".into()));
        for shown in [text(&ada), shown.to_string()] {
            assert!(!shown.contains("AAECAw") && !shown.contains("o2gbY4"), "{shown}");
        }
        assert_eq!(
            line(&ada),
            "ada  7  created 1970-01-01T00:00:00.000Z, disabled since 1970-01-01T00:00:00.001Z, \
             Ada \\u{202e}\\u{1b}[2J"
        );
        let broken = profile(None, "no record");
        assert!(text(&broken).contains("password  cannot be read\npepper    -"));
        assert_eq!(json(&broken)["password_function"], Value::Null);
    }

    #[test]
    fn a_session_is_one_line() {
        let session = ListedSession {
            session_id: 9,
            token_digest: [1; 32],
            created_at_ms: 0,
            last_seen_at_ms: 1,
            expires_at_ms: 2,
            client_address: Some([192, 0, 2, 1].into()),
            user_agent: Some("curl\n\u{9b}".to_owned()),
        };
        let expected = "9  since 1970-01-01T00:00:00.000Z, seen 1970-01-01T00:00:00.001Z, \
            until 1970-01-01T00:00:00.002Z, from 192.0.2.1, curl\\n\\u{9b}";
        assert_eq!(session_text(&session), expected);
        assert_eq!(session_json(&session)["user_agent"], "curl\n\u{9b}");
    }
}

//! One entry as one line of JSON (RFC 8259) in printable ASCII.

use std::fmt::Write as _;
use std::time::SystemTime;

use super::entry::Entry;
use crate::limits::{AUDIT_TEXT_CHARS_MAX, AUDIT_USER_AGENT_CHARS_MAX};
use crate::rfc3339::rfc3339;

/// The line, with its end.
pub(super) fn render(entry: &Entry<'_>, at: SystemTime) -> Box<str> {
    let mut line = String::with_capacity(256);
    line.push_str("{\"time\":\"");
    line.push_str(&rfc3339(at));
    line.push('"');
    text(&mut line, "event", entry.event, AUDIT_TEXT_CHARS_MAX);
    text(&mut line, "outcome", entry.outcome, AUDIT_TEXT_CHARS_MAX);
    if let Some((words, uid)) = entry.command {
        text(&mut line, "command", words, AUDIT_TEXT_CHARS_MAX);
        displayed(&mut line, "operator_uid", uid);
    }
    // Ids are strings, as in the API: 64 bits are more than a JSON number holds for many readers.
    entry.user_id.inspect(|id| displayed(&mut line, "user_id", id));
    entry.username.inspect(|name| text(&mut line, "username", name, AUDIT_TEXT_CHARS_MAX));
    entry.session_id.inspect(|id| displayed(&mut line, "session_id", id));
    entry.client.inspect(|address| displayed(&mut line, "client", address));
    if let Some(agent) = entry.user_agent {
        text(&mut line, "user_agent", agent, AUDIT_USER_AGENT_CHARS_MAX);
    }
    if let Some(id) = entry.request_id {
        displayed(&mut line, "request_id", format_args!("{:032x}", u128::from_be_bytes(id)));
    }
    line.push_str("}\n");
    line.into()
}

/// The line that stands where lines are missing.
pub(super) fn render_gap(lost: u64, at: SystemTime) -> String {
    let time = rfc3339(at);
    format!("{{\"time\":\"{time}\",\"event\":\"audit_lines_lost\",\"count\":{lost}}}\n")
}

/// A value that is printable ASCII without quotes by its nature.
fn displayed(line: &mut String, key: &str, value: impl std::fmt::Display) {
    // Writing to a String cannot fail.
    let _ = write!(line, ",\"{key}\":\"{value}\"");
}

/// A text of somebody's choice: the first `chars_max` code points of it, and an ellipsis when that was
/// not all.
fn text(line: &mut String, key: &str, value: &str, chars_max: usize) {
    let _ = write!(line, ",\"{key}\":\"");
    let mut characters = value.chars();
    for character in characters.by_ref().take(chars_max) {
        escape(line, character);
    }
    if characters.next().is_some() {
        escape(line, '…');
    }
    line.push('"');
}

fn escape(line: &mut String, character: char) {
    match character {
        '"' | '\\' => {
            line.push('\\');
            line.push(character);
        }
        ' '..='~' => line.push(character),
        _ => {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(line, "\\u{unit:04x}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::*;
    use crate::work::Origin;

    #[test]
    fn a_line_tells_all_that_is_known() {
        let at = UNIX_EPOCH + Duration::from_millis(1_795_533_188_042);
        let user_agent = Some("curl/8 \"x\"".to_owned());
        let origin = Origin { user_agent, ..Origin::at([192, 0, 2, 1].into()) };
        let entry = Entry::new("authenticate", "ok")
            .user_id(7)
            .username("Ada")
            .session_id(8)
            .origin(&origin)
            .request_id(Some([0xab; 16]));
        assert_eq!(
            &*render(&entry, at),
            "{\"time\":\"2026-11-24T15:13:08.042Z\",\"event\":\"authenticate\",\"outcome\":\"ok\",\
             \"user_id\":\"7\",\"username\":\"Ada\",\"session_id\":\"8\",\"client\":\"192.0.2.1\",\
             \"user_agent\":\"curl/8 \\\"x\\\"\",\"request_id\":\"abababababababababababababababab\"}\n"
        );
        assert_eq!(
            &*render(&Entry::command("user disable ada", 0, "ok"), at),
            "{\"time\":\"2026-11-24T15:13:08.042Z\",\"event\":\"command\",\"outcome\":\"ok\",\
             \"command\":\"user disable ada\",\"operator_uid\":\"0\"}\n"
        );
    }

    #[test]
    fn nothing_in_a_name_is_obeyed() {
        let check = |name: &str, expected: &str| {
            let mut line = String::new();
            text(&mut line, "k", name, 8);
            assert_eq!(line, format!(",\"k\":\"{expected}\""), "{name:?}");
        };
        check("ada", "ada");
        check("a\"b\\c", r#"a\"b\\c"#);
        check("a\nb\r\0\t", r"a\u000ab\u000d\u0000\u0009");
        check("\u{1b}[2J\u{7f}\u{9b}", r"\u001b[2J\u007f\u009b");
        check("a\u{202e}b\u{2066}\u{200f}\u{61c}", r"a\u202eb\u2066\u200f\u061c");
        check("\u{2028}\u{2029}\u{85}\u{feff}\u{ad}", r"\u2028\u2029\u0085\ufeff\u00ad");
        check("аda", r"\u0430da"); // a Cyrillic letter that looks like ours
        check("👩", r"\ud83d\udc69");
        check("12345678", "12345678");
        check("123456789", r"12345678\u2026");
        check("", "");
    }

    proptest! {
        /// Whatever the texts are: one line, in printable ASCII, that any JSON parser reads back.
        #[test]
        fn any_text_makes_one_honest_line(name in "(?s).{0,90}", agent in "(?s).{0,300}") {
            let user_agent = Some(agent.clone());
            let origin = Origin { user_agent, ..Origin::at([192, 0, 2, 1].into()) };
            let line = render(&Entry::new("register", "ok").username(&*name).origin(&origin), clock::wall());
            let body = line.strip_suffix('\n').expect("a line has an end");
            prop_assert!(body.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{body}");
            let value: serde_json::Value = serde_json::from_str(body).expect("it is JSON");
            let cut = |text: &str, max: usize| {
                let mut cut: String = text.chars().take(max).collect();
                if text.chars().count() > max { cut.push('…'); }
                cut
            };
            prop_assert_eq!(value["username"].as_str(), Some(&*cut(&name, AUDIT_TEXT_CHARS_MAX)));
            prop_assert_eq!(value["user_agent"].as_str(), Some(&*cut(&agent, AUDIT_USER_AGENT_CHARS_MAX)));
        }
    }
}

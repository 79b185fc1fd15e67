//! One entry as one line of JSON (RFC 8259) in printable ASCII.
//!
//! No line is longer than [`AUDIT_LINE_BYTES_MAX`](crate::limits::AUDIT_LINE_BYTES_MAX): texts of somebody's
//! choice are cut to so many bytes *as they are written*, in which a character may take twelve.

use std::fmt::Write as _;
use std::time::SystemTime;

use framing::limits::HTTP_REQUEST_ID_BYTES_MAX;
use unix_time::{rfc3339, unix_ms};

use super::entry::Entry;
use super::failures::Suppressed;
use crate::limits::{AUDIT_TEXT_BYTES_MAX, AUDIT_USER_AGENT_BYTES_MAX};

/// What stands at the end of a text that was longer.
const ELLIPSIS: &str = "\\u2026";

/// The line, with its end.
pub(super) fn render(entry: &Entry<'_>, at: SystemTime) -> Box<str> {
    let mut line = begin(at, entry.event.text());
    displayed(&mut line, "outcome", entry.outcome.text());
    // Ids are strings, as in the API: 64 bits are more than a JSON number holds for many readers.
    entry.user_id.inspect(|id| displayed(&mut line, "user_id", id));
    entry.username.inspect(|name| text(&mut line, "username", name, AUDIT_TEXT_BYTES_MAX));
    entry.session_id.inspect(|id| displayed(&mut line, "session_id", id));
    entry.client.inspect(|address| displayed(&mut line, "client", address));
    if let Some(agent) = entry.user_agent {
        text(&mut line, "user_agent", agent, AUDIT_USER_AGENT_BYTES_MAX);
    }
    if let Some(id) = entry.request_id {
        text(&mut line, "request_id", id, HTTP_REQUEST_ID_BYTES_MAX);
    }
    line.push_str("}\n");
    line.into()
}

/// What an operator of the user id `uid` in the system had this program do: the words of the command, without
/// any secret.
pub(super) fn render_command(words: &str, uid: u32, outcome: &str, at: SystemTime) -> String {
    let mut line = begin(at, "command");
    displayed(&mut line, "outcome", outcome);
    text(&mut line, "command", words, AUDIT_TEXT_BYTES_MAX);
    displayed(&mut line, "operator_uid", uid);
    line.push_str("}\n");
    line
}

/// The line of the last of `count` successes, with what is to be said of all of them: when the first was, and the
/// sessions of those before the last.
pub(super) fn render_repeated(
    last: &str,
    count: u64,
    since: SystemTime,
    session_ids: &[u64],
) -> Box<str> {
    let last = last.strip_suffix("}\n").unwrap_or(last);
    let mut line = format!("{last},\"count\":{count},\"since\":\"{}\"", rfc3339(unix_ms(since)));
    for (index, id) in session_ids.iter().enumerate() {
        line.push_str(if index == 0 { ",\"session_ids\":[" } else { "," });
        let _ = write!(line, "\"{id}\"");
    }
    line.push_str(if session_ids.is_empty() { "}\n" } else { "]}\n" });
    line.into()
}

/// The line that tells of failures which were not written between `since` and now.
pub(super) fn render_suppressed(more: &Suppressed, since: SystemTime, at: SystemTime) -> String {
    let mut line = begin(at, "audit_lines_suppressed");
    displayed(&mut line, "since", rfc3339(unix_ms(since)));
    let _ = write!(line, ",\"count\":{},\"suppressed\":{{", more.count());
    for (index, (event, counted)) in more.by_event().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(line, "{comma}\"{}\":{{", event.text());
        for (index, (outcome, count)) in counted.into_iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let _ = write!(line, "{comma}\"{}\":{count}", outcome.text());
        }
        line.push('}');
    }
    line.push_str("}}\n");
    line
}

/// The line that stands where lines are missing.
pub(super) fn render_gap(lost: u64, at: SystemTime) -> String {
    let mut line = begin(at, "audit_lines_lost");
    let _ = writeln!(line, ",\"count\":{lost}}}");
    line
}

fn begin(at: SystemTime, event: &str) -> String {
    // More than most lines take; one that is longer makes its text grow once.
    let mut line = String::with_capacity(384);
    line.push_str("{\"time\":\"");
    line.push_str(&rfc3339(unix_ms(at)));
    line.push('"');
    displayed(&mut line, "event", event);
    line
}

/// A value that is printable ASCII without quotes by its nature.
fn displayed(line: &mut String, key: &str, value: impl std::fmt::Display) {
    // Writing to a String cannot fail.
    let _ = write!(line, ",\"{key}\":\"{value}\"");
}

/// A text of somebody's choice: as much of it as `bytes_max` bytes hold, with an ellipsis when that is not all.
fn text(line: &mut String, key: &str, value: &str, bytes_max: usize) {
    let _ = write!(line, ",\"{key}\":\"");
    let begin = line.len();
    // Where the text ends if there has to be an ellipsis.
    let mut cut_at = begin;
    for character in value.chars() {
        escape(line, character);
        if line.len() - begin > bytes_max {
            line.truncate(cut_at);
            line.push_str(ELLIPSIS);
            break;
        }
        if line.len() - begin + ELLIPSIS.len() <= bytes_max {
            cut_at = line.len();
        }
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
    use std::time::Duration;

    use proptest::prelude::*;
    use unix_time::system_time;

    use super::*;
    use crate::accounts::{Code, Origin};
    use crate::audit::{Event, Outcome};
    use crate::limits::{
        AUDIT_LINE_BYTES_MAX, AUDIT_REPEATED_LINE_BYTES_MAX, AUDIT_REPEATS_SESSIONS_MAX,
        AUDIT_SUMMARY_BYTES_MAX,
    };

    /// 2026-11-24T15:13:08.042Z
    fn at() -> SystemTime {
        system_time(1_795_533_188_042)
    }

    const ADAS_LOGIN: &str = "{\"time\":\"2026-11-24T15:13:08.042Z\",\"event\":\"authenticate\",\
        \"outcome\":\"ok\",\"user_id\":\"7\",\"username\":\"Ada\",\"session_id\":\"8\",\
        \"client\":\"192.0.2.1\",\"user_agent\":\"curl/8 \\\"x\\\"\",\
        \"request_id\":\"4f1c-2d3e\"}\n";

    #[test]
    fn a_line_tells_all_that_is_known() {
        let user_agent = Some("curl/8 \"x\"".to_owned());
        let origin = Origin { user_agent, ..Origin::at([192, 0, 2, 1].into()) };
        let entry = Entry::new(Event::Authenticate, Outcome::Ok)
            .user_id(7)
            .username("Ada")
            .session_id(8)
            .origin(&origin)
            .request_id(Some("4f1c-2d3e"));
        assert_eq!(&*render(&entry, at()), ADAS_LOGIN);
        assert_eq!(
            &*render_command("user disable ada", 0, "ok", at()),
            "{\"time\":\"2026-11-24T15:13:08.042Z\",\"event\":\"command\",\"outcome\":\"ok\",\
             \"command\":\"user disable ada\",\"operator_uid\":\"0\"}\n"
        );
    }

    #[test]
    fn a_line_tells_of_several() {
        let check = |session_ids: &[u64], expected: &str| {
            let line = render_repeated(ADAS_LOGIN, 3, at() - Duration::from_secs(40), session_ids);
            let begin = ADAS_LOGIN.strip_suffix("}\n").unwrap();
            assert_eq!(line.strip_prefix(begin), Some(expected));
        };
        check(&[], ",\"count\":3,\"since\":\"2026-11-24T15:12:28.042Z\"}\n");
        check(
            &[5, 6],
            ",\"count\":3,\"since\":\"2026-11-24T15:12:28.042Z\",\"session_ids\":[\"5\",\"6\"]}\n",
        );
    }

    #[test]
    fn a_line_tells_of_what_was_not_written() {
        let failures = crate::audit::failures::Failures::new();
        for (event, code, count) in [
            (Event::Authenticate, Code::UserUnknown, 15_950),
            (Event::Authenticate, Code::TooManyAttempts, 3),
            (Event::Logout, Code::SessionNotLive, 1),
        ] {
            (0..count).for_each(|_| failures.suppress(event, Outcome::Refused(code)));
        }
        let line = render_suppressed(&failures.suppressed(), at() - Duration::from_secs(10), at());
        assert_eq!(
            line,
            "{\"time\":\"2026-11-24T15:13:08.042Z\",\"event\":\"audit_lines_suppressed\",\
             \"since\":\"2026-11-24T15:12:58.042Z\",\"count\":15954,\"suppressed\":{\
             \"authenticate\":{\"user_unknown\":15950,\"too_many_attempts\":3},\
             \"logout\":{\"session_not_live\":1}}}\n"
        );
        assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok());
        assert_eq!(
            render_gap(7, at()),
            "{\"time\":\"2026-11-24T15:13:08.042Z\",\"event\":\"audit_lines_lost\",\"count\":7}\n"
        );
    }

    /// The bounds of limits.rs hold for the longest lines, and are not far above them.
    #[test]
    fn no_line_is_longer_than_its_bound() {
        #[track_caller]
        fn check(longest: usize, bound: usize) {
            assert!(longest <= bound && bound <= longest + longest / 8, "{longest} {bound}");
        }
        let longest = |texts: &mut dyn Iterator<Item = &'static str>| {
            texts.max_by_key(|text| text.len()).unwrap()
        };
        let event = longest(&mut Event::ALL.into_iter().map(Event::text));
        let outcome = longest(&mut Outcome::all().map(Outcome::text));
        let event = Event::ALL.into_iter().find(|it| it.text() == event).unwrap();
        let outcome = Outcome::all().find(|it| it.text() == outcome).unwrap();
        for letter in ["x", "\"", "\u{e9}", "\u{1f469}"] {
            let origin = Origin {
                client_address: std::net::Ipv6Addr::from([0xff; 16]).into(),
                is_forwarded: false,
                user_agent: Some(letter.repeat(framing::limits::USER_AGENT_BYTES_MAX)),
            };
            let name = letter.repeat(framing::limits::USERNAME_BYTES_MAX);
            let id = letter.repeat(HTTP_REQUEST_ID_BYTES_MAX);
            let entry = Entry::new(event, outcome)
                .user_id(u64::MAX)
                .username(&*name)
                .session_id(u64::MAX)
                .origin(&origin)
                .request_id(Some(&*id));
            let line = render(&entry, at());
            check(line.len(), AUDIT_LINE_BYTES_MAX);
            let ids = [u64::MAX; AUDIT_REPEATS_SESSIONS_MAX - 1];
            let repeated = render_repeated(&line, u64::MAX, at(), &ids);
            check(repeated.len(), AUDIT_REPEATED_LINE_BYTES_MAX);
        }
        let all = Suppressed::ALL_THAT_CAN_BE;
        check(render_suppressed(&all, at(), at()).len(), AUDIT_SUMMARY_BYTES_MAX);
    }

    #[test]
    fn nothing_in_a_name_is_obeyed_and_none_is_longer_than_it_may_be() {
        #[track_caller]
        fn check(name: &str, expected: &str) {
            let mut line = String::new();
            text(&mut line, "k", name, 24);
            assert_eq!(line, format!(",\"k\":\"{expected}\""), "{name:?}");
        }
        check("ada", "ada");
        check("a\"b\\c", r#"a\"b\\c"#);
        check("a\nb\0\t", r"a\u000ab\u0000\u0009");
        check("\u{1b}[2J\u{7f}\u{9b}", r"\u001b[2J\u007f\u009b");
        check("a\u{202e}b\u{2066}\u{200f}", r"a\u202eb\u2066\u200f");
        check("\u{2028}\u{2029}\u{85}\u{feff}", r"\u2028\u2029\u0085\ufeff");
        check("\u{430}da", r"\u0430da"); // a Cyrillic letter that looks like ours
        check("\u{1f469}", r"\ud83d\udc69");
        check("123456789012345678901234", "123456789012345678901234");
        check("1234567890123456789012345", r"123456789012345678\u2026");
        check("123456789012345678\"\"\"", r#"123456789012345678\"\"\""#);
        check("123456789012345678\"\"\"\"", r"123456789012345678\u2026");
        check("1234567890123456\"45678901", r#"1234567890123456\"\u2026"#);
        check("12345678901234567\"5678901", r"12345678901234567\u2026");
        check("\u{1f469}\u{1f469}", r"\ud83d\udc69\ud83d\udc69");
        check("\u{1f469}\u{1f469}x", r"\ud83d\udc69\u2026");
        check("", "");
    }

    proptest! {
        /// Whatever the texts are: one line, in printable ASCII, that any JSON parser reads back.
        #[test]
        fn any_text_makes_one_honest_line(name in "(?s).{0,90}", agent in "(?s).{0,300}") {
            let user_agent = Some(agent.clone());
            let origin = Origin { user_agent, ..Origin::at([192, 0, 2, 1].into()) };
            let entry = Entry::new(Event::Register, Outcome::Ok).username(&*name).origin(&origin);
            let line = render(&entry, at());
            prop_assert!(line.len() <= AUDIT_LINE_BYTES_MAX);
            let body = line.strip_suffix('\n').expect("a line has an end");
            prop_assert!(body.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{body}");
            let value: serde_json::Value = serde_json::from_str(body).expect("it is JSON");
            for (key, given) in [("username", &name), ("user_agent", &agent)] {
                let told = value[key].as_str().expect("a text");
                let whole = told.strip_suffix('…').unwrap_or(told);
                prop_assert!(told == given || given.starts_with(whole), "{told}");
            }
        }
    }
}

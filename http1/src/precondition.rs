//! Preconditions (RFC 9110 section 13): `If-Match` and `If-None-Match`.
//!
//! Left out on purpose: conditions on dates and `If-Range`. Nothing here has a date of modification, and
//! ranges are not served, so they are ignored (sections 13.1.3 to 13.1.5).

use crate::grammar::trim_blanks;
use crate::head::Head;

/// The conditions of one GET or HEAD, kept until its answer is there: what they are about may change
/// meanwhile. At most as long as the head that they came in.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Conditions {
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
}

/// What the conditions make of an answer that would otherwise be 2xx.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is sent.
    Send,
    /// 304: the client has it.
    NotModified,
    /// 412: it is not what the client meant.
    Failed,
}

/// The value of one of the two headers, all its lines together.
#[derive(Clone, PartialEq, Eq)]
enum Tags {
    /// `*`
    Any,
    /// Lines of entity tags.
    Listed(Box<[Box<[u8]>]>),
}

impl Conditions {
    pub(crate) fn of(head: &Head<'_>) -> Self {
        let tags = |name| Tags::of(head.fields(name));
        Self { if_match: tags("If-Match"), if_none_match: tags("If-None-Match") }
    }

    /// `If-Match` where there is no representation.
    pub(crate) fn never_met() -> Self {
        Self { if_match: Some(Tags::Listed(Box::default())), if_none_match: None }
    }

    /// Judges, in the order of RFC 9110 section 13.2.2, an answer with this entity tag, if it has one. There
    /// is something to answer with, so `*` is met.
    pub(crate) fn judge(&self, entity_tag: Option<&str>) -> Verdict {
        let has = |tags: &Tags, compare: Compare| match (tags, entity_tag) {
            (Tags::Any, _) => true,
            (Tags::Listed(lines), Some(entity_tag)) => {
                lines.iter().flat_map(|line| EntityTags(line)).any(|tag| compare(tag, entity_tag))
            }
            (Tags::Listed(_), None) => false,
        };
        if self.if_match.as_ref().is_some_and(|tags| !has(tags, is_same_strongly)) {
            return Verdict::Failed;
        }
        if self.if_none_match.as_ref().is_some_and(|tags| has(tags, is_same_weakly)) {
            return Verdict::NotModified;
        }
        Verdict::Send
    }
}

type Compare = fn(EntityTag<'_>, &str) -> bool;

impl Tags {
    fn of<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let lines: Vec<&[u8]> = lines.map(trim_blanks).collect();
        match lines[..] {
            [] => None,
            [b"*"] => Some(Self::Any),
            _ => Some(Self::Listed(lines.into_iter().map(Into::into).collect())),
        }
    }
}

/// An entity tag that a client names: `[ "W/" ] DQUOTE *etagc DQUOTE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct EntityTag<'a> {
    is_weak: bool,
    /// With its quotes.
    opaque: &'a [u8],
}

/// RFC 9110 section 8.8.3.2. Our own tags are all strong.
fn is_same_strongly(tag: EntityTag<'_>, ours: &str) -> bool {
    !tag.is_weak && tag.opaque == ours.as_bytes()
}

fn is_same_weakly(tag: EntityTag<'_>, ours: &str) -> bool {
    tag.opaque == ours.as_bytes()
}

/// The entity tags of one line. What is none ends them: it is nothing that a tag could be the same as.
struct EntityTags<'a>(&'a [u8]);

impl<'a> Iterator for EntityTags<'a> {
    type Item = EntityTag<'a>;

    fn next(&mut self) -> Option<EntityTag<'a>> {
        while let [b' ' | b'\t' | b',', rest @ ..] = self.0 {
            self.0 = rest;
        }
        let (is_weak, quoted) = match self.0 {
            [b'W', b'/', rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        let [b'"', inside @ ..] = quoted else { return None };
        let length = inside.iter().position(|byte| !matches!(byte, b'!' | b'#'..=b'~' | 0x80..))?;
        if inside[length] != b'"' {
            return None;
        }
        let (opaque, rest) = quoted.split_at(length + 2);
        match trim_blanks(rest) {
            [] | [b',', ..] => {}
            _ => return None,
        }
        self.0 = rest;
        Some(EntityTag { is_weak, opaque })
    }
}

/// Whether a text is an entity tag that a server may send: strong, in quotes.
pub(crate) fn is_entity_tag(text: &str) -> bool {
    let mut tags = EntityTags(text.as_bytes());
    tags.next().is_some_and(|tag| !tag.is_weak && tag.opaque == text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FieldSlots;
    use proptest::prelude::*;

    fn judge(lines: &str, entity_tag: Option<&str>) -> Verdict {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        let mut slots = FieldSlots::new();
        let head = Head::parse(head.as_bytes(), &mut slots).expect("a head of the test's own");
        assert_eq!(
            head.is_conditional(),
            lines.to_ascii_lowercase().contains("match"),
            "{lines:?}"
        );
        Conditions::of(&head).judge(entity_tag)
    }

    /// `with_tag` is for an answer with the tag `"v7"`, `without` for one without a tag.
    #[track_caller]
    fn check(lines: &str, with_tag: Verdict, without: Verdict) {
        let found = (judge(lines, Some("\"v7\"")), judge(lines, None));
        assert_eq!(found, (with_tag, without), "{lines:?}");
    }

    #[test]
    fn if_match_wants_what_is_there() {
        use Verdict::{Failed, Send};
        check("", Send, Send);
        check("If-Match: *\r\n", Send, Send);
        check("if-match:\t* \r\n", Send, Send);
        check("If-Match: \"v7\"\r\n", Send, Failed);
        check("If-Match: \"v6\"\r\n", Failed, Failed);
        check("If-Match: \"v6\", \"v7\"\r\n", Send, Failed);
        check("If-Match: \"v6\" ,\"v7\",\r\n", Send, Failed);
        check("If-Match: ,,\"v7\"\r\n", Send, Failed);
        check("If-Match: \"v6\"\r\nIf-Match: \"v7\"\r\n", Send, Failed);
        check("If-Match: \"a,b\", \"v7\"\r\n", Send, Failed);
        check("If-Match: \"\", \"\u{e9}\", \"v7\"\r\n", Send, Failed);
        // The comparison is strong.
        check("If-Match: W/\"v7\"\r\n", Failed, Failed);
        check("If-Match: W/\"v7\", \"v7\"\r\n", Send, Failed);
        // What is no tag matches nothing.
        for wrong in [
            "",
            ",",
            "v7",
            "'v7'",
            "\"v7",
            "v7\"",
            "w/\"v7\"",
            "W/ \"v7\"",
            "\"V7\"",
            "\"v7\"x",
            "*, \"v7\"",
            "\"v 7\"",
        ] {
            check(&format!("If-Match: {wrong}\r\n"), Failed, Failed);
        }
        check("If-Match: *\r\nIf-Match: *\r\n", Failed, Failed);
    }

    #[test]
    fn if_none_match_wants_what_is_not_there() {
        use Verdict::{NotModified, Send};
        check("If-None-Match: *\r\n", NotModified, NotModified);
        check("If-None-Match: \"v7\"\r\n", NotModified, Send);
        check("If-None-Match: W/\"v7\"\r\n", NotModified, Send);
        check("If-None-Match: \"v6\"\r\n", Send, Send);
        check("If-None-Match: \"v6\", W/\"v7\"\r\n", NotModified, Send);
        check("If-None-Match: \"v6\"\r\nA: b\r\nif-none-match: \"v7\"\r\n", NotModified, Send);
        for wrong in ["", "v7", "\"v7", "\"v7\" \"v8\"", "*, \"v7\""] {
            check(&format!("If-None-Match: {wrong}\r\n"), Send, Send);
        }
    }

    #[test]
    fn conditions_are_judged_in_their_order_and_dates_count_for_nothing() {
        use Verdict::{Failed, NotModified, Send};
        check("If-None-Match: *\r\nIf-Match: \"v6\"\r\n", Failed, Failed);
        check("If-None-Match: *\r\nIf-Match: *\r\n", NotModified, NotModified);
        check("If-None-Match: \"v6\"\r\nIf-Match: \"v7\"\r\n", Send, Failed);
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        check(&format!("If-Modified-Since: {date}\r\nIf-Unmodified-Since: {date}\r\n"), Send, Send);
        check("If-Range: \"v6\"\r\nRange: bytes=0-1\r\n", Send, Send);
    }

    #[test]
    fn a_server_sends_strong_tags_in_quotes() {
        for (text, expected) in [
            ("\"\"", true),
            ("\"a\"", true),
            ("a", false),
            ("W/\"a\"", false),
            ("\"a\",", false),
            ("\"a\"\"", false),
        ] {
            assert_eq!(is_entity_tag(text), expected, "{text}");
        }
    }

    proptest! {
        /// Whatever is listed: a tag is found exactly when it was put in.
        #[test]
        fn a_listed_tag_is_found(tags in prop::collection::vec("(W/)?\"[!#-~\u{e9}]{0,6}\"", 0..6), blanks in "[ \t]{0,2}") {
            let line = format!("If-None-Match: {}\r\n", tags.join(&format!("{blanks},{blanks}")));
            for tag in &tags {
                let strong = tag.trim_start_matches("W/");
                prop_assert_eq!(judge(&line, Some(strong)), Verdict::NotModified, "{}", line);
            }
            prop_assert_eq!(judge(&line, Some("\"longer than any\"")), Verdict::Send);
        }

        #[test]
        fn any_value_is_judged(value in "[ -~\u{e9}\t]{0,30}") {
            judge(&format!("If-Match: {value}\r\nIf-None-Match: {value}\r\n"), Some("\"a\""));
        }
    }
}

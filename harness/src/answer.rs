//! An HTTP answer, however it was received.

use std::fmt;

use serde_json::Value;

/// Status, fields and content of an answer.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    fields: Vec<(String, String)>,
    content: Vec<u8>,
}

impl Answer {
    pub(crate) fn new(status: u16, fields: Vec<(String, String)>, content: Vec<u8>) -> Self {
        Self { status, fields, content }
    }

    pub(crate) fn with_content(self, content: Vec<u8>) -> Self {
        Self { content, ..self }
    }

    /// The value of the one field of this name, in any case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name));
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "the field {name} stands twice in {self:?}");
        value
    }

    /// The content as text.
    #[must_use]
    pub fn text(&self) -> &str {
        str::from_utf8(&self.content).unwrap_or_else(|_| panic!("no UTF-8 in {self:?}"))
    }

    /// The content as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.content).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The text under `key` of the JSON content.
    #[must_use]
    pub fn text_at(&self, key: &str) -> String {
        let text = self.json()[key].as_str().map(ToOwned::to_owned);
        text.unwrap_or_else(|| panic!("no text under {key:?} in {self:?}"))
    }

    /// Checks the status and gives the answer back.
    #[track_caller]
    pub fn assert_status(self, expected: u16) -> Self {
        assert_eq!(self.status, expected, "{self:?}");
        if expected >= 400 {
            let _ = self.problem_code();
        }
        self
    }

    /// Checks that this is a whole problem document (RFC 9457) that says what is wrong, and returns
    /// the stable code at the end of its type.
    #[must_use]
    #[track_caller]
    pub fn problem_code(&self) -> String {
        assert_eq!(self.field("content-type"), Some("application/problem+json"), "{self:?}");
        let document = self.json();
        assert_eq!(document["status"], self.status, "{self:?}");
        for key in ["title", "detail"] {
            let text = document[key].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "the problem has no {key}: {self:?}");
        }
        let code = document["type"].as_str().and_then(|address| address.rsplit('/').next());
        let code = code.unwrap_or_default();
        let stable = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        assert!(!code.is_empty() && code.bytes().all(stable), "no code in the type: {self:?}");
        code.to_owned()
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {}", self.status, self.fields, String::from_utf8_lossy(&self.content))
    }
}

//! `PROTOCOL.md` says what the code does: its registry and limits are those of the crate.

use std::fmt::Write;

use framing::{
    limits,
    registry::{self, Field, Presence, Shape},
};

const CONTRACT: &str = include_str!("../../PROTOCOL.md");

/// The text between the comments `<!-- begin NAME -->` and `<!-- end NAME -->`.
#[track_caller]
fn section(name: &str) -> &'static str {
    let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->"));
    let (_, rest) = CONTRACT.split_once(&begin).expect("the section begins");
    rest.split_once(&end).expect("the section ends").0
}

#[test]
fn the_registry_is_the_table_of_the_contract() {
    assert_eq!(section("registry").trim(), registry_table().trim());
}

#[test]
fn the_limits_are_those_of_the_contract() {
    let table: String = [
        ("frame, header included", limits::FRAME_BYTES_MAX),
        ("smallest `frame_bytes_max` that a peer may announce", limits::FRAME_BYTES_MAX_FLOOR),
        ("header, at least", limits::HEADER_BYTES_MIN),
        ("header, at most", limits::HEADER_BYTES_MAX),
        ("varint", limits::VARINT_BYTES_MAX),
        ("v1 `username`", limits::USERNAME_BYTES_MAX),
        ("v1 `password`", limits::PASSWORD_BYTES_MAX),
        ("v1 `name`", limits::NAME_BYTES_MAX),
        ("v1 `message`", limits::V1_MESSAGE_BYTES_MAX),
        ("v1 request", limits::V1_REQUEST_BYTES_MAX),
        ("v1 response", limits::V1_RESPONSE_BYTES_MAX),
    ]
    .map(|(what, bytes)| format!("| {what} | {bytes} |\n"))
    .concat();
    assert_eq!(section("limits").trim(), format!("| what | bytes |\n|---|---|\n{table}").trim());
}

#[test]
fn the_newest_release_is_that_of_the_newest_entry() {
    let of_message = |message: &registry::Message| {
        let fields = message.request.iter().chain(message.response);
        fields.map(|field| field.since).chain([message.since]).collect::<Vec<_>>()
    };
    let of_all = registry::request::FIELDS.iter().chain(registry::response::FIELDS);
    let of_all = of_all.map(|field| field.since);
    // As numbers: 2.10 comes after 2.9.
    let newest = registry::MESSAGES.iter().flat_map(of_message).chain(of_all).max_by_key(|since| {
        let (major, minor) = since.split_once('.').expect("major.minor");
        [major, minor].map(|number| number.parse::<u32>().expect("a number"))
    });
    assert_eq!(newest, Some(registry::RELEASE));
    let named = CONTRACT.lines().rfind(|line| line.starts_with("| 2."));
    assert!(named.is_some_and(|line| line.starts_with(&format!("| {} |", registry::RELEASE))));
}

fn registry_table() -> String {
    let mut text = String::new();
    let mut heading = |title: &str, fields: &[Field], since: Option<&str>| {
        let since = since.map_or(String::new(), |since| format!(", since {since}"));
        writeln!(text, "\n#### {title}{since}\n").expect("a String takes everything");
        text.push_str(&field_table(fields));
    };
    heading("Every request", registry::request::FIELDS, None);
    heading("Every response", registry::response::FIELDS, None);
    for message in registry::MESSAGES {
        let registry::Message { number, name, request, response, since } = *message;
        heading(&format!("{number} {name} request"), request, Some(since));
        heading(&format!("{number} {name} response"), response, Some(since));
    }
    heading("Item of `products`", registry::products::item::FIELDS, None);
    heading("Item of `sessions`", registry::sessions::item::FIELDS, None);
    text
}

fn field_table(fields: &[Field]) -> String {
    if fields.is_empty() {
        return "No fields.\n".into();
    }
    let row = |field: &Field| {
        let Field { number, name, shape, presence, must_understand, since } = *field;
        let absent = match presence {
            Presence::Required => "error",
            Presence::Optional => "not known",
            Presence::DefaultZero => match shape {
                Shape::Number { .. } => "0",
                _ => "empty",
            },
        };
        let bit = if must_understand { "yes" } else { "no" };
        format!("| {number} | `{name}` | {} | {absent} | {bit} | {since} |\n", shape_text(shape))
    };
    let header = "| no. | field | value | if absent | must-understand | since |\n\
                  |---|---|---|---|---|---|\n";
    fields.iter().map(row).fold(header.into(), |table: String, row| table + &row)
}

fn shape_text(shape: Shape) -> String {
    match shape {
        Shape::Number { max: 1 } => "0 or 1".into(),
        Shape::Number { max } if max.checked_add(1).is_none_or(u64::is_power_of_two) => {
            format!("u{}", max.ilog2() + 1)
        }
        Shape::Number { max } => format!("number, at most {max}"),
        Shape::Text { bytes_max } => format!("text, at most {bytes_max} bytes"),
        Shape::Secret { bytes_max } => format!("secret text, at most {bytes_max} bytes"),
        Shape::RequestId => "16 bytes".into(),
        Shape::Address => "4 or 16 bytes".into(),
        Shape::Currency => "3 letters A-Z".into(),
        Shape::List { items_max: None, .. } => "list of items".into(),
        Shape::List { items_max: Some(max), .. } => format!("list of at most {max} items"),
    }
}

//! The one table of v2: every message and field, its number, type and limit, and the release of the
//! protocol that introduced it. The codecs read their numbers and limits here; a test holds
//! `PROTOCOL.md` to the same table.
//!
//! A number is never reused and an entry never changes; new entries are added with their `since`.

use crate::limits::{
    CODE_BYTES_MAX, DETAIL_BYTES_MAX, DEVICE_BYTES_MAX, FIELD_NUMBER_MAX,
    HTTP_REQUEST_ID_BYTES_MAX, NAME_BYTES_MAX, PASSWORD_BYTES_MAX, PRODUCT_DESCRIPTION_BYTES_MAX,
    PRODUCT_NAME_BYTES_MAX, REASON_BYTES_MAX, SESSIONS_MAX, SOFTWARE_BYTES_MAX, TOKEN_BYTES_MAX,
    USER_AGENT_BYTES_MAX, USERNAME_BYTES_MAX,
};

/// One field of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// 1 to [`FIELD_NUMBER_MAX`], unique in its message, never reused.
    pub number: u8,
    /// As `PROTOCOL.md` names it.
    pub name: &'static str,
    /// What its value holds.
    pub shape: Shape,
    /// What a reader does when it is absent.
    pub presence: Presence,
    /// Whether a writer marks it, so that a reader that does not know it refuses the message.
    pub must_understand: bool,
    /// The release of the protocol that introduced it, `major.minor`.
    pub since: &'static str,
}

/// The type of a field's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A varint that fills the value, at most `max`.
    Number {
        /// The highest value, inclusive.
        max: u64,
    },
    /// UTF-8.
    Text {
        /// Its length limit in bytes.
        bytes_max: usize,
    },
    /// A password or token: UTF-8 that never shows in logs.
    Secret {
        /// Its length limit in bytes.
        bytes_max: usize,
    },
    /// [`REQUEST_ID_BYTES`](crate::limits::REQUEST_ID_BYTES) opaque bytes.
    RequestId,
    /// An IP address in network order, 4 or 16 bytes.
    Address,
    /// Three upper-case ASCII letters, ISO 4217.
    Currency,
    /// Items, each a varint length and as many bytes of fields.
    List {
        /// The table of an item's fields.
        item: &'static [Field],
        /// How many items there may be; `None` when the frame alone bounds them.
        items_max: Option<usize>,
    },
}

/// What the absence of a field means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// An error. A required field stays required, and is sent, for as long as its major version.
    Required,
    /// Nothing is known; not the same as any value.
    Optional,
    /// The same as zero, an empty text or an empty list; a writer leaves such a value out.
    DefaultZero,
}

/// A message type, the same number in both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// Byte 5 of the header.
    pub number: u8,
    /// As `PROTOCOL.md` names it.
    pub name: &'static str,
    /// Fields of the request.
    pub request: &'static [Field],
    /// Fields of a response with status 200, beside those of [`response`].
    pub response: &'static [Field],
    /// The release of the protocol that introduced it, `major.minor`.
    pub since: &'static str,
}

/// The lowest number of a field that belongs to one response only; lower ones are common to all.
pub const RESPONSE_FIELD_MIN: u8 = 10;

const V2_0: &str = "2.0";
const V2_1: &str = "2.1";
const V2_2: &str = "2.2";

/// The newest release that this program knows. A test holds it to the table.
pub const RELEASE: &str = V2_2;

/// Every message, by number.
pub const MESSAGES: &[Message] = &[
    Message {
        number: 1,
        name: "HELLO",
        request: hello::REQUEST,
        response: hello::RESPONSE,
        since: V2_0,
    },
    Message {
        number: 2,
        name: "REGISTER",
        request: register::REQUEST,
        response: register::RESPONSE,
        since: V2_0,
    },
    Message {
        number: 3,
        name: "AUTHENTICATE",
        request: authenticate::REQUEST,
        response: authenticate::RESPONSE,
        since: V2_0,
    },
    Message {
        number: 4,
        name: "CHECK_SESSION",
        request: session::REQUEST,
        response: session::RESPONSE,
        since: V2_0,
    },
    Message {
        number: 5,
        name: "LOGOUT",
        request: logout::REQUEST,
        response: logout::RESPONSE,
        since: V2_0,
    },
    Message {
        number: 6,
        name: "PRODUCTS",
        request: session::REQUEST,
        response: products::RESPONSE,
        since: V2_0,
    },
    Message { number: 7, name: "HEALTH", request: &[], response: health::RESPONSE, since: V2_0 },
    Message {
        number: 8,
        name: "SESSIONS",
        request: sessions::REQUEST,
        response: sessions::RESPONSE,
        since: V2_1,
    },
    Message {
        number: 9,
        name: "REVOKE_SESSION",
        request: revoke_session::REQUEST,
        response: revoke_session::RESPONSE,
        since: V2_1,
    },
    Message {
        number: 10,
        name: "CHANGE_PASSWORD",
        request: change_password::REQUEST,
        response: change_password::RESPONSE,
        since: V2_1,
    },
];

/// Fields that every request may have, behind its own.
pub mod request {
    use super::*;

    /// What the user's own request is found again by: the answer to it says the same.
    pub const HTTP_REQUEST_ID: Field =
        optional(16, "http_request_id", Shape::Text { bytes_max: HTTP_REQUEST_ID_BYTES_MAX })
            .since(V2_2);
    /// All of them.
    pub const FIELDS: &[Field] = &[HTTP_REQUEST_ID];
}

/// Fields that every response may have. Readers take status 200 to mean that the message's own
/// fields are there, and any other that they are not.
pub mod response {
    use super::*;

    /// The outcome, as in HTTP.
    pub const STATUS: Field = required(1, "status", Shape::Number { max: 599 });
    /// A stable code for programs, such as `username_taken`.
    pub const CODE: Field = default_zero(2, "code", Shape::Text { bytes_max: CODE_BYTES_MAX });
    /// What went wrong, for people.
    pub const DETAIL: Field =
        default_zero(3, "detail", Shape::Text { bytes_max: DETAIL_BYTES_MAX });
    /// With 429 and 503: how long to wait before asking again; 0 means that nothing is known.
    pub const RETRY_AFTER_MS: Field = default_zero(4, "retry_after_ms", U32).since(V2_1);
    /// All of them.
    pub const FIELDS: &[Field] = &[STATUS, CODE, DETAIL, RETRY_AFTER_MS];
}

/// HELLO, both directions.
pub mod hello {
    use super::*;

    /// The lowest major version that the sender speaks.
    pub const VERSION_MIN: Field = required(10, "version_min", U8);
    /// The highest major version that the sender speaks.
    pub const VERSION_MAX: Field = required(11, "version_max", U8);
    /// A bit set of what the sender can do beyond its version.
    pub const FEATURES: Field = default_zero(12, "features", U64);
    /// The longest frame that the sender accepts.
    pub const FRAME_BYTES_MAX: Field = required(13, "frame_bytes_max", U32);
    /// How many unanswered requests the sender is prepared for on this connection.
    pub const IN_FLIGHT_MAX: Field = required(14, "in_flight_max", U32);
    /// Name and version of the program, for logs only.
    pub const SOFTWARE: Field =
        default_zero(15, "software", Shape::Text { bytes_max: SOFTWARE_BYTES_MAX });
    /// How many passwords the responder hashes at a time, each on a thread; 0 if it does not tell.
    pub const HASH_THREADS: Field = default_zero(17, "hash_threads", U32).since(V2_2);
    /// Of who asks.
    pub const REQUEST: &[Field] =
        &[VERSION_MIN, VERSION_MAX, FEATURES, FRAME_BYTES_MAX, IN_FLIGHT_MAX, SOFTWARE];
    /// Of who answers.
    pub const RESPONSE: &[Field] = &[
        VERSION_MIN,
        VERSION_MAX,
        FEATURES,
        FRAME_BYTES_MAX,
        IN_FLIGHT_MAX,
        SOFTWARE,
        HASH_THREADS,
    ];
}

/// REGISTER.
pub mod register {
    use super::*;

    /// The name to register.
    pub const USERNAME: Field = required(1, "username", USERNAME_TEXT);
    /// The password to register.
    pub const PASSWORD: Field = required(2, "password", PASSWORD_TEXT);
    /// A display name.
    pub const NAME: Field = optional(3, "name", Shape::Text { bytes_max: NAME_BYTES_MAX });
    /// Age in years.
    pub const AGE: Field = optional(4, "age", U8);
    /// The idempotency key.
    pub const REQUEST_ID: Field = required(5, "request_id", Shape::RequestId);
    /// Where the user's own request came from.
    pub const CLIENT_ADDRESS: Field = optional(6, "client_address", Shape::Address);
    /// The user's program, as it calls itself.
    pub const USER_AGENT: Field = optional(7, "user_agent", USER_AGENT_TEXT).since(V2_1);
    /// 1 when a proxy brought the user's own request, by what its header says.
    pub const FORWARDED: Field = default_zero(8, "forwarded", FLAG).since(V2_2);
    /// Fields of the request.
    pub const REQUEST: &[Field] =
        &[USERNAME, PASSWORD, NAME, AGE, REQUEST_ID, CLIENT_ADDRESS, USER_AGENT, FORWARDED];

    /// The new account.
    pub const USER_ID: Field = required(10, "user_id", U64);
    /// Fields of the response.
    pub const RESPONSE: &[Field] = &[USER_ID];
}

/// AUTHENTICATE.
pub mod authenticate {
    use super::*;

    /// Who logs in.
    pub const USERNAME: Field = required(1, "username", USERNAME_TEXT);
    /// With what.
    pub const PASSWORD: Field = required(2, "password", PASSWORD_TEXT);
    /// The idempotency key.
    pub const REQUEST_ID: Field = required(3, "request_id", Shape::RequestId);
    /// Where the user's own request came from.
    pub const CLIENT_ADDRESS: Field = optional(4, "client_address", Shape::Address);
    /// The user's program, as it calls itself.
    pub const USER_AGENT: Field = optional(5, "user_agent", USER_AGENT_TEXT);
    /// The known-device marker that the user's program was given at an earlier login.
    pub const DEVICE: Field = optional(6, "device", DEVICE_TEXT).since(V2_1);
    /// As in REGISTER.
    pub const FORWARDED: Field = default_zero(7, "forwarded", FLAG).since(V2_2);
    /// Fields of the request.
    pub const REQUEST: &[Field] =
        &[USERNAME, PASSWORD, REQUEST_ID, CLIENT_ADDRESS, USER_AGENT, DEVICE, FORWARDED];

    /// The session's token.
    pub const TOKEN: Field = required(10, "token", TOKEN_TEXT);
    /// Whose session it is.
    pub const USER_ID: Field = required(11, "user_id", U64);
    /// How long it lives.
    pub const EXPIRES_IN_MS: Field = required(12, "expires_in_ms", U64);
    /// A fresh known-device marker for the user's program to keep.
    pub const DEVICE_KEPT: Field = optional(13, "device", DEVICE_TEXT).since(V2_1);
    /// Fields of the response.
    pub const RESPONSE: &[Field] = &[TOKEN, USER_ID, EXPIRES_IN_MS, DEVICE_KEPT];
}

/// CHECK_SESSION; its request is that of PRODUCTS and SESSIONS too.
pub mod session {
    use super::*;

    /// The session's token.
    pub const TOKEN: Field = required(1, "token", TOKEN_TEXT);
    /// Fields of the request.
    pub const REQUEST: &[Field] = &[TOKEN];

    /// Whose session it is.
    pub const USER_ID: Field = required(10, "user_id", U64);
    /// The name of that account.
    pub const USERNAME: Field = required(11, "username", USERNAME_TEXT);
    /// How long this answer may be given again, counted from when the request was sent.
    pub const LEASE_MS: Field = default_zero(12, "lease_ms", U32);
    /// How long the session lives on.
    pub const EXPIRES_IN_MS: Field = required(13, "expires_in_ms", U64);
    /// When it began, milliseconds since 1970-01-01 UTC.
    pub const CREATED_AT_UNIX_MS: Field = required(14, "created_at_unix_ms", U64);
    /// Fields of the response.
    pub const RESPONSE: &[Field] =
        &[USER_ID, USERNAME, LEASE_MS, EXPIRES_IN_MS, CREATED_AT_UNIX_MS];
}

/// LOGOUT.
pub mod logout {
    use super::*;

    /// The token of the session to end.
    pub const TOKEN: Field = required(1, "token", TOKEN_TEXT);
    /// 1 ends every session of the token's user. Must be understood: a reader that skipped it
    /// would end one session and say that all are over.
    pub const ALL: Field = default_zero(2, "all", FLAG).since(V2_1).must_understand();
    /// Where the user's own request came from.
    pub const CLIENT_ADDRESS: Field = optional(3, "client_address", Shape::Address).since(V2_1);
    /// Fields of the request.
    pub const REQUEST: &[Field] = &[TOKEN, ALL, CLIENT_ADDRESS];

    /// How long leases on the session can still run. Required, so that no reader of any release
    /// acknowledges a logout too early.
    pub const SETTLED_IN_MS: Field = required(10, "settled_in_ms", U32);
    /// Fields of the response.
    pub const RESPONSE: &[Field] = &[SETTLED_IN_MS];
}

/// PRODUCTS.
pub mod products {
    use super::*;

    /// An item of the list.
    pub mod item {
        use super::*;

        /// The product's number.
        pub const ID: Field = required(1, "id", U64);
        /// Its name.
        pub const NAME: Field =
            required(2, "name", Shape::Text { bytes_max: PRODUCT_NAME_BYTES_MAX });
        /// What it is.
        pub const DESCRIPTION: Field = default_zero(
            3,
            "description",
            Shape::Text { bytes_max: PRODUCT_DESCRIPTION_BYTES_MAX },
        );
        /// Its price in the currency's minor unit, such as cents.
        pub const PRICE_MINOR: Field = required(4, "price_minor", U64);
        /// The currency of the price.
        pub const CURRENCY: Field = required(5, "currency", Shape::Currency);
        /// All of them.
        pub const FIELDS: &[Field] = &[ID, NAME, DESCRIPTION, PRICE_MINOR, CURRENCY];
    }

    /// The list.
    pub const PRODUCTS: Field =
        default_zero(20, "products", Shape::List { item: item::FIELDS, items_max: None });
    /// How long the list may be reused, for every user.
    pub const PRODUCTS_FRESH_MS: Field = default_zero(21, "products_fresh_ms", U32);
    /// Fields of the response: a session check's, then its own.
    pub const RESPONSE: &[Field] = &[
        session::USER_ID,
        session::USERNAME,
        session::LEASE_MS,
        session::EXPIRES_IN_MS,
        session::CREATED_AT_UNIX_MS,
        PRODUCTS,
        PRODUCTS_FRESH_MS,
    ];
}

/// HEALTH.
pub mod health {
    use super::*;

    /// 1 when the server can serve, 0 when not.
    pub const READY: Field = required(10, "ready", FLAG);
    /// Why it is not ready.
    pub const REASON: Field =
        default_zero(11, "reason", Shape::Text { bytes_max: REASON_BYTES_MAX });
    /// 1 when the server stops before long. It serves until then; whoever has another server sends it nothing new.
    pub const DRAINING: Field = default_zero(12, "draining", FLAG).since(V2_2);
    /// Fields of the response.
    pub const RESPONSE: &[Field] = &[READY, REASON, DRAINING];
}

/// SESSIONS; its request is that of `CHECK_SESSION`.
pub mod sessions {
    use super::*;

    /// An item of the list.
    pub mod item {
        use super::*;

        /// The session's number; not a secret, and good for nothing but naming the session.
        pub const ID: Field = required(1, "id", U64).since(V2_1);
        /// When it began, milliseconds since 1970-01-01 UTC.
        pub const CREATED_AT_UNIX_MS: Field = required(2, "created_at_unix_ms", U64).since(V2_1);
        /// When it was last used, milliseconds since 1970-01-01 UTC; may lag behind.
        pub const LAST_SEEN_UNIX_MS: Field = required(3, "last_seen_unix_ms", U64).since(V2_1);
        /// How long it lives on.
        pub const EXPIRES_IN_MS: Field = required(4, "expires_in_ms", U64).since(V2_1);
        /// Where it was begun from.
        pub const CLIENT_ADDRESS: Field = optional(5, "client_address", Shape::Address).since(V2_1);
        /// The program that began it, as it called itself.
        pub const USER_AGENT: Field = optional(6, "user_agent", USER_AGENT_TEXT).since(V2_1);
        /// 1 for the session of the request's token.
        pub const CURRENT: Field = default_zero(7, "current", FLAG).since(V2_1);
        /// All of them.
        pub const FIELDS: &[Field] = &[
            ID,
            CREATED_AT_UNIX_MS,
            LAST_SEEN_UNIX_MS,
            EXPIRES_IN_MS,
            CLIENT_ADDRESS,
            USER_AGENT,
            CURRENT,
        ];
    }

    /// The token of a live session, whose user's sessions are asked for.
    pub const TOKEN: Field = required(1, "token", TOKEN_TEXT).since(V2_1);
    /// Fields of the request.
    pub const REQUEST: &[Field] = &[TOKEN];

    /// The list.
    pub const SESSIONS: Field = default_zero(
        20,
        "sessions",
        Shape::List { item: item::FIELDS, items_max: Some(SESSIONS_MAX) },
    )
    .since(V2_1);
    /// Fields of the response.
    pub const RESPONSE: &[Field] = &[SESSIONS];
}

/// `REVOKE_SESSION`.
pub mod revoke_session {
    use super::*;

    /// The token of a live session of the same user.
    pub const TOKEN: Field = required(1, "token", TOKEN_TEXT).since(V2_1);
    /// The session to end, by its number in SESSIONS.
    pub const SESSION_ID: Field = required(2, "session_id", U64).since(V2_1);
    /// Where the user's own request came from.
    pub const CLIENT_ADDRESS: Field = optional(3, "client_address", Shape::Address).since(V2_1);
    /// Fields of the request.
    pub const REQUEST: &[Field] = &[TOKEN, SESSION_ID, CLIENT_ADDRESS];

    /// As in LOGOUT.
    pub const SETTLED_IN_MS: Field = required(10, "settled_in_ms", U32).since(V2_1);
    /// Fields of the response.
    pub const RESPONSE: &[Field] = &[SETTLED_IN_MS];
}

/// `CHANGE_PASSWORD`.
pub mod change_password {
    use super::*;

    /// The token of a live session of the account.
    pub const TOKEN: Field = required(1, "token", TOKEN_TEXT).since(V2_1);
    /// The password that holds until now.
    pub const CURRENT_PASSWORD: Field = required(2, "current_password", PASSWORD_TEXT).since(V2_1);
    /// The password that holds from now on.
    pub const NEW_PASSWORD: Field = required(3, "new_password", PASSWORD_TEXT).since(V2_1);
    /// Where the user's own request came from.
    pub const CLIENT_ADDRESS: Field = optional(4, "client_address", Shape::Address).since(V2_1);
    /// The user's program, as it calls itself.
    pub const USER_AGENT: Field = optional(5, "user_agent", USER_AGENT_TEXT).since(V2_1);
    /// As in REGISTER.
    pub const FORWARDED: Field = default_zero(6, "forwarded", FLAG).since(V2_2);
    /// Fields of the request.
    pub const REQUEST: &[Field] =
        &[TOKEN, CURRENT_PASSWORD, NEW_PASSWORD, CLIENT_ADDRESS, USER_AGENT, FORWARDED];

    /// The token of the one session that is left, a new one.
    pub const FRESH_TOKEN: Field = required(10, "token", TOKEN_TEXT).since(V2_1);
    /// Whose session it is.
    pub const USER_ID: Field = required(11, "user_id", U64).since(V2_1);
    /// How long it lives.
    pub const EXPIRES_IN_MS: Field = required(12, "expires_in_ms", U64).since(V2_1);
    /// As in LOGOUT, for all sessions that have ended.
    pub const SETTLED_IN_MS: Field = required(13, "settled_in_ms", U32).since(V2_1);
    /// Fields of the response.
    pub const RESPONSE: &[Field] = &[FRESH_TOKEN, USER_ID, EXPIRES_IN_MS, SETTLED_IN_MS];
}

const FLAG: Shape = Shape::Number { max: 1 };
const U8: Shape = Shape::Number { max: u8::MAX as u64 };
const U32: Shape = Shape::Number { max: u32::MAX as u64 };
const U64: Shape = Shape::Number { max: u64::MAX };
const USERNAME_TEXT: Shape = Shape::Text { bytes_max: USERNAME_BYTES_MAX };
const PASSWORD_TEXT: Shape = Shape::Secret { bytes_max: PASSWORD_BYTES_MAX };
const TOKEN_TEXT: Shape = Shape::Secret { bytes_max: TOKEN_BYTES_MAX };
const DEVICE_TEXT: Shape = Shape::Secret { bytes_max: DEVICE_BYTES_MAX };
const USER_AGENT_TEXT: Shape = Shape::Text { bytes_max: USER_AGENT_BYTES_MAX };

const fn required(number: u8, name: &'static str, shape: Shape) -> Field {
    Field { number, name, shape, presence: Presence::Required, must_understand: true, since: V2_0 }
}

const fn optional(number: u8, name: &'static str, shape: Shape) -> Field {
    Field { number, name, shape, presence: Presence::Optional, must_understand: false, since: V2_0 }
}

const fn default_zero(number: u8, name: &'static str, shape: Shape) -> Field {
    let presence = Presence::DefaultZero;
    Field { number, name, shape, presence, must_understand: false, since: V2_0 }
}

impl Field {
    /// The field, introduced by this release instead of 2.0.
    const fn since(self, since: &'static str) -> Self {
        Self { since, ..self }
    }

    /// The field, refused by a reader that does not know it.
    const fn must_understand(self) -> Self {
        Self { must_understand: true, ..self }
    }
}

/// One more than the highest number in the table, list items included.
pub(crate) const SLOTS: usize = 1 + {
    let mut highest = max(highest(request::FIELDS), highest(response::FIELDS));
    let mut i = 0;
    while i < MESSAGES.len() {
        highest = max(highest, self::highest(MESSAGES[i].request));
        highest = max(highest, self::highest(MESSAGES[i].response));
        i += 1;
    }
    highest as usize
};

/// The highest number among `fields` and the items of their lists, after checking that numbers
/// ascend and are in range.
const fn highest(fields: &[Field]) -> u8 {
    let mut highest = 0;
    let mut last = 0;
    let mut i = 0;
    while i < fields.len() {
        let field = &fields[i];
        assert!(field.number > last, "numbers ascend, so they are unique and not 0");
        assert!(field.number <= FIELD_NUMBER_MAX);
        last = field.number;
        highest = max(highest, last);
        if let Shape::List { item, .. } = field.shape {
            highest = max(highest, self::highest(item));
        }
        i += 1;
    }
    highest
}

const fn max(a: u8, b: u8) -> u8 {
    if a > b { a } else { b }
}

const _: () = {
    let mut i = 0;
    while i < MESSAGES.len() {
        assert!(MESSAGES[i].number as usize == i + 1, "messages stand in order of their numbers");
        let response = MESSAGES[i].response;
        assert!(response.is_empty() || response[0].number >= RESPONSE_FIELD_MIN);
        i += 1;
    }
    assert!(highest(response::FIELDS) < RESPONSE_FIELD_MIN);
};

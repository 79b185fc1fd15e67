//! The positional protocol, as bytes on a socket to auth_back.

use e2e::{RawConnection, System};

use crate::PASSWORD;

/// `command` with these values, as the requirement draws it.
fn request(command: &str, username: &[u8], password: &[u8], name: &[u8], age: u8) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(command.len()).expect("a short command")];
    bytes.extend_from_slice(command.as_bytes());
    for text in [username, password, name] {
        bytes.extend(u16::try_from(text.len()).expect("a short text").to_be_bytes());
        bytes.extend_from_slice(text);
    }
    bytes.push(age);
    bytes
}

pub(crate) fn register(username: &str, password: &str) -> Vec<u8> {
    request("REG", username.as_bytes(), password.as_bytes(), b"Ada", 36)
}

pub(crate) fn authenticate(username: &str, password: &str) -> Vec<u8> {
    request("AUTH", username.as_bytes(), password.as_bytes(), b"", 0)
}

/// Status and message of the next answer.
pub(crate) fn answer(connection: &mut RawConnection) -> (u16, String) {
    let number = |bytes: Vec<u8>| u16::from_be_bytes(bytes.try_into().expect("two bytes"));
    let status = number(connection.read_exactly(2));
    let length = number(connection.read_exactly(2));
    let message = connection.read_exactly(length.into());
    (status, String::from_utf8(message).expect("a message is UTF-8"))
}

#[track_caller]
fn check(connection: &mut RawConnection, bytes: &[u8], status: u16) -> String {
    connection.send(bytes);
    let (answered, message) = answer(connection);
    assert_eq!(answered, status, "{message}");
    message
}

fn v1_system() -> System {
    System::builder().auth_flags(&["--accept-v1"]).start()
}

#[test]
fn users_register_and_log_in() {
    let system = v1_system();
    let mut connection = system.raw_auth();
    check(&mut connection, &register("ada", PASSWORD), 200);
    assert!(!check(&mut connection, &register("ada", PASSWORD), 409).is_empty());
    assert!(!check(&mut connection, &authenticate("ada", "wrong horse"), 401).is_empty());
    assert!(!check(&mut connection, &authenticate("grace", PASSWORD), 404).is_empty());
    assert!(!check(&mut connection, &register("7up", PASSWORD), 400).is_empty());
    assert!(!check(&mut connection, &register("grace", "short"), 400).is_empty());

    // The token is as good as one that came over HTTP, and the account is the same.
    let token = check(&mut connection, &authenticate("ada", PASSWORD), 200);
    assert_eq!(system.client().session(&token).assert_status(200).text_at("username"), "ada");
    system.client().authenticate("ada", PASSWORD).assert_status(200);
}

#[test]
fn one_byte_at_a_time_is_the_same() {
    let system = v1_system();
    let mut connection = system.raw_auth();
    connection.send_byte_by_byte(&register("ada", PASSWORD));
    assert_eq!(answer(&mut connection).0, 200);
    connection.send_byte_by_byte(&authenticate("ada", PASSWORD));
    let (status, token) = answer(&mut connection);
    assert_eq!(status, 200);
    system.client().session(&token).assert_status(200);
}

#[test]
fn requests_in_one_segment_are_answered_in_order() {
    let system = v1_system();
    let mut connection = system.raw_auth();
    let batch = [
        register("ada", PASSWORD),
        register("ada", PASSWORD),
        authenticate("grace", PASSWORD),
        register("7up", PASSWORD),
        authenticate("ada", PASSWORD),
    ];
    connection.send(&batch.concat());
    let statuses = batch.map(|_| answer(&mut connection).0);
    assert_eq!(statuses, [200, 409, 404, 400, 200]);
}

#[test]
fn a_text_that_is_no_utf_8_is_answered_and_the_connection_goes_on() {
    let system = v1_system();
    let mut connection = system.raw_auth();
    check(&mut connection, &request("REG", b"a\xffda", PASSWORD.as_bytes(), b"", 0), 400);
    check(&mut connection, &request("AUTH", b"ada", b"\xc3\x28\xc3\x28\xc3\x28", b"", 0), 400);
    check(&mut connection, &register("ada", PASSWORD), 200);
}

#[test]
fn what_is_no_request_ends_its_connection_and_no_other() {
    let system = v1_system();
    let mut bystander = system.raw_auth();
    let whole = register("ada", PASSWORD);
    let (first_half, second_half) = whole.split_at(9);
    bystander.send(first_half);

    for bytes in [
        &b"\x03RAG"[..],
        b"\x04REGI",
        b"\x03AUTH",
        b"\x00",
        b"\xff\xff\xff\xff",
        b"GET / HTTP/1.1\r\n\r\n",
        // A username of 65,535 bytes: refused by its length, before it is waited for.
        b"\x03REG\xff\xff",
        b"\x04AUTH\x00\x03ada\xff\xff",
    ] {
        let mut connection = system.raw_auth();
        connection.send(bytes);
        connection.assert_closed();
    }
    // Half a request, then nothing more will come: there is nobody to answer.
    let mut half = system.raw_auth();
    half.send(first_half);
    half.finish_sending();
    half.assert_closed();

    bystander.send(second_half);
    assert_eq!(answer(&mut bystander).0, 200);
}

#[test]
fn a_server_that_does_not_accept_v1_closes() {
    let system = System::start();
    let mut connection = system.raw_auth();
    let _ = connection.try_send(&register("ada", PASSWORD));
    connection.assert_closed();
    system.client().authenticate("ada", PASSWORD).assert_status(404);
}

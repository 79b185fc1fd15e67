//! The file of breached passwords: made from a list, used by a server, refused when it is damaged.

use std::fs;

use e2e::{Program, System, run_to_end};

use crate::PASSWORD;

/// SHA-1 of "stolen horse battery", as `sha1sum` prints it, and a count.
const LIST: &str = "24A1E83CD60E5F2899561F47B541B5A98FA83820:17\r\n5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8:10434004\r\n";

#[test]
fn what_was_stolen_elsewhere_is_no_new_password() {
    let scratch = tempfile::tempdir().unwrap();
    let at = |name: &str| scratch.path().join(name).display().to_string();
    fs::write(at("list"), LIST).unwrap();
    let (from, to) = (format!("--from={}", at("list")), format!("--to={}", at("breached")));
    let built = run_to_end(Program::AuthBack, &["breached", "build", &from, &to], &[]);
    assert!(built.status.success(), "{built:?}");
    let said = String::from_utf8_lossy(&built.stdout).into_owned();
    assert!(said.starts_with("2 passwords in "), "{said}");

    let flag = format!("--breached-passwords={}", at("breached"));
    let mut system = System::builder().auth_flags(&[&flag]).start();
    let user = system.client();
    let refused = user.register("ada", "stolen horse battery").assert_status(400);
    assert_eq!(refused.problem_code(), "password_breached");
    user.register("ada", PASSWORD).assert_status(200);
    assert!(system.auth().stop().success());

    let mut bytes = fs::read(at("breached")).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(at("breached"), bytes).unwrap();
    let data = format!("--data={}", at("data"));
    let output = run_to_end(Program::AuthBack, &[&data, &flag], &[]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && error.contains("checksum"), "{error}");
}

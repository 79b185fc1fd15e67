//! Settings: a bad value is refused at start, naming the key, the value and what is allowed.

use std::fs;

use e2e::{Program, System, run_to_end};

/// Starts `program`, which must refuse; every one of `words` stands in what it says.
#[track_caller]
fn check(program: Program, flags: &[&str], variables: &[(&str, &str)], words: &[&str]) {
    let output = run_to_end(program, flags, variables);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{flags:?} {variables:?}: exit code 0");
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    for word in words {
        assert!(said.contains(word), "{flags:?} {variables:?}: no {word:?} in:\n{said}");
    }
}

#[test]
fn bad_values_are_refused_by_name() {
    use Program::{AuthBack, HttpFront};
    check(HttpFront, &["--listen", "here"], &[], &["--listen", "\"here\"", "127.0.0.1:8080"]);
    check(HttpFront, &["--auth", ""], &[], &["--auth"]);
    check(HttpFront, &["--loops", "0"], &[], &["--loops", "\"0\"", "1 to 64"]);
    check(HttpFront, &["--request-timeout", "1h"], &[], &["--request-timeout", "\"1h\"", "1m"]);
    check(HttpFront, &["--log-level", "loud"], &[], &["--log-level", "\"loud\""]);
    check(HttpFront, &["--lisen", "127.0.0.1:0"], &[], &["--lisen", "--listen"]);
    check(AuthBack, &["--lease", "12 parsecs"], &[], &["--lease", "\"12 parsecs\"", "250ms"]);
    check(AuthBack, &["--lease", "6s"], &[], &["--lease", "\"6s\"", "5s"]);
    check(AuthBack, &["--node", "32.0"], &[], &["--node", "\"32.0\"", "0 to 31"]);
    check(AuthBack, &["--password-chars-min", "3"], &[], &["--password-chars-min", "\"3\""]);
}

#[test]
fn hashing_weaker_than_owasp_recommends_is_refused() {
    for weak in ["m=8,t=1,p=1", "m=19455,t=2,p=1", "m=19456,t=1,p=1", "m=7168,t=4,p=1"] {
        check(Program::AuthBack, &["--argon2", weak], &[], &["--argon2", weak, "m=19456,t=2"]);
    }
    check(Program::AuthBack, &["--argon2", "md5"], &[], &["--argon2", "md5"]);
}

#[test]
fn variables_and_files_are_refused_by_where_they_stand() {
    let directory = tempfile::tempdir().expect("a scratch directory can be made");
    let path = directory.path().join("auth_back.toml");
    fs::write(&path, "lease = \"1ms\"\nlaese = \"1ms\"\n").expect("a file can be written");
    let path = path.to_str().expect("the path is UTF-8");
    check(Program::AuthBack, &["--config", path], &[], &["auth_back.toml:2", "laese", "lease"]);
    let variable = [("AUTH_BACK_LEASE", "soon")];
    check(Program::AuthBack, &[], &variable, &["AUTH_BACK_LEASE", "\"soon\""]);
    check(Program::AuthBack, &["--config", "/nowhere.toml"], &[], &["--config", "/nowhere.toml"]);
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let flags = ["--listen", "here", "--lease", "soon", "--node", "x"];
    check(Program::AuthBack, &flags, &[], &["--listen", "--lease", "--node"]);
}

#[test]
fn a_secret_is_not_repeated() {
    let url = "mysql://root:hunter2@nowhere:not-a-port/db";
    let output = run_to_end(Program::AuthBack, &["--store", url], &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains("--store") && !said.contains("hunter2"), "{said}");
}

#[test]
fn an_address_that_is_taken_is_said() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
    let address = listener.local_addr().expect("a bound socket has an address").to_string();
    for program in [Program::HttpFront, Program::AuthBack] {
        let data = tempfile::tempdir().expect("a scratch directory can be made");
        let data = data.path().to_str().expect("the path is UTF-8");
        let data = if program == Program::AuthBack { &["--data", data][..] } else { &[] };
        let flags = [&["--listen", &address, "--ops-listen", "127.0.0.1:0"], data].concat();
        check(program, &flags, &[], &["in use", &address]);
    }
}

#[test]
fn help_names_every_setting_with_its_default() {
    for (program, words) in [
        (
            Program::HttpFront,
            ["--listen", "127.0.0.1:8080", "--auth", "HTTP_FRONT_AUTH", "--config"],
        ),
        (
            Program::AuthBack,
            ["--store", "m=19456,t=2,p=1", "--accept-v1", "AUTH_BACK_LEASE", "250ms"],
        ),
    ] {
        let output = run_to_end(program, &["--help"], &[]);
        assert!(output.status.success());
        let help = String::from_utf8_lossy(&output.stdout);
        for word in words {
            assert!(help.contains(word), "no {word} in:\n{help}");
        }
    }
}

#[test]
fn help_and_the_page_name_every_exit_code() {
    const PAGE: &str = include_str!("../../../docs/stopping.md");
    let helps: [(Program, &[&str]); 4] = [
        (Program::HttpFront, &["--help"]),
        (Program::AuthBack, &["-h"]),
        (Program::AuthBack, &["import", "--help"]),
        (Program::AuthBack, &["pepper", "retire", "--help"]),
    ];
    for (program, flags) in helps {
        let output = run_to_end(program, flags, &[]);
        assert!(output.status.success());
        let help = String::from_utf8_lossy(&output.stdout);
        let (_, codes) = help.split_once("Exit codes:\n").unwrap_or_else(|| panic!("{help}"));
        let codes: Vec<_> =
            codes.lines().filter_map(|line| line.split_whitespace().next()).collect();
        assert_eq!(codes, ["0", "1", "2", "75", "130", "143"], "{program:?} {flags:?}");
        for code in codes {
            let row = format!("\n| {code} ");
            assert!(PAGE.contains(&row), "docs/stopping.md does not name {code}");
        }
    }
}

#[test]
fn the_version_says_which_build_it_is() {
    let git = std::process::Command::new("git")
        .args(["-C", env!("CARGO_MANIFEST_DIR"), "rev-parse", "HEAD"])
        .output();
    // What is not a checkout says so.
    let commit = match git {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).into_owned()
        }
        _ => "unknown".to_owned(),
    };
    let revision = &commit[..commit.trim_end().len().min(12)];
    for (program, name) in [(Program::HttpFront, "http_front"), (Program::AuthBack, "auth_back")] {
        let output = run_to_end(program, &["--version"], &[]);
        assert!(output.status.success());
        let said = String::from_utf8_lossy(&output.stdout);
        let value = |key: &str| {
            let line = said.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
            line.unwrap_or_else(|| panic!("no {key} in:\n{said}")).to_owned()
        };
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(said.lines().next(), Some(&*format!("{name} {version}")));
        assert_eq!(value("revision").trim_end_matches("-dirty"), revision);
        assert!(value("compiler").starts_with("rustc 1."));
        assert!(value("target").contains("linux"));
        assert_eq!(value("protocol"), framing::registry::RELEASE);
        if program == Program::AuthBack {
            assert_eq!(value("sqlite"), rusqlite::version());
        }
        let short = run_to_end(program, &["-V"], &[]);
        assert_eq!(String::from_utf8_lossy(&short.stdout), format!("{name} {version}\n"));
    }

    // The log and the metric say the same.
    let system = System::start();
    for server in system.servers() {
        let (name, log) = (server.program().name(), server.log());
        let metrics = server.ops().get("/metrics", None).assert_status(200);
        let metrics = metrics.text();
        let metric = metrics.lines().find(|line| line.starts_with(&format!("{name}_build_info{{")));
        let metric = metric.unwrap_or_else(|| panic!("{metrics}"));
        for label in [format!("revision=\"{revision}"), "rustc=\"1.".to_owned()] {
            assert!(metric.contains(&label), "{metric}");
        }
        let listening = log.lines().find(|line| line.contains("\"listening\"")).expect("a line");
        assert!(listening.contains(&format!("revision {revision}")), "{listening}");
    }
}

#[test]
fn the_sample_file_is_a_valid_file() {
    for program in [Program::HttpFront, Program::AuthBack] {
        let output = run_to_end(program, &["--print-sample-config"], &[]);
        assert!(output.status.success());
        let directory = tempfile::tempdir().expect("a scratch directory can be made");
        let path = directory.path().join("sample.toml");
        fs::write(&path, &output.stdout).expect("a file can be written");
        // Read with one more thing that is wrong, it is refused for that alone.
        let path = path.to_str().expect("the path is UTF-8");
        let refused = run_to_end(program, &["--config", path, "--listen", "here"], &[]);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(said.contains("--listen") && !said.contains("sample.toml"), "{said}");
    }
}

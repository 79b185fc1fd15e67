use service::settings::{Invocation, Raw, markdown};

use super::*;

/// What the flags make of the settings; the environment is left out.
fn raw(flags: &[&str]) -> Raw {
    let arguments = [&["http_front"], flags].concat();
    match PROGRAM.read(PROGRAM.command(), arguments.iter().map(Into::into), []) {
        Ok(Invocation::Run(raw)) => *raw,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn read(flags: &[&str]) -> Result<Settings, String> {
    raw(flags).check(Settings::read).map_err(|errors| errors.to_string())
}

#[test]
fn the_defaults_are_valid() {
    let settings = read(&[]).expect("defaults");
    assert_eq!(settings.listen, ([127, 0, 0, 1], 8080).into());
    assert_eq!(settings.ops_listen, ([127, 0, 0, 1], 9080).into());
    assert_eq!(settings.auth, [([127, 0, 0, 1], 7051).into()]);
    assert_eq!(settings.trusted_proxies, []);
    assert_eq!(settings.loops.get(), available_cores().get().div_ceil(2));
    assert_eq!(settings.connections_max, Wanted { count: 65_536, given: false });
    assert_eq!(settings.connections_per_address_max, 4096);
    assert_eq!(settings.head_bytes_max, http1::limits::HEAD_BYTES_DEFAULT);
    assert_eq!(settings.buffer_memory, None);
    assert_eq!(settings.idle_timeout, Duration::from_secs(75));
    let sizes = |lane: LaneSize| (lane.threads.get(), lane.queue.get(), lane.batch.get());
    assert_eq!(sizes(settings.heavy), (4, 64, 8));
    assert_eq!(sizes(settings.light), (4, 1024, 48));
    assert_eq!(settings.request_timeout, Duration::from_secs(2));
    assert_eq!(settings.stop_times.drain, Duration::from_secs(3));
    assert_eq!(settings.stop_times.grace, Duration::from_secs(5));
}

#[test]
fn the_ends_of_each_range_are_allowed() {
    let all = (1..=AUTH_SERVERS_MAX).map(|n| format!("127.0.0.1:{n}")).collect::<Vec<_>>();
    for flag in [
        "--loops=1",
        "--loops=64",
        "--auth=127.0.0.1:7051, [::1]:7051",
        &format!("--auth={}", all.join(",")),
        "--trusted-proxies=",
        "--trusted-proxies=127.0.0.1, 10.0.0.0/8,2001:db8::/32",
        "--connections-max=1",
        "--connections-max=1000000",
        "--buffer-memory=auto",
        "--buffer-memory=8MiB",
        "--buffer-memory=1024GiB",
        "--idle-timeout=1s",
        "--idle-timeout=1h",
        "--connections-per-address-max=1000000",
        "--head-bytes-max=16KiB",
        "--head-bytes-max=64KiB",
        "--head-bytes-max=20000",
        "--heavy-threads=64",
        "--heavy-queue=65536",
        "--heavy-batch=256",
        "--light-threads=1",
        "--light-queue=1",
        "--light-batch=1",
        "--request-timeout=10ms",
        "--request-timeout=60s",
        "--drain=0s",
        "--drain=10m",
        "--grace=0s",
        "--grace=10m",
        "--log-level=info,http_front=debug",
        "--log-format=text",
    ] {
        if let Err(error) = read(&[flag]) {
            panic!("{flag}: {error}");
        }
    }
}

/// The refusal has to name the setting, the value and what is allowed.
#[track_caller]
fn check_refused(name: &str, value: &str, want: &str) {
    let error = read(&[&format!("--{name}={value}")]).expect_err("not allowed");
    let expected =
        format!("--{name} (from the command line): {value:?} is not allowed: want {want}");
    assert_eq!(error, expected);
}

#[test]
fn what_is_not_allowed_is_refused_by_name_with_what_is() {
    let address = "an address such as 127.0.0.1:8080";
    check_refused("listen", "localhost:8080", address);
    check_refused("ops-listen", "127.0.0.1", address);
    let addresses =
        "1 to 64 different addresses such as 127.0.0.1:7051, separated by commas".to_owned();
    check_refused("auth", "", &addresses);
    check_refused("auth", "127.0.0.1:7051,127.0.0.1:7051", &addresses);
    check_refused("auth", "auth.internal:7051", &addresses);
    let networks =
        "up to 64 different addresses or networks such as 10.0.0.0/8, separated by commas";
    for value in ["proxy.internal", "10.0.0.1/8", "10.0.0.0/8,10.0.0.0/8", "127.0.0.1:80"] {
        check_refused("trusted-proxies", value, networks);
    }
    for value in ["0", "65", "-1", "many"] {
        check_refused("loops", value, "auto or a whole number from 1 to 64");
    }
    for name in ["connections-max", "connections-per-address-max"] {
        for value in ["0", "1000001", "1e3"] {
            check_refused(name, value, "a whole number from 1 to 1000000");
        }
    }
    for value in ["16383", "65KiB", "0", "32kB", "many"] {
        check_refused("head-bytes-max", value, "a size from 16KiB to 64KiB, such as 64KiB");
    }
    for value in ["", "8388607", "1025GiB", "much"] {
        check_refused("buffer-memory", value, "auto or a size from 8MiB to 1024GiB, such as 64MiB");
    }
    for value in ["0s", "999ms", "61m"] {
        check_refused("idle-timeout", value, "a duration from 1s to 1h, such as 250ms");
    }
    for lane in ["heavy", "light"] {
        for (size, max) in [("threads", 64), ("queue", 65_536), ("batch", 256)] {
            for value in ["0".to_owned(), (max + 1).to_string()] {
                let want = format!("a whole number from 1 to {max}");
                check_refused(&format!("{lane}-{size}"), &value, &want);
            }
        }
    }
    let timeout = "a duration from 10ms to 1m, such as 250ms";
    for value in ["9ms", "61s", "2"] {
        check_refused("request-timeout", value, timeout);
    }
    check_refused("drain", "11m", "a duration from 0ms to 10m, such as 250ms");
    check_refused("grace", "11m", "a duration from 0ms to 10m, such as 250ms");
    check_refused("log-format", "xml", "json or text");
    check_refused("log-level", "loud", "levels such as info or info,reactor=debug");
}

#[test]
fn a_given_number_of_connections_is_told_from_the_default() {
    let settings = read(&["--connections-max=65536"]).expect("allowed");
    assert_eq!(settings.connections_max, Wanted { count: 65_536, given: true });
    let check = |flags: &[&str], limit, expected: Option<usize>| {
        let settings = read(&[&["--loops=2"], flags].concat()).expect("allowed");
        let clients = crate::descriptors::clients(&settings, limit);
        assert_eq!(clients.as_ref().ok(), expected.as_ref(), "{flags:?} {limit:?}: {clients:?}");
    };
    // 9 to the auth server, 16 of operators, 21 of its own, 9 in reserve.
    check(&[], Some(1024), Some(1024 - 55));
    check(&["--auth=127.0.0.1:1,127.0.0.1:2"], Some(1024), Some(1024 - 55 - 9));
    check(&[], Some(1 << 20), Some(65_536));
    check(&["--connections-max=969"], Some(1024), Some(969));
    check(&["--connections-max=970"], Some(1024), None);
}

#[test]
fn all_faults_are_reported_together() {
    let errors = read(&["--loops=0", "--heavy-batch=0", "--light-batch=0", "--grace=1h"]);
    let errors = errors.expect_err("four faults");
    let named: Vec<_> = errors.lines().filter_map(|line| line.split_once(' ')).collect();
    let named: Vec<_> = named.into_iter().map(|(name, _)| name).collect();
    assert_eq!(named, ["--loops", "--heavy-batch", "--light-batch", "--grace"]);
}

#[test]
fn every_setting_of_the_table_is_read() {
    let checked = raw(&[]).check(|values| {
        Settings::read(values)?;
        assert_eq!(values.unread().collect::<Vec<_>>(), [""; 0]);
        Ok(())
    });
    assert!(checked.is_ok(), "{checked:?}");
}

#[test]
fn the_largest_lanes_fit_a_pool() {
    let flags = ["--heavy-threads=64", "--light-threads=64"];
    let settings = read(&flags).expect("the ends of their ranges");
    assert!(settings.upstream_connections() <= pool::limits::SIZE_MAX);
}

/// To write it anew: `cargo run -p http_front -- --print-settings-markdown > http_front/SETTINGS.md`.
#[test]
fn the_reference_page_is_as_the_program_prints_it() {
    let committed = include_str!("../../SETTINGS.md");
    assert_eq!(committed, markdown(&PROGRAM), "write http_front/SETTINGS.md anew");
    let headers = format!("more than {} headers", http1::limits::FIELDS_MAX);
    assert!(committed.contains(&headers), "the page says {headers}");
}

//! Whether an unknown user can be told from a wrong password: by status, by body, by time.

use std::time::{Duration, Instant};

use e2e::{
    Answer, Client, System,
    statistics::{Z_ONE_IN_A_THOUSAND, mann_whitney_z},
};

use crate::PASSWORD;

/// Tries of each kind.
const TRIES: usize = 400;

/// Names of each kind: each is tried less often than a guesser may.
const NAMES: usize = 40;

/// A hash of several milliseconds, so that it is what takes the time, as it is in a deployment.
const HASHING: [&str; 3] = ["--argon2", "m=9216,t=1,p=1", "--allow-weak-argon2"];

fn system(flags: &[&str]) -> (System, Client) {
    let flags = [&HASHING, flags].concat();
    let system = System::builder().default_hashing().auth_flags(&flags).start();
    let user = system.client();
    for number in 0..NAMES {
        user.register(&format!("known{number:02}"), PASSWORD).assert_status(200);
    }
    (system, user)
}

/// Tries that take turns, in a changing order, and how long each took; and an answer of each kind.
fn measure(user: &Client) -> ([Vec<Duration>; 2], [Answer; 2]) {
    let mut times = [Vec::new(), Vec::new()];
    let mut answers = [None, None];
    for number in 0..TRIES {
        // Which of a pair goes first changes without a pattern of its own.
        let first = usize::from(number.wrapping_mul(0x9e37_79b1) & 0x1_0000 != 0);
        for kind in [first, 1 - first] {
            let name = format!("{}{:02}", ["known", "guess"][kind], number % NAMES);
            let began = Instant::now();
            let answer = user.authenticate(&name, "not the password");
            times[kind].push(began.elapsed());
            answers[kind] = Some(answer);
        }
    }
    (times, answers.map(|answer| answer.expect("there were tries")))
}

#[test]
fn with_uniform_errors_an_unknown_user_is_a_wrong_password() {
    let mut differences = Vec::new();
    // Chance tells equal times apart once in a thousand; a difference is there each time.
    for _ in 0..2 {
        let (_system, user) = system(&["--uniform-auth-errors"]);
        let ([known, unknown], [wrong, nobody]) = measure(&user);
        let wrong = wrong.assert_status(401);
        assert_eq!(wrong.problem_code(), "credentials_wrong");
        // Each answer has an id of its own, as long as the other's.
        let said = |answer: &Answer| answer.text().replace(&answer.text_at("request_id"), "");
        assert_eq!(nobody.status, wrong.status);
        assert_eq!(said(&nobody), said(&wrong));
        assert_eq!(nobody.text().len(), wrong.text().len());
        let z = mann_whitney_z(&known, &unknown);
        if z.abs() < Z_ONE_IN_A_THOUSAND {
            return;
        }
        differences.push(z);
    }
    panic!("they can be told apart by time: z = {differences:?}");
}

#[test]
fn the_same_test_tells_them_apart_where_the_work_is_left_out() {
    let (_system, user) = system(&[]);
    let ([known, unknown], [wrong, nobody]) = measure(&user);
    wrong.assert_status(401);
    nobody.assert_status(404);
    let z = mann_whitney_z(&known, &unknown);
    assert!(z > Z_ONE_IN_A_THOUSAND, "z = {z}");
}

//! Lines into users, files back and forth, against a real store.

use std::sync::Arc;
use std::time::{Duration, Instant};

use credentials::{KeyId, Keyring, Password, PasswordRecord, SecretKey, Verdict};
use hashing::{Annex, HashEngine, Params, Work, WorkKind};
use proptest::prelude::*;
use store::{Absent, Operators as _, SqliteStore, UserProfile, Users as _};
use tempfile::TempDir;

use super::*;
use crate::commands::export::Export;

/// By bcrypt 4.0.1, of "correct horse battery", at cost 4.
const BCRYPT: &str = "$2b$04$cP11OSbtjAQzDiprMOiHUu0DuZD70vRwKwiFv.xwRy3wiIPU.l8Ri";
const PASSWORD: &str = "correct horse battery";

fn patient() -> Instant {
    clock::now() + Duration::from_secs(60)
}

/// A store, its keys, and what imports into it.
struct Place {
    store: Arc<SqliteStore>,
    /// What the one pepper is made of.
    key: u8,
    ids: Ids,
    _directory: TempDir,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store =
            SqliteStore::open(&directory.path().join("users.sqlite"), 2, Absent::Create).unwrap();
        store.migrate(patient()).unwrap();
        Self {
            store: Arc::new(store),
            key: 7,
            ids: Ids::new(Snowflakes::new(NodeId::FIRST)),
            _directory: directory,
        }
    }

    fn ring(&self) -> PepperKeyring {
        Keyring::single(KeyId::FIRST, SecretKey::from([self.key; 32])).into()
    }

    fn import(&self, options: Options, text: &str) -> (Summary, Vec<String>) {
        let (summary, report, _) = self.import_and_tell(options, text);
        (summary, report)
    }

    /// Also what is told of the costs.
    fn import_and_tell(&self, options: Options, text: &str) -> (Summary, Vec<String>, Vec<String>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("report").display().to_string();
        let report = Report::open(Some(&path)).unwrap();
        let import = Import {
            store: &*self.store,
            time: &ServerTime::ask_first(&*self.store, patient()).unwrap(),
            peppers: &|| Ok(self.ring()),
            ids: &self.ids,
            options,
            progress: Progress::new(Unit::Bytes, None),
        };
        let mut costs = Costs::new(PARAMS, &measured).unwrap();
        let mut summary = Summary::default();
        import.run(text.as_bytes(), report, &mut costs, &mut summary).unwrap();
        let report = std::fs::read_to_string(&path).unwrap();
        (summary, report.lines().map(ToOwned::to_owned).collect(), costs.to_text())
    }

    fn export(&self, format: Format, unsealed: bool) -> String {
        let ring = self.ring();
        let peppers = unsealed.then_some(&ring);
        let mut output = Vec::new();
        let users = Export { store: &*self.store, format, peppers, left_behind: "" };
        let users = users.write(&mut output).unwrap();
        assert_eq!(users, self.profiles().len() as u64);
        String::from_utf8(output).unwrap()
    }

    fn profiles(&self) -> Vec<UserProfile> {
        self.store.user_profiles(0, u32::MAX, patient()).unwrap()
    }

    fn verify(&self, username: &str, password: &str) -> Verdict {
        let profile = self.store.user_profile(username, patient()).unwrap().unwrap();
        let record: PasswordRecord = profile.password_record.parse().unwrap();
        let user_id = UserId::new(profile.user_id).unwrap();
        let annex = Annex::new(HashEngine::Reference);
        let mut arena = annex.arena(record.need()).unwrap();
        let password = Password::for_login(password).unwrap();
        record.verify(user_id, &password, &self.ring(), &mut arena).unwrap()
    }
}

/// The parameters of new passwords.
const PARAMS: Params = Params::DEFAULT;

/// A machine on which a hash of ours takes 10 ms.
fn measured(kind: WorkKind) -> Result<f64, Box<dyn Error>> {
    Ok(match kind {
        WorkKind::Argon2 => 0.01 / Work::of_ours(PARAMS).amount as f64,
        WorkKind::Bcrypt => 75e-6,
        WorkKind::Pbkdf2Sha256 => 250e-9,
        _ => 1e-9,
    })
}

fn options(format: Format) -> Options {
    Options { format, ignore_columns: false, skip_taken: false, trial: Trial::Real }
}

/// Lines, created, there already, skipped, refused.
fn summary(counts: [u64; 5]) -> Summary {
    let [lines, created, already_there, skipped, refused] = counts;
    Summary { lines, created, already_there, skipped, refused }
}

#[test]
fn users_of_both_formats() {
    let place = Place::new();
    let csv = format!(
        "username,password_hash,name,age,created_at,disabled\r\n\
         Ada,{BCRYPT},\"Lovelace, Ada\",36,1815-12-10,\r\n\
         ada,{BCRYPT},\"Lovelace, Ada\",36,2024-02-29,\r\n\
         bob,{BCRYPT},,,,true\r\n"
    );
    let (found, report) = place.import(options(Format::Csv), &csv);
    assert_eq!(found, summary([3, 2, 0, 0, 1]));
    assert_eq!(report.len(), 1);
    assert!(report[0].contains("\"line\":2") && report[0].contains("created_at"), "{report:?}");
    let jsonl = format!("{{\"username\":\"cid\",\"password_hash\":\"{BCRYPT}\",\"age\":7}}\n\n");
    let (found, _) = place.import(options(Format::JsonLines), &jsonl);
    assert_eq!(found, summary([1, 1, 0, 0, 0]));

    let [ada, bob, cid] = place.profiles().try_into().unwrap();
    assert_eq!(
        (&*ada.username, ada.name.as_deref(), ada.age),
        ("ada", Some("Lovelace, Ada"), Some(36))
    );
    assert_eq!((ada.created_at_ms, ada.disabled_at_ms), (1_709_164_800_000, None));
    assert!(bob.disabled_at_ms.is_some() && bob.name.is_none());
    assert_eq!((&*cid.username, cid.age), ("cid", Some(7)));
    for name in ["ada", "bob", "cid"] {
        assert_eq!(place.verify(name, PASSWORD), Verdict::Match);
        assert_eq!(place.verify(name, "incorrect horse"), Verdict::Mismatch);
    }
}

#[test]
fn an_import_that_is_run_again_changes_nothing() {
    let place = Place::new();
    let line = |name: &str| format!("{name},{BCRYPT}\n");
    let mut csv = "username,password_hash\n".to_owned();
    for number in 0..IMPORT_BATCH_MAX + 5 {
        csv.push_str(&line(&format!("user{number}")));
    }
    let count = IMPORT_BATCH_MAX as u64 + 5;
    assert_eq!(place.import(options(Format::Csv), &csv).0, summary([count, count, 0, 0, 0]));
    let before = place.profiles();
    assert_eq!(place.import(options(Format::Csv), &csv).0, summary([count, 0, count, 0, 0]));
    // Somebody has logged in, and their record is ours now.
    let ada = &before[0];
    let (user_id, old) = (ada.user_id, &ada.password_record);
    assert!(place.store.replace_password_record(user_id, old, "$gh1$ours", patient()).unwrap());
    assert_eq!(place.import(options(Format::Csv), &csv).0, summary([count, 0, count, 0, 0]));
    assert_eq!(place.profiles()[1..], before[1..]);
}

#[test]
fn a_name_that_is_taken() {
    let place = Place::new();
    let other = BCRYPT.replacen("cP1", "dP1", 1);
    let csv = format!("username,password_hash\nada,{BCRYPT}\nADA,{other}\nada,{BCRYPT}\n");
    let (found, report) = place.import(options(Format::Csv), &csv);
    assert_eq!(found, summary([3, 1, 1, 0, 1]));
    assert_eq!(report, [r#"{"error":"the username is taken","line":3,"username":"ada"}"#]);
    let skipping = Options { skip_taken: true, ..options(Format::Csv) };
    assert_eq!(place.import(skipping, &csv).0, summary([3, 0, 2, 1, 0]));
    let rehearsing = Options { trial: Trial::Rehearsal, ..options(Format::Csv) };
    let (found, _) = Place::new().import(rehearsing, &csv);
    assert_eq!(found, summary([3, 1, 1, 0, 1]));
    let fresh = Place::new();
    fresh.import(rehearsing, &csv);
    assert_eq!(fresh.profiles(), []);
}

/// Each of these lines is refused for this, alone, and no word of it is in the report.
#[test]
fn hostile_lines() {
    let place = Place::new();
    let huge = format!("eve,{BCRYPT},{},", "x".repeat(IMPORT_LINE_BYTES_MAX));
    let lines: &[(&str, &str)] = &[
        ("eve", "1 cells, and the header has 4"),
        (",,,", "there is no username"),
        ("eve,,,", "there is no password hash"),
        ("eve,secret,,", "not a password hash of a known form"),
        ("eve,$2b$31$cP11OSbtjAQzDiprMOiHUu0DuZD70vRwKwiFv.xwRy3wiIPU.l8Ri,,", "bcrypt cost"),
        (
            "eve,\"$scrypt$ln=30,r=8,p=1$c2VjcmV0c2VjcmV0$c2VjcmV0c2VjcmV0c2VjcmV0\",,",
            "ln of scrypt",
        ),
        ("eve,$gh1$argon2id$v=19$secret,,", "a sealed hash needs its user_id"),
        ("eve@example.org,BCRYPT,,", "username"),
        ("=cmd|'secret'!A0,BCRYPT,,", "username"),
        ("e\u{1b}[2Jve,BCRYPT,,", "username"),
        ("eve,BCRYPT,\u{1b}]0;secret\u{7},", "control characters"),
        ("eve,BCRYPT,\" \",", "at least one visible character"),
        ("eve,BCRYPT,,151", "an age is from 0 to 150"),
        ("eve,BCRYPT,,+36", "no whole number"),
        ("eve,BCRYPT,,1e2", "no whole number"),
        ("eve,BCRYPT,\"secret,36", "a quote is not closed"),
        ("eve,BCRYPT,secret,36,1,2", "6 cells"),
        (&huge, "longer than"),
    ];
    let mut csv = "username,password_hash,name,age\n".to_owned();
    for (line, _) in lines {
        csv.push_str(&line.replace("BCRYPT", BCRYPT));
        csv.push('\n');
    }
    csv.push_str(&format!("ada,{BCRYPT},'=HYPERLINK(1),36"));
    let (found, report) = place.import(options(Format::Csv), &csv);
    let refused = lines.len() as u64;
    assert_eq!(found, summary([refused + 1, 1, 0, 0, refused]));
    for ((line, expected), (number, said)) in lines.iter().zip((2..).zip(&report)) {
        assert!(said.contains(expected), "{line}: {said}");
        assert!(said.contains(&format!("\"line\":{number},")), "{line}: {said}");
        assert!(!said.contains("secret") && !said.contains("cP11"), "{said}");
        assert!(said.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{said}");
    }
    assert_eq!(place.profiles()[0].name.as_deref(), Some("=HYPERLINK(1)"));
}

#[test]
fn a_file_that_is_none_is_refused_whole() {
    let place = Place::new();
    let check = |format, text: &str, expected: &str| {
        let import = Import {
            store: &*place.store,
            time: &ServerTime::ask_first(&*place.store, patient()).unwrap(),
            peppers: &|| Ok(place.ring()),
            ids: &place.ids,
            options: options(format),
            progress: Progress::new(Unit::Bytes, None),
        };
        let mut costs = Costs::new(PARAMS, &measured).unwrap();
        let report = Report::open(None).unwrap();
        let mut summary = Summary::default();
        let error = import.run(text.as_bytes(), report, &mut costs, &mut summary).unwrap_err();
        assert!(error.to_string().contains(expected), "{text}: {error}");
    };
    check(Format::Csv, "", "empty");
    check(Format::Csv, "ada,$2b$\n", "there is no column \"ada\"");
    check(Format::Csv, "username;password_hash\n", "there is no column");
    check(Format::Csv, "username,name\n", "there is no column password_hash");
}

#[test]
fn a_sealed_hash_is_its_users_alone() {
    let place = Place::new();
    let csv = format!("username,password_hash\nada,{BCRYPT}\n");
    place.import(options(Format::Csv), &csv);
    let sealed = place.profiles()[0].password_record.clone();
    let id = place.profiles()[0].user_id;
    let import = |to: &Place, id: &str, name: &str, hash: &str| {
        let csv = format!("user_id,username,password_hash\n{id},{name},{hash}\n");
        let (found, report) = to.import(options(Format::Csv), &csv);
        (found.created, found.already_there, report.concat())
    };
    let check_refused = |to: &Place, id: &str, name: &str, hash: &str, expected: &str| {
        let (created, there, said) = import(to, id, name, hash);
        assert!((created, there) == (0, 0) && said.contains(expected), "{said}");
    };
    check_refused(&place, &(id + 1).to_string(), "bob", &sealed, "does not open");
    check_refused(&place, "0", "bob", &sealed, "no id");
    check_refused(&place, "-1", "bob", &sealed, "no id");
    check_refused(&place, "", "bob", &sealed, "needs its user_id");
    check_refused(&place, "7", "bob", BCRYPT, "with a sealed hash only");
    check_refused(&place, &id.to_string(), "bob", &sealed, "another user's");
    assert_eq!(import(&place, &id.to_string(), "ada", &sealed), (0, 1, String::new()));
    let stranger = Place { key: 8, ..Place::new() };
    check_refused(&stranger, &id.to_string(), "ada", &sealed, "with the keys of the system");
    let empty = Place::new();
    assert_eq!(import(&empty, &id.to_string(), "ada", &sealed), (1, 0, String::new()));
    assert_eq!(empty.verify("ada", PASSWORD), Verdict::Match);
}

#[test]
fn what_was_exported_unsealed_is_what_was_imported() {
    let place = Place::new();
    let csv = format!("username,password_hash,name\nada,{BCRYPT},'=1\n");
    place.import(options(Format::Csv), &csv);
    let exported = place.export(Format::Csv, true);
    let [header, line] = exported.lines().collect::<Vec<_>>().try_into().unwrap();
    assert_eq!(header, "username,password_hash,name,age,created_at,disabled");
    assert!(line.starts_with(&format!("ada,{BCRYPT},'=1,,20")), "{line}");
    let other = Place::new();
    assert_eq!(other.import(options(Format::Csv), &exported).0, summary([1, 1, 0, 0, 0]));
    assert_eq!(other.verify("ada", PASSWORD), Verdict::Match);
    let jsonl = place.export(Format::JsonLines, true);
    assert!(jsonl.contains(&format!("\"password_hash\":\"{BCRYPT}\"")), "{jsonl}");
    assert!(!jsonl.contains("user_id"), "{jsonl}");
}

/// Two file formats, any names: what comes out goes in again and is the same.
#[test]
fn import_of_export_is_the_identity() {
    let name = proptest::option::of("[='+@\"\\\\, -]{0,4}\\PC{1,20}");
    let user = (name, proptest::option::of(0u8..=150), 0u64..253_402_300_800_000, any::<bool>());
    let users = proptest::collection::vec(user, 1..12);
    let config = ProptestConfig::with_cases(24);
    proptest!(config, |(users in users, json: bool)| {
        let place = Place::new();
        let mut lines = String::new();
        for (index, (name, age, created_at_ms, disabled)) in users.iter().enumerate() {
            let name = name.as_ref().filter(|name| server::accounts::profile::name(Some(name)).is_ok());
            let line = serde_json::json!({
                "username": format!("user{index}"), "password_hash": BCRYPT, "name": name, "age": age,
                "created_at": unix_time::rfc3339(*created_at_ms), "disabled": disabled,
            });
            lines.push_str(&format!("{line}\n"));
        }
        let count = users.len() as u64;
        let (found, report) = place.import(options(Format::JsonLines), &lines);
        prop_assert_eq!(found, summary([count, count, 0, 0, 0]), "{:?}", report);

        let format = if json { Format::JsonLines } else { Format::Csv };
        let exported = place.export(format, false);
        let other = Place::new();
        let (found, report) = other.import(options(format), &exported);
        prop_assert_eq!(found, summary([count, count, 0, 0, 0]), "{:?}", report);
        prop_assert_eq!(other.profiles(), place.profiles());
        prop_assert_eq!(&other.export(format, false), &exported);
        // And into the store that it came from.
        prop_assert_eq!(place.import(options(format), &exported).0, summary([count, 0, count, 0, 0]));
    });
}

#[test]
fn hashes_are_counted_by_what_they_cost_and_those_that_are_too_slow_are_named() {
    let bcrypt = |cost: &str| BCRYPT.replace("$04$", &format!("${cost}$"));
    let pbkdf2 = |rounds: u32| {
        let tag = "A".repeat(43);
        format!("$pbkdf2-sha256$i={rounds},l=32$c2FsdHNhbHQ${tag}")
    };
    let hashes = [
        bcrypt("04"),
        bcrypt("09"),
        bcrypt("12"),
        bcrypt("14"),
        bcrypt("15"),
        pbkdf2(600_000),
        pbkdf2(10_000_000),
    ];
    let mut csv = "username,password_hash\n".to_owned();
    for (number, hash) in hashes.iter().enumerate() {
        csv += &format!("user{number},\"{hash}\"\n");
    }
    // What is not taken costs nobody anything.
    csv += &format!("user0,{}\n", bcrypt("15"));
    let counts = "cost of a login with them, in hashes of ours (10.0 ms on this machine): up to 1: 1, up to 4: 1, up to \
                  16: 1, more: 4. A password that is not in Unicode's form NFC is tried in two forms and costs twice";
    let slow = "too slow to log in: 3 (1 of them only with a password that is not in NFC). http_front waits 2 s unless its \
                --request-timeout says otherwise: set that above 5 s until these users have logged in once, which replaces \
                the hash, or give them new passwords (auth_back user set-password)";
    let named = [
        (5, "user3", "about 2.5 s if"),
        (6, "user4", "about 2.5 s, and"),
        (8, "user6", "about 2.5 s, and"),
    ];

    let rehearsal = Options { trial: Trial::Rehearsal, ..options(Format::Csv) };
    let place = Place::new();
    // A rehearsal, the import, and the import again.
    for options in [rehearsal, options(Format::Csv), options(Format::Csv)] {
        let (summary, report, told) = place.import_and_tell(options, &csv);
        assert_eq!((summary.created + summary.already_there, summary.refused), (7, 1));
        assert_eq!(told, [counts, slow]);
        let warnings: Vec<_> = report.iter().filter(|line| line.contains("warning")).collect();
        assert_eq!(warnings.len(), named.len(), "{report:?}");
        for (warning, (line, name, why)) in warnings.into_iter().zip(named) {
            let is_it = [format!("\"line\":{line},"), format!("\"{name}\""), why.to_owned()];
            assert!(is_it.iter().all(|part| warning.contains(part)), "{warning}");
        }
    }
    // Sealed, they cost the same; and what is ours takes one hash, whatever the form.
    let exported = place.export(Format::Csv, false);
    let (_, report, told) = Place::new().import_and_tell(options(Format::Csv), &exported);
    assert_eq!(told, [counts, slow]);
    assert_eq!(report.len(), named.len());
    assert_eq!(Place::new().import_and_tell(options(Format::JsonLines), "").2, [""; 0]);
}

#[test]
fn a_record_of_ours_is_computed_once() {
    let mut costs = Costs::new(PARAMS, &measured).unwrap();
    let work =
        |usual: u64| Work { kind: WorkKind::Argon2, amount: usual * Work::of_ours(PARAMS).amount };
    let mut check = |usual, has_two_forms, is_too_slow| {
        let warning = costs.count(cost::Cost { work: work(usual), has_two_forms }).unwrap();
        assert_eq!(warning.is_some(), is_too_slow, "{usual} {warning:?}");
    };
    check(199, false, false);
    check(201, false, true);
    check(99, true, false);
    check(101, true, true);
}

#[test]
fn each_function_can_be_measured() {
    let params = Params::in_record(8, 1, 1).unwrap();
    for kind in [
        WorkKind::Argon2,
        WorkKind::Bcrypt,
        WorkKind::Scrypt,
        WorkKind::Pbkdf2Sha1,
        WorkKind::Pbkdf2Sha256,
        WorkKind::Pbkdf2Sha512,
    ] {
        assert!(cost::measure(kind, HashEngine::Simd, params).unwrap() > 0.0, "{kind:?}");
    }
}

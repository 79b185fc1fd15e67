//! What looking a new password up costs, and what verifying records costs beside one of ours:
//! `cargo bench -p credentials`.

use std::hint::black_box;

use credentials::blocklist::Folded;
use credentials::breached::Builder;
use credentials::ids::UserId;
use credentials::{
    BreachedFile, ForeignHash, KeyId, Keyring, Password, PasswordRecord, PasswordRules,
    PepperKeyring, SecretKey, Username,
};
use criterion::{Criterion, criterion_group, criterion_main};
use hashing::{Annex, Arena, HashEngine, Params};

fn blocklist(c: &mut Criterion) {
    let mut group = c.benchmark_group("blocklist");
    for (name, text) in
        [("common", "1234567890"), ("near miss", "1234567890a"), ("far miss", "zwölf Boxkämpfer")]
    {
        let folded = Folded::new(text);
        group.bench_function(format!("look up, {name}"), |b| {
            b.iter(|| black_box(&folded).is_common());
        });
    }
    group.bench_function("fold", |b| {
        b.iter(|| Folded::new(black_box("zwölf Boxkämpfer")));
    });
    group.finish();

    let (ada, rules) = (Username::new("ada").expect("a name"), PasswordRules::default());
    c.bench_function("check a new password", |b| {
        b.iter(|| Password::for_registration(black_box("zwölf Boxkämpfer"), &ada, &rules));
    });
}

/// A million entries, of which a lookup reads a bucket of 15 on average.
fn breached(c: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a scratch directory can be made");
    let path = directory.path().join("breached");
    let entry = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16;
    let list: String = (0..1_000_000).map(|n| format!("{:012x}\n", entry(n))).collect();
    let mut builder = Builder::new(&path, 1).expect("a file can be made");
    builder.read(list.as_bytes(), |_| std::ops::ControlFlow::Continue(())).expect("a list");
    builder.finish(|_| std::ops::ControlFlow::Continue(())).expect("a file can be written");
    let file = BreachedFile::open(&path).expect("made just now");
    let password = Password::for_login("zwölf Boxkämpfer").expect("a password");
    c.bench_function("look up a breached password", |b| {
        b.iter(|| file.contains(black_box(&password)));
    });
}

/// What the table in `src/cost.rs` is made from.
fn records(c: &mut Criterion) {
    const SALT: &str = "c2FsdCBvZiAxNiBieXRlcw";
    const TAG: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let mut group = c.benchmark_group("verify a wrong password");
    group.sample_size(10);
    let peppers = PepperKeyring::new(Keyring::single(
        KeyId::FIRST,
        SecretKey::random().expect("random bytes"),
    ));
    let ada = UserId::new(1).expect("an id");
    let wrong = Password::for_login("analytical engine").expect("a password");
    for hash in [
        format!("$argon2id$v=19$m=19456,t=2,p=1${SALT}${TAG}"),
        format!("$argon2id$v=19$m=65536,t=3,p=4${SALT}${TAG}"),
        "$2b$08$L6Bc/AlTQHyd9liGgGEZyOFLPHNgyxeEPfgYfBCVxJ7JIlwxyVU3u".to_owned(),
        "$2b$12$L6Bc/AlTQHyd9liGgGEZyOFLPHNgyxeEPfgYfBCVxJ7JIlwxyVU3u".to_owned(),
        format!("$scrypt$ln=14,r=8,p=1${SALT}${TAG}"),
        format!("$scrypt$ln=17,r=8,p=1${SALT}${TAG}"),
        format!("$pbkdf2-sha1$i=100000,l=20${SALT}$AAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        format!("$pbkdf2-sha256$i=100000,l=32${SALT}${TAG}"),
        format!("$pbkdf2-sha512$i=100000,l=32${SALT}${TAG}"),
    ] {
        let hash: ForeignHash = hash.parse().expect("a hash of another system");
        let record = PasswordRecord::import(ada, &hash, &peppers).expect("random bytes");
        let annex = Annex::new(HashEngine::Simd);
        let mut arena = annex.arena(record.need()).expect("memory");
        group.bench_function(hash.function().to_string(), |b| {
            b.iter(|| record.verify(ada, black_box(&wrong), &peppers, &mut arena));
        });
    }
    for engine in HashEngine::ALL {
        let mut arena = Arena::new(engine, Params::DEFAULT).expect("memory");
        let record = PasswordRecord::create(ada, &wrong, Params::DEFAULT, &peppers, &mut arena);
        let record = record.expect("a record");
        group.bench_function(format!("ours, {engine:?}"), |b| {
            b.iter(|| record.verify(ada, black_box(&wrong), &peppers, &mut arena));
        });
    }
    group.finish();
}

criterion_group!(benches, blocklist, breached, records);
criterion_main!(benches);

//! What looking a new password up costs: `cargo bench -p auth_back`.

use std::hint::black_box;

use auth_back::credentials::blocklist::Folded;
use auth_back::credentials::breached::Builder;
use auth_back::credentials::{BreachedFile, Password, PasswordRules, Username};
use criterion::{Criterion, criterion_group, criterion_main};

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
    builder.read(list.as_bytes(), |_| ()).expect("a list");
    builder.finish(|_| ()).expect("a file can be written");
    let file = BreachedFile::open(&path).expect("made just now");
    let password = Password::for_login("zwölf Boxkämpfer").expect("a password");
    c.bench_function("look up a breached password", |b| {
        b.iter(|| file.contains(black_box(&password)));
    });
}

criterion_group!(benches, blocklist, breached);
criterion_main!(benches);

//! What looking a new password up costs: `cargo bench -p auth_back`.

use std::hint::black_box;

use auth_back::credentials::blocklist::Folded;
use auth_back::credentials::{Password, PasswordRules, Username};
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

criterion_group!(benches, blocklist);
criterion_main!(benches);

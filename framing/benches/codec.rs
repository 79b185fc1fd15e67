//! What the protocol costs for an authenticate request: `cargo bench -p framing`.

use std::{hint::black_box, net::Ipv4Addr};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use framing::{
    Secret,
    v2::{Authenticate, Encoder, Request, RequestId, split_frame},
};

const REQUEST: Authenticate<'_> = Authenticate {
    username: "alice.liddell",
    password: Secret::new("correct horse battery staple"),
    request_id: RequestId::new([7; 16]),
    client_address: Some(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST)),
    user_agent: Some("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    device: None,
};

fn authenticate(c: &mut Criterion) {
    let mut frame = Vec::with_capacity(4096);
    Encoder::default().request(&mut frame, 1, 1000, &REQUEST).expect("within limits");

    let mut group = c.benchmark_group("authenticate");
    group.throughput(Throughput::Bytes(frame.len() as u64));
    let mut out = Vec::with_capacity(4096);
    group.bench_function("encode", |b| {
        b.iter(|| {
            out.clear();
            Encoder::default().request(&mut out, 1, 1000, black_box(&REQUEST))
        });
    });
    group.bench_function("decode", |b| {
        b.iter(|| {
            let (frame, _) = split_frame(black_box(&frame)).ok().flatten().expect("a whole frame");
            Request::decode(&frame).map(|request| {
                black_box(request);
            })
        });
    });
    group.finish();
}

criterion_group!(benches, authenticate);
criterion_main!(benches);

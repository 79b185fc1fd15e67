//! Hashes a second of one argon2id engine, with nothing around it.
//!
//!     engine reference|avx512|avx512-in-twos|avx2|avx2-in-twos|argon2-rust THREADS MEMORY_KIB PASSES SECONDS
//!
//! Each thread hashes again and again in memory of its own, which is kept and not wiped in between (argon2-rust wipes
//! by itself); or two together, in two memories. Prints one number. Ends with 3 when the processor does not have the instruction set: that is how an
//! instruction set is masked, by asking for another.

use std::process::ExitCode;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use argon2_simd::{Cost, Input, Isa, Kind, Memory, Version};

const PASSWORD: &[u8] = b"correct horse battery";
const SALT: &[u8] = b"sixteen bytes...";

/// Hashes, and says how often.
type Hasher = Box<dyn FnMut() -> f64 + Send>;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let numbers: Option<Vec<u32>> = words.iter().skip(1).map(|word| word.parse().ok()).collect();
    let (Some(name), Some(&[threads, m_kib, passes, seconds])) =
        (words.first(), numbers.as_deref())
    else {
        eprintln!(
            "engine reference|avx512|avx512-in-twos|avx2|avx2-in-twos|argon2-rust THREADS MEMORY_KIB PASSES SECONDS"
        );
        return ExitCode::from(2);
    };
    let hashers: Option<Vec<Hasher>> = (0..threads).map(|_| hasher(name, m_kib, passes)).collect();
    let Some(hashers) = hashers else {
        eprintln!("no engine {name} here");
        return ExitCode::from(3);
    };
    let time = Duration::from_secs(seconds.into());
    let start = Barrier::new(hashers.len());
    let rate: f64 = std::thread::scope(|scope| {
        let running: Vec<_> = hashers
            .into_iter()
            .map(|mut hash| {
                let start = &start;
                scope.spawn(move || {
                    // The first one meets cold caches.
                    hash();
                    start.wait();
                    let began = Instant::now();
                    let mut count = 0.0;
                    while began.elapsed() < time {
                        count += hash();
                    }
                    // By its own clock, since its last hash ends after the time is up.
                    count / began.elapsed().as_secs_f64()
                })
            })
            .collect();
        running.into_iter().map(|thread| thread.join().expect("no engine panics")).sum()
    });
    println!("{rate:.2}");
    ExitCode::SUCCESS
}

fn hasher(name: &str, m_kib: u32, passes: u32) -> Option<Hasher> {
    match name {
        "reference" => Some(reference(m_kib, passes)),
        "argon2-rust" => Some(argon2_rust(m_kib, passes)),
        "avx512" => Isa::avx512().map(|isa| simd(isa, m_kib, passes)),
        "avx512-in-twos" => Isa::avx512().map(|isa| simd_in_twos(isa, m_kib, passes)),
        "avx2" => Isa::avx2().map(|isa| simd(isa, m_kib, passes)),
        "avx2-in-twos" => Isa::avx2().map(|isa| simd_in_twos(isa, m_kib, passes)),
        _ => None,
    }
}

fn reference(m_kib: u32, passes: u32) -> Hasher {
    let params = argon2::Params::new(m_kib, passes, 1, Some(32)).expect("parameters of argon2");
    let argon2 = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let mut blocks = vec![argon2::Block::new(); m_kib as usize];
    Box::new(move || {
        let mut tag = [0; 32];
        argon2
            .hash_password_into_with_memory(PASSWORD, SALT, &mut tag, &mut blocks)
            .expect("as much memory as it asks for");
        counted(&[tag])
    })
}

fn argon2_rust(m_kib: u32, passes: u32) -> Hasher {
    let params = argon2_rust::Params::builder()
        .memory(argon2_rust::params::Memory::kib(m_kib.into()))
        .passes(passes)
        .lanes(1)
        .threads(1)
        .build()
        .expect("parameters of argon2");
    let (id, version) = (argon2_rust::Algorithm::Argon2id, argon2_rust::Version::V0x13);
    let mut hasher = argon2_rust::Argon2::new(id, version, params).hasher();
    hasher.reserve().expect("memory");
    Box::new(move || {
        let mut tag = [0; 32];
        hasher.hash_into(PASSWORD, SALT, &mut tag).expect("as much memory as it asks for");
        counted(&[tag])
    })
}

fn simd(isa: Isa, m_kib: u32, passes: u32) -> Hasher {
    let cost = cost(m_kib, passes);
    let mut memory = Memory::new(isa, m_kib).expect("memory");
    Box::new(move || {
        let mut tag = [0; 32];
        memory.hash(&cost, &input(), &mut tag).expect("as much memory as it asks for");
        counted(&[tag])
    })
}

fn simd_in_twos(isa: Isa, m_kib: u32, passes: u32) -> Hasher {
    let cost = cost(m_kib, passes);
    let mut memories = [(); 2].map(|()| Memory::new(isa, m_kib).expect("memory"));
    Box::new(move || {
        let mut tags = [[0; 32]; 2];
        let into = tags.each_mut().map(|tag| tag.as_mut_slice());
        Memory::hash_two(&cost, memories.each_mut(), [&input(), &input()], into)
            .expect("as much memory as it asks for");
        counted(&tags)
    })
}

fn cost(m_kib: u32, passes: u32) -> Cost {
    Cost { kind: Kind::Id, version: Version::V19, m_kib, passes, lanes: 1 }
}

fn input() -> Input<'static> {
    Input { password: PASSWORD, salt: SALT, ..Input::default() }
}

/// How many there are, once the compiler may not leave them out.
fn counted(tags: &[[u8; 32]]) -> f64 {
    std::hint::black_box(tags).iter().map(|_| 1.0).sum()
}

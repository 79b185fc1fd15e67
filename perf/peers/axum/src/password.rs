//! argon2id on tokio's blocking threads, as many at a time as there are cores.

use std::error::Error;
use std::sync::{Arc, Mutex};
use std::thread;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use tokio::sync::Semaphore;
use tokio::task;

/// Checks and makes password hashes.
pub(crate) struct Hasher {
    argon2: Argon2<'static>,
    permits: Semaphore,
    /// One for each permit that is free; nothing, if memory is taken anew for each hash.
    arenas: Option<Arc<Mutex<Vec<Vec<Block>>>>>,
}

/// Whatever goes wrong when hashing is a defect of the server's.
pub(crate) type HashError = Box<dyn Error + Send + Sync>;

impl Hasher {
    pub(crate) fn new(params: Params, reuses_memory: bool) -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let arenas = reuses_memory.then(|| {
            let arena = || vec![Block::default(); params.block_count()];
            Arc::new(Mutex::new((0..cores).map(|_| arena()).collect()))
        });
        Self {
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            permits: Semaphore::new(cores),
            arenas,
        }
    }

    pub(crate) async fn hash(&self, password: String) -> Result<String, HashError> {
        let argon2 = self.argon2.clone();
        let _permit = self.permits.acquire().await?;
        task::spawn_blocking(move || Ok(argon2.hash_password(password.as_bytes())?.to_string()))
            .await?
    }

    pub(crate) async fn verify(&self, hash: String, password: String) -> Result<bool, HashError> {
        let argon2 = self.argon2.clone();
        let arenas = self.arenas.clone();
        let _permit = self.permits.acquire().await?;
        task::spawn_blocking(move || {
            let hash = PasswordHash::new(&hash)?;
            match arenas {
                None => Ok(argon2.verify_password(password.as_bytes(), &hash).is_ok()),
                Some(arenas) => verify_within(&arenas, &hash, password.as_bytes()),
            }
        })
        .await?
    }
}

/// What `verify_password` does, in memory that is kept.
fn verify_within(
    arenas: &Mutex<Vec<Vec<Block>>>,
    hash: &PasswordHash,
    password: &[u8],
) -> Result<bool, HashError> {
    let (Some(salt), Some(expected)) = (&hash.salt, &hash.hash) else {
        return Err("the record has no salt or no hash".into());
    };
    let params = Params::try_from(hash)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut arena = arenas.lock().expect("no thread panics with it").pop().ok_or("no arena")?;
    let mut output = vec![0; expected.len()];
    let result =
        argon2.hash_password_into_with_memory(password, salt.as_ref(), &mut output, &mut arena);
    arenas.lock().expect("no thread panics with it").push(arena);
    result?;
    Ok(argon2::password_hash::phc::Output::new(&output)? == *expected)
}

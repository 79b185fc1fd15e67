//! Random bytes from the operating system; the only source of randomness for secrets.

use hashing::Salt;
use zeroize::Zeroize;

/// The operating system gave no random bytes. Nobody who sent a request is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no random bytes: {0}")]
pub struct RandomError(getrandom::Error);

/// Returns `N` bytes that nobody can predict.
///
/// Blocks only while the kernel's generator is not seeded yet, early in the boot of a machine
/// (getrandom(2)).
///
/// # Errors
///
/// [`RandomError`] when the system call fails, which current Linux kernels do not let happen
/// outside a sandbox that forbids it.
pub fn bytes<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    match getrandom::fill(&mut bytes) {
        Ok(()) => Ok(bytes),
        Err(error) => {
            // A partial answer may be part of a secret.
            bytes.zeroize();
            Err(RandomError(error))
        }
    }
}

/// A salt that no other password has.
///
/// # Errors
///
/// [`RandomError`] when the system gives no random bytes.
pub fn salt() -> Result<Salt, RandomError> {
    bytes().map(Salt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        let (first, second) = (bytes::<16>().unwrap(), bytes::<16>().unwrap());
        assert_ne!(first, second);
        assert_ne!(first, [0; 16]);
    }

    #[test]
    fn salts_differ() {
        assert_ne!(salt().unwrap(), salt().unwrap());
    }
}

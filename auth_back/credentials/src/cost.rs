//! What verifying a record costs beside a usual hash.
//!
//! For whoever has to treat a dear record otherwise than others: the limiter of guesses charges attempts by
//! it, and dear hashes wait in a queue of their own.
//!
//! Argon2 costs what it writes, m times t. The others are put beside it by a table that was measured with our
//! own functions (`cargo bench -p credentials "verify a wrong password"`) beside argon2id with AVX2, and
//! rounded up by a third or more, for machines where ours is faster still. Where it is slower, with the reference
//! engine, the others cost down to a quarter of what the table says: what is dear is never taken for cheap.

use hashing::{Params, Work, WorkKind};

/// How many usual hashes take as long, rounded up; one at the least.
///
/// ```
/// use credentials::{
///     Cost, ForeignHash, KeyId, Keyring, Password, PasswordRecord, PepperKeyring, SecretKey,
/// };
/// use hashing::Params;
/// use credentials::ids::UserId;
///
/// let peppers = PepperKeyring::new(Keyring::single(KeyId::FIRST, SecretKey::random()?));
/// let hash: ForeignHash =
///     "$2y$12$L6Bc/AlTQHyd9liGgGEZyOFLPHNgyxeEPfgYfBCVxJ7JIlwxyVU3u".parse()?;
/// let record = PasswordRecord::import(UserId::new(1)?, &hash, &peppers)?;
/// let password = Password::for_login("analytical engine")?;
///
/// let cost = record.cost(&password, Params::DEFAULT);
/// assert!(cost > Cost::USUAL && cost.usual_hashes() < 100);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cost(u32);

/// KiB that argon2 writes while bcrypt does a round, of which there are 2 to the power of its cost.
const BCRYPT_ROUND_KIB: u64 = 250;
/// KiB that argon2 writes while scrypt writes and reads one of its own: it does so once each, in places that
/// nobody can foresee.
const SCRYPT_KIB_KIB: u64 = 12;
/// KiB that argon2 writes while PBKDF2 does a round for a block of its output, with SHA-1.
const PBKDF2_SHA1_ROUND_KIB: u64 = 1;
/// The same with SHA-256.
const PBKDF2_SHA256_ROUND_KIB: u64 = 1;
/// The same with SHA-512, for which processors have no instructions.
const PBKDF2_SHA512_ROUND_KIB: u64 = 3;

impl Cost {
    /// That of a usual hash.
    pub const USUAL: Self = Self(1);

    /// That of so many usual hashes; of one at the least.
    #[must_use]
    pub const fn of_hashes(count: u32) -> Self {
        Self(if count == 0 { 1 } else { count })
    }

    /// What so much work costs, where a usual hash has the parameters `usual`.
    pub(super) fn of(work: Work, usual: Params) -> Self {
        let unit_kib = match work.kind {
            WorkKind::Argon2 => 1,
            WorkKind::Bcrypt => BCRYPT_ROUND_KIB,
            WorkKind::Scrypt => SCRYPT_KIB_KIB,
            WorkKind::Pbkdf2Sha1 => PBKDF2_SHA1_ROUND_KIB,
            WorkKind::Pbkdf2Sha256 => PBKDF2_SHA256_ROUND_KIB,
            WorkKind::Pbkdf2Sha512 => PBKDF2_SHA512_ROUND_KIB,
        };
        let work_kib = work.amount.saturating_mul(unit_kib);
        let hashes = work_kib.div_ceil(Work::of_ours(usual).amount).max(1);
        Self(u32::try_from(hashes).unwrap_or(u32::MAX))
    }

    /// The number: 1 for a usual hash.
    #[must_use]
    pub const fn usual_hashes(self) -> u32 {
        self.0
    }

    /// That of doing it once more.
    #[must_use]
    pub const fn twice(self) -> Self {
        Self(self.0.saturating_mul(2))
    }
}

#[cfg(test)]
mod tests {
    use hashing::limits::{
        ANNEX_KIB_MAX, ARGON2_WORK_KIB_MAX, BCRYPT_COST_MAX, PBKDF2_ROUNDS_MAX, SCRYPT_WORK_KIB_MAX,
    };
    use hashing::{Arena, HashEngine};

    use super::*;
    use crate::ids::UserId;
    use crate::{ForeignHash, KeyId, Keyring, Password, PasswordRecord, PepperKeyring, SecretKey};

    /// What a hash costs to compare with a password that is in NFC, and with one that is not.
    #[track_caller]
    fn check(hash: &str, usual: Params, expected: [u32; 2]) {
        let hash: ForeignHash = hash.parse().expect("a hash");
        let peppers = PepperKeyring::new(Keyring::single(KeyId::FIRST, SecretKey::from([7; 32])));
        let user = UserId::new(1).expect("an id");
        let record = PasswordRecord::import(user, &hash, &peppers).expect("random bytes");
        let cost = ["Zw\u{f6}lf Boxk\u{e4}mpfer", "Zwo\u{308}lf Boxka\u{308}mpfer"].map(|text| {
            let password = Password::for_login(text).expect("a password");
            record.cost(&password, usual).usual_hashes()
        });
        assert_eq!(cost, expected, "{}", hash.function());
    }

    fn argon2(cost: &str) -> String {
        format!(
            "$argon2id$v=19${cost}$c2FsdCBvZiAxNiBieXRlcw$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
        )
    }

    fn bcrypt(cost: u8) -> String {
        format!("$2b${cost:02}$L6Bc/AlTQHyd9liGgGEZyOFLPHNgyxeEPfgYfBCVxJ7JIlwxyVU3u")
    }

    fn scrypt(cost: &str) -> String {
        argon2("").replace("$argon2id$v=19$", &format!("$scrypt${cost}"))
    }

    fn pbkdf2(digest: &str, cost: &str) -> String {
        argon2("").replace("$argon2id$v=19$", &format!("$pbkdf2-{digest}${cost}"))
    }

    #[test]
    fn argon2_costs_what_it_writes() {
        let usual = Params::DEFAULT;
        check(&argon2("m=19456,t=2,p=1"), usual, [1, 2]);
        check(&argon2("m=8,t=1,p=1"), usual, [1, 2]);
        check(&argon2("m=19456,t=3,p=1"), usual, [2, 4]);
        check(&argon2("m=65536,t=3,p=4"), usual, [6, 12]);
        check(
            &argon2("m=19456,t=2,p=1"),
            Params::in_record(8, 1, 1).expect("parameters"),
            [4_864, 9_728],
        );
        check(&argon2("m=19456,t=2,p=1"), Params::in_record(47_104, 1, 1).expect("them"), [1, 2]);
    }

    #[test]
    fn the_others_cost_what_argon2_would_write_meanwhile() {
        let usual = Params::DEFAULT;
        check(&bcrypt(4), usual, [1, 2]);
        check(&bcrypt(8), usual, [2, 4]);
        check(&bcrypt(12), usual, [27, 54]);
        check(&scrypt("ln=14,r=8,p=1"), usual, [6, 12]);
        check(&scrypt("ln=17,r=8,p=1"), usual, [41, 82]);
        check(&scrypt("ln=14,r=8,p=5"), usual, [26, 52]);
        check(&pbkdf2("sha256", "i=600000"), usual, [16, 32]);
        check(&pbkdf2("sha512", "i=600000"), usual, [47, 94]);
        // 32 bytes are two blocks of SHA-1.
        check(&pbkdf2("sha1", "i=600000"), usual, [31, 62]);
    }

    /// The dearest that is taken is not so dear that its cost says nothing.
    #[test]
    fn the_dearest_of_each_kind() {
        let usual = Params::DEFAULT;
        let check = |hash: String, expected: u32| check(&hash, usual, [expected, 2 * expected]);
        let t = ARGON2_WORK_KIB_MAX / u64::from(ANNEX_KIB_MAX);
        check(argon2(&format!("m={ANNEX_KIB_MAX},t={t},p=1")), 108);
        check(bcrypt(BCRYPT_COST_MAX), 211);
        let p = SCRYPT_WORK_KIB_MAX >> 17;
        check(scrypt(&format!("ln=17,r=8,p={p}")), 324);
        check(pbkdf2("sha256", &format!("i={PBKDF2_ROUNDS_MAX}")), 257);
        check(pbkdf2("sha512", &format!("i={PBKDF2_ROUNDS_MAX}")), 771);
    }

    #[test]
    fn ours_costs_what_its_parameters_say() {
        let peppers = PepperKeyring::new(Keyring::single(KeyId::FIRST, SecretKey::from([7; 32])));
        let user = UserId::new(1).expect("an id");
        // Ours are made of the form in NFC, whatever was typed.
        let password = Password::for_login("Zwo\u{308}lf Boxka\u{308}mpfer").expect("a password");
        let small = Params::in_record(64, 1, 1).expect("parameters");
        let mut arena = Arena::new(HashEngine::Simd, small).expect("memory");
        let record = PasswordRecord::create(user, &password, small, &peppers, &mut arena);
        let record = record.expect("a record");
        let check = |usual, expected| {
            let usual = Params::in_record(usual, 1, 1).expect("parameters");
            assert_eq!(record.cost(&password, usual).usual_hashes(), expected);
        };
        check(64, 1);
        check(32, 2);
        check(8, 8);
        check(1_024, 1);
    }
}

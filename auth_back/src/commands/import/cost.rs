//! What it takes to verify the hashes of an import, on this machine.
//!
//! Nothing is hashed to bring users in, so nobody would notice that a hash takes longer than a login may: its user would,
//! each time anew. The time of a hash follows from its parameters and from one short measurement for each function that
//! comes up.

use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use credentials::ids::UserId;
use credentials::{
    ForeignHash, KeyId, Keyring, Password, PasswordRecord, PepperKeyring, SecretKey, random,
};
use hashing::{Annex, Arena, HashEngine, Params, Work, WorkKind};
use server::limits::FRONT_TIME_DEFAULT;

use crate::limits::{IMPORT_COST_BANDS, IMPORT_COST_SAMPLES};

/// Hashes that take well under a tenth of a second, for each function that is measured. The work of argon2 follows from a
/// hash of ours.
const SAMPLES: [(WorkKind, &str); 5] = [
    (WorkKind::Bcrypt, "$2b$08$L6Bc/AlTQHyd9liGgGEZyOFLPHNgyxeEPfgYfBCVxJ7JIlwxyVU3u"),
    (
        WorkKind::Scrypt,
        "$scrypt$ln=14,r=8,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ),
    (WorkKind::Pbkdf2Sha1, "$pbkdf2-sha1$i=50000,l=20$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAA"),
    (
        WorkKind::Pbkdf2Sha256,
        "$pbkdf2-sha256$i=50000,l=32$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ),
    (
        WorkKind::Pbkdf2Sha512,
        "$pbkdf2-sha512$i=50000,l=32$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ),
];

/// Measures how long one unit of a kind of work takes.
type Measure<'a> = dyn Fn(WorkKind) -> Result<f64, Box<dyn Error>> + 'a;

/// Counts hashes by the time that verifying them takes.
pub(super) struct Costs<'a> {
    /// In seconds: of one hash with the parameters of new passwords.
    usual: f64,
    /// In seconds a unit.
    rates: HashMap<WorkKind, f64>,
    measure: &'a Measure<'a>,
    /// By how many usual hashes they are worth: up to each of [`IMPORT_COST_BANDS`], and more.
    bands: [u64; IMPORT_COST_BANDS.len() + 1],
    /// Those that take longer than fronts wait.
    too_slow: u64,
    /// Those that do if the password has to be tried in two forms.
    too_slow_twice: u64,
    /// In seconds: of the slowest of both, in two forms.
    slowest: f64,
}

impl<'a> Costs<'a> {
    /// With the parameters of new passwords.
    pub(super) fn new(params: Params, measure: &'a Measure<'a>) -> Result<Self, Box<dyn Error>> {
        let rate = measure(WorkKind::Argon2)?;
        Ok(Self {
            usual: rate * Work::of_ours(params).amount as f64,
            rates: HashMap::from([(WorkKind::Argon2, rate)]),
            measure,
            bands: Default::default(),
            too_slow: 0,
            too_slow_twice: 0,
            slowest: 0.0,
        })
    }

    /// Counts a hash. Returns what its user will meet who cannot log in with it. Blocks for a moment at the first of its
    /// function.
    pub(super) fn count(&mut self, cost: Cost) -> Result<Option<String>, Box<dyn Error>> {
        let Work { kind, amount } = cost.work;
        let rate = match self.rates.get(&kind) {
            Some(rate) => *rate,
            None => *self.rates.entry(kind).or_insert((self.measure)(kind)?),
        };
        let once = rate * amount as f64;
        let usual = (once / self.usual).round();
        let band = IMPORT_COST_BANDS.iter().position(|most| usual <= f64::from(*most));
        self.bands[band.unwrap_or(IMPORT_COST_BANDS.len())] += 1;

        let limit = FRONT_TIME_DEFAULT.as_secs_f64();
        let longest = if cost.has_two_forms { 2.0 * once } else { once };
        if longest <= limit {
            return Ok(None);
        }
        self.slowest = self.slowest.max(longest);
        if once > limit {
            self.too_slow += 1;
            return Ok(Some(format!(
                "a login with this hash takes about {once:.1} s, and http_front waits {limit} s: it fails"
            )));
        }
        self.too_slow_twice += 1;
        Ok(Some(format!(
            "a login with this hash takes about {longest:.1} s if the password is not in Unicode's form NFC, and http_front \
             waits {limit} s: then it fails"
        )))
    }

    /// Lines for the operator.
    pub(super) fn to_text(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.bands.iter().sum::<u64>() == 0 {
            return lines;
        }
        let mut counts = String::new();
        for (most, count) in IMPORT_COST_BANDS.iter().zip(self.bands) {
            counts += &format!("up to {most}: {count}, ");
        }
        let more = self.bands[IMPORT_COST_BANDS.len()];
        lines.push(format!(
            "cost of a login with them, in hashes of ours ({:.1} ms on this machine): {counts}more: {more}. A password that \
             is not in Unicode's form NFC is tried in two forms and costs twice",
            self.usual * 1_000.0
        ));
        let slow = self.too_slow + self.too_slow_twice;
        if slow > 0 {
            lines.push(format!(
                "too slow to log in: {slow} ({} of them only with a password that is not in NFC). http_front waits {} s unless \
                 its --request-timeout says otherwise: set that above {} s until these users have logged in once, which \
                 replaces the hash, or give them new passwords (auth_back user set-password)",
                self.too_slow_twice,
                FRONT_TIME_DEFAULT.as_secs(),
                self.slowest.ceil()
            ));
        }
        lines
    }
}

/// What a hash takes to be verified.
#[derive(Clone, Copy)]
pub(super) struct Cost {
    pub(super) work: Work,
    /// Another system made it, of the password as it was typed or of its NFC form: both are tried.
    pub(super) has_two_forms: bool,
}

/// How long one unit takes on this machine, in seconds: the median of a few hashes. Blocks for some tenths of a second.
pub(super) fn measure(
    kind: WorkKind,
    engine: HashEngine,
    params: Params,
) -> Result<f64, Box<dyn Error>> {
    let password = Password::for_login("correct horse battery")?;
    let Some((_, sample)) = SAMPLES.iter().find(|(sampled, _)| *sampled == kind) else {
        let mut arena = Arena::new(engine, params)?;
        let salt = random::salt()?;
        let took = median(|| {
            arena.hash(&password, &salt, params)?;
            Ok(())
        })?;
        return Ok(took.as_secs_f64() / Work::of_ours(params).amount as f64);
    };
    let (user, hash) = (UserId::new(1)?, sample.parse::<ForeignHash>()?);
    let peppers = PepperKeyring::new(Keyring::single(KeyId::FIRST, SecretKey::random()?));
    let record = PasswordRecord::import(user, &hash, &peppers)?;
    let mut arena = Annex::new(engine).arena(record.need())?;
    let took = median(|| {
        let _ = record.verify(user, &password, &peppers, &mut arena)?;
        Ok(())
    })?;
    Ok(took.as_secs_f64() / hash.work().amount as f64)
}

fn median(
    mut hash: impl FnMut() -> Result<(), Box<dyn Error>>,
) -> Result<Duration, Box<dyn Error>> {
    // Once unmeasured: the first one meets cold caches.
    hash()?;
    let mut times = [Duration::ZERO; IMPORT_COST_SAMPLES];
    for time in &mut times {
        let began = clock::now();
        hash()?;
        *time = clock::since(began);
    }
    times.sort_unstable();
    Ok(times[IMPORT_COST_SAMPLES / 2])
}

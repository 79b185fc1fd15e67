//! How much work a hash is.

use std::fmt;
use std::str::FromStr;

use crate::limits::{
    ARGON2_M_KIB_MAX, ARGON2_M_KIB_PER_LANE_MIN, ARGON2_P_MAX, ARGON2_T_MAX, ARGON2_WORK_KIB_MAX,
};

/// The cost of one argon2id hash (RFC 9106, section 3.1), printed and read as `m=19456,t=2,p=1`.
///
/// There are two ways in. What an operator sets must be strong: [`Params::new`] and [`FromStr`].
/// What stands in a record is what somebody was once content with: [`Params::in_record`] asks only
/// that it is argon2id and affordable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Params {
    m_kib: u32,
    t: u32,
    p: u32,
}

/// Least memory in KiB and least passes: the sets that OWASP holds to be equally strong (Password
/// Storage Cheat Sheet, "Argon2id"), each for one lane.
const OWASP_SETS: [(u32, u32); 5] = [(47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5)];

const _: () = assert!(ARGON2_M_KIB_MAX >= OWASP_SETS[0].0 * ARGON2_P_MAX);
const _: () = assert!(ARGON2_T_MAX >= OWASP_SETS[OWASP_SETS.len() - 1].1);

/// Why three numbers, or a text, are not parameters.
///
/// In a setting the operator is at fault; in a record, whoever wrote or damaged it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParamsError {
    /// Not of the form `m=19456,t=2,p=1`.
    #[error("argon2 parameters are written like m=19456,t=2,p=1, without spaces or leading zeros")]
    Syntax,
    /// Memory out of range.
    #[error(
        "m={0} is out of range: from {ARGON2_M_KIB_PER_LANE_MIN} KiB for each lane to \
         {ARGON2_M_KIB_MAX} KiB"
    )]
    Memory(u32),
    /// Passes out of range.
    #[error("t={0} is out of range: from 1 to {ARGON2_T_MAX} passes")]
    Passes(u32),
    /// Lanes out of range.
    #[error("p={0} is out of range: from 1 to {ARGON2_P_MAX} lanes")]
    Lanes(u32),
    /// Memory times passes would hold a core for too long.
    #[error("{0} costs too much: m times t is at most {ARGON2_WORK_KIB_MAX}")]
    Work(Params),
    /// Too little work for a setting.
    #[error(
        "{0} is too weak: for each lane, use at least m=47104,t=1 or m=19456,t=2 or m=12288,t=3 or \
         m=9216,t=4 or m=7168,t=5"
    )]
    Weak(Params),
}

impl Params {
    /// OWASP's second set, which design and documentation start from: 19 MiB, two passes, one lane.
    pub const DEFAULT: Self = Self { m_kib: 19_456, t: 2, p: 1 };

    /// Parameters that an operator may set: `m_kib` KiB of memory, `t` passes, `p` lanes, at least
    /// as strong as one of OWASP's sets and not beyond what [`Params::in_record`] allows.
    ///
    /// OWASP's sets have one lane. Lanes can be computed side by side by an attacker, so with more
    /// of them each must hold a set's memory. Here lanes run one after the other and gain nothing;
    /// they exist so that records from elsewhere can be verified.
    ///
    /// ```
    /// use hashing::Params;
    ///
    /// assert_eq!(Params::new(19_456, 2, 1)?.to_string(), "m=19456,t=2,p=1");
    /// assert_eq!("m=7168,t=5,p=1".parse(), Params::new(7_168, 5, 1));
    /// assert!("m=4096,t=3,p=1".parse::<Params>().is_err());
    /// # Ok::<(), hashing::ParamsError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ParamsError`] says which number is out of range, or that together they are too weak.
    pub fn new(m_kib: u32, t: u32, p: u32) -> Result<Self, ParamsError> {
        let params = Self::in_record(m_kib, t, p)?;
        let strong = OWASP_SETS.iter().any(|(m_min, t_min)| m_kib / p >= *m_min && t >= *t_min);
        if strong { Ok(params) } else { Err(ParamsError::Weak(params)) }
    }

    /// Parameters that a record may carry: 8 KiB a lane to 1 GiB, 1 to 64 passes, 1 to 16 lanes, and
    /// at most 4 GiB written in all. Hashing within these bounds ends in seconds.
    ///
    /// # Errors
    ///
    /// [`ParamsError`] says which number is out of range.
    pub fn in_record(m_kib: u32, t: u32, p: u32) -> Result<Self, ParamsError> {
        if !(1..=ARGON2_P_MAX).contains(&p) {
            return Err(ParamsError::Lanes(p));
        }
        if !(1..=ARGON2_T_MAX).contains(&t) {
            return Err(ParamsError::Passes(t));
        }
        if !(p * ARGON2_M_KIB_PER_LANE_MIN..=ARGON2_M_KIB_MAX).contains(&m_kib) {
            return Err(ParamsError::Memory(m_kib));
        }
        let params = Self { m_kib, t, p };
        if u64::from(m_kib) * u64::from(t) > ARGON2_WORK_KIB_MAX {
            return Err(ParamsError::Work(params));
        }
        Ok(params)
    }

    /// Reads the text of a record's parameters, in the one form that [`Display`](fmt::Display)
    /// prints.
    ///
    /// # Errors
    ///
    /// [`ParamsError`], as for [`Params::in_record`] or for a text of another form.
    pub fn parse_in_record(text: &str) -> Result<Self, ParamsError> {
        let [m_kib, t, p] = numbers(text).ok_or(ParamsError::Syntax)?;
        Self::in_record(m_kib, t, p)
    }

    /// The sets of parameters that OWASP holds to be equally strong, from most memory to least.
    #[must_use]
    pub fn owasp_sets() -> [Self; OWASP_SETS.len()] {
        OWASP_SETS.map(|(m_kib, t)| Self { m_kib, t, p: 1 })
    }

    /// Memory, in KiB.
    #[must_use]
    pub const fn m_kib(self) -> u32 {
        self.m_kib
    }

    /// Passes over the memory.
    #[must_use]
    pub const fn t(self) -> u32 {
        self.t
    }

    /// Lanes.
    #[must_use]
    pub const fn p(self) -> u32 {
        self.p
    }
}

impl Default for Params {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl FromStr for Params {
    type Err = ParamsError;

    /// Reads a setting; the bounds are those of [`Params::new`].
    fn from_str(text: &str) -> Result<Self, ParamsError> {
        let [m_kib, t, p] = numbers(text).ok_or(ParamsError::Syntax)?;
        Self::new(m_kib, t, p)
    }
}

impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m={},t={},p={}", self.m_kib, self.t, self.p)
    }
}

/// The numbers of `m=_,t=_,p=_`, in that order and nothing else.
fn numbers(text: &str) -> Option<[u32; 3]> {
    let mut fields = text.split(',');
    let mut next = |key| decimal(fields.next()?.strip_prefix(key)?);
    let numbers = [next("m=")?, next("t=")?, next("p=")?];
    fields.next().is_none().then_some(numbers)
}

/// A decimal number in its one form: digits only, no leading zero.
fn decimal(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let canonical = digits && (text.len() == 1 || !text.starts_with('0'));
    if canonical { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads a setting and compares its printed form or its error.
    #[track_caller]
    fn check(text: &str, expected: Result<(), ParamsError>) {
        let printed = text.parse::<Params>().map(|params| params.to_string());
        assert_eq!(printed, expected.map(|()| text.to_owned()), "{text}");
    }

    fn raw(m_kib: u32, t: u32, p: u32) -> Params {
        Params { m_kib, t, p }
    }

    #[test]
    fn owasp_sets_are_the_floor() {
        for (m, t) in OWASP_SETS {
            check(&format!("m={m},t={t},p=1"), Ok(()));
            check(&format!("m={},t={},p=2", 2 * m, t), Ok(()));
            check(&format!("m={},t={t},p=1", m - 1), Err(ParamsError::Weak(raw(m - 1, t, 1))));
            check(&format!("m={m},t={t},p=2"), Err(ParamsError::Weak(raw(m, t, 2))));
        }
        for params in Params::owasp_sets() {
            check(&params.to_string(), Ok(()));
        }
        check("m=47103,t=1,p=1", Err(ParamsError::Weak(raw(47_103, 1, 1))));
        check("m=7167,t=64,p=1", Err(ParamsError::Weak(raw(7_167, 64, 1))));
        // RFC 9106, section 4, second recommended option.
        check("m=65536,t=3,p=4", Ok(()));
    }

    #[test]
    fn bounds() {
        check("m=1048576,t=4,p=1", Ok(()));
        check("m=1048576,t=5,p=1", Err(ParamsError::Work(raw(1_048_576, 5, 1))));
        check("m=1048577,t=1,p=1", Err(ParamsError::Memory(1_048_577)));
        check("m=4294967295,t=1,p=1", Err(ParamsError::Memory(u32::MAX)));
        check("m=19456,t=0,p=1", Err(ParamsError::Passes(0)));
        check("m=19456,t=65,p=1", Err(ParamsError::Passes(65)));
        check("m=19456,t=2,p=0", Err(ParamsError::Lanes(0)));
        check("m=1048576,t=2,p=17", Err(ParamsError::Lanes(17)));
    }

    #[test]
    fn one_form() {
        for text in [
            "",
            "m=19456",
            "m=19456,t=2",
            "m=19456,t=2,p=1,",
            "m=19456,t=2,p=1,k=1",
            "t=2,m=19456,p=1",
            "m=019456,t=2,p=1",
            "m=+19456,t=2,p=1",
            "m=19456, t=2,p=1",
            " m=19456,t=2,p=1",
            "M=19456,t=2,p=1",
            "m=,t=2,p=1",
            "m=4294967296,t=2,p=1",
            "m=19456;t=2;p=1",
        ] {
            check(text, Err(ParamsError::Syntax));
        }
    }

    #[test]
    fn a_record_may_be_weaker() {
        assert_eq!(Params::parse_in_record("m=8,t=1,p=1"), Ok(raw(8, 1, 1)));
        assert_eq!(Params::parse_in_record("m=7,t=1,p=1"), Err(ParamsError::Memory(7)));
        assert_eq!(Params::parse_in_record("m=31,t=1,p=4"), Err(ParamsError::Memory(31)));
        assert_eq!(Params::parse_in_record("m=8,t=01,p=1"), Err(ParamsError::Syntax));
    }

    #[test]
    fn default_is_a_setting() {
        check(&Params::default().to_string(), Ok(()));
    }

    proptest! {
        #[test]
        fn reading_what_was_printed(m in 8u32..=65_536, t in 1u32..=64, p in 1u32..=4) {
            prop_assume!(m >= 8 * p);
            let params = Params::in_record(m, t, p).unwrap();
            prop_assert_eq!(Params::parse_in_record(&params.to_string()), Ok(params));
        }

        #[test]
        fn what_is_read_prints_the_same(text in "m=[0-9+]{1,6},t=[0-9]{1,3},p=[0-9 ]{1,2}") {
            if let Ok(params) = Params::parse_in_record(&text) {
                prop_assert_eq!(params.to_string(), text);
            }
        }
    }
}

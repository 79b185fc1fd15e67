//! One line of a list: `SHA1`, `SHA1:COUNT`, or the beginning of a digest alone.

use super::{FINGERPRINT_LEN, Fingerprint};

const DIGITS_MIN: usize = 2 * FINGERPRINT_LEN;
/// Longest beginning of a digest that is taken. Longer ones are more likely digests of another kind,
/// or the ends of digests whose beginning is the name of a file.
const PREFIX_DIGITS_MAX: usize = 20;
const SHA1_DIGITS: usize = 40;

/// Why a line is not one of a list. Whoever made the list is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// Something else than hexadecimal digits.
    #[error("not a SHA-1 digest in hexadecimal, with or without `:COUNT`")]
    NotHex,
    /// Too few digits: most passwords there are would be taken for one on the list.
    #[error("{0} digits; a beginning of a digest needs at least {DIGITS_MIN}")]
    TooShort(usize),
    /// As long as MD4 and MD5 are.
    #[error("32 digits: this is a list of NTLM or MD5 digests, and SHA-1 is needed")]
    NotSha1,
    /// As long as what Have I Been Pwned answers to a query for the first five digits.
    #[error("35 digits: the first five are in the name of the file that these lines come from")]
    FirstFiveMissing,
    /// Any other length.
    #[error("{0} digits; a SHA-1 digest has {SHA1_DIGITS}")]
    Length(usize),
    /// What follows the colon is no number.
    #[error("the count is not a number")]
    Count,
}

/// The fingerprint and the count of a line without its end; `None` for an empty one.
pub(super) fn parse(line: &[u8]) -> Result<Option<(Fingerprint, Option<u64>)>, LineError> {
    let line = line.trim_ascii();
    if line.is_empty() {
        return Ok(None);
    }
    let colon = line.iter().position(|&byte| byte == b':');
    let (digits, count) = match colon {
        Some(at) => (&line[..at], Some(decimal(&line[at + 1..]).ok_or(LineError::Count)?)),
        None => (line, None),
    };
    let mut fingerprint = 0;
    for (index, &digit) in digits.iter().enumerate() {
        let value = char::from(digit).to_digit(16).ok_or(LineError::NotHex)?;
        if index < DIGITS_MIN {
            fingerprint = fingerprint << 4 | Fingerprint::from(value);
        }
    }
    match digits.len() {
        SHA1_DIGITS | DIGITS_MIN..=PREFIX_DIGITS_MAX => Ok(Some((fingerprint, count))),
        short if short < DIGITS_MIN => Err(LineError::TooShort(short)),
        32 => Err(LineError::NotSha1),
        35 => Err(LineError::FirstFiveMissing),
        other => Err(LineError::Length(other)),
    }
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        let value = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let check = |line: &str, expected| {
            assert_eq!(parse(line.as_bytes()), expected, "{line:?}");
        };
        const SHA1: &str = "5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8";
        const FINGERPRINT: Fingerprint = 0x5baa_61e4_c9b9;
        check(SHA1, Ok(Some((FINGERPRINT, None))));
        check(&SHA1.to_lowercase(), Ok(Some((FINGERPRINT, None))));
        check(&format!("{SHA1}:10434004"), Ok(Some((FINGERPRINT, Some(10_434_004)))));
        check(&format!("{SHA1}:3\r\n"), Ok(Some((FINGERPRINT, Some(3)))));
        check(&SHA1[..12], Ok(Some((FINGERPRINT, None))));
        check(&SHA1[..20], Ok(Some((FINGERPRINT, None))));
        check("", Ok(None));
        check("\r", Ok(None));
        check(&SHA1[..11], Err(LineError::TooShort(11)));
        check(&SHA1[..21], Err(LineError::Length(21)));
        check(&SHA1[..32], Err(LineError::NotSha1));
        check(&format!("{}:7", &SHA1[5..]), Err(LineError::FirstFiveMissing));
        check(&format!("{SHA1}0"), Err(LineError::Length(41)));
        check("password", Err(LineError::NotHex));
        check(&SHA1.replace('B', "ｂ"), Err(LineError::NotHex));
        for count in [":", ":x", ":-1", ":+1", ":1 2", ":99999999999999999999"] {
            check(&format!("{SHA1}{count}"), Err(LineError::Count));
        }
    }
}

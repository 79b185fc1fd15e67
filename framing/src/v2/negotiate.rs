//! What two peers settle on, from the HELLO of each.

use thiserror::Error;

use super::{encoder::Encoder, features::Features, messages::Hello};
use crate::limits::{FRAME_BYTES_MAX, FRAME_BYTES_MAX_FLOOR};

/// What holds on a connection after both HELLOs. Both peers compute the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreed {
    /// The highest major version that both speak.
    pub version: u8,
    /// The features that both have.
    pub features: Features,
    /// The longest frame that both accept, in bytes, in the range
    /// [`FRAME_BYTES_MAX_FLOOR`] to [`FRAME_BYTES_MAX`].
    pub frame_bytes_max: usize,
    /// How many requests may be unanswered at a time, at least 1.
    pub in_flight_max: u32,
}

impl Agreed {
    /// An encoder that keeps to the agreed frame length.
    ///
    /// # Panics
    ///
    /// When `frame_bytes_max` was set by hand to something outside its range.
    #[must_use]
    pub fn encoder(&self) -> Encoder {
        Encoder::new(self.frame_bytes_max)
    }
}

/// Two peers that cannot work together: the operator is at fault, who deployed releases too far
/// apart. Close the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Incompatible {
    /// The ranges of versions do not meet.
    #[error("we speak versions {}..={}, the peer {}..={}", ours.0, ours.1, theirs.0, theirs.1)]
    Versions {
        /// Lowest and highest version that we speak.
        ours: (u8, u8),
        /// Lowest and highest version that the peer speaks.
        theirs: (u8, u8),
    },
    /// A peer accepts only frames that are too short for logging in.
    #[error("a frame limit of {0} bytes is below {FRAME_BYTES_MAX_FLOOR}")]
    FrameBytes(u32),
    /// A peer is prepared for no request at all.
    #[error("a peer accepts no requests in flight")]
    InFlight,
}

/// Settles version, features and limits: the highest common version, the common features, the
/// lower of each limit. Swapping the arguments changes nothing but the words of an error.
///
/// # Errors
///
/// [`Incompatible`] when nothing common is left.
///
/// # Examples
///
/// ```
/// use framing::v2::{Hello, negotiate};
///
/// let front = Hello::current("http_front/0.1.0", 64);
/// let back = Hello { frame_bytes_max: 16 * 1024, ..Hello::current("auth_back/0.1.0", 1024) };
/// let agreed = negotiate(&front, &back)?;
/// assert_eq!((agreed.version, agreed.frame_bytes_max, agreed.in_flight_max), (2, 16 * 1024, 64));
/// # Ok::<(), framing::v2::Incompatible>(())
/// ```
pub fn negotiate(ours: &Hello<'_>, theirs: &Hello<'_>) -> Result<Agreed, Incompatible> {
    let version = ours.version_max.min(theirs.version_max);
    if version < ours.version_min.max(theirs.version_min) {
        return Err(Incompatible::Versions {
            ours: (ours.version_min, ours.version_max),
            theirs: (theirs.version_min, theirs.version_max),
        });
    }
    let announced = ours.frame_bytes_max.min(theirs.frame_bytes_max);
    // A newer peer may accept more than this release ever writes.
    let frame_bytes_max = usize::try_from(announced).unwrap_or(usize::MAX).min(FRAME_BYTES_MAX);
    if frame_bytes_max < FRAME_BYTES_MAX_FLOOR {
        return Err(Incompatible::FrameBytes(announced));
    }
    let in_flight_max = ours.in_flight_max.min(theirs.in_flight_max);
    if in_flight_max == 0 {
        return Err(Incompatible::InFlight);
    }
    let features = ours.features.intersection(theirs.features);
    Ok(Agreed { version, features, frame_bytes_max, in_flight_max })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Hello<'_> = Hello {
        version_min: 2,
        version_max: 3,
        features: Features(0b0110),
        frame_bytes_max: 65_536,
        in_flight_max: 64,
        software: "ours",
        hash_threads: 0,
    };

    #[track_caller]
    fn check(theirs: Hello<'_>, expected: Result<(u8, u64, usize, u32), Incompatible>) {
        let flat = |agreed: Agreed| {
            let Agreed { version, features, frame_bytes_max, in_flight_max } = agreed;
            (version, features.bits(), frame_bytes_max, in_flight_max)
        };
        assert_eq!(negotiate(&OURS, &theirs).map(flat), expected);
        // Both peers come to the same.
        assert_eq!(negotiate(&theirs, &OURS).map(flat).ok(), expected.ok());
    }

    #[test]
    fn the_common_ground() {
        check(OURS, Ok((3, 0b0110, 65_536, 64)));
        check(Hello { version_min: 1, version_max: 2, ..OURS }, Ok((2, 0b0110, 65_536, 64)));
        check(Hello { version_max: 9, ..OURS }, Ok((3, 0b0110, 65_536, 64)));
        check(Hello { features: Features(0b1100), ..OURS }, Ok((3, 0b0100, 65_536, 64)));
        check(Hello { frame_bytes_max: 4096, ..OURS }, Ok((3, 0b0110, 4096, 64)));
        check(Hello { frame_bytes_max: u32::MAX, ..OURS }, Ok((3, 0b0110, 65_536, 64)));
        check(Hello { in_flight_max: 1, ..OURS }, Ok((3, 0b0110, 65_536, 1)));
    }

    #[test]
    fn no_common_ground() {
        let newer = Hello { version_min: 4, version_max: 5, ..OURS };
        check(newer, Err(Incompatible::Versions { ours: (2, 3), theirs: (4, 5) }));
        let older = Hello { version_min: 1, version_max: 1, ..OURS };
        check(older, Err(Incompatible::Versions { ours: (2, 3), theirs: (1, 1) }));
        check(Hello { frame_bytes_max: 4095, ..OURS }, Err(Incompatible::FrameBytes(4095)));
        check(Hello { in_flight_max: 0, ..OURS }, Err(Incompatible::InFlight));
    }

    #[test]
    fn a_peer_over_our_limit_does_not_raise_it() {
        let ours = Hello { frame_bytes_max: u32::MAX, ..OURS };
        let agreed = negotiate(&ours, &ours).expect("the same release");
        assert_eq!(agreed.frame_bytes_max, FRAME_BYTES_MAX);
    }
}

//! How the memory is divided, and which block is read next (RFC 9106, sections 3.2 to 3.4).

/// Slices of a pass: what lanes compute at a time without looking at each other (RFC 9106, section 3.4).
pub(crate) const SLICES: u32 = 4;

/// Which argon2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Reads where the data says.
    D,
    /// Reads where the position says.
    I,
    /// As I for half a pass, then as D.
    Id,
}

/// Which version of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// 0x10, of 2015: later passes overwrite.
    V16,
    /// 0x13, of RFC 9106: later passes add.
    V19,
}

/// What a hash costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Which argon2.
    pub kind: Kind,
    /// Which version of it.
    pub version: Version,
    /// Memory in KiB, at least 8 for each lane.
    pub m_kib: u32,
    /// Passes over the memory, at least 1.
    pub passes: u32,
    /// Lanes, from 1 to 2^24 - 1.
    pub lanes: u32,
}

/// A cost outside of what RFC 9106, section 3.1, allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cost of argon2: {0:?}")]
pub struct CostError(Cost);

impl Kind {
    pub(crate) const fn number(self) -> u32 {
        match self {
            Self::D => 0,
            Self::I => 1,
            Self::Id => 2,
        }
    }
}

impl Version {
    pub(crate) const fn number(self) -> u32 {
        match self {
            Self::V16 => 0x10,
            Self::V19 => 0x13,
        }
    }
}

/// A cost, worked out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Geometry {
    pub(crate) cost: Cost,
    /// Blocks of a segment, the part of a lane in a slice.
    pub(crate) segment_len: u32,
    /// Blocks of a lane.
    pub(crate) lane_len: u32,
}

/// One segment in one pass.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment {
    pub(crate) pass: u32,
    pub(crate) slice: u32,
    pub(crate) lane: u32,
}

impl Geometry {
    pub(crate) fn new(cost: Cost) -> Result<Self, CostError> {
        let is_allowed = (1..1 << 24).contains(&cost.lanes)
            && cost.passes > 0
            && u64::from(cost.m_kib) >= 8 * u64::from(cost.lanes);
        if !is_allowed {
            return Err(CostError(cost));
        }
        let segment_len = cost.m_kib / (SLICES * cost.lanes);
        Ok(Self { cost, segment_len, lane_len: segment_len * SLICES })
    }

    /// Blocks in all: m rounded down to a whole number for each segment.
    pub(crate) fn blocks(&self) -> usize {
        self.lane_len as usize * self.cost.lanes as usize
    }

    /// Where block `index` of a lane is.
    #[inline]
    pub(crate) fn position(&self, lane: u32, index: u32) -> usize {
        lane as usize * self.lane_len as usize + index as usize
    }

    /// Whether the segment reads where its position says, and not where the data says.
    pub(crate) fn is_independent(&self, at: Segment) -> bool {
        match self.cost.kind {
            Kind::D => false,
            Kind::I => true,
            Kind::Id => at.pass == 0 && at.slice < SLICES / 2,
        }
    }

    /// Whether a block is added to what its place held.
    pub(crate) fn is_added(&self, at: Segment) -> bool {
        at.pass > 0 && self.cost.version == Version::V19
    }

    /// The first index to compute in a segment: the first two blocks of a lane come from the password.
    pub(crate) fn start(&self, at: Segment) -> u32 {
        if at.pass == 0 && at.slice == 0 { 2 } else { 0 }
    }

    /// The index in its lane of the first block of a segment.
    pub(crate) fn base(&self, at: Segment) -> u32 {
        at.slice * self.segment_len
    }

    /// Where the block is that block `index` of the segment mixes into the one before it, given the pseudo-random
    /// word (RFC 9106, section 3.4.2).
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "a place in memory that there is")]
    pub(crate) fn reference(&self, at: Segment, index: u32, word: u64) -> usize {
        let lane = if self.cost.lanes == 1 || (at.pass == 0 && at.slice == 0) {
            at.lane
        } else {
            // Below the number of lanes.
            (word >> 32) as u32 % self.cost.lanes
        };
        // Of this lane, all up to the block before; of others, what is finished.
        let (area, start) = if at.pass == 0 {
            (at.slice * self.segment_len, 0)
        } else {
            let start = if at.slice == SLICES - 1 { 0 } else { (at.slice + 1) * self.segment_len };
            (self.lane_len - self.segment_len, start)
        };
        let area = if lane == at.lane { area + index - 1 } else { area - u32::from(index == 0) };
        let x = ((word & 0xffff_ffff) * (word & 0xffff_ffff)) >> 32;
        let back = (u64::from(area) * x) >> 32;
        let index = u64::from(start) + u64::from(area) - 1 - back;
        let len = u64::from(self.lane_len);
        // Both terms are less than a lane.
        let index = if index >= len { index - len } else { index };
        lane as usize * self.lane_len as usize + index as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs() {
        let cost = |m_kib, passes, lanes| {
            Geometry::new(Cost { kind: Kind::Id, version: Version::V19, m_kib, passes, lanes })
                .map(|geometry| (geometry.segment_len, geometry.lane_len, geometry.blocks()))
                .ok()
        };
        assert_eq!(cost(8, 1, 1), Some((2, 8, 8)));
        assert_eq!(cost(131, 1, 4), Some((8, 32, 128)));
        for (m_kib, passes, lanes) in
            [(7, 1, 1), (8, 0, 1), (8, 1, 0), (15, 1, 2), (u32::MAX, 1, 1 << 24)]
        {
            assert_eq!(cost(m_kib, passes, lanes), None, "{m_kib} {passes} {lanes}");
        }
    }
}

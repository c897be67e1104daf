//! A segment: one file of records, begun by a header and named by its first position.
//!
//! ```text
//! 0  magic         8   "WPJSEGMT"
//! 8  version       4
//! 12 salt          4   that of the journal, kept here too should the format file be lost
//! 16 first         8   the lowest position this segment may hold
//! 24 previous end  8   records of earlier segments count only below this position
//! 32 CRC           4   CRC32C of the 32 bytes above
//! ```
//!
//! A segment is written by one process and, after a failed write or sync, never again. What then
//! lies unacknowledged at its end is disowned by "previous end" of the segment that follows, so no
//! file is ever truncated. Positions from "previous end" to "first" hold no record.

use crate::Position;
use crate::record::{self, Salt, Step};
use std::ops::Range;

/// Version of folder and segments that this code writes, and the newest it reads.
pub(crate) const VERSION: u32 = 1;

/// Bytes before the first record.
pub(crate) const HEADER_BYTES: usize = 36;

const MAGIC: [u8; 8] = *b"WPJSEGMT";

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// The lowest position this segment may hold.
    pub first: Position,
    /// Records of earlier segments count only below this position.
    pub previous_end: Position,
    pub(crate) version: u32,
    pub(crate) salt: Salt,
}

impl SegmentHeader {
    pub(crate) fn new(first: Position, previous_end: Position, salt: Salt) -> Self {
        Self { first, previous_end, version: VERSION, salt }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&self.version.to_le_bytes());
        out.extend_from_slice(&self.salt.0.to_le_bytes());
        out.extend_from_slice(&u64::from(self.first).to_le_bytes());
        out.extend_from_slice(&u64::from(self.previous_end).to_le_bytes());
        out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let head = bytes.get(..HEADER_BYTES)?;
        let sum = u32::from_le_bytes(*head.last_chunk()?);
        if head[..8] != MAGIC || sum != crc32c::crc32c(&head[..32]) {
            return None;
        }
        Some(Self {
            version: u32::from_le_bytes(*head[8..].first_chunk()?),
            salt: Salt(u32::from_le_bytes(*head[12..].first_chunk()?)),
            first: u64::from_le_bytes(*head[16..].first_chunk()?).into(),
            previous_end: u64::from_le_bytes(*head[24..].first_chunk()?).into(),
        })
    }
}

/// A record in a parsed segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordAt {
    /// Its number.
    pub position: Position,
    /// Where its header begins and its payload ends, bytes from the start of the file.
    pub bytes: Range<usize>,
}

impl RecordAt {
    /// Where its payload lies, bytes from the start of the file.
    pub fn payload(&self) -> Range<usize> {
        self.bytes.start + record::HEADER_BYTES..self.bytes.end
    }
}

/// All there is in the bytes of a segment; together the parts cover every byte once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParsedSegment {
    /// The header, unless it is damaged.
    pub header: Option<SegmentHeader>,
    /// Whole records, in the order of the file.
    pub records: Vec<RecordAt>,
    /// Bytes that are no record, though records follow; a damaged header is one of them.
    pub damaged: Vec<Range<usize>>,
    /// Bytes at the end that are no record: a torn write, or damage.
    pub tail: Range<usize>,
}

/// Takes a segment apart.
///
/// Shape: any bytes at all; never panics, time linear in their number. Without a whole header no record
/// is recognised, for the salt is missing.
pub fn parse_segment(bytes: &[u8]) -> ParsedSegment {
    parse_segment_salted(bytes, None)
}

/// Like [`parse_segment`], with the salt to use when the header is damaged.
pub(crate) fn parse_segment_salted(bytes: &[u8], salt: Option<Salt>) -> ParsedSegment {
    let header = SegmentHeader::decode(bytes);
    let mut parsed = ParsedSegment { header, tail: bytes.len()..bytes.len(), ..ParsedSegment::default() };
    let mut at = HEADER_BYTES.min(bytes.len());
    let mut bad_from = header.is_none().then_some(0);
    let Some(salt) = header.map(|header| header.salt).or(salt) else {
        parsed.tail = 0..bytes.len();
        return parsed;
    };
    while at < bytes.len() {
        match record::step(&bytes[at..], salt) {
            Step::Record { position, bytes: length, .. } => {
                parsed.damaged.extend(bad_from.take().map(|from| from..at));
                parsed.records.push(RecordAt { position, bytes: at..at + length });
                at += length;
            }
            Step::Damaged { bytes: length } => {
                bad_from.get_or_insert(at);
                at += length;
            }
            Step::Incomplete { .. } => {
                bad_from.get_or_insert(at);
                break;
            }
        }
    }
    if let Some(from) = bad_from {
        parsed.tail = from..bytes.len();
    }
    parsed
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SALT: Salt = Salt(0x5eed);

    fn segment(payloads: &[Vec<u8>]) -> Vec<u8> {
        let start = Position::from(5);
        let mut out = SegmentHeader::new(start, start, SALT).encode();
        for (payload, number) in payloads.iter().zip(5..) {
            record::encode(Position::from(number), payload, SALT, &mut out);
        }
        out
    }

    fn payloads() -> impl Strategy<Value = Vec<Vec<u8>>> {
        prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..12)
    }

    fn covered(parsed: &ParsedSegment) -> usize {
        let header = if parsed.header.is_some() { HEADER_BYTES } else { 0 };
        let records: usize = parsed.records.iter().map(|record| record.bytes.len()).sum();
        let damaged: usize = parsed.damaged.iter().map(ExactSizeIterator::len).sum();
        header + records + damaged + parsed.tail.len()
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_apart_and_every_byte_is_accounted_for(
            bytes in prop::collection::vec(any::<u8>(), 0..600),
        ) {
            prop_assert_eq!(covered(&parse_segment(&bytes)), bytes.len());
            prop_assert_eq!(covered(&parse_segment_salted(&bytes, Some(SALT))), bytes.len());
        }

        #[test]
        fn a_cut_segment_gives_exactly_the_records_before_the_cut(
            payloads in payloads(), share in 0.0..1.0f64,
        ) {
            let whole = segment(&payloads);
            let cut = (share * (whole.len() + 1) as f64) as usize;
            let expected: Vec<_> = parse_segment(&whole).records.into_iter()
                .filter(|record| record.bytes.end <= cut).collect();
            let parsed = parse_segment(&whole[..cut]);
            prop_assert_eq!(parsed.records, expected);
            prop_assert!(parsed.damaged.is_empty());
        }

        #[test]
        fn a_flipped_byte_costs_at_most_the_record_it_is_in(
            payloads in payloads(), share in 0.0..1.0f64, flip in 1..=255u8,
        ) {
            let mut bytes = segment(&payloads);
            let at = (share * bytes.len() as f64) as usize;
            let expected: Vec<_> = parse_segment(&bytes).records.into_iter()
                .filter(|record| !record.bytes.contains(&at)).collect();
            bytes[at] ^= flip;
            let parsed = parse_segment_salted(&bytes, Some(SALT));
            prop_assert_eq!(covered(&parsed), bytes.len());
            prop_assert_eq!(parsed.records, expected);
        }
    }
}

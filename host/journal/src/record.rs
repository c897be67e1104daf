//! The bytes of one record: a checked header, then the payload.
//!
//! ```text
//! 0  magic         4   "WPJr"
//! 4  length        4   of the payload, bytes; all numbers little-endian
//! 8  position      8
//! 16 payload CRC   4   CRC32C
//! 20 header CRC    4   CRC32C of the 20 bytes above, begun with the journal's salt
//! 24 payload
//! ```
//!
//! The header has a CRC of its own so that a damaged payload costs exactly its record, and so that looking
//! for the next record after damage never sums a payload that a false length claims. The salt is random and
//! known to nobody outside: what we measure may carry bytes that look like a record, and must not become one.

use crate::Position;

/// Bytes before the payload.
pub(crate) const HEADER_BYTES: usize = 24;

const MAGIC: [u8; 4] = *b"WPJr";

/// Where the CRC of every header begins; random, one for a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Salt(pub(crate) u32);

impl Salt {
    /// Draws a new one from the randomness that std seeds its hash maps with.
    pub(crate) fn random() -> Self {
        use std::hash::{BuildHasher, Hasher};
        let drawn = std::hash::RandomState::new().build_hasher().finish();
        Self((drawn ^ (drawn >> 32)) as u32)
    }

    fn crc(self, bytes: &[u8]) -> u32 {
        crc32c::crc32c_append(self.0, bytes)
    }
}

/// What stands at the beginning of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    /// A whole record, `bytes` long with its header.
    Record { position: Position, payload: &'a [u8], bytes: usize },
    /// The beginning of a record, or of what may be one, that needs `bytes` in all.
    Incomplete { bytes: usize },
    /// No record, for at least this many bytes (never 0).
    Damaged { bytes: usize },
}

struct Header {
    length: usize,
    position: Position,
    payload_crc: u32,
}

/// Puts the header of a record into the room before its payload.
///
/// Shape: `record` is that room and the payload, which is shorter than 4 GiB: the queue has checked it.
pub(crate) fn seal(position: Position, record: &mut [u8], salt: Salt) {
    let Some((head, payload)) = record.split_first_chunk_mut::<HEADER_BYTES>() else { return };
    head[..4].copy_from_slice(&MAGIC);
    head[4..8].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    head[8..16].copy_from_slice(&u64::from(position).to_le_bytes());
    head[16..20].copy_from_slice(&crc32c::crc32c(payload).to_le_bytes());
    let crc = salt.crc(&head[..20]);
    head[20..].copy_from_slice(&crc.to_le_bytes());
}

/// Appends the bytes of a record to `out`.
#[cfg(test)]
pub(crate) fn encode(position: Position, payload: &[u8], salt: Salt, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER_BYTES]);
    out.extend_from_slice(payload);
    seal(position, &mut out[start..], salt);
}

/// Says what `bytes` begin with.
pub(crate) fn step(bytes: &[u8], salt: Salt) -> Step<'_> {
    if bytes.len() < HEADER_BYTES {
        return Step::Incomplete { bytes: HEADER_BYTES };
    }
    let Some(header) = header(bytes, salt) else {
        return Step::Damaged { bytes: next_header(bytes, salt) };
    };
    let total = HEADER_BYTES.saturating_add(header.length);
    match bytes.get(HEADER_BYTES..total) {
        None => Step::Incomplete { bytes: total },
        Some(payload) if crc32c::crc32c(payload) == header.payload_crc => Step::Record { position: header.position, payload, bytes: total },
        Some(_) => Step::Damaged { bytes: total },
    }
}

fn header(bytes: &[u8], salt: Salt) -> Option<Header> {
    let (head, _) = bytes.split_first_chunk::<HEADER_BYTES>()?;
    if head[..4] != MAGIC || word(head, 20)? != salt.crc(&head[..20]) {
        return None;
    }
    Some(Header {
        length: word(head, 4)? as usize,
        position: Position::from(u64::from(word(head, 8)?) | u64::from(word(head, 12)?) << 32),
        payload_crc: word(head, 16)?,
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let (word, _) = bytes.get(at..)?.split_first_chunk::<4>()?;
    Some(u32::from_le_bytes(*word))
}

/// Distance to the next header; without one, to the first byte that could still begin one.
fn next_header(bytes: &[u8], salt: Salt) -> usize {
    let undecided = bytes.len() - (HEADER_BYTES - 1);
    (1..undecided).find(|&at| header(&bytes[at..], salt).is_some()).unwrap_or(undecided)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: Salt = Salt(0x5eed);

    fn encoded(position: u64, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        encode(Position::from(position), payload, SALT, &mut out);
        out
    }

    #[test]
    fn a_record_comes_back_as_it_went_in() {
        let bytes = encoded(u64::MAX - 1, b"reading");
        let expected = Step::Record { position: Position::from(u64::MAX - 1), payload: b"reading", bytes: 31 };
        assert_eq!(step(&bytes, SALT), expected);
    }

    #[test]
    fn a_damaged_payload_costs_exactly_its_record() {
        let mut bytes = encoded(1, &encoded(9, b"inner"));
        let first = bytes.len();
        bytes.extend(encoded(2, b"next"));
        *bytes.get_mut(first - 1).expect("a byte") ^= 1;
        assert_eq!(step(&bytes, SALT), Step::Damaged { bytes: first });
    }

    #[test]
    fn a_record_inside_a_payload_is_no_record_without_the_salt() {
        let mut forged = Vec::new();
        encode(Position::from(7), b"forged", Salt(0), &mut forged);
        let mut bytes = encoded(1, &forged);
        let first = bytes.len();
        bytes.extend(encoded(2, b"next"));
        bytes[0] ^= 1; // the header of the first is gone, so its payload is searched
        assert_eq!(step(&bytes, SALT), Step::Damaged { bytes: first });
    }

    #[test]
    fn half_a_header_and_half_a_payload_ask_for_the_rest() {
        let bytes = encoded(1, b"reading");
        assert_eq!(step(&bytes[..23], SALT), Step::Incomplete { bytes: 24 });
        assert_eq!(step(&bytes[..30], SALT), Step::Incomplete { bytes: 31 });
    }
}

//! The line in a message's header by which its job, and nobody else, knows it again.

use std::hash::{BuildHasher, Hasher, RandomState};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The header's name.
pub(crate) const HEADER: &str = "X-Watchpost-Roundtrip";
/// SHA-256 works on blocks of this size (RFC 2104 2).
const BLOCK_BYTES: usize = 64;

/// Who a job is: a name that is written in the clear, and a key that never leaves the cursor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    job: u64,
    key: [u64; 2],
}

/// One message, as its mark tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// A number that no other message of the job has.
    pub(crate) id: u64,
    /// When it was sent, in nanoseconds since 1970 by our clock.
    pub(crate) sent_ns: u64,
}

/// A number that nobody can foresee: the keys of this hash come from the system.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

impl Identity {
    pub(crate) fn new() -> Self {
        Self { job: random(), key: [random(), random()] }
    }

    /// The job's name as marks begin, for servers that search.
    pub(crate) fn name(&self) -> String {
        format!("{:016x}", self.job)
    }

    /// Writes the header line of a message, without its end.
    pub(crate) fn header(&self, mark: Mark) -> String {
        let told = self.told(mark);
        format!("{HEADER}: {told} {}", self.proof(&told))
    }

    /// Reads the value of such a header; `None` if it is another job's, forged, or nonsense.
    pub(crate) fn read(&self, value: &str) -> Option<Mark> {
        let words: Vec<&str> = value.split_ascii_whitespace().take(5).collect();
        let [job, id, sent, proof] = words[..] else { return None };
        let mark = Mark { id: u64::from_str_radix(id, 16).ok()?, sent_ns: sent.parse().ok()? };
        let told = self.told(mark);
        // Written in one way only: what differs in a sign or a zero is not ours.
        let same = told == format!("{job} {id} {sent}") && self.proof(&told) == proof;
        same.then_some(mark)
    }

    fn told(&self, mark: Mark) -> String {
        format!("{} {:016x} {}", self.name(), mark.id, mark.sent_ns)
    }

    /// Half of an HMAC (RFC 2104) with SHA-256: whoever does not know the key cannot make one.
    fn proof(&self, text: &str) -> String {
        let mut block = [0; BLOCK_BYTES];
        block[..8].copy_from_slice(&self.key[0].to_be_bytes());
        block[8..16].copy_from_slice(&self.key[1].to_be_bytes());
        let (inner, outer) = (block.map(|byte| byte ^ 0x36), block.map(|byte| byte ^ 0x5c));
        let inner = Sha256::new().chain_update(inner).chain_update(text).finalize();
        let digest = Sha256::new().chain_update(outer).chain_update(inner).finalize();
        digest.iter().take(16).fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(identity: &Identity, mark: Mark) -> String {
        identity.header(mark).strip_prefix("X-Watchpost-Roundtrip: ").unwrap().to_owned()
    }

    #[test]
    fn a_mark_is_known_by_its_own_job_only() {
        let (ours, theirs) = (Identity::new(), Identity::new());
        let mark = Mark { id: random(), sent_ns: 1_795_990_454_123_456_789 };
        let written = value(&ours, mark);
        assert_eq!(ours.read(&written), Some(mark));
        assert_eq!(theirs.read(&written), None);
        assert_eq!(Identity { key: theirs.key, ..ours.clone() }.read(&written), None, "the name alone proves nothing");
        assert!(ours.header(mark).len() < 140);
    }

    #[test]
    fn the_proof_is_half_an_hmac() {
        // Key: 16 bytes 0; text "a". Reference: openssl dgst -sha256 -mac HMAC -macopt hexkey:00000000000000000000000000000000.
        let identity = Identity { job: 0, key: [0, 0] };
        assert_eq!(identity.proof("a"), "9615a95d4a336118c435b9cd54c5e864");
    }

    proptest! {
        #[test]
        fn no_mark_that_was_changed_is_taken(at in 0_usize..100, with in "[0-9a-f +]", text in ".{0,80}") {
            let identity = Identity::new();
            let written = value(&identity, Mark { id: 5, sent_ns: 7_000_000_000 });
            let mut changed = written.clone();
            if at < changed.len() {
                changed.replace_range(at..=at, &with);
            }
            // Spaces more or less are what folding makes.
            let differs = changed.split_ascii_whitespace().ne(written.split_ascii_whitespace());
            prop_assert_eq!(identity.read(&changed).is_none(), differs);
            prop_assert_eq!(identity.read(&text), None);
        }
    }
}

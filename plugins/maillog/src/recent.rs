//! What was seen just before: things that several lines tell of, and that count once.

/// How many are remembered: more than processes whose lines mix in a log's busiest moment.
const REMEMBERED: usize = 64;

/// The last things that were seen, as hashes.
#[derive(Debug)]
pub(crate) struct Recent {
    ring: [u64; REMEMBERED],
    at: usize,
}

impl Recent {
    pub(crate) fn new() -> Self {
        Self { ring: [0; REMEMBERED], at: 0 }
    }

    /// Remembers something; false if it was remembered already.
    pub(crate) fn is_new(&mut self, seen: u64) -> bool {
        if self.ring.contains(&seen) {
            return false;
        }
        self.ring[self.at] = seen;
        self.at = (self.at + 1) % REMEMBERED;
        true
    }

    /// All that is remembered, oldest first.
    pub(crate) fn keep(&self) -> impl Iterator<Item = u64> {
        self.ring[self.at..].iter().chain(&self.ring[..self.at]).copied().filter(|seen| *seen != 0)
    }

    pub(crate) fn go_on(&mut self, kept: &[u64]) {
        for seen in kept {
            self.is_new(*seen);
        }
    }
}

/// A hash of these texts: the same in every build, for it is kept, and small enough to be short in the cursor. Two different ones that
/// have the same are one in 2^50 pairs, and would cost one message's bytes or one connection.
pub(crate) fn hash(texts: &[&[u8]]) -> u64 {
    let mut hash = texts.len() as u64;
    let mut add = |word: u64| {
        hash = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^= hash >> 29;
    };
    for text in texts {
        let (words, rest) = text.as_chunks::<8>();
        words.iter().for_each(|word| add(u64::from_le_bytes(*word)));
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        add(u64::from_le_bytes(last) ^ (rest.len() as u64) << 56);
    }
    (hash >> 14).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_remembered_over_runs() {
        let mut recent = Recent::new();
        assert!(recent.is_new(7) && !recent.is_new(7));
        assert!((100..163).all(|seen| recent.is_new(seen)) && !recent.is_new(7));
        let mut next = Recent::new();
        next.go_on(&recent.keep().collect::<Vec<_>>());
        assert!(!next.is_new(7) && !next.is_new(162) && next.is_new(8) && next.is_new(7), "the oldest made room for another");
    }

    #[test]
    fn texts_that_differ_in_where_they_end_have_different_hashes() {
        let texts: [&[&[u8]]; 6] = [&[b"ab"], &[b"a", b"b"], &[b"ab", b""], &[b"ab\0"], &[b"4A1B2C3D4E"], &[b"4A1B2C3D4F"]];
        let mut hashes: Vec<u64> = texts.iter().map(|texts| hash(texts)).collect();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), texts.len());
    }
}

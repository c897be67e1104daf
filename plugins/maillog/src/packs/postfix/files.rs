//! Queue files under way: which the queue manager has not told of yet, and how large the others are.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasherDefault, Hasher},
};

/// Files that are remembered in a run; those beyond are forgotten, the oldest first.
const FILES_MAX: usize = 16 * 1024;
/// Files that are remembered from one run to the next, the youngest: what the cursor has room for.
const KEPT_MAX: usize = 1024;

/// What the queue manager said of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing yet; whether a filter gave the message back.
    Waits { reinjected: bool },
    /// Its bytes.
    Active(u64),
}

/// An activation, as seen from those before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activation {
    First,
    FirstReinjected,
    Again,
}

#[derive(Clone, Copy, Debug)]
struct File {
    turn: u64,
    state: State,
}

/// Queue files under way, by the hash of their ids.
#[derive(Debug, Default)]
pub(super) struct Files {
    files: HashMap<u64, File, BuildHasherDefault<Same>>,
    /// Files in the order in which they came; those whose turn is another one now are gone.
    order: VecDeque<(u64, u64)>,
    turn: u64,
}

impl Files {
    /// A file is being written; what is said twice of one counts once.
    pub(super) fn expect(&mut self, id: u64, reinjected: bool) {
        match self.files.get_mut(&id) {
            Some(File { state: State::Waits { .. }, .. }) => {}
            // The number is used again, and nobody told of the end of the first one.
            Some(file) => file.state = State::Waits { reinjected },
            None => self.add(id, State::Waits { reinjected }),
        }
    }

    /// The queue manager takes a file up; it does so again at every try.
    pub(super) fn activate(&mut self, id: u64, bytes: u64) -> Activation {
        let Some(file) = self.files.get_mut(&id) else {
            self.add(id, State::Active(bytes));
            return Activation::Again;
        };
        match std::mem::replace(&mut file.state, State::Active(bytes)) {
            State::Waits { reinjected: true } => Activation::FirstReinjected,
            State::Waits { reinjected: false } => Activation::First,
            State::Active(_) => Activation::Again,
        }
    }

    /// A file's bytes, if the queue manager told them and they are remembered.
    pub(super) fn bytes(&self, id: u64) -> Option<u64> {
        match self.files.get(&id)?.state {
            State::Active(bytes) => Some(bytes),
            State::Waits { .. } => None,
        }
    }

    pub(super) fn remove(&mut self, id: u64) {
        self.files.remove(&id);
    }

    /// What the next run has to know: two numbers a file.
    pub(super) fn keep(&self) -> Vec<u64> {
        let mut kept: Vec<_> = self.order.iter().rev().filter_map(|&(id, turn)| Some((id, self.live(id, turn)?))).take(KEPT_MAX).collect();
        kept.reverse();
        kept.into_iter().flat_map(|(id, state)| [id, state.packed()]).collect()
    }

    pub(super) fn go_on(&mut self, kept: &[u64]) {
        let (pairs, _) = kept.as_chunks::<2>();
        for &[id, state] in pairs {
            self.add(id, State::unpacked(state));
        }
    }

    fn live(&self, id: u64, turn: u64) -> Option<State> {
        self.files.get(&id).filter(|file| file.turn == turn).map(|file| file.state)
    }

    fn add(&mut self, id: u64, state: State) {
        self.turn += 1;
        self.files.insert(id, File { turn: self.turn, state });
        self.order.push_back((id, self.turn));
        while self.files.len() > FILES_MAX {
            let Some((id, turn)) = self.order.pop_front() else { return };
            if self.live(id, turn).is_some() {
                self.files.remove(&id);
            }
        }
        if self.order.len() > 2 * FILES_MAX {
            let files = &self.files;
            self.order.retain(|(id, turn)| files.get(id).is_some_and(|file| file.turn == *turn));
        }
    }
}

impl State {
    fn packed(self) -> u64 {
        match self {
            Self::Waits { reinjected } => u64::from(reinjected),
            Self::Active(bytes) => bytes.min(u64::MAX >> 2) << 2 | 2,
        }
    }

    fn unpacked(packed: u64) -> Self {
        match packed & 2 {
            0 => Self::Waits { reinjected: packed & 1 == 1 },
            _ => Self::Active(packed >> 2),
        }
    }
}

/// Ids are hashes already.
#[derive(Default)]
struct Same(u64);

impl Hasher for Same {
    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, number: u64) {
        // The table looks at the highest bits too, and a hash here has fifty.
        self.0 = number << 14 | number & 0x3fff;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_first_once_and_known_until_it_is_removed() {
        let mut files = Files::default();
        files.expect(1, true);
        files.expect(1, false);
        files.expect(2, false);
        assert_eq!((files.bytes(1), files.activate(1, 10), files.activate(1, 10)), (None, Activation::FirstReinjected, Activation::Again));
        let mut next = Files::default();
        next.go_on(&files.keep());
        assert_eq!((next.bytes(1), next.activate(2, 20), next.activate(3, 30)), (Some(10), Activation::First, Activation::Again));
        next.remove(1);
        next.expect(2, false);
        assert_eq!((next.bytes(1), next.bytes(2), next.bytes(3)), (None, None, Some(30)));
    }

    #[test]
    fn the_oldest_are_forgotten_and_what_is_kept_is_bounded() {
        let mut files = Files::default();
        for id in 1..=100_000 {
            files.activate(id, id);
            if id % 3 != 0 {
                files.remove(id);
            }
        }
        assert!(files.files.len() <= FILES_MAX && files.order.len() <= 2 * FILES_MAX);
        assert_eq!((files.bytes(99_999), files.bytes(3)), (Some(99_999), None));
        let kept = files.keep();
        assert_eq!((kept.len(), kept[kept.len() - 2]), (2 * KEPT_MAX, 99_999));
    }
}

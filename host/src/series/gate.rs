//! Keeps those who read a series file apart from who writes it, within this process.
//!
//! librrd's lock is the process's: it holds off other programs, not another thread of ours. A row is written in microseconds, so nobody
//! waits long.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Files share gates; a stranger behind the same one costs a moment, no more.
const GATES: usize = 64;

static ALL: [RwLock<()>; GATES] = [const { RwLock::new(()) }; GATES];

/// Waits until nobody writes the file, and holds writers off.
pub(super) fn reading(path: &Path) -> Option<RwLockReadGuard<'static, ()>> {
    of(path).map(|gate| gate.read().unwrap_or_else(PoisonError::into_inner))
}

/// Waits until nobody reads the file, and holds readers off.
pub(super) fn writing(path: &Path) -> Option<RwLockWriteGuard<'static, ()>> {
    of(path).map(|gate| gate.write().unwrap_or_else(PoisonError::into_inner))
}

fn of(path: &Path) -> Option<&'static RwLock<()>> {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    ALL.get(usize::try_from(hasher.finish() % GATES as u64).unwrap_or(0))
}

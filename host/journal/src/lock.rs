//! Taking a mutex whose holders leave the data whole even if they panic.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, whoever panicked before: every critical section here is a few assignments.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

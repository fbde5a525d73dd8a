//! Locks whose holders leave their content whole.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Locks `mutex`. A panic elsewhere does not make its content wrong: every change is complete
/// before anything that can panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for `condvar`, in the same way.
pub(crate) fn wait<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condvar.wait(guard).unwrap_or_else(PoisonError::into_inner)
}

/// Waits for at most `timeout`.
pub(crate) fn wait_for<'a, T>(
    changed: &Condvar,
    guard: MutexGuard<'a, T>,
    timeout: std::time::Duration,
) -> MutexGuard<'a, T> {
    let waited = changed.wait_timeout(guard, timeout);
    waited.unwrap_or_else(PoisonError::into_inner).0
}

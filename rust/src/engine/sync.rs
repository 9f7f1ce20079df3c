//! The primitives of `job_queue` and `completion_queue`: those of the standard library, or those of
//! loom, which tries every interleaving.

use std::sync::PoisonError;
use std::time::Duration;

#[cfg(loom)]
pub use loom::sync::{Condvar, Mutex, MutexGuard};
#[cfg(not(loom))]
pub use std::sync::{Condvar, Mutex, MutexGuard};

/// Locks a mutex. A panic of another holder changes nothing, because each section under these locks
/// leaves its state valid at every step.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits while `condition` holds, at most for `timeout`.
pub fn wait_while<'a, T>(
    condvar: &Condvar,
    guard: MutexGuard<'a, T>,
    timeout: Duration,
    mut condition: impl FnMut(&mut T) -> bool,
) -> MutexGuard<'a, T> {
    #[cfg(not(loom))]
    {
        condvar
            .wait_timeout_while(guard, timeout, |state| condition(state))
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }
    // Loom has no time: a wait that nothing ends is reported as a deadlock.
    #[cfg(loom)]
    {
        let _ = timeout;
        let mut guard = guard;
        while condition(&mut guard) {
            guard = condvar.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        guard
    }
}

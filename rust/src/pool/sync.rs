//! The atomics of the pool. Under `--cfg loom` they are loom's, which tries every interleaving and
//! every reordering that the memory model allows.

#[cfg(loom)]
pub use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};
#[cfg(not(loom))]
pub use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Reads a figure, which guards no other memory.
pub fn read(figure: &AtomicU64) -> u64 {
    figure.load(Ordering::Relaxed)
}

/// Adds to a figure, which guards no other memory.
pub fn add(figure: &AtomicU64, count: u64) {
    figure.fetch_add(count, Ordering::Relaxed);
}

/// Locks a mutex, also after a panic of another holder: the protected state is consistent between
/// any two statements.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

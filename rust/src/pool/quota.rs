//! The limit of a pool.

use super::sync::{AtomicU64, Ordering};

/// Counts the bytes that are mapped, never more than the limit.
///
/// Bytes are taken in one atomic step before anything is mapped, and given back after it is
/// unmapped.
///
/// All orderings are relaxed: the counter guards no other memory, and on a single variable all
/// threads see one order.
pub struct Quota {
    limit: u64,
    /// Mapped, or about to be.
    used: AtomicU64,
    /// The most that `used` ever was.
    peak: AtomicU64,
}

impl Quota {
    pub fn new(limit: u64) -> Self {
        Self {
            limit,
            used: AtomicU64::new(0),
            peak: AtomicU64::new(0),
        }
    }

    /// Takes `bytes` if there is room for them.
    pub fn try_take(&self, bytes: u64) -> bool {
        let after = |used| (bytes <= self.limit - used).then(|| used + bytes);
        let order = Ordering::Relaxed;
        let taken = self.used.fetch_update(order, order, after);
        if let Ok(before) = taken {
            self.peak.fetch_max(before + bytes, Ordering::Relaxed);
        }
        taken.is_ok()
    }

    /// Gives back what was taken.
    pub fn give(&self, bytes: u64) {
        let before = self.used.fetch_sub(bytes, Ordering::Relaxed);
        debug_assert!(before >= bytes);
    }

    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    pub fn room(&self) -> u64 {
        self.limit - self.used()
    }

    pub fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }
}

#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(all(test, loom))]
mod loom_tests;

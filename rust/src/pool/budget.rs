//! The limit.

use super::sync::{AtomicU64, Ordering};

/// Bytes that are mapped, never more than the limit: they are taken in one atomic step before anything is mapped, and
/// given back after it is unmapped.
///
/// All orderings are relaxed: the counter guards no other memory, and on a single variable all threads see one order.
pub struct Budget {
    limit: u64,
    /// Mapped, or about to be.
    used: AtomicU64,
    /// The most that `used` ever was.
    peak: AtomicU64,
}

impl Budget {
    pub fn new(limit: u64) -> Self {
        Self {
            limit,
            used: AtomicU64::new(0),
            peak: AtomicU64::new(0),
        }
    }

    /// Takes `bytes` if they are there.
    pub fn try_take(&self, bytes: u64) -> bool {
        let mut used = self.used.load(Ordering::Relaxed);
        loop {
            if bytes > self.limit - used {
                return false;
            }
            match self
                .used
                .compare_exchange_weak(used, used + bytes, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => break,
                Err(now) => used = now,
            }
        }
        self.peak.fetch_max(used + bytes, Ordering::Relaxed);
        true
    }

    /// Gives back what was taken.
    pub fn give(&self, bytes: u64) {
        let before = self.used.fetch_sub(bytes, Ordering::Relaxed);
        debug_assert!(before >= bytes);
    }

    pub fn limit(&self) -> u64 {
        self.limit
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
mod tests {
    use super::*;

    #[test]
    fn budget_takes_up_to_the_limit() {
        let budget = Budget::new(10);
        assert!(budget.try_take(4) && budget.try_take(6));
        assert!(!budget.try_take(1));
        assert!(budget.try_take(0));
        budget.give(6);
        assert!(!budget.try_take(7) && !budget.try_take(u64::MAX));
        assert_eq!((budget.used(), budget.room(), budget.peak()), (4, 6, 10));
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use loom::sync::Arc;
    use loom::sync::atomic::{AtomicU64, Ordering};
    use loom::thread;

    use super::Budget;

    /// Three threads want 2 of 5: whoever holds, holds at most 5 together.
    #[test]
    fn loom_budget_is_never_exceeded() {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(2);
        builder.check(|| {
            let budget = Arc::new(Budget::new(5));
            let held = Arc::new(AtomicU64::new(0));
            let takers: Vec<_> = (0..2)
                .map(|_| {
                    let (budget, held) = (Arc::clone(&budget), Arc::clone(&held));
                    thread::spawn(move || take_and_give(&budget, &held))
                })
                .collect();
            take_and_give(&budget, &held);
            for taker in takers {
                taker.join().unwrap();
            }
            assert_eq!(budget.used(), 0);
            assert!(budget.peak() <= 5);
        });
    }

    fn take_and_give(budget: &Budget, held: &AtomicU64) {
        if budget.try_take(2) {
            assert!(held.fetch_add(2, Ordering::AcqRel) + 2 <= 5);
            held.fetch_sub(2, Ordering::AcqRel);
            budget.give(2);
        }
    }

    /// Of two that want 3 of 5, exactly one gets it while it is kept.
    #[test]
    fn loom_budget_refuses_exactly_what_is_too_much() {
        loom::model(|| {
            let budget = Arc::new(Budget::new(5));
            let other = {
                let budget = Arc::clone(&budget);
                thread::spawn(move || budget.try_take(3))
            };
            let mine = budget.try_take(3);
            assert!(mine ^ other.join().unwrap());
            assert_eq!((budget.used(), budget.peak()), (3, 3));
        });
    }
}

//! Free blocks of one class.

use super::sync::{AtomicU64, Ordering};

/// Where a stack keeps the links of its slots: memory that stays valid for as long as the stack is used.
pub trait Links {
    /// The word of `slot` that belongs to the stack while the slot is in it.
    fn link(&self, slot: u32) -> &AtomicU64;
}

/// A lock-free stack of slot numbers (Treiber), which knows its depth and can be bounded.
///
/// A link is `depth << 32 | next + 1`, where `depth` counts the slot itself and all below it: so the depth of the stack
/// stands in the link of its top, and costs no counter of its own.
pub struct FreeStack {
    /// `tag << 32 | top + 1`, or `tag << 32` when empty. The tag changes with every push and pop, so a head that was read
    /// is replaced only if nothing happened in between (ABA), bar 2^32 operations during one.
    head: AtomicU64,
}

fn index(word: u64) -> Option<u32> {
    (word as u32).checked_sub(1)
}

fn depth(link: u64) -> u32 {
    (link >> 32) as u32
}

fn high(half: u32) -> u64 {
    u64::from(half) << 32
}

/// The head after `head`, with `top` (`slot + 1`, or 0) on top.
fn successor(head: u64, top: u32) -> u64 {
    high(((head >> 32) as u32).wrapping_add(1)) | u64::from(top)
}

impl FreeStack {
    pub fn new() -> Self {
        Self {
            head: AtomicU64::new(0),
        }
    }

    /// Puts `slot`, which the caller owns, on top; `false` if `capacity` or more are there already.
    ///
    /// The exchange of the head releases what the caller did to the slot and its memory, for [`pop`](Self::pop) to acquire.
    /// It is SeqCst, as is the load of the pool's `closed` that follows it: closing stores `closed` and then empties the
    /// stacks, so one of the two sees the other's.
    #[inline]
    pub fn push(&self, links: &impl Links, slot: u32, capacity: u32) -> bool {
        let mine = links.link(slot);
        let mut head = self.head.load(Ordering::SeqCst);
        loop {
            let below = index(head).map_or(0, |top| depth(links.link(top).load(Ordering::Relaxed)));
            if below >= capacity {
                // The link was the top's only if the top is still the top.
                let now = self.head.load(Ordering::SeqCst);
                if now == head {
                    return false;
                }
                head = now;
                continue;
            }
            mine.store(
                high(below.wrapping_add(1)) | u64::from(head as u32),
                Ordering::Relaxed,
            );
            let next = successor(head, slot + 1);
            match self
                .head
                .compare_exchange_weak(head, next, Ordering::SeqCst, Ordering::SeqCst)
            {
                Ok(_) => return true,
                Err(now) => head = now,
            }
        }
    }

    /// Takes the top slot; it is the caller's from then on.
    #[inline]
    pub fn pop(&self, links: &impl Links) -> Option<u32> {
        // Acquires what the push of the top released: its link, and the slot itself.
        let mut head = self.head.load(Ordering::SeqCst);
        loop {
            let top = index(head)?;
            // Another thread may have taken the top and be writing its link; then the head has changed and this is unused.
            let below = links.link(top).load(Ordering::Relaxed) as u32;
            let next = successor(head, below);
            match self
                .head
                .compare_exchange_weak(head, next, Ordering::SeqCst, Ordering::SeqCst)
            {
                Ok(_) => return Some(top),
                Err(now) => head = now,
            }
        }
    }

    /// How many slots are in it; exact when nobody else pushes or pops.
    pub fn len(&self, links: &impl Links) -> u32 {
        index(self.head.load(Ordering::SeqCst))
            .map_or(0, |top| depth(links.link(top).load(Ordering::Relaxed)))
    }

    /// A value that is the same twice only if nothing was pushed or popped in between.
    pub fn version(&self) -> Version {
        Version(self.head.load(Ordering::SeqCst))
    }
}

/// Free blocks that changed, or did not: `tag << 32 | slot + 1` of the one that is taken next.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Version(u64);

impl Version {
    pub fn new(word: u64) -> Self {
        Self(word)
    }

    pub fn is_empty(self) -> bool {
        index(self.0).is_none()
    }
}

#[cfg(test)]
struct TestLinks(Vec<AtomicU64>);

#[cfg(test)]
impl TestLinks {
    fn new(count: u32) -> Self {
        Self((0..count).map(|_| AtomicU64::new(0)).collect())
    }
}

#[cfg(test)]
impl Links for TestLinks {
    fn link(&self, slot: u32) -> &AtomicU64 {
        &self.0[slot as usize]
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn stack_is_last_in_first_out_and_knows_its_depth() {
        let (stack, links) = (FreeStack::new(), TestLinks::new(4));
        assert_eq!(stack.pop(&links), None);
        for slot in 0..4 {
            assert_eq!(stack.len(&links), slot);
            assert!(stack.push(&links, slot, u32::MAX));
        }
        for slot in (0..4).rev() {
            assert_eq!(stack.pop(&links), Some(slot));
            assert_eq!(stack.len(&links), slot);
        }
        assert!(stack.version().is_empty());
    }

    #[test]
    fn push_stops_at_the_capacity() {
        let (stack, links) = (FreeStack::new(), TestLinks::new(3));
        assert!(!stack.push(&links, 0, 0));
        assert!(stack.push(&links, 0, 2) && stack.push(&links, 1, 2) && !stack.push(&links, 2, 2));
        stack.pop(&links);
        assert!(stack.push(&links, 2, 2));
    }

    #[test]
    fn version_changes_with_each_operation() {
        let (stack, links) = (FreeStack::new(), TestLinks::new(1));
        let empty = stack.version();
        stack.push(&links, 0, 1);
        let full = stack.version();
        stack.pop(&links);
        let again = stack.version();
        assert!(empty != full && full != again && empty != again && again.is_empty());
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use loom::sync::Arc;
    use loom::sync::atomic::{AtomicU64, Ordering};
    use loom::thread;

    use super::{FreeStack, TestLinks};

    struct Shared {
        stack: FreeStack,
        links: TestLinks,
        /// Who holds each slot, and a word that a holder writes without care: loom reports a race on it.
        owners: Vec<AtomicU64>,
        memory: Vec<loom::cell::UnsafeCell<u64>>,
    }

    impl Shared {
        fn new(slots: u32, free: u32) -> Arc<Self> {
            let shared = Self {
                stack: FreeStack::new(),
                links: TestLinks::new(slots),
                owners: (0..slots).map(|_| AtomicU64::new(0)).collect(),
                memory: (0..slots).map(|_| loom::cell::UnsafeCell::new(0)).collect(),
            };
            for slot in 0..free {
                assert!(shared.stack.push(&shared.links, slot, u32::MAX));
            }
            Arc::new(shared)
        }

        fn hold(&self, slot: u32, me: u64) {
            assert_eq!(
                self.owners[slot as usize].swap(me, Ordering::Relaxed),
                0,
                "two holders"
            );
            // SAFETY: the stack gave the slot to this thread alone; loom verifies just that.
            self.memory[slot as usize].with_mut(|word| unsafe { *word += 1 });
        }

        fn put(&self, slot: u32, capacity: u32) -> bool {
            self.owners[slot as usize].store(0, Ordering::Relaxed);
            self.stack.push(&self.links, slot, capacity)
        }

        fn take(&self, me: u64) -> Option<u32> {
            let slot = self.stack.pop(&self.links)?;
            self.hold(slot, me);
            Some(slot)
        }

        fn drain(&self) -> Vec<u32> {
            let mut all: Vec<_> = std::iter::from_fn(|| self.stack.pop(&self.links)).collect();
            all.sort_unstable();
            all
        }
    }

    fn model(test: impl Fn() + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(test);
    }

    /// The classic of ABA: one thread pops, while another pops two and pushes the first back.
    #[test]
    fn loom_stack_survives_aba() {
        model(|| {
            let shared = Shared::new(3, 3);
            let other = {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    let first = shared.take(2);
                    let second = shared.take(2);
                    if let Some(slot) = first {
                        shared.put(slot, u32::MAX);
                    }
                    second
                })
            };
            let mine = shared.take(1);
            let other = other.join().unwrap();
            let mut all = shared.drain();
            all.extend(mine);
            all.extend(other);
            all.sort_unstable();
            assert_eq!(all, [0, 1, 2]);
        });
    }

    /// What is pushed and popped by two threads at once is neither lost nor given out twice.
    #[test]
    fn loom_stack_loses_nothing() {
        model(|| {
            let shared = Shared::new(3, 1);
            let other = {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    shared.hold(1, 2);
                    shared.put(1, u32::MAX);
                    if let Some(slot) = shared.take(2) {
                        shared.put(slot, u32::MAX);
                    }
                })
            };
            shared.hold(2, 1);
            shared.put(2, u32::MAX);
            if let Some(slot) = shared.take(1) {
                shared.put(slot, u32::MAX);
            }
            other.join().unwrap();
            assert_eq!(shared.stack.len(&shared.links), 3);
            assert_eq!(shared.drain(), [0, 1, 2]);
        });
    }

    /// A bound holds against two pushers, and one of them gets the last place.
    #[test]
    fn loom_stack_keeps_its_bound() {
        model(|| {
            let shared = Shared::new(3, 1);
            let other = {
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.put(1, 2))
            };
            let mine = shared.put(2, 2);
            assert!(mine ^ other.join().unwrap());
            assert_eq!(shared.stack.len(&shared.links), 2);
        });
    }
}

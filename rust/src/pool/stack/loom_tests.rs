use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

use super::{FreeStack, TestLinks};

struct Shared {
    stack: FreeStack,
    links: TestLinks,
    /// The holder of each slot, and a word that its holder writes without synchronization. Loom
    /// reports a race on it.
    owners: Vec<AtomicU64>,
    memory: Vec<loom::cell::UnsafeCell<u64>>,
}

impl Shared {
    fn new(slots: u32, free: u32) -> Arc<Self> {
        let shared = Self {
            stack: FreeStack::default(),
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
        // SAFETY: the stack gave the slot to this thread alone, which loom verifies.
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

/// The classic ABA problem: one thread pops, while another pops two and pushes the first one back.
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

/// What two threads push and pop at once is neither lost nor given out twice.
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

/// The capacity holds against two pushers, and one of them gets the last slot.
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

//! A thread's own free blocks, so that the usual acquire and release share nothing with other threads.

use super::classes::CLASS_COUNT;
use super::stack::Version;
use super::sync::{AtomicU64, Ordering};

/// At most one free block of each class, put there by one thread, its owner, and the figures of that thread's leases.
///
/// The blocks are free like those in the stacks: they count, and whoever holds the pool's lock may take them
/// ([`steal`](Self::steal)). After Bonwick and Adams, "Magazines and Vmem" (2001); one round is enough here, for the stack
/// behind it costs no lock either.
#[repr(align(128))]
pub struct Magazine {
    rounds: [Round; CLASS_COUNT],
}

struct Round {
    /// `tag << 32 | slot + 1`, or `tag << 32` when empty. Only the owner makes an empty one full, with the next tag; any
    /// thread may make a full one empty, which keeps the tag.
    block: AtomicU64,
    /// Leases within the limit that the owner took; only it counts.
    acquired: AtomicU64,
    /// Ends of leases within the limit by the owner; only it counts.
    returned: AtomicU64,
}

/// What [`Magazine::peek`] saw.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Loaded {
    pub number: u32,
    word: u64,
}

/// One more, by the only thread that ever writes the counter: without a locked instruction.
#[inline]
fn increment(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

fn slot(word: u64) -> Option<u32> {
    (word as u32).checked_sub(1)
}

fn emptied(word: u64) -> u64 {
    word >> 32 << 32
}

impl Magazine {
    pub fn new() -> Self {
        Self {
            rounds: std::array::from_fn(|_| Round {
                block: AtomicU64::new(0),
                acquired: AtomicU64::new(0),
                returned: AtomicU64::new(0),
            }),
        }
    }

    /// The owner's block of the class: it can still be stolen, but its slot does not change before that.
    #[inline]
    pub fn peek(&self, class: usize) -> Option<Loaded> {
        // Only the owner puts blocks here, so what it reads it has written, or it was emptied since.
        let word = self.rounds[class].block.load(Ordering::Relaxed);
        slot(word).map(|number| Loaded { number, word })
    }

    /// The owner takes the block that it has just seen; `false` if it was stolen meanwhile.
    #[inline]
    pub fn take(&self, class: usize, loaded: Loaded) -> bool {
        let block = &self.rounds[class].block;
        block.swap(emptied(loaded.word), Ordering::SeqCst) == loaded.word
    }

    /// The owner puts a block that it holds; `false` if there is one already.
    #[inline]
    pub fn put(&self, class: usize, number: u32) -> bool {
        let block = &self.rounds[class].block;
        let word = block.load(Ordering::Relaxed);
        if slot(word).is_some() {
            return false;
        }
        // A plain store will do, since nobody else replaces an empty word. It releases what the owner did to the slot and its
        // memory, for `steal` to acquire.
        let next = emptied(word).wrapping_add(1 << 32) | u64::from(number + 1);
        block.store(next, Ordering::Release);
        true
    }

    /// Any thread takes the owner's block of the class.
    pub fn steal(&self, class: usize) -> Option<u32> {
        let block = &self.rounds[class].block;
        let word = block.load(Ordering::SeqCst);
        let number = slot(word)?;
        // It fails only if the block is gone, or was taken and another one put: then the owner is busy with this class.
        block
            .compare_exchange(word, emptied(word), Ordering::SeqCst, Ordering::SeqCst)
            .ok()
            .map(|_| number)
    }

    /// A value that is the same twice only if nothing was put in between, or all was.
    pub fn version(&self, class: usize) -> Version {
        Version::new(self.rounds[class].block.load(Ordering::SeqCst))
    }

    /// How many free blocks of the class are here: 0 or 1.
    pub fn len(&self, class: usize) -> u32 {
        u32::from(!self.version(class).is_empty())
    }

    #[inline]
    pub fn count_acquired(&self, class: usize) {
        increment(&self.rounds[class].acquired);
    }

    #[inline]
    pub fn count_returned(&self, class: usize) {
        increment(&self.rounds[class].returned);
    }

    pub fn acquired(&self, class: usize) -> u64 {
        self.rounds[class].acquired.load(Ordering::Relaxed)
    }

    pub fn returned(&self, class: usize) -> u64 {
        self.rounds[class].returned.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
impl Magazine {
    /// What the pool does on a thread's behalf.
    fn pull(&self, class: usize) -> Option<u32> {
        let loaded = self.peek(class)?;
        self.take(class, loaded).then_some(loaded.number)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn magazine_holds_one_block_of_each_class() {
        let magazine = Magazine::new();
        assert_eq!((magazine.pull(3), magazine.steal(3)), (None, None));
        assert!(magazine.put(3, 0) && magazine.put(4, 7) && !magazine.put(3, 1));
        assert_eq!((magazine.len(3), magazine.len(4), magazine.len(5)), (1, 1, 0));
        assert_eq!((magazine.pull(3), magazine.pull(3)), (Some(0), None));
        assert_eq!((magazine.steal(4), magazine.pull(4)), (Some(7), None));
        assert!(magazine.put(4, u32::MAX - 1));
        assert_eq!(magazine.pull(4), Some(u32::MAX - 1));
    }

    #[test]
    fn version_tells_that_a_block_was_put_and_taken() {
        let magazine = Magazine::new();
        let before = magazine.version(0);
        magazine.put(0, 1);
        magazine.pull(0);
        let between = magazine.version(0);
        magazine.put(0, 1);
        magazine.steal(0);
        let after = magazine.version(0);
        assert!(before != between && between != after && before != after);
        assert!(before.is_empty() && between.is_empty() && after.is_empty());
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use loom::sync::Arc;
    use loom::sync::atomic::{AtomicU64, Ordering};
    use loom::thread;

    use super::Magazine;

    struct Shared {
        magazine: Magazine,
        /// A word of each block, which a holder writes without care: loom reports a race on it.
        memory: Vec<loom::cell::UnsafeCell<u64>>,
        /// How often a block was found.
        found: AtomicU64,
    }

    impl Shared {
        fn new() -> Arc<Self> {
            Arc::new(Self {
                magazine: Magazine::new(),
                memory: (0..2).map(|_| loom::cell::UnsafeCell::new(0)).collect(),
                found: AtomicU64::new(0),
            })
        }

        fn touch(&self, number: u32) {
            // SAFETY: the magazine or the stack gave the block to this thread alone; loom verifies just that.
            self.memory[number as usize].with_mut(|word| unsafe { *word += 1 });
        }

        fn steal(&self) -> bool {
            let Some(number) = self.magazine.steal(0) else {
                return false;
            };
            self.touch(number);
            self.found.fetch_add(1, Ordering::Relaxed);
            true
        }
    }

    /// Two thieves and the owner: each block that was put is taken once, and what its holder did before is seen.
    #[test]
    fn loom_magazine_gives_a_block_to_one_thread() {
        loom::model(|| {
            let shared = Shared::new();
            shared.touch(0);
            shared.magazine.put(0, 0);
            let thieves: Vec<_> = (0..2)
                .map(|_| {
                    let shared = Arc::clone(&shared);
                    thread::spawn(move || shared.steal())
                })
                .collect();
            let mut mine = 0;
            if let Some(number) = shared.magazine.pull(0) {
                shared.touch(number);
                mine = 1;
            }
            // Another block in the same place must not be taken for the first one.
            shared.touch(1);
            assert!(shared.magazine.put(0, 1));
            for thief in thieves {
                thief.join().unwrap();
            }
            mine += u64::from(shared.magazine.pull(0).is_some());
            assert_eq!(shared.found.load(Ordering::Relaxed) + mine, 2);
        });
    }
}

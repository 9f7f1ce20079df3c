//! A thread's own free blocks, so that the usual acquire and release share nothing with other
//! threads.

use super::classes::CLASS_COUNT;
use super::stack::top;
use super::sync::{AtomicU64, Ordering};

/// Holds at most one free block of each class for one thread, its owner, and the figures of that
/// thread's leases.
///
/// The blocks are free like those in the stacks: they count, and the holder of the pool's lock may
/// take them ([`steal`](Self::steal)). After Bonwick and Adams, "Magazines and Vmem" (2001). One
/// round is enough here, because the stack costs no lock either.
#[derive(Default)]
#[repr(align(128))]
pub struct Magazine {
    rounds: [Round; CLASS_COUNT],
}

#[derive(Default)]
struct Round {
    /// `tag << 32 | slot + 1`, or `tag << 32` when empty. Only the owner makes an empty one full,
    /// with the next tag; any thread may make a full one empty, which keeps the tag.
    block: AtomicU64,
    /// Leases within the limit that the owner took; only it counts.
    acquired: AtomicU64,
    /// Ends of leases within the limit by the owner; only it counts.
    returned: AtomicU64,
}

/// A block that [`Magazine::peek`] saw.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Loaded {
    pub number: u32,
    word: u64,
}

/// Increments a counter that only the calling thread writes, without a locked instruction.
#[inline]
fn increment(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

fn emptied(word: u64) -> u64 {
    word >> 32 << 32
}

impl Magazine {
    /// Returns the owner's block of the class. It can still be stolen, but its slot does not change
    /// before that.
    #[inline]
    pub fn peek(&self, class: usize) -> Option<Loaded> {
        // Only the owner puts blocks here: it reads what it has written, or an emptied word.
        let word = self.rounds[class].block.load(Ordering::Relaxed);
        top(word).map(|number| Loaded { number, word })
    }

    /// Takes the block that the owner has just seen; `false` if it was stolen meanwhile.
    #[inline]
    pub fn take(&self, class: usize, loaded: Loaded) -> bool {
        let block = &self.rounds[class].block;
        block.swap(emptied(loaded.word), Ordering::SeqCst) == loaded.word
    }

    /// Puts a block that the owner holds; `false` if there is one already.
    #[inline]
    pub fn put(&self, class: usize, number: u32) -> bool {
        let block = &self.rounds[class].block;
        let word = block.load(Ordering::Relaxed);
        if top(word).is_some() {
            return false;
        }
        // A plain store will do, since no other thread replaces an empty word. It releases what the
        // owner did to the slot and its memory, for `steal` to acquire.
        let next = emptied(word).wrapping_add(1 << 32) | u64::from(number + 1);
        block.store(next, Ordering::Release);
        true
    }

    /// Takes the owner's block of the class, on any thread.
    pub fn steal(&self, class: usize) -> Option<u32> {
        let block = &self.rounds[class].block;
        let word = block.load(Ordering::SeqCst);
        let number = top(word)?;
        // It fails only if the block is gone, or was taken and another one put: then the owner is
        // busy with this class.
        let (from, to) = (word, emptied(word));
        let taken = block.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst);
        taken.ok().map(|_| number)
    }

    /// Returns the word of the class, which is the same twice only if nothing was put in between.
    pub fn version(&self, class: usize) -> u64 {
        self.rounds[class].block.load(Ordering::SeqCst)
    }

    /// Returns the number of free blocks of the class: 0 or 1.
    pub fn len(&self, class: usize) -> u32 {
        u32::from(top(self.version(class)).is_some())
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
    /// Takes the owner's block, as the pool does for the owner.
    fn pull(&self, class: usize) -> Option<u32> {
        let loaded = self.peek(class)?;
        self.take(class, loaded).then_some(loaded.number)
    }
}

#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(all(test, loom))]
mod loom_tests;

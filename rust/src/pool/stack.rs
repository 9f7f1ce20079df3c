//! Free blocks of one class.

use super::sync::{AtomicU64, Ordering};

/// Provides the links of a stack's slots: memory that stays valid for as long as the stack is used.
pub trait Links {
    /// Returns the word of `slot` that belongs to the stack while the slot is in it.
    fn link(&self, slot: u32) -> &AtomicU64;
}

/// A lock-free stack of slot numbers (Treiber), which knows its depth and can be bounded.
///
/// A link is `depth << 32 | next + 1`, where `depth` counts the slot itself and all below it: so
/// the depth of the stack stands in the link of its top, and costs no counter of its own.
#[derive(Default)]
pub struct FreeStack {
    /// `tag << 32 | top + 1`, or `tag << 32` when empty. The tag changes with every push and pop,
    /// so a head that was read is replaced only if nothing happened in between (ABA), bar 2^32
    /// operations during one.
    head: AtomicU64,
}

/// Returns the slot in a word `tag << 32 | slot + 1`: the one that is taken next.
pub fn top(word: u64) -> Option<u32> {
    (word as u32).checked_sub(1)
}

fn depth(link: u64) -> u32 {
    (link >> 32) as u32
}

fn high(half: u32) -> u64 {
    u64::from(half) << 32
}

/// Returns the head after `head`, with `top` (`slot + 1`, or 0) on top.
fn successor(head: u64, top: u32) -> u64 {
    high(((head >> 32) as u32).wrapping_add(1)) | u64::from(top)
}

impl FreeStack {
    /// Puts `slot`, which the caller owns, on top; `false` if `capacity` or more are there already.
    ///
    /// The exchange of the head releases what the caller did to the slot and its memory, for
    /// [`pop`](Self::pop) to acquire. It is SeqCst, as is the load of the pool's `closed` that
    /// follows it: closing stores `closed` and then empties the stacks, so one of the two sees the
    /// other's.
    #[inline]
    pub fn push(&self, links: &impl Links, slot: u32, capacity: u32) -> bool {
        let mine = links.link(slot);
        let mut head = self.head.load(Ordering::SeqCst);
        loop {
            let below = top(head).map_or(0, |top| depth(links.link(top).load(Ordering::Relaxed)));
            if below >= capacity {
                // The link was the top's only if the top is still the top.
                let now = self.head.load(Ordering::SeqCst);
                if now == head {
                    return false;
                }
                head = now;
                continue;
            }
            let link = high(below.wrapping_add(1)) | u64::from(head as u32);
            mine.store(link, Ordering::Relaxed);
            let (next, order) = (successor(head, slot + 1), Ordering::SeqCst);
            match self.head.compare_exchange_weak(head, next, order, order) {
                Ok(_) => return true,
                Err(now) => head = now,
            }
        }
    }

    /// Takes the top slot; it is the caller's from then on.
    #[inline]
    pub fn pop(&self, links: &impl Links) -> Option<u32> {
        let after = |head| {
            // Another thread may have taken the top and be writing its link; then the head has
            // changed and this is unused.
            let below = links.link(top(head)?).load(Ordering::Relaxed) as u32;
            Some(successor(head, below))
        };
        // Acquires what the push of the top released: its link, and the slot itself.
        let order = Ordering::SeqCst;
        let popped = self.head.fetch_update(order, order, after);
        popped.ok().and_then(top)
    }

    /// Returns the number of slots in it; exact while no other thread pushes or pops.
    pub fn len(&self, links: &impl Links) -> u32 {
        top(self.head.load(Ordering::SeqCst))
            .map_or(0, |top| depth(links.link(top).load(Ordering::Relaxed)))
    }

    /// Returns the head, which is the same twice only if nothing was pushed or popped in between.
    pub fn version(&self) -> u64 {
        self.head.load(Ordering::SeqCst)
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
mod tests;

#[cfg(all(test, loom))]
mod loom_tests;

//! Mapping, reclaiming and giving up blocks under a lock: the slow paths of acquire and release.

use std::sync::Arc;

use super::classes::{ARENA_BYTES, CLASS_BYTES, CLASS_COUNT, blocks_in};
use super::magazine::Magazine;
use super::mapping;
use super::pool::{Bucket, Pool};
use super::prefault;
use super::slots::Slot;
use super::stack::top;
use super::sync::{Ordering, add, lock};
use crate::status::{NO_SUCH_HANDLE, POOL_LIMIT, Status};

/// Number of times that the mapping for a class doubles: 2, 4, 8 MiB. A caller that needs many
/// blocks finds most of them populated.
const DOUBLINGS: u32 = 2;

/// State that the pool's lock protects. Memory is mapped, and counted as mapped, only under that
/// lock.
#[derive(Default)]
pub struct Refill {
    /// Slots that were made so far.
    made: u32,
    /// Slots without memory.
    vacant: Vec<u32>,
    /// By class: vacant slots that kept their addresses, because the kernel had no room for a hole
    /// in the mapping (`vm.max_map_count`). Their pages are gone, so they do not count as mapped.
    decommitted: [Vec<u32>; CLASS_COUNT],
    /// Number of mappings made for each class.
    mappings: [u32; CLASS_COUNT],
}

impl Pool {
    /// Finds or maps a block of the class for the caller alone; says whether it is external.
    ///
    /// Returns [`POOL_LIMIT`] if the limit leaves no room even when all free blocks are given up.
    #[cold]
    #[inline(never)]
    pub(super) fn refill(
        &self,
        class: usize,
        may_be_external: bool,
    ) -> Result<(u32, bool), Status> {
        let refill = &mut *lock(&self.refill);
        let block = u64::from(CLASS_BYTES[class]);
        loop {
            // Nothing is mapped after closing, because nothing would unmap it.
            if self.is_closed() {
                return Err(NO_SUCH_HANDLE);
            }
            if let Some(number) = self.take_free(class) {
                return Ok((number, false));
            }
            let mut wanted = self.blocks_to_map(class, refill.mappings[class].min(DOUBLINGS));
            if self.quota.room() < block * wanted {
                wanted = self.blocks_to_map(class, 0);
            }
            if self.quota.room() < block {
                self.reclaim(refill, class, block * wanted);
            }
            let count = wanted.min(self.quota.room() / block);
            if count > 0 {
                return Ok((self.map_blocks(refill, class, count)?, false));
            }
            if self.is_exhausted(block) {
                break;
            }
            // Other threads took what was reclaimed, or returned blocks: look again.
            std::hint::spin_loop();
        }
        if may_be_external {
            Ok((self.map_external(refill, class)?, true))
        } else {
            Err(POOL_LIMIT)
        }
    }

    /// Returns how many blocks an arena holds that was doubled `doublings` times, but no more than
    /// will be kept beside the one that is asked for.
    fn blocks_to_map(&self, class: usize, doublings: u32) -> u64 {
        let blocks = blocks_in(ARENA_BYTES << doublings, class);
        u64::from(blocks.min(self.kept().saturating_add(1)))
    }

    /// Returns whether there was a moment when nothing was free and less than `bytes` could be mapped.
    ///
    /// Blocks come back without the lock, so one look at the stacks and magazines proves nothing.
    /// Two looks that see all of them empty and with the same versions prove that they were empty
    /// together in between, when the quota was read.
    fn is_exhausted(&self, bytes: u64) -> bool {
        let magazines = lock(&self.magazines);
        let versions = || {
            (0..CLASS_COUNT).flat_map(|class| {
                let own = magazines.iter();
                let own = own.map(move |magazine| magazine.version(class));
                own.chain([self.buckets[class].free.version()])
            })
        };
        let before: Vec<u64> = versions().collect();
        let room = self.quota.room();
        room < bytes && before.iter().all(|&word| top(word).is_none()) && versions().eq(before)
    }

    /// Takes a free block of the class, also from the magazine of a thread.
    fn take_free(&self, class: usize) -> Option<u32> {
        self.buckets[class].free.pop(&self.slots).or_else(|| {
            let magazines = lock(&self.magazines);
            magazines.iter().find_map(|magazine| magazine.steal(class))
        })
    }

    /// Makes a magazine for the calling thread, which has just attached; `None` if magazines would
    /// hold most of the free blocks.
    pub(super) fn magazine(&self) -> Option<Arc<Magazine>> {
        let refill = &mut *lock(&self.refill);
        let mut magazines = lock(&self.magazines);
        let count = magazines.len() as u32 + 1;
        if self.kept() <= count {
            return None;
        }
        let magazine = Arc::new(Magazine::default());
        magazines.push(Arc::clone(&magazine));
        self.magazine_count.store(count, Ordering::Relaxed);
        drop(magazines);
        // The magazine keeps one block of each class that the stack no longer keeps.
        let full = |bucket: &&Bucket| bucket.free.len(&self.slots) > self.kept();
        let last = self.buckets.iter().filter(full);
        let excess = last
            .filter_map(|bucket| bucket.free.pop(&self.slots))
            .collect();
        self.give_up(refill, excess);
        Some(magazine)
    }

    /// Removes the magazine of a thread that is no longer attached, and moves its blocks and
    /// figures to the pool.
    pub(super) fn retire(&self, magazine: &Arc<Magazine>) {
        let refill = &mut *lock(&self.refill);
        let mut magazines = lock(&self.magazines);
        magazines.retain(|each| !Arc::ptr_eq(each, magazine));
        self.magazine_count
            .store(magazines.len() as u32, Ordering::Relaxed);
        let mut excess = Vec::new();
        for (class, bucket) in self.buckets.iter().enumerate() {
            add(&bucket.within.acquired, magazine.acquired(class));
            add(&bucket.within.returned, magazine.returned(class));
            if let Some(number) = magazine.steal(class)
                && !bucket.free.push(&self.slots, number, self.kept())
            {
                excess.push(number);
            }
        }
        drop(magazines);
        self.give_up(refill, excess);
    }

    /// Gives up free blocks of other classes until `bytes` can be mapped or none is left.
    ///
    /// Blocks that are not larger than the missing bytes come first, from the largest down, so that
    /// no more than needed is given up. Larger ones follow, from the smallest up.
    fn reclaim(&self, refill: &mut Refill, for_class: usize, bytes: u64) {
        let missing = bytes.saturating_sub(self.quota.room());
        let fitting = CLASS_BYTES.partition_point(|&class_bytes| u64::from(class_bytes) <= missing);
        let mut victims = Vec::new();
        let mut found = 0;
        let classes = (0..fitting).rev().chain(fitting..CLASS_COUNT);
        for class in classes.filter(|&class| class != for_class) {
            while found < missing {
                let Some(number) = self.take_free(class) else {
                    break;
                };
                victims.push(number);
                found += u64::from(CLASS_BYTES[class]);
            }
        }
        self.give_up(refill, victims);
    }

    /// Maps `count` blocks of the class, for which there is room; keeps all but the one that it
    /// returns.
    fn map_blocks(&self, refill: &mut Refill, class: usize, count: u64) -> Result<u32, Status> {
        let block = CLASS_BYTES[class] as usize;
        if let Some(number) = refill.decommitted[class].pop() {
            let slot = self.slots.at(number);
            // Only this lock's holder takes from the quota, so the room is still there.
            self.spend(block);
            slot.fill(slot.address(), class, false);
            return Ok(number);
        }
        let bytes = block * count as usize;
        self.spend(bytes);
        let align = ARENA_BYTES as usize;
        let mapped = self.map_slots(refill, class, count as usize, align, false);
        let numbers = mapped.inspect_err(|_| self.quota.give(bytes as u64))?;
        // The lowest address ends up on top.
        let mut excess = Vec::new();
        for &number in numbers[1..].iter().rev() {
            // SAFETY: just mapped, and free: nothing accesses it before it is leased.
            unsafe { mapping::protect(self.slots.at(number).address(), block) };
            let free = &self.buckets[class].free;
            if !free.push(&self.slots, number, self.kept()) {
                excess.push(number);
            }
        }
        self.give_up(refill, excess);
        // The first blocks of a class may be all that is ever needed of it.
        if refill.mappings[class] > 0 && bytes > block {
            prefault::start(end(self.slots.at(numbers[0])), bytes - block);
        }
        refill.mappings[class] += 1;
        Ok(numbers[0])
    }

    /// Maps a block beyond the limit.
    fn map_external(&self, refill: &mut Refill, class: usize) -> Result<u32, Status> {
        let bytes = CLASS_BYTES[class];
        let is_arena = bytes >= ARENA_BYTES;
        let align = if is_arena {
            ARENA_BYTES
        } else {
            CLASS_BYTES[0]
        };
        let numbers = self.map_slots(refill, class, 1, align as usize, true)?;
        add(&self.external_bytes, bytes.into());
        Ok(numbers[0])
    }

    /// Maps `count` adjacent blocks of the class into vacant slots.
    fn map_slots(
        &self,
        refill: &mut Refill,
        class: usize,
        count: usize,
        align: usize,
        external: bool,
    ) -> Result<Vec<u32>, Status> {
        let block = CLASS_BYTES[class] as usize;
        let numbers = self.take_slots(refill, count)?;
        let mut mapped = mapping::map(block * count, align);
        // If the system has no more memory, all free blocks are given up.
        if mapped.is_err() && self.give_up_free(refill) > 0 {
            mapped = mapping::map(block * count, align);
        }
        let start = mapped.inspect_err(|_| refill.vacant.extend(&numbers))?;
        for (i, &number) in numbers.iter().enumerate() {
            let address = start + i * block;
            self.slots.at(number).fill(address, class, external);
        }
        Ok(numbers)
    }

    /// Takes bytes of the quota. The caller holds the lock and has seen that there is room.
    fn spend(&self, bytes: usize) {
        let taken = self.quota.try_take(bytes as u64);
        assert!(taken, "memory was mapped without the lock");
    }

    /// Takes vacant slots, and makes more if there are not enough; new ones are in ascending order.
    fn take_slots(&self, refill: &mut Refill, count: usize) -> Result<Vec<u32>, Status> {
        let reused = refill.vacant.len().min(count);
        let mut numbers = refill.vacant.split_off(refill.vacant.len() - reused);
        while numbers.len() < count {
            if let Err(status) = self.slots.grow(refill.made) {
                refill.vacant.extend(numbers);
                return Err(status);
            }
            numbers.push(refill.made);
            refill.made += 1;
        }
        Ok(numbers)
    }

    /// Gives all free blocks back to the system; returns their bytes.
    #[cold]
    #[inline(never)]
    pub(super) fn trim(&self) -> u64 {
        let refill = &mut *lock(&self.refill);
        let bytes = self.give_up_free(refill);
        self.unmap_decommitted(refill);
        bytes
    }

    fn give_up_free(&self, refill: &mut Refill) -> u64 {
        let mut victims = Vec::new();
        let mut bytes = 0;
        for (class, class_bytes) in CLASS_BYTES.into_iter().enumerate() {
            while let Some(number) = self.take_free(class) {
                victims.push(number);
                bytes += u64::from(class_bytes);
            }
        }
        self.give_up(refill, victims);
        bytes
    }

    /// Unmaps blocks that the caller holds; adjacent ones in one call.
    pub(super) fn give_up(&self, refill: &mut Refill, mut numbers: Vec<u32>) {
        numbers.sort_unstable_by_key(|&number| self.slots.at(number).address());
        for run in numbers.chunk_by(|&a, &b| end(self.slots.at(a)) == self.slots.at(b).address()) {
            let first = self.slots.at(run[0]).address();
            let bytes = end(self.slots.at(run[run.len() - 1])) - first;
            prefault::cancel(first, bytes);
            // SAFETY: adjacent blocks of this pool, all of them mapped. They are free and in no
            // stack or magazine, so only the caller knows them.
            let unmapped = unsafe { mapping::unmap(first, bytes) }.is_ok();
            if !unmapped {
                // SAFETY: as above.
                unsafe { mapping::discard(first, bytes) };
            }
            for &number in run {
                let slot = self.slots.at(number);
                let (class, external) = (slot.class(), slot.is_external());
                slot.vacate();
                if unmapped {
                    refill.vacant.push(number);
                } else {
                    refill.decommitted[class].push(number);
                }
                let bytes = u64::from(CLASS_BYTES[class]);
                if external {
                    self.external_bytes.fetch_sub(bytes, Ordering::Relaxed);
                } else {
                    add(&self.buckets[class].dropped, 1);
                    self.quota.give(bytes);
                }
            }
        }
    }

    /// Tries again to unmap what could not be unmapped.
    fn unmap_decommitted(&self, refill: &mut Refill) {
        for decommitted in &mut refill.decommitted {
            decommitted.retain(|&number| {
                let slot = self.slots.at(number);
                // SAFETY: the block is vacant, and mapped because unmapping it failed before.
                let unmapped =
                    unsafe { mapping::unmap(slot.address(), slot.bytes() as usize) }.is_ok();
                if unmapped {
                    refill.vacant.push(number);
                }
                !unmapped
            });
        }
    }
}

/// Returns the address after a block.
fn end(slot: &Slot) -> usize {
    slot.address() + slot.bytes() as usize
}

#[cfg(all(test, not(loom)))]
mod tests;

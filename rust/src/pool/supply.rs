//! Mapping, reclaiming and giving up: what acquire and release do when the free blocks do not serve them. Under a lock.

use std::sync::Arc;

use super::ahead;
use super::classes::{ARENA_BYTES, CLASS_BYTES, CLASS_COUNT, blocks_in};
use super::magazine::Magazine;
use super::mapping;
use super::pool::{Bucket, Pool};
use super::slots::Slot;
use super::stack::Version;
use super::sync::{Ordering, lock};
use crate::status::{NO_SUCH_HANDLE, POOL_LIMIT, Status};

/// Each mapping for a class is twice as large as the one before, so often: 2, 4, 8 MiB. Who needs many blocks finds most of them touched.
const DOUBLINGS: u32 = 2;

/// What the pool's lock protects. Memory is mapped, and counted as mapped, only under that lock.
pub struct Supply {
    /// Slots that were made so far.
    made: u32,
    /// Those without memory.
    vacant: Vec<u32>,
    /// By class: vacant slots that kept their addresses, because the kernel had no room for a hole in the mapping
    /// (`vm.max_map_count`); their pages are gone, so they do not count as mapped.
    hollow: [Vec<u32>; CLASS_COUNT],
    /// By class: how often memory was mapped for it.
    mappings: [u32; CLASS_COUNT],
}

impl Supply {
    pub fn new() -> Self {
        Self {
            made: 0,
            vacant: Vec::new(),
            hollow: [const { Vec::new() }; CLASS_COUNT],
            mappings: [0; CLASS_COUNT],
        }
    }
}

impl Pool {
    /// A block of the class for the caller alone, and whether it is external; [`POOL_LIMIT`] if the limit leaves no room
    /// for it even when all free blocks are given up.
    #[cold]
    #[inline(never)]
    pub(super) fn supply(&self, class: usize, may_be_external: bool) -> Result<(u32, bool), Status> {
        let supply = &mut *lock(&self.supply);
        let block = u64::from(CLASS_BYTES[class]);
        loop {
            // Nothing is mapped after closing, for nobody would unmap it.
            if self.is_closed() {
                return Err(NO_SUCH_HANDLE);
            }
            if let Some(number) = self.take_free(class) {
                return Ok((number, false));
            }
            let mut wanted = self.blocks_to_map(class, supply.mappings[class].min(DOUBLINGS));
            if self.budget.room() < block * wanted {
                wanted = self.blocks_to_map(class, 0);
            }
            if self.budget.room() < block {
                self.reclaim(supply, class, block * wanted);
            }
            let count = wanted.min(self.budget.room() / block);
            if count > 0 {
                return self
                    .map_blocks(supply, class, count)
                    .map(|number| (number, false));
            }
            if self.is_exhausted(block) {
                break;
            }
            // Others took what was reclaimed or brought something back meanwhile: look again.
            std::hint::spin_loop();
        }
        if may_be_external {
            self.map_external(supply, class).map(|number| (number, true))
        } else {
            Err(POOL_LIMIT)
        }
    }

    /// An arena's worth, doubled so many times, but no more than will be kept beside the one that is asked for.
    fn blocks_to_map(&self, class: usize, doublings: u32) -> u64 {
        let blocks = blocks_in(ARENA_BYTES << doublings, class);
        u64::from(blocks.min(self.kept().saturating_add(1)))
    }

    /// Whether there was a moment when nothing was free and less than `bytes` could be mapped.
    ///
    /// Blocks come back without the lock, so one pass over the stacks and magazines proves nothing. Two passes that see all
    /// of them empty and untouched prove that they were empty together in between, when the budget was read.
    fn is_exhausted(&self, bytes: u64) -> bool {
        let magazines = lock(&self.magazines);
        let versions = || {
            (0..CLASS_COUNT).flat_map(|class| {
                let own = magazines.iter().map(move |magazine| magazine.version(class));
                own.chain([self.buckets[class].free.version()])
            })
        };
        let before: Vec<Version> = versions().collect();
        let room = self.budget.room();
        room < bytes && before.iter().all(|version| version.is_empty()) && versions().eq(before)
    }

    /// A free block of the class, also from the magazine of a thread.
    fn take_free(&self, class: usize) -> Option<u32> {
        self.buckets[class].free.pop(&self.slots).or_else(|| {
            let magazines = lock(&self.magazines);
            magazines.iter().find_map(|magazine| magazine.steal(class))
        })
    }

    /// A magazine for the calling thread, which has just attached; none where most of the places would be theirs.
    pub(super) fn magazine(&self) -> Option<Arc<Magazine>> {
        let supply = &mut *lock(&self.supply);
        let mut magazines = lock(&self.magazines);
        let count = magazines.len() as u32 + 1;
        if self.kept() <= count {
            return None;
        }
        let magazine = Arc::new(Magazine::new());
        magazines.push(Arc::clone(&magazine));
        self.magazine_count.store(count, Ordering::Relaxed);
        drop(magazines);
        // The place of each class that is the magazine's now.
        let full = |bucket: &&Bucket| bucket.free.len(&self.slots) > self.kept();
        let last = self.buckets.iter().filter(full);
        let excess = last.filter_map(|bucket| bucket.free.pop(&self.slots)).collect();
        self.give_up(supply, excess);
        Some(magazine)
    }

    /// Takes the magazine of a thread away that is not attached any more: its blocks and figures are everybody's.
    pub(super) fn retire(&self, magazine: &Arc<Magazine>) {
        let supply = &mut *lock(&self.supply);
        let mut magazines = lock(&self.magazines);
        magazines.retain(|each| !Arc::ptr_eq(each, magazine));
        self.magazine_count
            .store(magazines.len() as u32, Ordering::Relaxed);
        let mut excess = Vec::new();
        for (class, bucket) in self.buckets.iter().enumerate() {
            bucket
                .acquired
                .fetch_add(magazine.acquired(class), Ordering::Relaxed);
            bucket
                .returned
                .fetch_add(magazine.returned(class), Ordering::Relaxed);
            if let Some(number) = magazine.steal(class)
                && !bucket.free.push(&self.slots, number, self.kept())
            {
                excess.push(number);
            }
        }
        drop(magazines);
        self.give_up(supply, excess);
    }

    /// Gives up free blocks of other classes until `bytes` can be mapped or none is left.
    ///
    /// First those that are not larger than what is missing, from the largest down, which gives up no more than needed; then
    /// larger ones, from the smallest up.
    fn reclaim(&self, supply: &mut Supply, for_class: usize, bytes: u64) {
        let missing = bytes.saturating_sub(self.budget.room());
        let fitting = CLASS_BYTES.partition_point(|&class_bytes| u64::from(class_bytes) <= missing);
        let mut victims = Vec::new();
        let mut found = 0;
        for class in (0..fitting)
            .rev()
            .chain(fitting..CLASS_COUNT)
            .filter(|&class| class != for_class)
        {
            while found < missing {
                let Some(number) = self.take_free(class) else {
                    break;
                };
                victims.push(number);
                found += u64::from(CLASS_BYTES[class]);
            }
        }
        self.give_up(supply, victims);
    }

    /// Maps `count` blocks of the class, for which there is room, and keeps all but the one it answers.
    fn map_blocks(&self, supply: &mut Supply, class: usize, count: u64) -> Result<u32, Status> {
        let block = CLASS_BYTES[class] as usize;
        if let Some(number) = supply.hollow[class].pop() {
            let slot = self.slots.at(number);
            // Only this lock's holder takes from the budget, so the room is still there.
            self.spend(block);
            slot.fill(slot.address(), class, false);
            return Ok(number);
        }
        let numbers = self.take_slots(supply, count as usize)?;
        let bytes = block * numbers.len();
        self.spend(bytes);
        let start = match self.map_or_trim(supply, bytes, ARENA_BYTES as usize) {
            Ok(start) => start,
            Err(status) => {
                self.budget.give(bytes as u64);
                supply.vacant.extend(numbers);
                return Err(status);
            }
        };
        for (i, &number) in numbers.iter().enumerate() {
            self.slots.at(number).fill(start + i * block, class, false);
        }
        // The lowest comes to lie on top.
        let mut excess = Vec::new();
        for &number in numbers[1..].iter().rev() {
            mapping::protect(self.slots.at(number).address(), block);
            if !self.buckets[class].free.push(&self.slots, number, self.kept()) {
                excess.push(number);
            }
        }
        self.give_up(supply, excess);
        // The first blocks of a class may be all that is ever needed of it.
        if supply.mappings[class] > 0 && bytes > block {
            ahead::touch(start + block, bytes - block);
        }
        supply.mappings[class] += 1;
        Ok(numbers[0])
    }

    /// Maps a block beyond the limit.
    fn map_external(&self, supply: &mut Supply, class: usize) -> Result<u32, Status> {
        let bytes = CLASS_BYTES[class];
        let number = self.take_slots(supply, 1)?[0];
        let align = if bytes >= ARENA_BYTES {
            ARENA_BYTES
        } else {
            CLASS_BYTES[0]
        };
        match self.map_or_trim(supply, bytes as usize, align as usize) {
            Ok(start) => {
                self.slots.at(number).fill(start, class, true);
                self.external_bytes.fetch_add(u64::from(bytes), Ordering::Relaxed);
                Ok(number)
            }
            Err(status) => {
                supply.vacant.push(number);
                Err(status)
            }
        }
    }

    /// Takes bytes of the budget that the caller, who holds the lock, has seen there.
    fn spend(&self, bytes: usize) {
        let taken = self.budget.try_take(bytes as u64);
        assert!(taken, "memory was mapped without the lock");
    }

    /// Maps; where the system has no more, gives up all free blocks and tries once more.
    fn map_or_trim(&self, supply: &mut Supply, bytes: usize, align: usize) -> Result<usize, Status> {
        mapping::map(bytes, align).or_else(|status| {
            if self.give_up_free(supply) > 0 {
                mapping::map(bytes, align)
            } else {
                Err(status)
            }
        })
    }

    /// Vacant slots, made where there are not enough; ascending where they are new.
    fn take_slots(&self, supply: &mut Supply, count: usize) -> Result<Vec<u32>, Status> {
        let reused = supply.vacant.len().min(count);
        let mut numbers = supply.vacant.split_off(supply.vacant.len() - reused);
        while numbers.len() < count {
            if let Err(status) = self.slots.grow(supply.made) {
                supply.vacant.extend(numbers);
                return Err(status);
            }
            numbers.push(supply.made);
            supply.made += 1;
        }
        Ok(numbers)
    }

    /// Unmaps a block that is not kept.
    #[cold]
    #[inline(never)]
    pub(super) fn drop_block(&self, number: u32) {
        self.give_up(&mut lock(&self.supply), vec![number]);
    }

    /// Gives all free blocks back to the system; the bytes.
    #[cold]
    #[inline(never)]
    pub(super) fn trim(&self) -> u64 {
        let supply = &mut *lock(&self.supply);
        let bytes = self.give_up_free(supply);
        self.unmap_hollow(supply);
        bytes
    }

    fn give_up_free(&self, supply: &mut Supply) -> u64 {
        let mut victims = Vec::new();
        let mut bytes = 0;
        for (class, class_bytes) in CLASS_BYTES.into_iter().enumerate() {
            while let Some(number) = self.take_free(class) {
                victims.push(number);
                bytes += u64::from(class_bytes);
            }
        }
        self.give_up(supply, victims);
        bytes
    }

    /// Unmaps blocks that the caller holds, those that touch each other in one call.
    fn give_up(&self, supply: &mut Supply, mut numbers: Vec<u32>) {
        numbers.sort_unstable_by_key(|&number| self.slots.at(number).address());
        for run in numbers.chunk_by(|&a, &b| end(self.slots.at(a)) == self.slots.at(b).address()) {
            let first = self.slots.at(run[0]).address();
            let bytes = end(self.slots.at(run[run.len() - 1])) - first;
            ahead::forget(first, bytes);
            let unmapped = mapping::unmap(first, bytes).is_ok();
            if !unmapped {
                mapping::discard(first, bytes);
            }
            for &number in run {
                let slot = self.slots.at(number);
                let (class, external) = (slot.class(), slot.is_external());
                slot.vacate();
                if unmapped {
                    supply.vacant.push(number)
                } else {
                    supply.hollow[class].push(number)
                };
                let bytes = u64::from(CLASS_BYTES[class]);
                if external {
                    self.external_bytes.fetch_sub(bytes, Ordering::Relaxed);
                } else {
                    self.buckets[class].dropped.fetch_add(1, Ordering::Relaxed);
                    self.budget.give(bytes);
                }
            }
        }
    }

    /// Tries again to unmap what could not be unmapped.
    fn unmap_hollow(&self, supply: &mut Supply) {
        for hollow in &mut supply.hollow {
            hollow.retain(|&number| {
                let slot = self.slots.at(number);
                let unmapped = mapping::unmap(slot.address(), slot.bytes() as usize).is_ok();
                if unmapped {
                    supply.vacant.push(number);
                }
                !unmapped
            });
        }
    }
}

/// The address after a block.
fn end(slot: &Slot) -> usize {
    slot.address() + slot.bytes() as usize
}

#[cfg(all(test, not(loom)))]
mod tests {
    use crate::pool::pool::{Pool, Settings};
    use crate::pool::slots::OwnerId;

    /// A refusal needs proof: no room, and no free block that the search for one may have missed.
    #[test]
    fn pool_is_exhausted_only_when_nothing_is_free() {
        let me = OwnerId(1);
        let pool = Pool::new(
            0,
            Settings {
                enabled: true,
                limit_bytes: 8192,
                bucket_capacity: 8,
            },
        );
        assert!(!pool.is_exhausted(8192) && pool.is_exhausted(8193));
        let leases = [(); 2].map(|()| pool.acquire(me, None, 4096, false).unwrap());
        assert!(pool.is_exhausted(4096) && !pool.is_exhausted(0));
        for lease in leases {
            pool.release(me, None, lease.slot, lease.generation).unwrap();
            assert!(!pool.is_exhausted(4096));
        }
    }
}

//! The table of a pool's blocks, and the holder of each.

use std::sync::OnceLock;

use super::classes::CLASS_BYTES;
use super::stack::Links;
use super::sync::{AtomicU32, AtomicU64, Ordering};
use crate::status::{Errno, Status, TABLE_FULL};
use crate::thread::OwnerId;

/// State of a block, apart from its loans.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Not mapped, or just being mapped or unmapped.
    Vacant,
    /// In the stack of its class or a magazine, or just being moved there or out.
    Free,
    /// Held by its owner; lent if it has loans.
    Leased,
    /// The lease ended while loans were pending: the last of them frees it.
    Orphaned,
    /// In use for ever.
    Quarantined,
}

/// A slot's holder: `owner << 32 | state << 28 | loans`, so that all three change in one step.
///
/// Only the owner's thread moves a block out of `Leased` and makes loans; any thread ends loans. So
/// a word that reads "leased by me, no loans" on the owner's thread cannot change under it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Holder(u64);

/// The most loans that one block can have at a time.
pub const MAX_LOANS: u32 = (1 << 28) - 1;

impl Holder {
    pub const VACANT: Self = Self::new(0, State::Vacant, 0);
    pub const FREE: Self = Self::new(0, State::Free, 0);

    const fn new(owner: u32, state: State, loans: u32) -> Self {
        Self((owner as u64) << 32 | (state as u64) << 28 | loans as u64)
    }

    /// Returns the holder of a block that `owner` leases, without loans.
    pub fn leased(owner: OwnerId) -> Self {
        Self::new(owner.0, State::Leased, 0)
    }

    /// Returns the holder without an owner; the loans stay.
    pub fn without_owner(self, state: State) -> Self {
        Self::new(0, state, self.loans())
    }

    pub fn is_leased_by(self, owner: OwnerId) -> bool {
        self.state() == State::Leased && (self.0 >> 32) as u32 == owner.0
    }

    pub fn state(self) -> State {
        match self.0 >> 28 & 0xf {
            0 => State::Vacant,
            1 => State::Free,
            2 => State::Leased,
            3 => State::Orphaned,
            _ => State::Quarantined,
        }
    }

    pub fn loans(self) -> u32 {
        self.0 as u32 & MAX_LOANS
    }
}

const CLASS_MASK: u32 = 0xff;
const FRESH: u32 = 1 << 8;
const EXTERNAL: u32 = 1 << 9;

/// One block, vacant by default. Two share a cache line.
#[derive(Default)]
#[repr(align(32))]
pub struct Slot {
    /// A [`Holder`].
    holder: AtomicU64,
    /// The link of the stack, while the block is free.
    link: AtomicU64,
    /// Address of the first byte; written only while the slot is vacant.
    address: AtomicU64,
    /// Changes whenever the mapping goes, so that a stale reference can be recognised.
    generation: AtomicU32,
    /// `class | FRESH | EXTERNAL`; written while the slot is vacant, and by the thread that takes
    /// the block.
    kind: AtomicU32,
}

impl Slot {
    /// Gives a vacant slot its memory, all zeros.
    pub fn fill(&self, address: usize, class: usize, external: bool) {
        debug_assert!(self.holder().state() == State::Vacant);
        // Relaxed: what others learn about a block reaches them through the stack or the pool's
        // lock.
        self.address.store(address as u64, Ordering::Relaxed);
        let kind = class as u32 | FRESH | if external { EXTERNAL } else { 0 };
        self.kind.store(kind, Ordering::Relaxed);
        self.set_holder(Holder::FREE);
    }

    /// Takes the memory of the block away, and changes its generation.
    pub fn vacate(&self) {
        self.generation.fetch_add(1, Ordering::Relaxed);
        self.set_holder(Holder::VACANT);
    }

    pub fn address(&self) -> usize {
        self.address.load(Ordering::Relaxed) as usize
    }

    pub fn generation(&self) -> u32 {
        self.generation.load(Ordering::Relaxed)
    }

    pub fn class(&self) -> usize {
        (self.kind.load(Ordering::Relaxed) & CLASS_MASK) as usize
    }

    pub fn bytes(&self) -> u32 {
        CLASS_BYTES[self.class()]
    }

    pub fn is_external(&self) -> bool {
        self.kind.load(Ordering::Relaxed) & EXTERNAL != 0
    }

    /// Returns whether the memory was not used since it was mapped.
    pub fn is_fresh(&self) -> bool {
        self.kind.load(Ordering::Relaxed) & FRESH != 0
    }

    /// Marks the memory as used. The caller owns the block.
    pub fn mark_used(&self) {
        let kind = self.kind.load(Ordering::Relaxed);
        self.kind.store(kind & !FRESH, Ordering::Relaxed);
    }

    /// Returns the holder. Acquires what the threads that ended loans released.
    pub fn holder(&self) -> Holder {
        Holder(self.holder.load(Ordering::Acquire))
    }

    /// Sets the holder of a block that no other thread can change now. Released for `holder` on
    /// other threads.
    pub fn set_holder(&self, holder: Holder) {
        self.holder.store(holder.0, Ordering::Release);
    }

    /// Replaces the holder if it is still `from`; otherwise returns the one found.
    pub fn exchange_holder(&self, from: Holder, to: Holder) -> Result<(), Holder> {
        let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
        let exchanged = self.holder.compare_exchange(from.0, to.0, success, failure);
        exchanged.map(drop).map_err(Holder)
    }

    /// Adds a loan; the caller is the owner and has checked [`MAX_LOANS`].
    pub fn add_loan(&self) {
        self.holder.fetch_add(1, Ordering::Relaxed);
    }

    /// Ends a loan and returns the holder before. Releases what was done with the memory during the
    /// loan, and acquires what was done during the other loans, for the thread that frees the
    /// block.
    pub fn end_loan(&self) -> Holder {
        let before = Holder(self.holder.fetch_sub(1, Ordering::AcqRel));
        debug_assert!(before.loans() > 0);
        before
    }
}

/// Slots of the first segment; each further one has twice as many.
const FIRST_SEGMENT: u32 = 64;
const SEGMENTS: usize = 25;

/// The most slots of a pool: 2^31 - 64, which is all of 8 TiB in the smallest blocks.
pub const MAX_SLOTS: u32 = ((1 << SEGMENTS) - 1) * FIRST_SEGMENT;

/// An array that grows by segments and never moves: a slot's reference is valid for as long as the
/// table is.
#[derive(Default)]
pub struct SlotTable {
    segments: [OnceLock<Box<[Slot]>>; SEGMENTS],
}

/// Returns the segment of a slot, and its index there.
#[inline]
fn locate(slot: u32) -> (usize, usize) {
    let shifted = slot + FIRST_SEGMENT;
    let segment = shifted.ilog2() - FIRST_SEGMENT.ilog2();
    let index = shifted - (FIRST_SEGMENT << segment);
    (segment as usize, index as usize)
}

impl SlotTable {
    /// Returns the slot with that number, if the table has grown so far.
    #[inline]
    pub fn get(&self, slot: u32) -> Option<&Slot> {
        if slot >= MAX_SLOTS {
            return None;
        }
        let (segment, index) = locate(slot);
        self.segments[segment].get()?.get(index)
    }

    /// Returns the slot of a number that the pool itself made.
    #[inline]
    pub fn at(&self, slot: u32) -> &Slot {
        let (segment, index) = locate(slot);
        // The pool only knows numbers that `grow` has made.
        &self.segments[segment].get().expect("a slot of this table")[index]
    }

    /// Grows the table until `slot` exists. The caller holds the pool's lock.
    pub fn grow(&self, slot: u32) -> Result<(), Status> {
        if slot >= MAX_SLOTS {
            return Err(TABLE_FULL);
        }
        let (segment, _) = locate(slot);
        if self.segments[segment].get().is_none() {
            let count = (FIRST_SEGMENT as usize) << segment;
            let mut slots = Vec::new();
            let reserved = slots.try_reserve_exact(count);
            reserved.map_err(|_| Errno(libc::ENOMEM))?;
            slots.resize_with(count, Slot::default);
            let _ = self.segments[segment].set(slots.into_boxed_slice());
        }
        Ok(())
    }

    /// Iterates over all slots with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Slot)> {
        let made = self.segments.iter().map_while(|segment| segment.get());
        (0..).zip(made.flat_map(|segment| segment.iter()))
    }
}

impl Links for SlotTable {
    #[inline]
    fn link(&self, slot: u32) -> &AtomicU64 {
        &self.at(slot).link
    }
}

#[cfg(all(test, not(loom)))]
mod tests;

//! Acquire, release and loans: the hot paths, which take no lock.

use std::ptr;
use std::sync::{Arc, Mutex};

use super::POOLS;
use super::classes::{CLASS_COUNT, class_of};
use super::loan::Loan;
use super::magazine::Magazine;
use super::mapping;
use super::quota::Quota;
use super::refill::Refill;
use super::slots::{Holder, MAX_LOANS, Slot, SlotTable, State};
use super::stack::FreeStack;
use super::sync::{AtomicBool, AtomicU32, AtomicU64, Ordering, add, fence, lock};
use crate::status::{BAD_ARGUMENT, NO_SUCH_HANDLE, NOT_OWNER, Status, TABLE_FULL};
use crate::thread::OwnerId;

/// How a pool behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Whether free blocks are kept. Otherwise each acquire maps a block, and each release unmaps
    /// it.
    pub enabled: bool,
    /// The most bytes that are ever mapped, free or in use, external blocks apart.
    pub limit_bytes: u64,
    /// The most free blocks that each class keeps.
    pub bucket_capacity: u32,
}

/// A block that was just leased.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lease {
    /// Its number in the pool.
    pub slot: u32,
    /// Identifies the mapping, together with the slot.
    pub generation: u32,
    /// Bytes of its class.
    pub capacity: u32,
    /// Whether it is beyond the limit.
    pub external: bool,
    /// Whether its memory was never used and is all zeros.
    pub fresh: bool,
    /// Address of its first byte.
    pub address: usize,
}

impl Lease {
    #[inline(always)]
    fn of(number: u32, slot: &Slot) -> Self {
        Self {
            slot: number,
            generation: slot.generation(),
            capacity: slot.bytes(),
            external: slot.is_external(),
            fresh: slot.is_fresh(),
            address: slot.address(),
        }
    }
}

/// Number of events that only the caller's language sees: see `count` of [`super`].
pub const EVENT_COUNT: usize = 6;

/// Free blocks and figures of a class, on cache lines of their own.
#[derive(Default)]
#[repr(align(128))]
pub(super) struct Bucket {
    pub free: FreeStack,
    /// Figures of blocks within the limit, beside those that the magazines count.
    pub within: Figures,
    /// Figures of blocks beyond the limit.
    pub external: Figures,
    /// Blocks within the limit that were unmapped.
    pub dropped: AtomicU64,
}

impl Bucket {
    fn figures(&self, external: bool) -> &Figures {
        if external {
            &self.external
        } else {
            &self.within
        }
    }
}

#[derive(Default)]
pub(super) struct Figures {
    /// Leases.
    pub acquired: AtomicU64,
    /// Ends of leases that brought the block back. Counted before the block is free, so that
    /// acquired - returned never shows more in use than there is.
    pub returned: AtomicU64,
    /// Blocks that will never come back.
    pub quarantined: AtomicU64,
}

/// Holds blocks under one limit. The functions of [`super`] find it by its number.
pub struct Pool {
    pub(super) number: u32,
    pub(super) settings: Settings,
    pub(super) quota: Quota,
    pub(super) buckets: [Bucket; CLASS_COUNT],
    pub(super) slots: SlotTable,
    pub(super) refill: Mutex<Refill>,
    /// Magazines of the attached threads. Locked after `refill` where both are.
    pub(super) magazines: Mutex<Vec<Arc<Magazine>>>,
    /// Number of magazines; each may hold one free block of each class.
    pub(super) magazine_count: AtomicU32,
    /// Bytes mapped beyond the limit.
    pub(super) external_bytes: AtomicU64,
    pub(super) events: [AtomicU64; EVENT_COUNT],
    pub(super) attachments: Mutex<u32>,
    /// No attachment is left, so no free block is kept.
    closed: AtomicBool,
    /// The pool is closed and nothing is in use.
    dead: AtomicBool,
}

impl Pool {
    /// Makes a pool with one attachment.
    pub(super) fn new(number: u32, settings: Settings) -> Self {
        Self {
            number,
            settings,
            quota: Quota::new(settings.limit_bytes),
            buckets: Default::default(),
            slots: SlotTable::default(),
            refill: Mutex::default(),
            magazines: Mutex::default(),
            magazine_count: AtomicU32::new(0),
            external_bytes: AtomicU64::new(0),
            events: Default::default(),
            attachments: Mutex::new(1),
            closed: AtomicBool::new(false),
            dead: AtomicBool::new(false),
        }
    }

    /// Returns whether no attachment is left. SeqCst: see [`FreeStack::push`].
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    pub(super) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    /// Returns how many free blocks the stack of a class may keep now.
    pub(super) fn kept(&self) -> u32 {
        if self.settings.enabled && !self.is_closed() {
            let theirs = self.magazine_count.load(Ordering::Relaxed);
            self.settings.bucket_capacity.saturating_sub(theirs)
        } else {
            0
        }
    }

    /// Adds an attachment; refused once the pool has closed.
    pub(super) fn attach(&self) -> Result<(), Status> {
        let mut attachments = lock(&self.attachments);
        if *attachments == 0 {
            return Err(NO_SUCH_HANDLE);
        }
        *attachments += 1;
        Ok(())
    }

    /// Takes attachments away; the pool closes with the last one.
    pub(super) fn detach(&self, count: u32) {
        {
            let mut attachments = lock(&self.attachments);
            *attachments = attachments.saturating_sub(count);
            if *attachments > 0 {
                return;
            }
            self.closed.store(true, Ordering::SeqCst);
        }
        self.trim();
        self.die_if_unused();
    }

    /// Removes the number of a closed pool when nothing is in use.
    #[cold]
    pub(super) fn die_if_unused(&self) {
        // Pairs with itself on other threads: of two that return the last blocks, one sees both.
        fence(Ordering::SeqCst);
        if self.is_closed() && self.in_use_blocks() == 0 && !self.dead.swap(true, Ordering::Relaxed)
        {
            // Its memory is unmapped here if this was the last reference.
            drop(POOLS.remove(self.number));
        }
    }

    /// Leases a block of at least `length` bytes to `owner`, whose magazine it is.
    ///
    /// Inlined up to the export: passing the [`Lease`] in memory would stall, for a third of the
    /// time of the whole call.
    #[inline(always)]
    pub(super) fn acquire(
        &self,
        owner: OwnerId,
        magazine: Option<&Magazine>,
        length: u32,
        may_be_external: bool,
    ) -> Result<Lease, Status> {
        let class = class_of(length).ok_or(BAD_ARGUMENT)?;
        if let Some(magazine) = magazine
            && let Some(loaded) = magazine.peek(class)
        {
            // Read before the block is taken: no load can overtake a locked instruction.
            let slot = self.slots.at(loaded.number);
            let lease = Lease::of(loaded.number, slot);
            if magazine.take(class, loaded) {
                magazine.count_acquired(class);
                return self.lease(owner, slot, lease);
            }
        }
        self.acquire_shared(owner, magazine, class, may_be_external)
    }

    /// Leases a block that does not come from the magazine.
    #[inline(never)]
    fn acquire_shared(
        &self,
        owner: OwnerId,
        magazine: Option<&Magazine>,
        class: usize,
        may_be_external: bool,
    ) -> Result<Lease, Status> {
        if self.is_closed() {
            return Err(NO_SUCH_HANDLE);
        }
        let bucket = &self.buckets[class];
        let (number, external) = match bucket.free.pop(&self.slots) {
            Some(number) => (number, false),
            None => self.refill(class, may_be_external)?,
        };
        match magazine {
            Some(magazine) if !external => magazine.count_acquired(class),
            _ => add(&bucket.figures(external).acquired, 1),
        }
        let slot = self.slots.at(number);
        self.lease(owner, slot, Lease::of(number, slot))
    }

    /// Leases a free block that no other thread knows and that is counted as acquired.
    #[inline(always)]
    fn lease(&self, owner: OwnerId, slot: &Slot, lease: Lease) -> Result<Lease, Status> {
        // SAFETY: the block of a slot that is not vacant is mapped.
        if let Err(errno) = unsafe { mapping::unprotect(lease.address, lease.capacity as usize) } {
            self.give_back(lease.slot, slot);
            return Err(errno.into());
        }
        if lease.fresh {
            slot.mark_used();
        }
        slot.set_holder(Holder::leased(owner));
        Ok(lease)
    }

    /// Returns the figures that count the block of a slot.
    fn figures(&self, slot: &Slot) -> &Figures {
        self.buckets[slot.class()].figures(slot.is_external())
    }

    /// Returns the slot that a caller names.
    fn slot(&self, number: u32, generation: u32) -> Result<&Slot, Status> {
        self.slots
            .get(number)
            .filter(|slot| slot.generation() == generation)
            .ok_or(NO_SUCH_HANDLE)
    }

    #[inline(always)]
    pub(super) fn release(
        &self,
        owner: OwnerId,
        magazine: Option<&Magazine>,
        number: u32,
        generation: u32,
    ) -> Result<(), Status> {
        let slot = self.slot(number, generation)?;
        if slot.holder() != Holder::leased(owner) {
            return self.release_lent(owner, number, slot);
        }
        // Without loans only this thread changes it.
        slot.set_holder(Holder::FREE);
        if let Some(magazine) = magazine
            && !slot.is_external()
        {
            let class = slot.class();
            magazine.count_returned(class);
            if magazine.len(class) == 0 {
                // SAFETY: the block is free, and nothing accesses it before it is leased again.
                unsafe { mapping::protect(slot.address(), slot.bytes() as usize) };
                // Only this thread fills its magazine. It is attached as long as it has one, so the
                // pool stays open.
                magazine.put(class, number);
            } else {
                self.put_back(number, slot);
            }
        } else {
            self.give_back(number, slot);
        }
        Ok(())
    }

    /// Releases a block that has loans; refuses one that is not the caller's.
    #[cold]
    fn release_lent(&self, owner: OwnerId, number: u32, slot: &Slot) -> Result<(), Status> {
        if !slot.holder().is_leased_by(owner) {
            return Err(NOT_OWNER);
        }
        self.end_lease(number, slot);
        Ok(())
    }

    /// Ends a lease of the calling thread: at once, or with the last loan.
    #[cold]
    fn end_lease(&self, number: u32, slot: &Slot) {
        let mut holder = slot.holder();
        loop {
            let next = match holder.loans() {
                0 => Holder::FREE,
                _ => holder.without_owner(State::Orphaned),
            };
            match slot.exchange_holder(holder, next) {
                Ok(()) if next == Holder::FREE => return self.give_back(number, slot),
                Ok(()) => return,
                Err(now) => holder = now,
            }
        }
    }

    /// Ends all leases of a thread that is ending.
    pub(super) fn end_owner(&self, owner: OwnerId) {
        for (number, slot) in self.slots.iter() {
            if slot.holder().is_leased_by(owner) {
                self.end_lease(number, slot);
            }
        }
    }

    pub(super) fn quarantine(
        &self,
        owner: OwnerId,
        number: u32,
        generation: u32,
    ) -> Result<(), Status> {
        let slot = self.slot(number, generation)?;
        let mut holder = slot.holder();
        while holder.is_leased_by(owner) {
            match slot.exchange_holder(holder, holder.without_owner(State::Quarantined)) {
                Ok(()) => {
                    add(&self.figures(slot).quarantined, 1);
                    self.die_if_unused();
                    return Ok(());
                }
                Err(now) => holder = now,
            }
        }
        Err(NOT_OWNER)
    }

    /// Lends `length` bytes from `start` of `owner`'s block.
    pub(super) fn lend(
        self: &Arc<Self>,
        owner: OwnerId,
        number: u32,
        generation: u32,
        start: u32,
        length: u32,
    ) -> Result<Loan, Status> {
        let slot = self.slot(number, generation)?;
        let holder = slot.holder();
        if !holder.is_leased_by(owner) {
            return Err(NOT_OWNER);
        }
        let end = start.checked_add(length).ok_or(BAD_ARGUMENT)?;
        if end > slot.bytes() {
            return Err(BAD_ARGUMENT);
        }
        if holder.loans() == MAX_LOANS {
            return Err(TABLE_FULL);
        }
        slot.add_loan();
        Ok(Loan {
            pool: Arc::clone(self),
            slot: number,
            start: ptr::with_exposed_provenance_mut(slot.address() + start as usize),
            len: length as usize,
        })
    }

    /// Ends a loan, on any thread; the last one of an orphan frees it.
    pub(super) fn end_loan(&self, number: u32) {
        let slot = self.slots.at(number);
        let before = slot.end_loan();
        if before.state() == State::Orphaned && before.loans() == 1 {
            // An orphan gets no new loans, so no other thread knows it any more.
            slot.set_holder(Holder::FREE);
            self.give_back(number, slot);
        }
    }

    /// Counts the end of a lease and keeps or unmaps the block, which has no holder.
    #[inline(never)]
    fn give_back(&self, number: u32, slot: &Slot) {
        add(&self.figures(slot).returned, 1);
        self.put_back(number, slot);
        if self.is_closed() {
            self.die_if_unused();
        }
    }

    /// Keeps a free block for the next acquire, or unmaps it.
    #[inline(never)]
    pub(super) fn put_back(&self, number: u32, slot: &Slot) {
        let kept = if slot.is_external() { 0 } else { self.kept() };
        if kept > 0 {
            // SAFETY: the block is free, and nothing accesses it before it is leased again.
            unsafe { mapping::protect(slot.address(), slot.bytes() as usize) };
            let free = &self.buckets[slot.class()].free;
            if free.push(&self.slots, number, kept) {
                // The pool may have closed, and emptied its stacks, just before the push: see
                // `FreeStack::push`.
                if self.is_closed() {
                    self.trim();
                }
                return;
            }
        }
        self.give_up(&mut lock(&self.refill), vec![number]);
    }

    pub(super) fn count(&self, event: u32, delta: i32) -> Result<(), Status> {
        let counter = self.events.get(event as usize).ok_or(BAD_ARGUMENT)?;
        // A negative number wraps around, which subtracts.
        add(counter, i64::from(delta) as u64);
        Ok(())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // No thread and no loan refers to the pool, so every block that is not quarantined is free.
        self.trim();
    }
}

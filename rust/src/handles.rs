//! Objects by handle: one kind of table for pools, backends and files.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::process;
use crate::status::{NO_SUCH_HANDLE, Status, TABLE_FULL};
use crate::thread::OwnerId;

/// Highest number of handles at a time: their index has 16 bits, and counts from 1.
const MAX_HANDLES: usize = (1 << 16) - 1;
/// An index is used again only when this many indices are free, or when there is no other.
const MIN_FREE: usize = 1024;
/// Generations go from 0 to this: 15 bits, so that a handle is a positive `i32`.
const MAX_GENERATION: u32 = (1 << 15) - 1;

/// Finds shared objects by handle.
///
/// A handle is `generation << 16 | index + 1`: positive as an `i32`. The same handle returns only
/// after its index was used 32,767 more times, with [`MIN_FREE`] other indices between two uses. A
/// forked child is refused, because the lock may stay locked there.
pub struct HandleTable<T> {
    slots: Mutex<Slots<T>>,
}

struct Slots<T> {
    all: Vec<Slot<T>>,
    /// Indices without an object, in the order in which they became free.
    free: VecDeque<u16>,
}

struct Slot<T> {
    generation: u32,
    owner: OwnerId,
    object: Option<Arc<T>>,
}

impl<T> HandleTable<T> {
    /// Makes an empty table.
    pub const fn new() -> Self {
        let slots = Slots {
            all: Vec::new(),
            free: VecDeque::new(),
        };
        Self {
            slots: Mutex::new(slots),
        }
    }

    fn lock(&self) -> Result<MutexGuard<'_, Slots<T>>, Status> {
        process::check()?;
        // A panic of another holder changes nothing: the slots are valid between any two steps.
        Ok(self.slots.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds the object that `make` gives for its handle; returns both.
    pub fn insert(
        &self,
        owner: OwnerId,
        make: impl FnOnce(u32) -> T,
    ) -> Result<(u32, Arc<T>), Status> {
        let slots = &mut *self.lock()?;
        let index = if slots.all.len() < MAX_HANDLES && slots.free.len() < MIN_FREE {
            slots.all.push(Slot {
                generation: MAX_GENERATION,
                owner,
                object: None,
            });
            slots.all.len() - 1
        } else {
            usize::from(slots.free.pop_front().ok_or(TABLE_FULL)?)
        };
        let slot = &mut slots.all[index];
        slot.generation = (slot.generation + 1) & MAX_GENERATION;
        slot.owner = owner;
        let handle = slot.handle(index);
        let object = Arc::new(make(handle));
        slot.object = Some(Arc::clone(&object));
        Ok((handle, object))
    }

    /// Returns the object of a handle.
    pub fn get(&self, handle: u32) -> Result<Arc<T>, Status> {
        let mut slots = self.lock()?;
        let object = slots.slot(handle).and_then(|slot| slot.object.clone());
        object.ok_or(NO_SUCH_HANDLE)
    }

    /// Ends a handle and returns its object, which the caller drops without the lock.
    pub fn remove(&self, handle: u32) -> Result<Arc<T>, Status> {
        self.lock()?.take(handle).ok_or(NO_SUCH_HANDLE)
    }

    /// Ends all handles of a thread.
    pub fn remove_owned(&self, owner: OwnerId) {
        let Ok(mut slots) = self.lock() else { return };
        let owned = |(index, slot): (usize, &Slot<T>)| {
            (slot.owner == owner && slot.object.is_some()).then(|| slot.handle(index))
        };
        let handles: Vec<u32> = slots.all.iter().enumerate().filter_map(owned).collect();
        let objects: Vec<_> = handles.iter().map(|handle| slots.take(*handle)).collect();
        // Unlocked before the objects are dropped, which may take long.
        drop(slots);
        drop(objects);
    }
}

/// Returns the index of a handle; `None` for a number that is not one.
fn index_of(handle: u32) -> Option<usize> {
    (handle as usize & 0xffff).checked_sub(1)
}

impl<T> Slot<T> {
    fn handle(&self, index: usize) -> u32 {
        self.generation << 16 | (index + 1) as u32
    }
}

impl<T> Slots<T> {
    fn slot(&mut self, handle: u32) -> Option<&mut Slot<T>> {
        let slot = self.all.get_mut(index_of(handle)?)?;
        (slot.generation == handle >> 16).then_some(slot)
    }

    fn take(&mut self, handle: u32) -> Option<Arc<T>> {
        let object = self.slot(handle)?.object.take()?;
        self.free.push_back(index_of(handle)? as u16);
        Some(object)
    }
}

#[cfg(all(test, not(loom)))]
mod tests;

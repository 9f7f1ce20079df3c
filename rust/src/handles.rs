//! Objects by handle: one kind of table for pools, backends and files.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::process;
use crate::status::{NO_SUCH_HANDLE, Status, TABLE_FULL};
use crate::thread::OwnerId;

/// Maximum number of handles at a time.
const MAX_HANDLES: usize = (1 << 16) - 1;
/// Handles go from 1 to this, so that they are positive as an `i32`.
const MAX_HANDLE: u32 = i32::MAX as u32;

/// Finds shared objects by handle.
///
/// Handles are given in ascending order, so that one returns only after all others were used. A
/// forked child is refused, because the lock may stay locked there.
pub struct HandleTable<T> {
    entries: Mutex<Entries<T>>,
}

struct Entries<T> {
    all: BTreeMap<u32, (OwnerId, Arc<T>)>,
    /// The handle that was given last.
    last: u32,
}

impl<T> HandleTable<T> {
    /// Makes an empty table.
    pub const fn new() -> Self {
        let all = BTreeMap::new();
        Self {
            entries: Mutex::new(Entries { all, last: 0 }),
        }
    }

    fn lock(&self) -> Result<MutexGuard<'_, Entries<T>>, Status> {
        process::check()?;
        // A panic of another holder changes nothing: the entries are valid between any two steps.
        Ok(self.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds the object that `make` gives for its handle; returns both.
    pub fn insert(
        &self,
        owner: OwnerId,
        make: impl FnOnce(u32) -> T,
    ) -> Result<(u32, Arc<T>), Status> {
        let Entries { all, last } = &mut *self.lock()?;
        if all.len() == MAX_HANDLES {
            return Err(TABLE_FULL);
        }
        let mut handle = *last % MAX_HANDLE + 1;
        while all.contains_key(&handle) {
            handle = handle % MAX_HANDLE + 1;
        }
        let object = Arc::new(make(handle));
        all.insert(handle, (owner, Arc::clone(&object)));
        *last = handle;
        Ok((handle, object))
    }

    /// Returns the object of a handle.
    pub fn get(&self, handle: u32) -> Result<Arc<T>, Status> {
        let entries = self.lock()?;
        let entry = entries.all.get(&handle).ok_or(NO_SUCH_HANDLE)?;
        Ok(Arc::clone(&entry.1))
    }

    /// Ends a handle and returns its object, which the caller drops without the lock.
    pub fn remove(&self, handle: u32) -> Result<Arc<T>, Status> {
        let entry = self.lock()?.all.remove(&handle);
        Ok(entry.ok_or(NO_SUCH_HANDLE)?.1)
    }

    /// Ends all handles of a thread.
    pub fn remove_owned(&self, owner: OwnerId) {
        let Ok(mut entries) = self.lock() else { return };
        let all = std::mem::take(&mut entries.all);
        let (owned, others): (BTreeMap<_, _>, _) =
            all.into_iter().partition(|(_, entry)| entry.0 == owner);
        entries.all = others;
        // Unlocked before the objects are dropped, which may take long.
        drop(entries);
        drop(owned);
    }
}

#[cfg(all(test, not(loom)))]
mod tests;

//! The backends by number, each belonging to the thread that opened it.

use std::cell::RefCell;

use super::backend::{Backend, Kind, Watch};
use crate::handles::HandleTable;
use crate::process;
use crate::status::{NOT_OWNER, Status};
use crate::thread;

/// The backends as other threads see them: the part that any thread may use.
pub static WATCHES: HandleTable<Watch> = HandleTable::new();

/// Backends of one thread, usually a single one, found without a lock. They end with the thread,
/// whose isolate may be terminated.
#[derive(Default)]
pub struct OpenBackends(RefCell<Vec<(u32, Backend)>>);

impl OpenBackends {
    /// Ends all of them, after their pending operations.
    pub fn end(&self) {
        for (number, backend) in self.0.take() {
            drop(WATCHES.remove(number));
            backend.end_with_isolate();
        }
    }

    /// Ends all of them with the calling thread: see [`Backend::end_with_thread`].
    pub fn end_with_thread(&self) {
        for (number, backend) in self.0.take() {
            drop(WATCHES.remove(number));
            backend.end_with_thread();
        }
    }
}

/// Opens a backend of the calling thread. Returns its number and [`Backend::facts`].
pub fn open(kind: Kind) -> Result<(u32, [u32; 2]), Status> {
    process::check()?;
    thread::with(|thread| {
        let backend = Backend::new(kind)?;
        let facts = backend.facts();
        let (number, _) = WATCHES.insert(thread.id, |_| backend.watch())?;
        thread.backends.0.borrow_mut().push((number, backend));
        Ok((number, facts))
    })
}

/// Calls `act` with a backend of the calling thread.
pub fn with<T>(
    number: u32,
    act: impl FnOnce(&mut Backend) -> Result<T, Status>,
) -> Result<T, Status> {
    process::check()?;
    thread::with(|thread| {
        let mut backends = thread.backends.0.borrow_mut();
        match backends.iter_mut().find(|(each, _)| *each == number) {
            Some((_, backend)) => act(backend),
            None => WATCHES.get(number).and(Err(NOT_OWNER)),
        }
    })
}

/// Ends a backend of the calling thread.
pub fn close(number: u32) -> Result<(), Status> {
    with(number, |_| Ok(()))?;
    let backend = thread::with(|thread| {
        let mut backends = thread.backends.0.borrow_mut();
        Ok(backends.extract_if(.., |(each, _)| *each == number).next())
    })?;
    drop(WATCHES.remove(number)?);
    // The list is not borrowed here, where a ring waits for the kernel.
    drop(backend);
    Ok(())
}

#[cfg(all(test, not(loom)))]
mod tests;

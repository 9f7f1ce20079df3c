//! The backends by number, each belonging to the thread that opened it.

use std::cell::RefCell;
use std::time::Duration;

use super::backend::{Backend, Facts, Kind, Watch};
use super::entry::{Completion, Entry, Outcome, decode};
use super::plain;
use crate::handles::HandleTable;
use crate::process;
use crate::status::{NOT_OWNER, Status};
use crate::thread;

/// The backends as other threads see them.
static WATCHES: HandleTable<Watch> = HandleTable::new();

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
}

impl Drop for OpenBackends {
    fn drop(&mut self) {
        for (number, backend) in self.0.get_mut().drain(..) {
            drop(WATCHES.remove(number));
            backend.end_with_thread();
        }
    }
}

/// Opens a backend of the calling thread. Returns its number and what is known of it.
pub fn open(kind: Kind) -> Result<(u32, Facts), Status> {
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
fn own<T>(number: u32, act: impl FnOnce(&mut Backend) -> Result<T, Status>) -> Result<T, Status> {
    process::check()?;
    thread::with(|thread| {
        let mut backends = thread.backends.0.borrow_mut();
        match backends.iter_mut().find(|(each, _)| *each == number) {
            Some((_, backend)) => act(backend),
            None => WATCHES.get(number).and(Err(NOT_OWNER)),
        }
    })
}

/// Closes a backend of the calling thread: see [`Backend::end`].
pub fn close(number: u32) -> Result<(), Status> {
    own(number, |_| Ok(()))?;
    let backend = thread::with(|thread| {
        let mut backends = thread.backends.0.borrow_mut();
        Ok(backends.extract_if(.., |(each, _)| *each == number).next())
    })?;
    drop(WATCHES.remove(number)?);
    if let Some((_, backend)) = backend {
        backend.end();
    }
    Ok(())
}

/// Begins operations, waits for some and takes completions: see [`Backend::turn`].
///
/// Memory is lent and files are held from now to the completion.
pub fn turn(
    number: u32,
    entries: &[Entry],
    out: &mut [Completion],
    min: usize,
    limit: Option<Duration>,
) -> Result<usize, Status> {
    own(number, |backend| backend.turn(entries, out, min, limit))
}

/// Runs operations to their end, many at a time: see [`Backend::batch`].
pub fn batch(number: u32, entries: &[Entry], out: &mut [Completion]) -> Result<(), Status> {
    own(number, |backend| backend.batch(entries, out))
}

/// Prepares for [`wait`], or ends that: see [`Backend::arm`].
pub fn arm(number: u32, on: bool) -> Result<usize, Status> {
    own(number, |backend| backend.arm(on))
}

/// Waits, on any thread, for a completion: see [`Watch::wait`].
pub fn wait(number: u32, timeout: Duration) -> Result<(), Status> {
    WATCHES.get(number).map(|watch| watch.wait(timeout))
}

/// Returns how many calls of [`wait`] have begun to wait.
pub fn waits(number: u32) -> Result<u32, Status> {
    WATCHES.get(number).map(|watch| watch.waits())
}

/// Runs an operation on the calling thread.
pub fn run(entry: &Entry) -> Outcome {
    match decode(entry) {
        Ok(operation) => plain::execute(&operation),
        Err(status) => plain::failed(status),
    }
}

#[cfg(all(test, not(loom)))]
mod tests;

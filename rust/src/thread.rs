//! A thread as a user of the library: its id, and what ends with it.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::engine::{OpenBackends, OpenFiles};
use crate::pool::Memberships;
use crate::status::{NOT_OWNER, Status};

/// A thread, by a number that no other thread of the process ever had; never 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OwnerId(pub u32);

impl OwnerId {
    /// Owner of what belongs to no thread.
    pub const NONE: Self = Self(0);
}

/// State of one thread.
///
/// A JavaScript isolate stays on one thread, and a worker's thread ends with it, also when it is
/// terminated. Then this is dropped, field by field: pending operations end first, then the files
/// close, then blocks go back to their pools.
pub struct Thread {
    pub backends: OpenBackends,
    // Held for its end only.
    _files: OpenFiles,
    pub pools: Memberships,
    pub id: OwnerId,
}

thread_local! {
    static THREAD: Thread = {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let id = OwnerId(LAST.fetch_add(1, Ordering::Relaxed) + 1);
        Thread { backends: OpenBackends::default(), _files: OpenFiles(id), pools: Memberships::new(id), id }
    };
}

/// Calls `act` with the calling thread; `NOT_OWNER` while it is ending, when it owns nothing any
/// more.
#[inline(always)]
pub fn with<T>(act: impl FnOnce(&Thread) -> Result<T, Status>) -> Result<T, Status> {
    THREAD.try_with(act).unwrap_or(Err(NOT_OWNER))
}

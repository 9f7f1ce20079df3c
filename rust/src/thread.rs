//! A thread as a user of the library: its id, and the objects that end with it.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::engine::{OpenBackends, files};
use crate::pool::Memberships;
use crate::process;
use crate::status::{NOT_OWNER, Status};

/// Identifies a thread by a number that the process never uses for another one; never 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OwnerId(pub u32);

impl OwnerId {
    /// Owner of objects that belong to no thread.
    pub const NONE: Self = Self(0);
}

/// State of one thread.
///
/// A JavaScript isolate stays on one thread, and a worker's thread ends with it, also when it is
/// terminated. Then this is dropped: pending operations end first, then the files close, then blocks
/// go back to their pools. A thread that goes on, as under `deno run --watch`,
/// does the same when its next isolate begins: see [`begin_isolate`].
pub struct Thread {
    pub backends: OpenBackends,
    pub pools: Memberships,
    pub id: OwnerId,
    /// The isolate that uses the library on this thread; 0 before the first, and when one has ended.
    isolate: Cell<u64>,
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.backends.end_with_thread();
        files::FILES.remove_owned(self.id);
        if !process::forked() {
            self.pools.end(self.id);
        }
    }
}

thread_local! {
    static THREAD: Thread = {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let id = OwnerId(LAST.fetch_add(1, Ordering::Relaxed) + 1);
        Thread {
            backends: OpenBackends::default(),
            pools: Memberships::default(),
            id,
            isolate: Cell::new(0),
        }
    };
}

/// Calls `act` with the state of the calling thread; `NOT_OWNER` once that state was dropped at the
/// thread's end.
#[inline(always)]
pub fn with<T>(act: impl FnOnce(&Thread) -> Result<T, Status>) -> Result<T, Status> {
    THREAD.try_with(act).unwrap_or(Err(NOT_OWNER))
}

/// Notes that an isolate uses the library on the calling thread; 0 says that it ends.
///
/// A thread runs one isolate at a time, so an earlier one has ended. This ends what is left of it:
/// pending operations first, then files with their locks, then blocks. The code of an isolate that
/// ends may run for some turns, and writes to its blocks by views that nothing detaches. So they
/// stay until the next isolate begins, or the thread ends. Returns whether there was an earlier
/// isolate.
pub fn begin_isolate(isolate: u64) -> Result<bool, Status> {
    process::check()?;
    with(|thread| {
        let earlier = thread.isolate.replace(isolate);
        if earlier == isolate {
            return Ok(false);
        }
        thread.backends.end();
        files::FILES.remove_owned(thread.id);
        if isolate != 0 {
            thread.pools.end(thread.id);
        }
        Ok(earlier != 0)
    })
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::engine::files::{self, tests::temporary};
    use crate::pool;
    use crate::status::NO_SUCH_HANDLE;

    /// Opens a pool, and leases a block of it that nothing gives back.
    fn leased_pool() -> u32 {
        let settings = pool::Settings {
            enabled: true,
            limit_bytes: 1 << 20,
            bucket_capacity: 1,
        };
        let memory = pool::open(settings).unwrap();
        pool::acquire(memory, 4096, false).unwrap();
        memory
    }

    #[test]
    fn begin_isolate_ends_what_an_earlier_isolate_left() {
        std::thread::spawn(|| {
            assert_eq!(begin_isolate(1), Ok(false));
            let (handle, _file) = temporary(0);
            let memory = leased_pool();
            assert_eq!(begin_isolate(1), Ok(false), "another copy of the module");
            assert!(files::get(handle).is_ok());
            assert_eq!(begin_isolate(2), Ok(true));
            assert_eq!(files::get(handle).err(), Some(NO_SUCH_HANDLE));
            assert!(pool::acquire(memory, 4096, false).is_err());
        })
        .join()
        .unwrap();
    }

    #[test]
    fn begin_isolate_keeps_blocks_of_an_isolate_that_ends_until_the_next_begins() {
        std::thread::spawn(|| {
            assert_eq!(begin_isolate(1), Ok(false));
            let (handle, _file) = temporary(0);
            let memory = leased_pool();
            assert_eq!(begin_isolate(0), Ok(true));
            assert_eq!(files::get(handle).err(), Some(NO_SUCH_HANDLE));
            assert!(pool::acquire(memory, 4096, false).is_ok());
            assert_eq!(begin_isolate(2), Ok(false));
            assert!(pool::acquire(memory, 4096, false).is_err());
        })
        .join()
        .unwrap();
    }
}

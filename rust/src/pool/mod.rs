//! The pool: page-aligned memory in 28 sizes, under one limit, with an owner for each block.
//!
//! A *block* is a slot in its pool's table. Its state, its owner and its number of loans are one
//! atomic word, so that they change in one step:
//!
//! ```text
//!            map            acquire             release, no loans
//! vacant ---------> free <-----------> leased ------------------> free
//!    ^               |                 |    |
//!    +---------------+                 |    | quarantine
//!          unmap                       |    +-----------> quarantined (in use for ever)
//!                    release with loans|
//!                                      v      the last loan ends
//!                                  orphaned ----------------------> free
//! ```
//!
//! Only the thread that acquired a block moves it out of "leased" and makes loans of it; any thread
//! may end a loan. A loan keeps the memory mapped until the kernel or another thread is done with
//! it, whatever becomes of the lease.
//!
//! *Free blocks* are in a thread's magazine (one of each class, found without sharing anything) or
//! in the stack of their class (lock-free). `acquire` tries both, then takes the pool's lock and
//! maps an arena of several blocks. The lock is never taken on the hot paths.
//!
//! *The limit* is one counter. Bytes are taken from it in one atomic step before they are mapped,
//! under the lock, and given back after they are unmapped. At the limit, free blocks of other
//! classes are given up first. A request is refused only if there was a moment when nothing was
//! free: blocks come back without the lock, so `Pool::is_exhausted` looks twice and compares the
//! versions of all stacks and magazines.
//!
//! *Closing* stores `closed` and then empties the stacks; a release pushes and then loads `closed`.
//! Both are SeqCst, so at least one of the two sees the other, and no block stays in a closed
//! pool. The number of the pool is removed when nothing of it is in use.
//!
//! *Locks*: `refill`, then `magazines`, then the ranges of `prefault`. No system call that waits
//! for a device is made under them.
//!
//! The functions below find a pool by its number and act as the calling thread.
//!
//! | file | its job |
//! |---|---|
//! | `sync` | the atomics, exchanged for loom's when it explores the interleavings |
//! | `classes` | the 28 sizes |
//! | `mapping` | memory from the kernel |
//! | `prefault` | populates memory before it is used |
//! | `quota` | the limit: one counter, one atomic step |
//! | `stack` | free blocks of one class |
//! | `magazine` | free blocks and figures of one thread |
//! | `slots` | the table of blocks, and the holder of each |
//! | `pool` | acquire, release, loans: the hot paths |
//! | `refill` | mapping, reclaiming and giving up: the slow paths |
//! | `owner` | what a thread holds, given back when it ends |
//! | `loan` | a range that an operation may access |
//! | `stats` | figures that add up |

mod classes;
mod loan;
mod magazine;
mod mapping;
mod owner;
#[allow(clippy::module_inception)]
mod pool;
mod prefault;
mod quota;
mod refill;
mod slots;
mod stack;
mod stats;
mod sync;
#[cfg(all(test, not(loom)))]
mod tests;

use std::sync::Arc;

pub use classes::{CLASS_BYTES, CLASS_COUNT, MAX_BLOCK_BYTES, class_of};
pub use loan::Loan;
pub use owner::Memberships;
pub use pool::{Lease, Pool, Settings};
pub use stats::{ClassStats, Stats};

use crate::handles::HandleTable;
use crate::status::{NO_SUCH_HANDLE, Status};
use crate::thread::OwnerId;

/// The pools by number.
static POOLS: HandleTable<Pool> = HandleTable::new();

/// Makes a pool with one attachment, the calling thread's; returns its number, which is positive.
pub fn open(settings: Settings) -> Result<u32, Status> {
    let (number, pool) = POOLS.insert(OwnerId::NONE, |number| Pool::new(number, settings))?;
    owner::join(pool)?;
    Ok(number)
}

/// Joins the pool with that number, for the calling thread.
pub fn attach(number: u32) -> Result<Settings, Status> {
    let pool = POOLS.get(number)?;
    pool.attach()?;
    let settings = pool.settings;
    owner::join(pool)?;
    Ok(settings)
}

/// Takes one of the calling thread's attachments back.
///
/// With the pool's last attachment its free blocks are unmapped; those in use are unmapped when
/// they return. The number is removed when no block is in use.
pub fn close(number: u32) -> Result<(), Status> {
    owner::leave(number)
}

/// Leases a block of at least `length` bytes to the calling thread; with `may_be_external`, beyond
/// the limit if need be.
#[inline(always)]
pub fn acquire(number: u32, length: u32, may_be_external: bool) -> Result<Lease, Status> {
    owner::with_member(number, |member, owner| {
        let magazine = member.magazine.as_deref();
        member
            .pool
            .acquire(owner, magazine, length, may_be_external)
    })
}

/// Ends the calling thread's lease; with loans pending, the block comes back when the last one
/// ends.
#[inline(always)]
pub fn release(number: u32, slot: u32, generation: u32) -> Result<(), Status> {
    owner::with_member(number, |member, owner| {
        let magazine = member.magazine.as_deref();
        member.pool.release(owner, magazine, slot, generation)
    })
}

/// Keeps a block that the calling thread leases in use for ever, because its memory can still be
/// reached elsewhere.
pub fn quarantine(number: u32, slot: u32, generation: u32) -> Result<(), Status> {
    owner::with_pool(number, |pool, owner| {
        pool.quarantine(owner, slot, generation)
    })
}

/// Lends `length` bytes from `start` of a block that the calling thread leases; the bytes stay
/// valid until the [`Loan`] is dropped, which any thread may do, even after the owner's end.
pub fn lend(
    number: u32,
    slot: u32,
    generation: u32,
    start: u32,
    length: u32,
) -> Result<Loan, Status> {
    owner::with_pool(number, |pool, owner| {
        pool.lend(owner, slot, generation, start, length)
    })
}

/// Adds `delta` to the count of an event that only the caller's language sees:
///
/// | event | what is counted |
/// |---|---|
/// | 0 | buffers that moved to a larger block |
/// | 1 | blocks frozen now |
/// | 2 | buffers forgotten by their holder and found by a finalizer |
/// | 3 | buffers in the language's own memory, in use now |
/// | 4 | buffers in the language's own memory, ever |
/// | 5 | acquires that had to wait |
pub fn count(number: u32, event: u32, delta: i32) -> Result<(), Status> {
    owner::with_pool(number, |pool, _| pool.count(event, delta))
}

/// Returns the pool's figures.
pub fn stats(number: u32) -> Result<Stats, Status> {
    with_living(number, Pool::stats)
}

/// Gives all free blocks back to the system; returns their bytes.
pub fn trim(number: u32) -> Result<u64, Status> {
    with_living(number, Pool::trim)
}

/// Calls `act` with a pool that still has its number.
fn with_living<T>(number: u32, act: impl FnOnce(&Pool) -> T) -> Result<T, Status> {
    let living = |pool: &Arc<Pool>| (!pool.is_dead()).then(|| act(pool));
    owner::with_pool(number, |pool, _| living(pool).ok_or(NO_SUCH_HANDLE))
}

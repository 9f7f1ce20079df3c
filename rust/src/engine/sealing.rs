//! Seals a write block on one of our threads, where it overlaps with the program and the disk.
//! Hashing a large block takes about as long as filling it.

use std::sync::{Arc, OnceLock};

use super::entry::{Operation, Outcome};
use super::event_fd::EventFd;
use crate::codec::{self, Run, SEAL_CONTEXT_BYTES};
use crate::status::Errno;

/// Seals the block in the loan of a `Seal`. Returns `EINVAL` if it holds something else.
///
/// Its last [`SEAL_CONTEXT_BYTES`] are the context of the seal.
pub fn seal(operation: &Operation) -> Result<(), Errno> {
    const WRONG: Errno = Errno(libc::EINVAL);
    let loan = operation.loan.as_ref().ok_or(WRONG)?;
    // SAFETY: the loan keeps its memory mapped for as long as the operation exists, and no Rust
    // reference points into the pool's memory outside an operation. The lender guarantees that
    // nothing else writes to a block that it has lent for sealing (`Loan`).
    let memory = unsafe { std::slice::from_raw_parts_mut(loan.as_ptr(), loan.bytes()) };
    let (block, context) = memory
        .split_last_chunk_mut::<SEAL_CONTEXT_BYTES>()
        .ok_or(WRONG)?;
    let run = Run::parse(context).ok_or(WRONG)?;
    codec::seal(block, &run).map(|_| ()).ok_or(WRONG)
}

/// An operation that one of our threads runs for a ring, which waits for the event.
pub struct Handoff {
    event: EventFd,
    /// The ring's own event, which the kernel does not signal for a poll that another event ends.
    ring: Arc<EventFd>,
    outcome: OnceLock<Outcome>,
}

impl Handoff {
    /// Creates a handoff of an operation that has not ended.
    pub fn new(ring: Arc<EventFd>) -> Result<Arc<Handoff>, Errno> {
        Ok(Arc::new(Handoff {
            event: EventFd::new()?,
            ring,
            outcome: OnceLock::new(),
        }))
    }

    /// Returns the descriptor to poll, which is readable once the operation has ended.
    pub fn descriptor(&self) -> std::os::fd::RawFd {
        self.event.descriptor()
    }

    /// Ends the handoff. The loan and the file of the operation are already released.
    pub fn complete(&self, outcome: Outcome) {
        // Only the job of this handoff calls this, and only once.
        let _ = self.outcome.set(outcome);
        self.event.signal();
        self.ring.signal();
    }

    /// Returns the outcome of the operation, or `None` before its end.
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome.get().copied()
    }
}

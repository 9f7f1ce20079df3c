//! Sealing a write block on one of our threads, where it overlaps with the program and the disk:
//! hashing a large block takes about as long as filling it.

use std::sync::{Arc, OnceLock};

use super::entry::{Operation, Outcome};
use super::event_fd::EventFd;
use crate::codec::{self, Run, SEAL_CONTEXT_BYTES};
use crate::status::Errno;

/// Seals the block that is the loan of a `Seal`; `EINVAL` if it holds something else.
///
/// Its last [`SEAL_CONTEXT_BYTES`] are the context of the seal.
pub fn seal(operation: &Operation) -> Result<(), Errno> {
    const WRONG: Errno = Errno(libc::EINVAL);
    let loan = operation.loan.as_ref().ok_or(WRONG)?;
    // SAFETY: the loan keeps its memory mapped for as long as the operation exists, and no Rust
    // reference points into the pool's memory outside an operation. The lender promises that
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
    /// The ring's own event: the kernel does not signal it for a poll that another event ends.
    ring: Arc<EventFd>,
    outcome: OnceLock<Outcome>,
}

impl Handoff {
    /// Makes a handoff that is not over.
    pub fn new(ring: Arc<EventFd>) -> Result<Arc<Handoff>, Errno> {
        Ok(Arc::new(Handoff {
            event: EventFd::new()?,
            ring,
            outcome: OnceLock::new(),
        }))
    }

    /// Returns the descriptor to poll: it is readable once the operation is over.
    pub fn descriptor(&self) -> std::os::fd::RawFd {
        self.event.descriptor()
    }

    /// Ends it; the loan and the file of the operation were given back before.
    pub fn complete(&self, outcome: Outcome) {
        // The job of this handoff calls it once, so it is not set already.
        let _ = self.outcome.set(outcome);
        self.event.signal();
        self.ring.signal();
    }

    /// Returns the end of the operation; `None` before that.
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome.get().copied()
    }
}

//! A range of a block that an operation may access.

use std::ptr;
use std::sync::Arc;

use super::pool::Pool;
use crate::status::Status;
use crate::thread::OwnerId;

/// Bytes of a leased block, lent to an operation.
///
/// They are valid until this is dropped, whatever becomes of the lease or of the thread that made
/// it. Several loans of one block may overlap; the lender decides what may be written meanwhile.
pub struct Loan {
    pool: Arc<Pool>,
    slot: u32,
    start: *mut u8,
    len: usize,
}

// SAFETY: the memory belongs to no thread, and the loan keeps it mapped and out of the free blocks
// wherever it is; ending it uses atomics and the pool's lock only.
unsafe impl Send for Loan {}
// SAFETY: a shared loan only returns its address and length.
unsafe impl Sync for Loan {}

impl Loan {
    pub(super) fn new(
        pool: Arc<Pool>,
        owner: OwnerId,
        slot: u32,
        generation: u32,
        start: u32,
        length: u32,
    ) -> Result<Self, Status> {
        let address = pool.add_loan(owner, slot, generation, start, length)?;
        Ok(Self {
            pool,
            slot,
            start: ptr::with_exposed_provenance_mut(address),
            len: length as usize,
        })
    }

    /// The first byte.
    pub fn as_ptr(&self) -> *mut u8 {
        self.start
    }

    /// Number of bytes.
    pub fn bytes(&self) -> usize {
        self.len
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        self.pool.end_loan(self.slot);
    }
}

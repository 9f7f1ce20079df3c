//! A range of a block that an operation may access.

use std::sync::Arc;

use super::pool::Pool;

/// Bytes of a leased block, lent to an operation.
///
/// They are valid until this is dropped, whatever becomes of the lease or of the thread that made
/// it. Several loans of one block may overlap; the lender decides what may be written meanwhile.
pub struct Loan {
    pub(super) pool: Arc<Pool>,
    pub(super) slot: u32,
    pub(super) start: *mut u8,
    pub(super) len: usize,
}

// SAFETY: the memory belongs to no thread, and the loan keeps it mapped and out of the free blocks
// wherever it is; ending it uses atomics and the pool's lock only.
unsafe impl Send for Loan {}
// SAFETY: a shared loan only returns its address and length.
unsafe impl Sync for Loan {}

impl Loan {
    /// Returns the address of the first byte.
    pub fn as_ptr(&self) -> *mut u8 {
        self.start
    }

    /// Returns the number of bytes.
    pub fn bytes(&self) -> usize {
        self.len
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        self.pool.end_loan(self.slot);
    }
}

//! The words of an operation as JavaScript writes them, and of a completion as it reads them.

use crate::engine::files::{self, File};
use crate::pool::{self, Loan};
use crate::status::{BAD_ARGUMENT, Errno, Status};
use std::ffi::c_int;
use std::sync::Arc;

/// Words of an entry: `[0]` opcode | flags << 8, `[1]` file, `[2]` pool, `[3]` slot, `[4]` start
/// within the block, `[5]` length, `[6]` position, low, `[7]` position, high, `[8]` tag, `[9]`
/// generation of the slot, `[10]` length of an allocation, low, `[11]` its high word.
pub type Entry = [u32; 12];

/// Words of a completion: the tag, the status (an `i32`), the bytes transferred, 0.
pub type Completion = [u32; 4];

/// Maximum number of bytes that one operation moves: the limit of `pread(2)`, which is a multiple
/// of the page size.
pub const MAX_LENGTH: u32 = 0x7fff_f000;

/// Upper bound of all positions, because JavaScript's numbers are not exact above 2^53.
pub const MAX_POSITION: u64 = 1 << 53;

/// `RWF_DSYNC`.
pub const DSYNC: u32 = 1;
/// `RWF_SYNC`.
pub const SYNC: u32 = 2;
/// `RWF_DONTCACHE`, Linux 6.14.
pub const DONTCACHE: u32 = 4;
/// `FALLOC_FL_WRITE_ZEROES`, Linux 6.17, where it is supported.
pub const ZEROED: u32 = 8;

/// `FALLOC_FL_WRITE_ZEROES` of `linux/falloc.h`, which the libc crate lacks.
const FALLOC_FL_WRITE_ZEROES: c_int = 0x80;

/// Returns the mode of `fallocate(2)`.
pub fn allocation_mode(zeroes: bool) -> c_int {
    if zeroes { FALLOC_FL_WRITE_ZEROES } else { 0 }
}

/// The action of an operation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Op {
    /// `preadv2(2)` into the loan.
    Read,
    /// `pwritev2(2)` from the loan.
    Write,
    /// `fdatasync(2)`.
    SyncData,
    /// `fsync(2)`.
    SyncFull,
    /// `fallocate(2)`. With [`ZEROED`], 1 byte transferred means that zeros were written.
    Allocate,
    /// `ftruncate(2)` to the position.
    Truncate,
    /// Seals the write block in the loan.
    Seal,
}

impl Op {
    /// Whether it moves bytes between memory and the file.
    pub fn moves_bytes(self) -> bool {
        matches!(self, Op::Read | Op::Write)
    }
}

/// A checked entry with everything that it needs to run on any thread.
pub struct Operation {
    /// The action.
    pub op: Op,
    /// [`DSYNC`], [`SYNC`], [`DONTCACHE`], [`ZEROED`], as far as the op supports them.
    pub flags: u32,
    /// The file, whose descriptor stays open until the operation is dropped.
    pub file: Arc<File>,
    /// The memory of a read or write, or the block of a `Seal`. Other operations have none.
    pub loan: Option<Loan>,
    /// Position in the file, or its new size.
    pub position: u64,
    /// Bytes to move or to allocate.
    pub length: u64,
}

/// The rest of a transfer.
pub struct Rest {
    /// Its first byte in memory, valid as long as the operation's loan.
    pub memory: *mut u8,
    /// Number of bytes, at most [`MAX_LENGTH`].
    pub length: usize,
    /// Position in the file.
    pub position: u64,
}

impl Operation {
    /// Returns the transfer without its first `from` bytes, or `EFAULT` for an operation without
    /// memory.
    pub fn rest(&self, from: usize) -> Result<Rest, Errno> {
        let length = (self.length as usize).checked_sub(from);
        let (loan, length) = self.loan.as_ref().zip(length).ok_or(Errno(libc::EFAULT))?;
        Ok(Rest {
            memory: loan.as_ptr().wrapping_add(from),
            length,
            position: self.position + from as u64,
        })
    }
}

/// Checks an entry, and takes what it needs. Called on the thread that owns the block.
pub fn decode(entry: &Entry) -> Result<Operation, Status> {
    let (op, allowed) = match entry[0] & 0xff {
        1 => (Op::Read, DONTCACHE),
        2 => (Op::Write, DSYNC | SYNC | DONTCACHE),
        3 => (Op::SyncData, 0),
        4 => (Op::SyncFull, 0),
        5 => (Op::Allocate, ZEROED),
        6 => (Op::Truncate, 0),
        7 => (Op::Seal, 0),
        _ => return Err(BAD_ARGUMENT),
    };
    let flags = entry[0] >> 8;
    let has_memory = op.moves_bytes() || op == Op::Seal;
    let position = wide(entry[6], entry[7]);
    let length = match op {
        Op::Allocate => wide(entry[10], entry[11]),
        _ if has_memory => u64::from(entry[5]),
        _ => 0,
    };
    if flags & !allowed != 0
        || position > MAX_POSITION
        || length > MAX_POSITION - position
        || (has_memory && entry[5] > MAX_LENGTH)
    {
        return Err(BAD_ARGUMENT);
    }
    let file = files::get(entry[1])?;
    let lend = || pool::lend(entry[2], entry[3], entry[9], entry[4], entry[5]);
    let loan = has_memory.then(lend).transpose()?;
    Ok(Operation {
        op,
        flags,
        file,
        loan,
        position,
        length,
    })
}

fn wide(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// Returns the words that report an outcome.
pub fn completion(tag: u32, outcome: Outcome) -> Completion {
    let status = outcome.result.map_or_else(Status::code, |()| 0);
    [tag, status as u32, outcome.transferred, 0]
}

/// Result of an operation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Outcome {
    /// The reason for a failure.
    pub result: Result<(), Status>,
    /// Bytes read or written, also by an operation that failed after some, or 1 for an allocation
    /// that wrote zeros.
    pub transferred: u32,
}

impl Outcome {
    /// Returns the outcome of an operation that was not run, or not to its end.
    pub fn failed(status: Status) -> Outcome {
        Outcome {
            result: Err(status),
            transferred: 0,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;

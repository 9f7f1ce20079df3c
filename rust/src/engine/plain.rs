//! Runs one operation on the calling thread with plain system calls.

use std::ffi::c_int;
use std::os::fd::RawFd;

use super::entry::{Entry, Op, Operation, Outcome, allocation_mode, decode};
use super::progress::{Next, PAUSE, Progress};
use super::sealing;
use crate::status::{Errno, checked};

/// Runs the operation of an entry to its end.
pub fn run(entry: &Entry) -> Outcome {
    decode(entry).map_or_else(Outcome::failed, |operation| execute(&operation))
}

/// Runs an operation to its end.
pub fn execute(operation: &Operation) -> Outcome {
    if operation.op == Op::SealWrite
        && let Err(status) = sealing::seal(operation)
    {
        return Outcome::failed(status);
    }
    let mut progress = Progress::of(operation);
    let mut next = progress.begin();
    loop {
        match next {
            Next::Over(outcome) => return outcome,
            Next::Call => {}
            Next::CallLater => std::thread::sleep(PAUSE),
        }
        next = progress.advance(call(operation, &progress), &operation.file.refused_flags);
    }
}

/// Makes the next system call of an operation.
fn call(operation: &Operation, progress: &Progress) -> Result<usize, Errno> {
    let from = progress.from();
    let fd = operation.file.descriptor();
    let flags = progress.rwf();
    let (position, length) = (
        operation.position as libc::off_t,
        operation.length as libc::off_t,
    );
    match progress.op() {
        Op::Read => {
            let rest = operation.rest(from)?;
            // SAFETY: the range is within the loan, which keeps its memory mapped and lent to this
            // operation alone while it exists.
            unsafe { read_at(fd, rest.memory, rest.length, rest.position, flags) }
        }
        Op::Write | Op::SealWrite => {
            let rest = operation.rest(from)?;
            // SAFETY: the range is within the loan, which keeps its memory mapped while it exists;
            // nothing writes to memory that is lent for writing to a file.
            unsafe { write_at(fd, rest.memory, rest.length, rest.position, flags) }
        }
        // SAFETY: syncing accesses no memory of ours.
        Op::SyncData => checked(unsafe { libc::fdatasync(fd) }),
        // SAFETY: as above.
        Op::SyncFull => checked(unsafe { libc::fsync(fd) }),
        Op::Allocate => {
            let mode = allocation_mode(progress.zeroes());
            // SAFETY: accesses no memory of ours; `decode` keeps both numbers below 2^53, so that
            // no sign is lost.
            checked(unsafe { libc::fallocate(fd, mode, position, length) })
        }
        // SAFETY: accesses no memory of ours; the position is below 2^53.
        Op::Truncate => checked(unsafe { libc::ftruncate(fd, position) }),
    }
}

/// Calls `preadv2(2)`, or `pread(2)` without flags.
///
/// # Safety
/// - `memory` is valid for writes of `length` bytes until this returns;
/// - nothing else accesses them until then.
pub(super) unsafe fn read_at(
    fd: RawFd,
    memory: *mut u8,
    length: usize,
    position: u64,
    flags: c_int,
) -> Result<usize, Errno> {
    let position = position as libc::off_t;
    if flags == 0 {
        // SAFETY: the caller's promise.
        return checked(unsafe { libc::pread(fd, memory.cast(), length, position) });
    }
    let vector = libc::iovec {
        iov_base: memory.cast(),
        iov_len: length,
    };
    // SAFETY: the caller's promise; the vector outlives the call.
    checked(unsafe { libc::preadv2(fd, &raw const vector, 1, position, flags) })
}

/// Calls `pwritev2(2)`, or `pwrite(2)` without flags.
///
/// # Safety
/// - `memory` is valid for reads of `length` bytes until this returns;
/// - nothing writes to them until then.
unsafe fn write_at(
    fd: RawFd,
    memory: *const u8,
    length: usize,
    position: u64,
    flags: c_int,
) -> Result<usize, Errno> {
    let position = position as libc::off_t;
    if flags == 0 {
        // SAFETY: the caller's promise.
        return checked(unsafe { libc::pwrite(fd, memory.cast(), length, position) });
    }
    let vector = libc::iovec {
        iov_base: memory.cast_mut().cast(),
        iov_len: length,
    };
    // SAFETY: the caller's promise; the kernel only reads through a vector that is written to a
    // file.
    checked(unsafe { libc::pwritev2(fd, &raw const vector, 1, position, flags) })
}

#[cfg(all(test, not(loom)))]
mod tests;

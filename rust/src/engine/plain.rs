//! Runs one operation on the calling thread with plain system calls.

use std::ffi::c_int;
use std::os::fd::RawFd;

use super::entry::{Entry, Op, Operation, Outcome, Rest, allocation_mode, decode};
use super::progress::{Next, PAUSE, Progress};
use super::sealing;
use crate::status::{Errno, checked};

/// Runs the operation of an entry to its end.
pub fn run(entry: &Entry) -> Outcome {
    decode(entry).map_or_else(Outcome::failed, |operation| execute(&operation))
}

/// Runs an operation to its end.
pub fn execute(operation: &Operation) -> Outcome {
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
    let fd = operation.file.descriptor();
    // Both are below 2^53 by `decode`, so no sign is lost.
    let (position, length) = (
        operation.position as libc::off_t,
        operation.length as libc::off_t,
    );
    match progress.op() {
        op @ (Op::Read | Op::Write) => {
            let rest = operation.rest(progress.from())?;
            // SAFETY: the range is within the loan, which keeps its memory mapped while it exists.
            // A read has exclusive access to it, and nothing writes to memory that is lent for
            // writing to a file.
            unsafe { transfer(op, fd, &rest, progress.rwf()) }
        }
        // SAFETY: syncing accesses no memory of ours.
        Op::SyncData => checked(unsafe { libc::fdatasync(fd) }),
        // SAFETY: as above.
        Op::SyncFull => checked(unsafe { libc::fsync(fd) }),
        Op::Allocate => {
            let mode = allocation_mode(progress.zeroes());
            // SAFETY: the call accesses no memory of ours.
            checked(unsafe { libc::fallocate(fd, mode, position, length) })
        }
        Op::Seal => sealing::seal(operation).map(|()| 0),
        // SAFETY: the call accesses no memory of ours.
        Op::Truncate => checked(unsafe { libc::ftruncate(fd, position) }),
    }
}

/// Reads with `preadv2(2)` or writes with `pwritev2(2)`. Without flags it uses `pread(2)` or
/// `pwrite(2)`, which every filter of system calls allows.
///
/// # Safety
/// Until this returns, the memory of `rest` is valid for reads and, if `op` reads a file, for
/// writes; nothing else writes to it, or accesses it if `op` reads a file.
unsafe fn transfer(op: Op, fd: RawFd, rest: &Rest, flags: c_int) -> Result<usize, Errno> {
    let (memory, length) = (rest.memory.cast(), rest.length);
    let position = rest.position as libc::off_t;
    let vector = libc::iovec {
        iov_base: memory,
        iov_len: length,
    };
    // SAFETY: the caller guarantees the memory. The vector outlives the call, and the kernel only
    // reads through a vector that is written to a file.
    checked(unsafe {
        match (op == Op::Read, flags == 0) {
            (true, true) => libc::pread(fd, memory, length, position),
            (true, false) => libc::preadv2(fd, &raw const vector, 1, position, flags),
            (false, true) => libc::pwrite(fd, memory, length, position),
            (false, false) => libc::pwritev2(fd, &raw const vector, 1, position, flags),
        }
    })
}

#[cfg(all(test, not(loom)))]
mod tests;

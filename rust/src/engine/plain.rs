//! Runs one operation on the calling thread with plain system calls.

use std::ffi::c_int;
use std::os::fd::RawFd;

use super::entry::{Kind, Operation, Outcome, allocation_mode};
use super::progress::{Next, PAUSE, Progress};
use super::sealing;
use crate::status::{Errno, Status};

/// Runs an operation to its end.
pub fn execute(operation: &Operation) -> Outcome {
    if operation.kind == Kind::SealWrite
        && let Err(status) = sealing::seal(operation)
    {
        return failed(status);
    }
    let mut progress = Progress::of(operation);
    let mut next = progress.begin();
    loop {
        match next {
            Next::Over(outcome) => return outcome,
            Next::Call => {}
            Next::CallLater => std::thread::sleep(PAUSE),
        }
        next = progress.answer(call(operation, &progress));
    }
}

/// The next system call of an operation.
fn call(operation: &Operation, progress: &Progress) -> Result<usize, Errno> {
    let from = progress.from();
    let fd = operation.file.descriptor();
    let flags = operation.rwf();
    let (position, length) = (operation.position as libc::off_t, operation.length as libc::off_t);
    match operation.kind {
        Kind::Read => {
            let rest = operation.rest(from)?;
            // SAFETY: the range is within the loan, which keeps its memory mapped and lent to this operation alone while it exists.
            unsafe { read_at(fd, rest.memory, rest.length, rest.position, flags) }
        }
        Kind::Write | Kind::SealWrite => {
            let rest = operation.rest(from)?;
            // SAFETY: the range is within the loan, which keeps its memory mapped while it exists; what is lent for writing
            // to a file is not written to by anybody.
            unsafe { write_at(fd, rest.memory, rest.length, rest.position, flags) }
        }
        // SAFETY: syncing touches no memory of ours.
        Kind::SyncData => answer(unsafe { libc::fdatasync(fd) } as isize),
        // SAFETY: as above.
        Kind::SyncFull => answer(unsafe { libc::fsync(fd) } as isize),
        Kind::Allocate => {
            let mode = allocation_mode(progress.zeroes());
            // SAFETY: touches no memory of ours; `decode` keeps both numbers below 2^53, so that no sign is lost.
            answer(unsafe { libc::fallocate(fd, mode, position, length) } as isize)
        }
        // SAFETY: touches no memory of ours; the position is below 2^53.
        Kind::Truncate => answer(unsafe { libc::ftruncate(fd, position) } as isize),
    }
}

/// What a system call answered: its value, or the calling thread's `errno`.
fn answer(result: isize) -> Result<usize, Errno> {
    usize::try_from(result).map_err(|_| Errno::last())
}

/// One `preadv2(2)`, or `pread(2)` without flags.
///
/// # Safety
/// `memory` is valid for writes of `length` bytes, and nothing else touches them until this returns.
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
        return answer(unsafe { libc::pread(fd, memory.cast(), length, position) });
    }
    let vector = libc::iovec {
        iov_base: memory.cast(),
        iov_len: length,
    };
    // SAFETY: the caller's promise; the vector outlives the call.
    answer(unsafe { libc::preadv2(fd, &raw const vector, 1, position, flags) })
}

/// One `pwritev2(2)`, or `pwrite(2)` without flags.
///
/// # Safety
/// `memory` is valid for reads of `length` bytes, and nothing writes to them until this returns.
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
        return answer(unsafe { libc::pwrite(fd, memory.cast(), length, position) });
    }
    let vector = libc::iovec {
        iov_base: memory.cast_mut().cast(),
        iov_len: length,
    };
    // SAFETY: the caller's promise; the kernel only reads through a vector that is written to a file.
    answer(unsafe { libc::pwritev2(fd, &raw const vector, 1, position, flags) })
}

/// The status of an operation that could not be run at all.
pub fn failed(status: Status) -> Outcome {
    Outcome {
        result: Err(status),
        transferred: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::entry::{DONTCACHE, DSYNC, SYNC, ZEROED};
    use crate::engine::files::{self, tests::temporary};

    /// The outcome with this error number, 0 for none.
    fn outcome(number: i32, transferred: u32) -> Outcome {
        let result = if number == 0 {
            Ok(())
        } else {
            Err(Errno(number).into())
        };
        Outcome { result, transferred }
    }

    fn operation(kind: Kind, flags: u32, handle: u32, position: u64, length: u64) -> Operation {
        Operation {
            kind,
            flags,
            file: files::get(handle).unwrap(),
            loan: None,
            position,
            length,
        }
    }

    fn without_memory(kind: Kind, handle: u32, position: u64, length: u64) -> Outcome {
        execute(&operation(kind, 0, handle, position, length))
    }

    #[test]
    fn flags_are_the_kernels() {
        let (handle, _file) = temporary(0);
        let flagged = |flags| operation(Kind::Allocate, flags, handle, 0, 1);
        assert_eq!(flagged(0).rwf(), 0);
        assert_eq!(flagged(DSYNC | SYNC | DONTCACHE).rwf(), 0x2 | 0x4 | 0x80);
        assert_eq!((allocation_mode(false), allocation_mode(true)), (0, 0x80));
        files::close(handle).unwrap();
    }

    #[test]
    fn sizes_allocation_and_syncs_reach_the_file() {
        let (handle, file) = temporary(0);
        let size = || crate::probe::file(file.descriptor()).unwrap();
        assert_eq!(without_memory(Kind::Truncate, handle, 5000, 0), outcome(0, 0));
        assert_eq!(size()[0], 5000.0);
        let allocated = without_memory(Kind::Allocate, handle, 4096, 1 << 20);
        if allocated != outcome(libc::EOPNOTSUPP, 0) {
            assert_eq!(allocated, outcome(0, 0));
            assert_eq!(size()[0], f64::from(4096 + (1 << 20)));
            assert!(size()[14] * 512.0 >= f64::from(1 << 20));
        }
        // Whether the system writes zeros or not, the space is there.
        let zeroed = execute(&operation(Kind::Allocate, ZEROED, handle, 0, 8192));
        if allocated.result.is_ok() {
            assert_eq!(zeroed.result, Ok(()));
            assert!(zeroed.transferred <= 1);
        }
        assert_eq!(
            without_memory(Kind::Allocate, handle, 0, 0),
            outcome(libc::EINVAL, 0)
        );
        assert_eq!(without_memory(Kind::SyncData, handle, 0, 0), outcome(0, 0));
        assert_eq!(without_memory(Kind::SyncFull, handle, 0, 0), outcome(0, 0));
        files::close(handle).unwrap();
    }

    #[test]
    fn a_socket_cannot_be_synced() {
        use std::os::fd::AsRawFd;
        use std::os::unix::net::UnixStream;
        let (read, _write) = UnixStream::pair().unwrap();
        let handle = files::adopt(read.as_raw_fd()).unwrap();
        assert_eq!(
            without_memory(Kind::SyncData, handle, 0, 0),
            outcome(libc::EINVAL, 0)
        );
        assert_eq!(
            without_memory(Kind::Truncate, handle, 0, 0),
            outcome(libc::EINVAL, 0)
        );
        files::close(handle).unwrap();
    }

    #[test]
    fn bytes_written_at_a_position_are_read_back() {
        let (handle, file) = temporary(0);
        let fd = file.descriptor();
        let bytes: Vec<u8> = (0..=255).collect();
        for flags in [0, libc::RWF_DSYNC, libc::RWF_SYNC] {
            // SAFETY: the vectors outlive the calls.
            unsafe {
                assert_eq!(write_at(fd, bytes.as_ptr(), 256, 1000, flags), Ok(256));
                let mut back = vec![0u8; 300];
                assert_eq!(read_at(fd, back.as_mut_ptr(), 300, 1000, 0), Ok(256));
                assert_eq!(back[..256], bytes);
            }
        }
        files::close(handle).unwrap();
    }
}

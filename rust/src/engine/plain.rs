//! Runs one operation on the calling thread with plain system calls.

use std::ffi::c_int;
use std::os::fd::RawFd;

use super::entry::{DONTCACHE, DSYNC, Kind, Operation, Outcome, SYNC};
use super::files::Alignment;
use crate::status::Status;

/// How often an operation that meets EAGAIN is tried again, with a pause of [`PAUSE`] before each.
const MAX_AGAIN: u32 = 100;
/// A millisecond: long enough for a device's queue to have a place again.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(1);

/// An `errno` value.
type Errno = i32;

/// Runs an operation to its end.
pub fn execute(operation: &Operation) -> Outcome {
    let fd = operation.file.descriptor();
    let (position, length) = (operation.position, operation.length);
    match (operation.kind, &operation.loan) {
        (Kind::Read, Some(loan)) => {
            transfer(loan.len(), operation.file.alignment(), Direction::Read, |done| {
                let room = loan.len() - done;
                // SAFETY: `done` is within the loan, which keeps its memory mapped and lent to this operation alone while it exists.
                unsafe {
                    read_at(
                        fd,
                        loan.as_ptr().add(done),
                        room,
                        position + done as u64,
                        rwf(operation.flags),
                    )
                }
            })
        }
        (Kind::Write, Some(loan)) => {
            transfer(loan.len(), operation.file.alignment(), Direction::Write, |done| {
                let rest = loan.len() - done;
                // SAFETY: `done` is within the loan, which keeps its memory mapped while it exists; what is lent for writing
                // to a file is not written to by anybody.
                unsafe {
                    write_at(
                        fd,
                        loan.as_ptr().add(done),
                        rest,
                        position + done as u64,
                        rwf(operation.flags),
                    )
                }
            })
        }
        (Kind::Read | Kind::Write, None) => Outcome {
            status: -libc::EFAULT,
            transferred: 0,
        },
        // A sync that failed is never repeated, for whatever reason: the kernel may have forgotten by then what it could not write.
        // SAFETY: syncing touches no memory of ours.
        (Kind::SyncData, _) => outcome(unsafe { libc::fdatasync(fd) }),
        // SAFETY: as above.
        (Kind::SyncFull, _) => outcome(unsafe { libc::fsync(fd) }),
        (Kind::Allocate, _) => persist(|| {
            // SAFETY: touches no memory of ours; `decode` keeps both numbers below 2^53, so that no sign is lost.
            answer(unsafe { libc::fallocate(fd, 0, position as libc::off_t, length as libc::off_t) } as isize)
        }),
        (Kind::Truncate, _) => persist(|| {
            // SAFETY: touches no memory of ours; the position is below 2^53.
            answer(unsafe { libc::ftruncate(fd, position as libc::off_t) } as isize)
        }),
    }
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Direction {
    Read,
    Write,
}

/// Moves `length` bytes by as many calls as it takes. `call(done)` moves some of the bytes from `done` on and answers how many.
///
/// A direct file's transfer is continued where position and memory suit the device; the bytes between there and the end of
/// the last transfer are moved a second time, to the same place.
fn transfer(
    length: usize,
    alignment: Option<Alignment>,
    direction: Direction,
    mut call: impl FnMut(usize) -> Result<usize, Errno>,
) -> Outcome {
    let resume = alignment.map_or(1, |alignment| alignment.resume as usize);
    let mut done = 0;
    let mut again = 0;
    let status = loop {
        if done == length {
            break 0;
        }
        let from = done - done % resume;
        match call(from) {
            Ok(moved) if from + moved > done => done = (from + moved).min(length),
            Ok(_) if direction == Direction::Read => break 0,
            Ok(_) => break -libc::EIO,
            Err(libc::EINTR) => continue,
            Err(libc::EAGAIN) if again < MAX_AGAIN => {
                again += 1;
                std::thread::sleep(PAUSE);
                continue;
            }
            Err(errno) => break -errno,
        }
        // The device gives whole sectors: only the end of the file cuts one.
        let sector = alignment.map_or(1, |alignment| alignment.read as usize);
        if direction == Direction::Read && done % sector != 0 {
            break 0;
        }
    };
    Outcome {
        status,
        transferred: done as u32,
    }
}

/// Repeats a call that a signal interrupted, and for a while one that met EAGAIN; it moves no bytes and may be made twice.
fn persist(mut call: impl FnMut() -> Result<usize, Errno>) -> Outcome {
    // A transfer of one unit that `call` finishes or not.
    let outcome = transfer(1, None, Direction::Write, |_| call().map(|_| 1));
    Outcome {
        transferred: 0,
        ..outcome
    }
}

fn outcome(result: c_int) -> Outcome {
    Outcome {
        status: answer(result as isize).map_or_else(|errno| -errno, |_| 0),
        transferred: 0,
    }
}

/// What a system call answered: its value, or the calling thread's `errno`.
fn answer(result: isize) -> Result<usize, Errno> {
    usize::try_from(result).map_err(|_| -crate::status::last_errno())
}

/// The kernel's flags for those of an operation.
fn rwf(flags: u32) -> c_int {
    let each = [
        (DSYNC, libc::RWF_DSYNC),
        (SYNC, libc::RWF_SYNC),
        (DONTCACHE, libc::RWF_DONTCACHE),
    ];
    each.iter()
        .filter(|(flag, _)| flags & flag != 0)
        .fold(0, |all, (_, rwf)| all | rwf)
}

/// One `preadv2(2)`, or `pread(2)` without flags.
///
/// # Safety
/// `memory` is valid for writes of `length` bytes, and nothing else touches them until this returns.
pub unsafe fn read_at(
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
        status,
        transferred: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::files::{self, tests::temporary};
    use std::cell::RefCell;

    /// Runs `transfer` against scripted answers; gives the outcome and where each call began.
    fn scripted(
        length: usize,
        alignment: Option<Alignment>,
        direction: Direction,
        script: &[Result<usize, Errno>],
    ) -> (Outcome, Vec<usize>) {
        let starts = RefCell::new(Vec::new());
        let outcome = transfer(length, alignment, direction, |from| {
            let mut starts = starts.borrow_mut();
            starts.push(from);
            script[starts.len() - 1]
        });
        assert_eq!(starts.borrow().len(), script.len(), "calls made");
        (outcome, starts.into_inner())
    }

    fn outcome(status: Status, transferred: u32) -> Outcome {
        Outcome { status, transferred }
    }

    const SECTOR: Option<Alignment> = Some(Alignment {
        read: 512,
        resume: 512,
    });
    const COARSE_MEMORY: Option<Alignment> = Some(Alignment {
        read: 512,
        resume: 4096,
    });

    #[test]
    fn short_transfers_are_continued() {
        for direction in [Direction::Read, Direction::Write] {
            assert_eq!(
                scripted(100, None, direction, &[Ok(1), Ok(98), Ok(1)]),
                (outcome(0, 100), vec![0, 1, 99])
            );
            assert_eq!(scripted(0, None, direction, &[]), (outcome(0, 0), vec![]));
        }
    }

    #[test]
    fn a_read_ends_with_the_file_and_a_write_of_nothing_is_an_error() {
        assert_eq!(
            scripted(100, None, Direction::Read, &[Ok(60), Ok(0)]).0,
            outcome(0, 60)
        );
        assert_eq!(scripted(100, None, Direction::Read, &[Ok(0)]).0, outcome(0, 0));
        assert_eq!(
            scripted(100, None, Direction::Write, &[Ok(60), Ok(0)]).0,
            outcome(-libc::EIO, 60)
        );
        assert_eq!(
            scripted(100, None, Direction::Write, &[Ok(0)]).0,
            outcome(-libc::EIO, 0)
        );
    }

    #[test]
    fn an_error_tells_how_much_was_moved_before() {
        let script = [Ok(4096), Ok(512), Err(libc::ENOSPC)];
        assert_eq!(
            scripted(8192, SECTOR, Direction::Write, &script).0,
            outcome(-libc::ENOSPC, 4608)
        );
    }

    #[test]
    fn interruptions_are_repeated_and_a_busy_device_only_so_often() {
        let script = [
            Err(libc::EINTR),
            Ok(1),
            Err(libc::EINTR),
            Err(libc::EAGAIN),
            Ok(1),
        ];
        assert_eq!(
            scripted(2, None, Direction::Read, &script),
            (outcome(0, 2), vec![0, 0, 1, 1, 1])
        );
        let busy = vec![Err(libc::EAGAIN); MAX_AGAIN as usize + 1];
        assert_eq!(
            scripted(2, None, Direction::Write, &busy).0,
            outcome(-libc::EAGAIN, 0)
        );
    }

    #[test]
    fn a_direct_read_that_cuts_a_sector_is_the_end_of_the_file() {
        assert_eq!(
            scripted(8192, SECTOR, Direction::Read, &[Ok(600)]).0,
            outcome(0, 600)
        );
        assert_eq!(
            scripted(8192, SECTOR, Direction::Read, &[Ok(1024), Ok(0)]),
            (outcome(0, 1024), vec![0, 1024])
        );
        assert_eq!(
            scripted(8192, SECTOR, Direction::Read, &[Ok(1024), Ok(1)]).0,
            outcome(0, 1025)
        );
    }

    #[test]
    fn a_direct_transfer_is_continued_where_memory_suits_too() {
        let read = [Ok(4096 + 512), Ok(1024), Ok(4096)];
        assert_eq!(
            scripted(8192, COARSE_MEMORY, Direction::Read, &read),
            (outcome(0, 8192), vec![0, 4096, 4096])
        );
        // The second call gets no further: that is the end.
        assert_eq!(
            scripted(8192, COARSE_MEMORY, Direction::Read, &[Ok(4608), Ok(512)]),
            (outcome(0, 4608), vec![0, 4096])
        );
        let write = [Ok(700), Ok(188)];
        assert_eq!(
            scripted(8192, SECTOR, Direction::Write, &write),
            (outcome(-libc::EIO, 700), vec![0, 512])
        );
    }

    #[test]
    fn flags_are_the_kernels() {
        assert_eq!(rwf(0), 0);
        assert_eq!(rwf(DSYNC | SYNC | DONTCACHE), 0x2 | 0x4 | 0x80);
    }

    fn without_memory(kind: Kind, handle: u32, position: u64, length: u64) -> Outcome {
        execute(&Operation {
            kind,
            flags: 0,
            file: files::get(handle).unwrap(),
            loan: None,
            position,
            length,
        })
    }

    #[test]
    fn sizes_allocation_and_syncs_reach_the_file() {
        let (handle, file) = temporary(0);
        let size = || crate::probe::file(file.descriptor()).unwrap();
        assert_eq!(without_memory(Kind::Truncate, handle, 5000, 0), outcome(0, 0));
        assert_eq!(size()[0], 5000.0);
        let allocated = without_memory(Kind::Allocate, handle, 4096, 1 << 20);
        if allocated.status != -libc::EOPNOTSUPP {
            assert_eq!(allocated, outcome(0, 0));
            assert_eq!(size()[0], f64::from(4096 + (1 << 20)));
            assert!(size()[14] * 512.0 >= f64::from(1 << 20));
        }
        assert_eq!(
            without_memory(Kind::Allocate, handle, 0, 0),
            outcome(-libc::EINVAL, 0)
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
            outcome(-libc::EINVAL, 0)
        );
        assert_eq!(
            without_memory(Kind::Truncate, handle, 0, 0),
            outcome(-libc::EINVAL, 0)
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

use super::*;
use crate::engine::entry::{DONTCACHE, DSYNC, SYNC, ZEROED};
use crate::engine::files::{self, tests::temporary};
use crate::pool;
use crate::testing::refuse;

/// Returns the outcome with this error number, or 0 for success.
fn outcome(number: i32, transferred: u32) -> Outcome {
    let result = if number == 0 {
        Ok(())
    } else {
        Err(Errno(number).into())
    };
    Outcome {
        result,
        transferred,
    }
}

fn operation(op: Op, flags: u32, handle: u32, position: u64, length: u64) -> Operation {
    Operation {
        op,
        flags,
        file: files::get(handle).unwrap(),
        loan: None,
        position,
        length,
    }
}

fn without_memory(op: Op, handle: u32, position: u64, length: u64) -> Outcome {
    execute(&operation(op, 0, handle, position, length))
}

#[test]
fn rwf_and_allocation_mode_are_the_flags_of_the_kernel() {
    let (handle, _file) = temporary(0);
    let flagged = |flags| Progress::of(&operation(Op::Write, flags, handle, 0, 1));
    assert_eq!(flagged(0).rwf(), 0);
    assert_eq!(flagged(DSYNC | SYNC | DONTCACHE).rwf(), 0x2 | 0x4 | 0x80);
    assert_eq!((allocation_mode(false), allocation_mode(true)), (0, 0x80));
    files::close(handle).unwrap();
}

#[test]
fn execute_sizes_allocates_and_syncs() {
    let (handle, file) = temporary(0);
    let size = || crate::probe::file(file.descriptor(), false).unwrap();
    assert_eq!(without_memory(Op::Truncate, handle, 5000, 0), outcome(0, 0));
    assert_eq!(size()[0], 5000.0);
    let allocated = without_memory(Op::Allocate, handle, 4096, 1 << 20);
    if allocated != outcome(libc::EOPNOTSUPP, 0) {
        assert_eq!(allocated, outcome(0, 0));
        assert_eq!(size()[0], f64::from(4096 + (1 << 20)));
        assert!(size()[13] * 512.0 >= f64::from(1 << 20));
    }
    // The space is allocated whether the system writes zeros or not.
    let zeroed = execute(&operation(Op::Allocate, ZEROED, handle, 0, 8192));
    if allocated.result.is_ok() {
        assert_eq!(zeroed.result, Ok(()));
        assert!(zeroed.transferred <= 1);
    }
    assert_eq!(
        without_memory(Op::Allocate, handle, 0, 0),
        outcome(libc::EINVAL, 0)
    );
    assert_eq!(without_memory(Op::SyncData, handle, 0, 0), outcome(0, 0));
    assert_eq!(without_memory(Op::SyncFull, handle, 0, 0), outcome(0, 0));
    files::close(handle).unwrap();
}

#[test]
fn execute_fails_to_sync_a_socket() {
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;
    let (read, _write) = UnixStream::pair().unwrap();
    let handle = files::adopt(read.as_raw_fd()).unwrap();
    assert_eq!(
        without_memory(Op::SyncData, handle, 0, 0),
        outcome(libc::EINVAL, 0)
    );
    assert_eq!(
        without_memory(Op::Truncate, handle, 0, 0),
        outcome(libc::EINVAL, 0)
    );
    files::close(handle).unwrap();
}

#[test]
fn execute_reads_back_what_it_wrote() {
    let (handle, file) = temporary(0);
    let fd = file.descriptor();
    let bytes: Vec<u8> = (0..=255).collect();
    for flags in [0, libc::RWF_DSYNC, libc::RWF_SYNC] {
        let (mut from, mut back) = (bytes.clone(), vec![0u8; 300]);
        let [from, to] = [&mut from, &mut back].map(|bytes| Rest {
            memory: bytes.as_mut_ptr(),
            length: bytes.len(),
            position: 1000,
        });
        // SAFETY: the vectors outlive the calls, and nothing else uses them meanwhile.
        unsafe {
            assert_eq!(transfer(Op::Write, fd, &from, flags), Ok(256));
            assert_eq!(transfer(Op::Read, fd, &to, 0), Ok(256));
        }
        assert_eq!(back[..256], bytes);
    }
    files::close(handle).unwrap();
}

#[test]
fn execute_syncs_durable_writes_where_pwritev2_is_refused() {
    for errno in [libc::EOPNOTSUPP, libc::EPERM, libc::ENOSYS] {
        std::thread::spawn(move || {
            let memory = pool::open(pool::Settings {
                enabled: true,
                limit_bytes: 1 << 20,
                bucket_capacity: 64,
            })
            .unwrap();
            let lease = pool::acquire(memory, 4096, false).unwrap();
            let (handle, file) = temporary(0);
            let write = |flags| {
                let loan = pool::lend(memory, lease.slot, lease.generation, 0, 4096).unwrap();
                execute(&Operation {
                    loan: Some(loan),
                    ..operation(Op::Write, flags, handle, 0, 4096)
                })
            };
            let refused = || {
                file.refused_flags
                    .load(std::sync::atomic::Ordering::Relaxed)
            };
            refuse(&[libc::SYS_pwritev2], errno);
            assert_eq!((write(DSYNC), refused()), (outcome(0, 4096), DSYNC));
            assert_eq!((write(SYNC), refused()), (outcome(0, 4096), DSYNC | SYNC));
            // The syncs are made, because here they fail.
            refuse(&[libc::SYS_fdatasync], libc::EIO);
            assert_eq!(write(DSYNC), outcome(libc::EIO, 4096));
            refuse(&[libc::SYS_fsync], libc::EDQUOT);
            assert_eq!(write(SYNC), outcome(libc::EDQUOT, 4096));
            assert_eq!(write(0), outcome(0, 4096));
            files::close(handle).unwrap();
        })
        .join()
        .unwrap();
    }
}

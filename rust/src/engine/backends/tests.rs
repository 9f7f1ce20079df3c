use super::*;
use crate::engine::entry::{Completion, DSYNC, Entry, Outcome};
use crate::engine::files::{self, tests::temporary};
use crate::engine::plain::run;
use crate::pool;
use crate::status::{BAD_ARGUMENT, Errno, NO_SUCH_HANDLE};
use crate::testing::child;
use std::sync::Arc;
use std::time::Duration;

/// The kinds that this system supports, because io_uring may be refused.
fn kinds() -> Vec<Kind> {
    [Kind::Threads, Kind::Uring, Kind::Plain]
        .into_iter()
        .filter(|kind| Backend::new(*kind).is_ok())
        .collect()
}

fn open(kind: Kind) -> u32 {
    super::open(kind).unwrap().0
}

fn turn(
    number: u32,
    entries: &[Entry],
    out: &mut [Completion],
    min: usize,
    limit: Option<Duration>,
) -> Result<usize, Status> {
    with(number, |backend| backend.turn(entries, out, min, limit))
}

fn arm(number: u32, on: bool) -> Result<usize, Status> {
    with(number, |backend| backend.arm(on))
}

fn without_memory(opcode: u32, file: u32, position: u32, tag: u32) -> Entry {
    [opcode, file, 0, 0, 0, 0, position, 0, tag, 0, 0, 0]
}

fn submit(number: u32, entry: &Entry) -> Result<(), Status> {
    turn(number, &[*entry], &mut [], 0, Some(Duration::ZERO)).map(|count| assert_eq!(count, 0))
}

/// Waits until nothing is pending, and returns all completions.
fn completed(number: u32) -> Vec<Completion> {
    let mut all = Vec::new();
    loop {
        let mut out = [[0; 4]; 300];
        let count = turn(number, &[], &mut out, 300, None).unwrap();
        all.extend_from_slice(&out[..count]);
        if count == 0 {
            all.sort_unstable();
            return all;
        }
    }
}

fn status_of(number: u32, entry: &Entry) -> i32 {
    submit(number, entry).unwrap();
    completed(number)[0][1] as i32
}

#[test]
fn turn_completes_each_operation_of_many_threads_once() {
    let kinds = kinds();
    let threads = kinds.iter().cycle().take(2 * kinds.len()).map(|&kind| {
        std::thread::spawn(move || {
            let backend = open(kind);
            let (handle, file) = temporary(0);
            for round in 0..4 {
                for tag in 0..500 {
                    // Every tenth operation fails, because an allocation needs a length above 0.
                    let opcode = if tag % 10 == 0 { 5 } else { 6 };
                    submit(backend, &without_memory(opcode, handle, round * 1000, tag)).unwrap();
                }
                let expected: Vec<Completion> = (0..500)
                    .map(|tag| {
                        [
                            tag,
                            if tag % 10 == 0 {
                                -libc::EINVAL as u32
                            } else {
                                0
                            },
                            0,
                            0,
                        ]
                    })
                    .collect();
                assert_eq!(completed(backend), expected);
                assert_eq!(
                    crate::probe::file(file.descriptor(), false).unwrap()[0],
                    f64::from(round * 1000)
                );
            }
            files::close(handle).unwrap();
            close(backend).unwrap();
        })
    });
    threads
        .collect::<Vec<_>>()
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
}

#[test]
fn turn_completes_a_refused_entry_with_the_reason() {
    for kind in kinds() {
        let backend = open(kind);
        assert_eq!(
            status_of(backend, &without_memory(3, 0, 0, 0)),
            NO_SUCH_HANDLE.code()
        );
        assert_eq!(
            status_of(backend, &without_memory(9, 0, 0, 0)),
            BAD_ARGUMENT.code()
        );
        assert_eq!(submit(0, &without_memory(3, 0, 0, 0)), Err(NO_SUCH_HANDLE));
        assert_eq!(
            run(&without_memory(3, 0, 0, 0)),
            Outcome::failed(NO_SUCH_HANDLE)
        );
        assert_eq!(
            turn(backend, &[], &mut [[0; 4]], 1, None),
            Ok(0),
            "nothing was left pending"
        );
        close(backend).unwrap();
        assert_eq!(
            submit(backend, &without_memory(3, 0, 0, 0)),
            Err(NO_SUCH_HANDLE)
        );
        assert_eq!(close(backend), Err(NO_SUCH_HANDLE));
    }
}

#[test]
fn turn_waits_for_min_completions_within_the_limit() {
    for kind in kinds() {
        let backend = open(kind);
        let (handle, _file) = temporary(0);
        let entries: Vec<Entry> = (0..8)
            .map(|tag| without_memory(4, handle, 0, tag))
            .collect();
        let mut out = [[0; 4]; 8];
        assert_eq!(
            turn(backend, &entries, &mut out[..8], 8, None),
            Ok(8),
            "{kind:?}"
        );
        let none = turn(backend, &[], &mut out, 8, Some(Duration::from_micros(100)));
        assert_eq!(none, Ok(0), "nothing is pending");
        assert_eq!(
            turn(backend, &entries, &mut out[..3], 8, None),
            Ok(3),
            "as many as fit"
        );
        assert_eq!(completed(backend).len(), 5);
        files::close(handle).unwrap();
        close(backend).unwrap();
    }
}

#[test]
fn wait_on_another_thread_ends_with_a_completion() {
    for kind in kinds() {
        let backend = open(kind);
        let (handle, _file) = temporary(0);
        let waiter = |backend| {
            let watch = WATCHES.get(backend).unwrap();
            let before = watch.waits();
            let waiting = Arc::clone(&watch);
            let waiter = std::thread::spawn(move || {
                let begin = std::time::Instant::now();
                waiting.wait(Duration::from_secs(60));
                begin.elapsed() < Duration::from_secs(30)
            });
            while watch.waits() == before {
                std::thread::yield_now();
            }
            waiter
        };
        for _ in 0..50 {
            submit(backend, &without_memory(4, handle, 0, 7)).unwrap();
            if arm(backend, true).unwrap() == 0 {
                assert!(waiter(backend).join().unwrap(), "{kind:?}");
            }
            arm(backend, false).unwrap();
            assert_eq!(completed(backend), [[7, 0, 0, 0]]);
            // This thread takes the completion, so there is nothing left to wait for.
            submit(backend, &without_memory(4, handle, 0, 8)).unwrap();
            if arm(backend, true).unwrap() == 0 {
                let waiter = waiter(backend);
                assert_eq!(completed(backend), [[8, 0, 0, 0]]);
                assert!(waiter.join().unwrap(), "{kind:?}");
            } else {
                completed(backend);
            }
            arm(backend, false).unwrap();
        }
        files::close(handle).unwrap();
        close(backend).unwrap();
    }
}

#[test]
fn batch_keeps_its_order_and_other_completions() {
    for kind in kinds() {
        let backend = open(kind);
        let (handle, file) = temporary(0);
        for tag in 0..100 {
            submit(backend, &without_memory(4, handle, 0, tag)).unwrap();
        }
        // Every seventh has no length to allocate, and every eleventh no file.
        let entries: Vec<Entry> = (0..500)
            .map(|tag| {
                let mut entry =
                    without_memory(5, if tag % 11 == 0 { 0 } else { handle }, tag, tag + 7);
                entry[10] = u32::from(tag % 7 != 0);
                entry
            })
            .collect();
        let mut out = vec![[0; 4]; entries.len()];
        with(backend, |own| own.batch(&entries, &mut out)).unwrap();
        for (index, completion) in (0..).zip(&out) {
            let status = match index {
                _ if index % 11 == 0 => NO_SUCH_HANDLE.code(),
                _ if index % 7 == 0 => -libc::EINVAL,
                _ => 0,
            };
            assert_eq!(*completion, [index + 7, status as u32, 0, 0], "{kind:?}");
        }
        assert_eq!(
            crate::probe::file(file.descriptor(), false).unwrap()[0],
            500.0
        );
        let others = completed(backend);
        assert_eq!(others.len(), 100);
        assert!(
            (0..)
                .zip(&others)
                .all(|(tag, each)| *each == [tag, 0, 0, 0])
        );
        files::close(handle).unwrap();
        close(backend).unwrap();
    }
}

#[test]
fn open_gives_the_backend_to_the_thread() {
    for kind in kinds() {
        let backend = open(kind);
        let theirs = std::thread::spawn(move || {
            assert_eq!(arm(backend, false), Err(NOT_OWNER));
            assert_eq!(close(backend), Err(NOT_OWNER));
            assert!(WATCHES.get(backend).is_ok());
            open(kind)
        });
        let theirs = theirs.join().unwrap();
        assert_eq!(WATCHES.get(theirs).err(), Some(NO_SUCH_HANDLE));
        close(backend).unwrap();
    }
}

#[test]
fn close_of_a_file_waits_for_its_pending_operations() {
    for kind in kinds() {
        let backend = open(kind);
        let (handle, file) = temporary(0);
        for tag in 0..200 {
            submit(
                backend,
                &without_memory(if tag % 2 == 0 { 6 } else { 4 }, handle, tag, tag),
            )
            .unwrap();
        }
        files::close(handle).unwrap();
        assert!(
            completed(backend)
                .iter()
                .all(|completion| completion[1] == 0)
        );
        assert_eq!(
            Arc::strong_count(&file),
            1,
            "no operation holds it after its completion"
        );
        close(backend).unwrap();
    }
}

#[test]
fn end_of_a_thread_releases_the_files_of_pending_operations() {
    for kind in kinds() {
        let (backend, file) = std::thread::spawn(move || {
            let backend = open(kind);
            let (handle, file) = temporary(0);
            for tag in 0..500 {
                submit(backend, &without_memory(4, handle, 0, tag)).unwrap();
            }
            (backend, file)
        })
        .join()
        .unwrap();
        assert_eq!(WATCHES.get(backend).err(), Some(NO_SUCH_HANDLE));
        eventually(|| Arc::strong_count(&file) == 1);
    }
}

/// Waits until the condition holds, at most a minute.
fn eventually(mut condition: impl FnMut() -> bool) {
    for _ in 0..6000 {
        if condition() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("an operation still holds something");
}

fn transfer(
    opcode: u32,
    file: u32,
    pool: u32,
    lease: &pool::Lease,
    position: u32,
    length: u32,
    tag: u32,
) -> Entry {
    [
        opcode,
        file,
        pool,
        lease.slot,
        0,
        length,
        position,
        0,
        tag,
        lease.generation,
        0,
        0,
    ]
}

fn open_pool() -> u32 {
    pool::open(pool::Settings {
        enabled: true,
        limit_bytes: 1 << 30,
        bucket_capacity: 64,
    })
    .unwrap()
}

#[test]
fn turn_reads_back_what_it_wrote_up_to_the_end_of_the_file() {
    const LENGTH: u32 = 100_000;
    for kind in kinds() {
        let backend = open(kind);
        let memory = open_pool();
        let (handle, _file) = temporary(0);
        let lease = pool::acquire(memory, 2 * LENGTH, false).unwrap();
        let bytes = |length: u32| {
            let loan = pool::lend(memory, lease.slot, lease.generation, 0, length).unwrap();
            // SAFETY: the lease keeps the bytes mapped, and no operation is pending while the slice
            // is used.
            unsafe { std::slice::from_raw_parts_mut(loan.as_ptr(), loan.bytes()) }
        };
        for round in 0..20u8 {
            let expected: Vec<u8> = (0..=255u8)
                .cycle()
                .skip(round.into())
                .take(LENGTH as usize)
                .collect();
            bytes(LENGTH).copy_from_slice(&expected);
            submit(
                backend,
                &transfer(2, handle, memory, &lease, 777, LENGTH, 1),
            )
            .unwrap();
            assert_eq!(completed(backend), [[1, 0, LENGTH, 0]]);
            bytes(2 * LENGTH).fill(0xee);
            submit(
                backend,
                &transfer(1, handle, memory, &lease, 777, 2 * LENGTH, 2),
            )
            .unwrap();
            assert_eq!(completed(backend), [[2, 0, LENGTH, 0]]);
            assert_eq!(bytes(LENGTH), expected);
            assert!(
                bytes(2 * LENGTH)[LENGTH as usize..]
                    .iter()
                    .all(|byte| *byte == 0xee)
            );
        }
        pool::release(memory, lease.slot, lease.generation).unwrap();
        files::close(handle).unwrap();
        close(backend).unwrap();
        pool::close(memory).unwrap();
    }
}

#[test]
fn end_of_a_thread_releases_blocks_with_their_last_operation() {
    for kind in kinds() {
        for direct in [0, libc::O_DIRECT] {
            let memory = open_pool();
            let file = std::thread::spawn(move || {
                pool::attach(memory).unwrap();
                let backend = open(kind);
                let (handle, file) = temporary(direct);
                let entries: Vec<Entry> = (0..64)
                    .map(|tag| {
                        let lease = pool::acquire(memory, 1 << 16, false).unwrap();
                        transfer(
                            2 | DSYNC << 8,
                            handle,
                            memory,
                            &lease,
                            tag << 16,
                            1 << 16,
                            tag,
                        )
                    })
                    .collect();
                turn(backend, &entries, &mut [], 0, None).unwrap();
                file
            })
            .join()
            .unwrap();
            eventually(|| {
                Arc::strong_count(&file) == 1 && pool::stats(memory).unwrap().in_use_bytes == 0
            });
            pool::close(memory).unwrap();
        }
    }
}

#[test]
fn end_of_a_thread_waits_while_the_kernel_may_read_its_blocks() {
    const LENGTH: u32 = 1 << 20;
    let kinds = kinds();
    if !kinds.contains(&Kind::Uring) {
        return;
    }
    let memory = open_pool();
    let fill = move |lease: &pool::Lease, byte: u8| {
        let loan = pool::lend(memory, lease.slot, lease.generation, 0, LENGTH).unwrap();
        // SAFETY: the lease keeps the bytes mapped. The test checks that nothing else accesses
        // them.
        unsafe { std::slice::from_raw_parts_mut(loan.as_ptr(), loan.bytes()) }.fill(byte);
    };
    for _ in 0..4 {
        let file = std::thread::spawn(move || {
            pool::attach(memory).unwrap();
            let backend = open(Kind::Uring);
            let (handle, file) = temporary(libc::O_DIRECT);
            let entries: Vec<Entry> = (0..16)
                .map(|tag| {
                    let lease = pool::acquire(memory, LENGTH, false).unwrap();
                    fill(&lease, 0x11);
                    transfer(2, handle, memory, &lease, tag * LENGTH, LENGTH, tag)
                })
                .collect();
            turn(backend, &entries, &mut [], 0, None).unwrap();
            file
        })
        .join()
        .unwrap();
        assert_eq!(
            Arc::strong_count(&file),
            1,
            "everything has ended with the thread"
        );
        let next: Vec<pool::Lease> = (0..16)
            .map(|_| pool::acquire(memory, LENGTH, false).unwrap())
            .collect();
        next.iter().for_each(|lease| fill(lease, 0xee));
        let mut bytes = vec![0u8; 16 * LENGTH as usize];
        let back = next
            .iter()
            .zip(bytes.chunks_mut(LENGTH as usize))
            .enumerate();
        for (index, (lease, chunk)) in back {
            let loan = pool::lend(memory, lease.slot, lease.generation, 0, LENGTH).unwrap();
            // SAFETY: the range is lent for this; a direct read needs its alignment.
            let read = unsafe {
                let position = i64::from(LENGTH) * index as i64;
                libc::pread(
                    file.descriptor(),
                    loan.as_ptr().cast(),
                    loan.bytes(),
                    position,
                )
            };
            // SAFETY: the read has completed.
            chunk.copy_from_slice(unsafe {
                std::slice::from_raw_parts(loan.as_ptr(), loan.bytes())
            });
            chunk[read.try_into().unwrap()..].fill(0);
        }
        assert!(
            bytes.iter().all(|byte| *byte == 0x11 || *byte == 0),
            "the next owner's bytes"
        );
        for lease in next {
            pool::release(memory, lease.slot, lease.generation).unwrap();
        }
    }
    pool::close(memory).unwrap();
}

#[test]
fn end_of_a_thread_cancels_operations_that_would_never_end() {
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;
    if !kinds().contains(&Kind::Uring) {
        return;
    }
    let memory = open_pool();
    let (read, _write) = UnixStream::pair().unwrap();
    let handle = files::adopt(read.as_raw_fd()).unwrap();
    std::thread::spawn(move || {
        pool::attach(memory).unwrap();
        let backend = open(Kind::Uring);
        for tag in 0..4 {
            let lease = pool::acquire(memory, 4096, false).unwrap();
            submit(backend, &transfer(1, handle, memory, &lease, 0, 4096, tag)).unwrap();
        }
        let none = turn(
            backend,
            &[],
            &mut [[0; 4]],
            1,
            Some(Duration::from_micros(100)),
        );
        assert_eq!(none, Ok(0), "nothing is written");
    })
    .join()
    .unwrap();
    assert_eq!(pool::stats(memory).unwrap().in_use_bytes, 0);
    files::close(handle).unwrap();
    pool::close(memory).unwrap();
}

#[test]
fn turn_refuses_a_range_beyond_the_block_and_a_block_of_another_thread() {
    for kind in kinds() {
        let memory = open_pool();
        let backend = open(kind);
        let (handle, _file) = temporary(0);
        let lease = pool::acquire(memory, 4096, false).unwrap();
        assert!(status_of(backend, &transfer(2, handle, memory, &lease, 0, 4097, 0)) < 0);
        let entry = transfer(2, handle, memory, &lease, 0, 4096, 0);
        let refused = std::thread::spawn(move || {
            pool::attach(memory).unwrap();
            (status_of(open(kind), &entry), run(&entry).result)
        });
        assert_eq!(refused.join().unwrap(), (NOT_OWNER.code(), Err(NOT_OWNER)));
        assert_eq!(
            run(&entry),
            Outcome {
                result: Ok(()),
                transferred: 4096
            }
        );
        pool::release(memory, lease.slot, lease.generation).unwrap();
        assert!(run(&entry).result.is_err());
        files::close(handle).unwrap();
        close(backend).unwrap();
        pool::close(memory).unwrap();
    }
}

#[test]
fn turn_beyond_the_file_size_limit_fails_without_a_signal() {
    const NAME: &str = "turn_beyond_the_file_size_limit_fails_without_a_signal";
    const LIMIT: u32 = 1 << 20;
    if let Some(output) = child(&format!("engine::backends::tests::{NAME}")) {
        assert!(output.status.success(), "{output:?}");
        return;
    }
    let set_limit = |bytes: u32| {
        let limit = libc::rlimit {
            rlim_cur: bytes.into(),
            rlim_max: libc::RLIM_INFINITY,
        };
        // SAFETY: the limit outlives the call.
        let set = unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) };
        assert_eq!(set, 0);
    };
    set_limit(LIMIT);
    for kind in kinds() {
        for direct in [0, libc::O_DIRECT] {
            let backend = open(kind);
            let memory = open_pool();
            let (handle, file) = temporary(direct);
            let lease = pool::acquire(memory, 2 * LIMIT, false).unwrap();
            let write = |position| transfer(2, handle, memory, &lease, position, LIMIT, 0);
            submit(backend, &write(4096)).unwrap();
            let [[_, status, transferred, _]] = completed(backend)[..] else {
                panic!("one operation")
            };
            assert_eq!(
                (status as i32, transferred),
                (-libc::EFBIG, LIMIT - 4096),
                "{kind:?}"
            );
            assert_eq!(status_of(backend, &write(LIMIT)), -libc::EFBIG, "{kind:?}");
            for within_sector in [1, 511, 513] {
                set_limit(LIMIT - within_sector);
                let position = LIMIT - 4096;
                let write = transfer(2, handle, memory, &lease, position, 4096, 0);
                assert_eq!(status_of(backend, &write), -libc::EFBIG, "{kind:?}");
                assert_eq!(run(&write).result, Err(Errno(libc::EFBIG).into()));
            }
            set_limit(LIMIT);
            assert_eq!(run(&write(LIMIT)).result, Err(Errno(libc::EFBIG).into()));
            let size = without_memory(6, handle, LIMIT + 1, 0);
            assert_eq!(status_of(backend, &size), -libc::EFBIG, "{kind:?}");
            let mut allocation = without_memory(5, handle, LIMIT, 0);
            allocation[10] = 4096;
            let status = status_of(backend, &allocation);
            assert!(
                [-libc::EFBIG, -libc::EOPNOTSUPP].contains(&status),
                "{kind:?} {status}"
            );
            assert_eq!(
                crate::probe::file(file.descriptor(), false).unwrap()[0],
                f64::from(LIMIT)
            );
            files::close(handle).unwrap();
            close(backend).unwrap();
            pool::release(memory, lease.slot, lease.generation).unwrap();
            pool::close(memory).unwrap();
        }
    }
}

#[test]
fn open_and_turn_are_refused_in_a_forked_child() {
    for kind in kinds() {
        let backend = open(kind);
        let (handle, _file) = temporary(0);
        submit(backend, &without_memory(3, handle, 0, 0)).unwrap();
        let dead = Some(Status::from(Errno(libc::EOWNERDEAD)));
        // SAFETY: the child only makes calls that are allowed there, and exits without running the
        // parent's destructors.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let refused = submit(backend, &without_memory(3, handle, 0, 1)).err() == dead
                && super::open(kind).err() == dead
                && arm(backend, true).err() == dead
                && close(backend).err() == dead
                && WATCHES.get(backend).err() == dead
                && files::get(handle).err() == dead
                && files::close(handle).err() == dead
                && run(&without_memory(3, handle, 0, 1)).result.err() == dead;
            // Like the end of the child's thread, which must not access the ring.
            let _ = thread::with(|thread| {
                thread.backends.end_with_thread();
                Ok(())
            });
            // SAFETY: it ends the child at once.
            unsafe { libc::_exit(if refused { 0 } else { 1 }) };
        }
        let mut status = -1;
        // SAFETY: `status` outlives the call.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0);
        assert_eq!(completed(backend), [[0; 4]]);
        files::close(handle).unwrap();
        close(backend).unwrap();
    }
}

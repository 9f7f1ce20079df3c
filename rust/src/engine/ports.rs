//! The ports by number, each belonging to the thread that opened it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::entry::{Entry, Outcome, decode};
use super::port::Port;
use super::threads::{self, Job};
use super::{fork, plain};
use crate::status::{NO_SUCH_HANDLE, NOT_OWNER, Status, TABLE_FULL};

/// The most ports at a time.
const MAX_PORTS: usize = 4096;

struct Table {
    ports: BTreeMap<u32, Arc<Port>>,
    /// Numbers are not used again.
    last: u32,
}

static TABLE: Mutex<Table> = Mutex::new(Table {
    ports: BTreeMap::new(),
    last: 0,
});

fn table() -> MutexGuard<'static, Table> {
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The ports of the calling thread: one, as a rule, found without a lock. They end with the thread, whose isolate may be gone without a word.
struct Mine(RefCell<Vec<(u32, Arc<Port>)>>);

thread_local! {
    static MINE: Mine = const { Mine(RefCell::new(Vec::new())) };
}

impl Drop for Mine {
    fn drop(&mut self) {
        if fork::forked() {
            return;
        }
        for (number, port) in self.0.get_mut().drain(..) {
            table().ports.remove(&number);
            port.close();
        }
    }
}

/// Opens a port of the calling thread. Answers its number, positive as an `i32`.
pub fn open() -> Result<u32, Status> {
    fork::check()?;
    MINE.try_with(|mine| {
        let mut table = table();
        if table.ports.len() >= MAX_PORTS || table.last >= i32::MAX as u32 {
            return Err(TABLE_FULL);
        }
        table.last += 1;
        let (number, port) = (table.last, Arc::new(Port::default()));
        table.ports.insert(number, port.clone());
        mine.0.borrow_mut().push((number, port));
        Ok(number)
    })
    .unwrap_or(Err(NOT_OWNER))
}

/// A port of the calling thread.
pub fn mine(number: u32) -> Result<Arc<Port>, Status> {
    fork::check()?;
    let found = MINE.try_with(|mine| {
        mine.0
            .borrow()
            .iter()
            .find(|(each, _)| *each == number)
            .map(|(_, port)| port.clone())
    });
    match found {
        Ok(Some(port)) => Ok(port),
        _ => any(number).and(Err(NOT_OWNER)),
    }
}

/// A port, whoever's it is.
pub fn any(number: u32) -> Result<Arc<Port>, Status> {
    fork::check()?;
    table().ports.get(&number).cloned().ok_or(NO_SUCH_HANDLE)
}

/// Ends a port of the calling thread. What is in flight goes on and gives back what it holds; what has not begun is not begun any more.
pub fn close(number: u32) -> Result<(), Status> {
    let port = mine(number)?;
    table().ports.remove(&number);
    // It was found there just now, so the thread's own list is still alive.
    let _ = MINE.try_with(|mine| mine.0.borrow_mut().retain(|(each, _)| *each != number));
    port.close();
    Ok(())
}

/// Starts an operation; its memory is lent and its file held from now to its completion.
pub fn submit(number: u32, entry: &Entry) -> Result<(), Status> {
    let port = mine(number)?;
    let operation = decode(entry)?;
    port.begin()?;
    threads::submit(Job {
        operation,
        tag: entry[8],
        port,
    });
    Ok(())
}

/// Runs an operation on the calling thread.
pub fn run(entry: &Entry) -> Outcome {
    match decode(entry) {
        Ok(operation) => plain::execute(&operation),
        Err(status) => plain::failed(status),
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::engine::entry::Completion;
    use crate::engine::files::{self, tests::temporary};
    use crate::pool;
    use crate::status::BAD_ARGUMENT;
    use std::time::Duration;

    fn without_memory(opcode: u32, file: u32, position: u32, tag: u32) -> Entry {
        [opcode, file, 0, 0, 0, 0, position, 0, tag, 0, 0, 0]
    }

    fn settled(number: u32) -> Vec<Completion> {
        let port = mine(number).unwrap();
        port.settle(Duration::from_secs(60)).unwrap();
        let mut out = vec![[0; 4]; crate::engine::port::MAX_OPERATIONS];
        let count = port.collect(&mut out);
        out.truncate(count);
        out.sort_unstable();
        out
    }

    #[test]
    fn many_operations_of_many_threads_are_each_completed_once() {
        let threads = (0..4).map(|_| {
            std::thread::spawn(|| {
                let port = open().unwrap();
                let (handle, file) = temporary(0);
                for round in 0..4 {
                    for tag in 0..500 {
                        // Every tenth one fails: a file cannot be allocated for a length of 0.
                        let opcode = if tag % 10 == 0 { 5 } else { 6 };
                        submit(port, &without_memory(opcode, handle, round * 1000, tag)).unwrap();
                    }
                    let expected: Vec<Completion> = (0..500)
                        .map(|tag| [tag, if tag % 10 == 0 { -libc::EINVAL as u32 } else { 0 }, 0, 0])
                        .collect();
                    assert_eq!(settled(port), expected);
                    assert_eq!(
                        crate::probe::file(file.descriptor()).unwrap()[0],
                        f64::from(round * 1000)
                    );
                }
                files::close(handle).unwrap();
                close(port).unwrap();
            })
        });
        threads
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
    }

    #[test]
    fn what_cannot_be_begun_is_refused_at_once() {
        let port = open().unwrap();
        assert_eq!(submit(port, &without_memory(3, 0, 0, 0)), Err(NO_SUCH_HANDLE));
        assert_eq!(submit(port, &without_memory(9, 0, 0, 0)), Err(BAD_ARGUMENT));
        assert_eq!(submit(0, &without_memory(3, 0, 0, 0)), Err(NO_SUCH_HANDLE));
        assert_eq!(run(&without_memory(3, 0, 0, 0)), plain::failed(NO_SUCH_HANDLE));
        assert_eq!(
            mine(port).unwrap().wait(Duration::MAX),
            Ok(0),
            "nothing was left in flight"
        );
        close(port).unwrap();
        assert_eq!(submit(port, &without_memory(3, 0, 0, 0)), Err(NO_SUCH_HANDLE));
        assert_eq!(close(port), Err(NO_SUCH_HANDLE));
    }

    #[test]
    fn a_port_is_its_threads_and_ends_with_it() {
        let port = open().unwrap();
        let theirs = std::thread::spawn(move || {
            assert_eq!(mine(port).err(), Some(NOT_OWNER));
            assert_eq!(close(port), Err(NOT_OWNER));
            assert!(any(port).is_ok());
            open().unwrap()
        });
        let theirs = theirs.join().unwrap();
        assert_eq!(any(theirs).err(), Some(NO_SUCH_HANDLE));
        close(port).unwrap();
    }

    #[test]
    fn a_file_closed_while_in_flight_is_open_until_the_last_operation_is_over() {
        let port = open().unwrap();
        let (handle, file) = temporary(0);
        for tag in 0..200 {
            submit(
                port,
                &without_memory(if tag % 2 == 0 { 6 } else { 4 }, handle, tag, tag),
            )
            .unwrap();
        }
        files::close(handle).unwrap();
        assert!(settled(port).iter().all(|completion| completion[1] == 0));
        assert_eq!(
            Arc::strong_count(&file),
            1,
            "no operation holds it after its completion"
        );
        close(port).unwrap();
    }

    #[test]
    fn a_thread_that_ends_with_operations_in_flight_leaves_nothing_behind() {
        let (port, file) = std::thread::spawn(|| {
            let port = open().unwrap();
            let (handle, file) = temporary(0);
            for tag in 0..500 {
                submit(port, &without_memory(4, handle, 0, tag)).unwrap();
            }
            (any(port).unwrap(), file)
        })
        .join()
        .unwrap();
        assert!(port.is_closed());
        for _ in 0..6000 {
            if Arc::strong_count(&file) == 1 && Arc::strong_count(&port) == 1 {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("an operation is still held");
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
    fn lent_bytes_are_written_and_read_back_up_to_the_end_of_the_file() {
        const LENGTH: u32 = 100_000;
        let port = open().unwrap();
        let memory = open_pool();
        let (handle, _file) = temporary(0);
        let lease = pool::acquire(memory, 2 * LENGTH, false).unwrap();
        let bytes = |length: u32| {
            let loan = pool::lend(memory, lease.slot, lease.generation, 0, length).unwrap();
            // SAFETY: the lease keeps the bytes mapped, and no operation is in flight while the slice is used.
            unsafe { std::slice::from_raw_parts_mut(loan.as_ptr(), loan.len()) }
        };
        for round in 0..20u8 {
            let expected: Vec<u8> = (0..=255u8)
                .cycle()
                .skip(round.into())
                .take(LENGTH as usize)
                .collect();
            bytes(LENGTH).copy_from_slice(&expected);
            submit(port, &transfer(2, handle, memory, &lease, 777, LENGTH, 1)).unwrap();
            assert_eq!(settled(port), [[1, 0, LENGTH, 0]]);
            bytes(2 * LENGTH).fill(0xee);
            submit(port, &transfer(1, handle, memory, &lease, 777, 2 * LENGTH, 2)).unwrap();
            assert_eq!(settled(port), [[2, 0, LENGTH, 0]]);
            assert_eq!(bytes(LENGTH), expected);
            assert!(
                bytes(2 * LENGTH)[LENGTH as usize..]
                    .iter()
                    .all(|byte| *byte == 0xee)
            );
        }
        pool::release(memory, lease.slot, lease.generation).unwrap();
        files::close(handle).unwrap();
        close(port).unwrap();
        pool::close(memory).unwrap();
    }

    #[test]
    fn blocks_of_a_thread_that_ends_come_back_with_their_last_operation() {
        let memory = open_pool();
        let file = std::thread::spawn(move || {
            pool::attach(memory).unwrap();
            let port = open().unwrap();
            let (handle, file) = temporary(0);
            for tag in 0..64 {
                let lease = pool::acquire(memory, 1 << 16, false).unwrap();
                submit(
                    port,
                    &transfer(2, handle, memory, &lease, tag << 16, 1 << 16, tag),
                )
                .unwrap();
            }
            file
        })
        .join()
        .unwrap();
        for _ in 0..6000 {
            if Arc::strong_count(&file) == 1 && pool::stats(memory).unwrap().in_use_bytes == 0 {
                pool::close(memory).unwrap();
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("a block is still in use");
    }

    #[test]
    fn a_range_beyond_the_block_and_a_block_of_another_thread_are_refused() {
        let memory = open_pool();
        let port = open().unwrap();
        let (handle, _file) = temporary(0);
        let lease = pool::acquire(memory, 4096, false).unwrap();
        assert!(submit(port, &transfer(2, handle, memory, &lease, 0, 4097, 0)).is_err());
        let entry = transfer(2, handle, memory, &lease, 0, 4096, 0);
        let refused = std::thread::spawn(move || {
            pool::attach(memory).unwrap();
            (submit(open().unwrap(), &entry), run(&entry).status)
        });
        assert_eq!(refused.join().unwrap(), (Err(NOT_OWNER), NOT_OWNER));
        assert_eq!(
            run(&entry),
            Outcome {
                status: 0,
                transferred: 4096
            }
        );
        pool::release(memory, lease.slot, lease.generation).unwrap();
        assert!(run(&entry).status < 0);
        files::close(handle).unwrap();
        close(port).unwrap();
        pool::close(memory).unwrap();
    }

    #[test]
    fn a_forked_child_is_refused_and_does_not_hang() {
        let port = open().unwrap();
        let (handle, _file) = temporary(0);
        submit(port, &without_memory(3, handle, 0, 0)).unwrap();
        let dead = Some(-libc::EOWNERDEAD);
        // SAFETY: the child only calls what is made for it, and leaves without running the parent's destructors.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let refused = submit(port, &without_memory(3, handle, 0, 1)).err() == dead
                && open().err() == dead
                && any(port).err() == dead
                && files::get(handle).err() == dead
                && files::close(handle).err() == dead
                && run(&without_memory(3, handle, 0, 1)).status == -libc::EOWNERDEAD;
            // SAFETY: ends the child at once.
            unsafe { libc::_exit(if refused { 0 } else { 1 }) };
        }
        let mut status = -1;
        // SAFETY: `status` outlives the call.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0);
        assert_eq!(settled(port), [[0; 4]]);
        files::close(handle).unwrap();
        close(port).unwrap();
    }
}

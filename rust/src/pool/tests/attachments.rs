//! Opening, attaching, closing, and numbers of no pool.

use std::sync::{Arc, Barrier};
use std::thread;

use super::{MIB, settings, stamp};
use crate::pool;
use crate::status::{BAD_ARGUMENT, NO_SUCH_HANDLE, NOT_OWNER};

#[test]
fn close_keeps_no_free_block_and_ends_the_number_with_the_last() {
    let number = pool::open(settings(4 * MIB, 8192)).unwrap();
    assert_eq!(pool::attach(number), Ok(settings(4 * MIB, 8192)));
    let lease = pool::acquire(number, 4096, false).unwrap();
    pool::close(number).unwrap();
    assert_eq!(pool::stats(number).unwrap().mapped_bytes, 2 * MIB);
    pool::close(number).unwrap();
    let stats = pool::stats(number).unwrap();
    assert_eq!(
        (stats.mapped_bytes, stats.free_bytes, stats.attachments),
        (4096, 0, 0)
    );
    assert_eq!(pool::acquire(number, 4096, false), Err(NO_SUCH_HANDLE));
    assert_eq!(pool::attach(number), Err(NO_SUCH_HANDLE));
    assert_eq!(pool::close(number), Err(NO_SUCH_HANDLE));
    stamp(&lease, 1);
    pool::release(number, lease.slot, lease.generation).unwrap();
    assert_eq!(pool::stats(number), Err(NO_SUCH_HANDLE));
    assert_eq!(pool::trim(number), Err(NO_SUCH_HANDLE));
    assert!(pool::POOLS.get(number).is_err());
}

#[test]
fn end_of_a_thread_ends_its_attachments() {
    let number = thread::spawn(|| {
        let number = pool::open(settings(MIB, 8192)).unwrap();
        pool::acquire(number, 4096, false).unwrap();
        number
    })
    .join()
    .unwrap();
    assert_eq!(pool::attach(number), Err(NO_SUCH_HANDLE));
    assert!(pool::POOLS.get(number).is_err());
}

#[test]
fn close_refuses_the_attachment_of_another_thread() {
    let number = pool::open(settings(MIB, 8192)).unwrap();
    let other = thread::spawn(move || pool::close(number)).join().unwrap();
    assert_eq!(other, Err(NO_SUCH_HANDLE));
    pool::close(number).unwrap();
}

#[test]
fn acquire_refuses_numbers_of_no_pool() {
    for number in [0, u32::MAX] {
        assert_eq!(pool::acquire(number, 1, false), Err(NO_SUCH_HANDLE));
        assert_eq!(pool::attach(number), Err(NO_SUCH_HANDLE));
        assert_eq!(pool::close(number), Err(NO_SUCH_HANDLE));
        assert_eq!(pool::lend(number, 0, 1, 0, 1).err(), Some(NO_SUCH_HANDLE));
    }
    let number = pool::open(settings(MIB, 8192)).unwrap();
    let lease = pool::acquire(number, 4096, false).unwrap();
    for slot in [lease.slot + 100_000, u32::MAX] {
        assert_eq!(
            pool::release(number, slot, lease.generation),
            Err(NO_SUCH_HANDLE)
        );
    }
    let free = lease.slot + 1;
    assert_eq!(
        pool::release(number, free, lease.generation),
        Err(NOT_OWNER)
    );
    assert_eq!(
        pool::lend(number, lease.slot, lease.generation, u32::MAX, 2).err(),
        Some(BAD_ARGUMENT)
    );
    pool::release(number, lease.slot, lease.generation).unwrap();
    pool::close(number).unwrap();
}

/// After closing while another thread leases and returns, nothing stays mapped.
#[test]
fn close_during_a_release_leaves_nothing_mapped() {
    for round in 0..2000 {
        let number = pool::open(settings(MIB, 8192)).unwrap();
        let found = pool::POOLS.get(number).unwrap();
        let start = Arc::new(Barrier::new(2));
        let other = {
            let start = Arc::clone(&start);
            thread::spawn(move || {
                start.wait();
                while let Ok(lease) = pool::acquire(number, 4096, false) {
                    pool::release(number, lease.slot, lease.generation).unwrap();
                }
            })
        };
        start.wait();
        for _ in 0..round {
            std::hint::spin_loop();
        }
        pool::close(number).unwrap();
        other.join().unwrap();
        assert_eq!(found.stats().mapped_bytes, 0);
        assert!(found.is_dead() && pool::POOLS.get(number).is_err());
    }
}

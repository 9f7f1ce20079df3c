//! Several threads, and what happens to a thread's blocks when it ends.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use super::{KIB, MIB, assert_adds_up, assert_stamped, settings, stamp};
use crate::pool::classes::CLASS_BYTES;
use crate::pool::{self, Lease, Loan};
use crate::status::{NO_SUCH_HANDLE, NOT_OWNER, POOL_LIMIT, Status};

/// A generator that is good enough to mix calls (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Four threads compete for a limit that is far too small for them.
#[test]
fn acquire_keeps_the_limit_under_threads() {
    const LIMIT: u64 = 600 * KIB;
    let number = pool::open(settings(LIMIT, 16)).unwrap();
    let held = Arc::new(AtomicU64::new(0));
    let start = Arc::new(Barrier::new(4));
    let threads: Vec<_> = (1..=4u64)
        .map(|seed| {
            let (held, start) = (Arc::clone(&held), Arc::clone(&start));
            thread::spawn(move || {
                // Two of them have magazines, and two do not.
                if seed % 2 == 0 {
                    pool::attach(number).unwrap();
                }
                start.wait();
                fight(number, LIMIT, &held, seed)
            })
        })
        .collect();
    let refused: u64 = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .sum();
    assert!(refused > 0, "the limit was never reached");
    let stats = pool::stats(number).unwrap();
    assert_eq!((stats.in_use_bytes, stats.orphaned), (0, 0));
    assert!(stats.peak_mapped_bytes <= LIMIT && stats.peak_mapped_bytes > LIMIT / 2);
    assert_adds_up(&stats);
    pool::close(number).unwrap();
    assert_eq!(pool::stats(number), Err(NO_SUCH_HANDLE));
}

fn fight(number: u32, limit: u64, held: &AtomicU64, seed: u64) -> u64 {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut mine: Vec<(Lease, Option<Loan>, u64)> = Vec::new();
    let mut refused = 0;
    for round in 0..6000 {
        let bytes = CLASS_BYTES[random.below(8) as usize];
        let give_back = mine.len() > 8 || random.below(5) < 2;
        match (!give_back).then(|| pool::acquire(number, bytes, false)) {
            Some(Ok(lease)) => {
                assert!(
                    held.fetch_add(u64::from(bytes), Ordering::SeqCst) + u64::from(bytes) <= limit
                );
                let tag = seed << 32 | round;
                stamp(&lease, tag);
                let lend = || pool::lend(number, lease.slot, lease.generation, 0, bytes).unwrap();
                let loan = (random.below(4) == 0).then(lend);
                mine.push((lease, loan, tag));
            }
            Some(Err(status)) => {
                assert_eq!(status, POOL_LIMIT);
                refused += 1;
            }
            None if mine.is_empty() => {}
            None => {
                let (lease, loan, tag) = mine.swap_remove(random.below(mine.len() as u64) as usize);
                assert_stamped(&lease, tag);
                held.fetch_sub(u64::from(lease.capacity), Ordering::SeqCst);
                pool::release(number, lease.slot, lease.generation).unwrap();
                drop(loan);
            }
        }
        if round % 64 == 0 {
            let stats = pool::stats(number).unwrap();
            assert!(stats.mapped_bytes <= limit);
            if round % 512 == 0 {
                pool::trim(number).unwrap();
            }
        }
    }
    // What is still leased returns with the end of the thread.
    held.fetch_sub(
        mine.iter()
            .map(|(lease, ..)| u64::from(lease.capacity))
            .sum(),
        Ordering::SeqCst,
    );
    refused
}

/// While the blocks in use leave room, no request is refused, although blocks move between the
/// classes meanwhile.
#[test]
fn acquire_is_not_refused_while_blocks_are_free() {
    const THREADS: u64 = 4;
    let largest = 7;
    let number = pool::open(settings(THREADS * u64::from(CLASS_BYTES[largest]), 7)).unwrap();
    let threads: Vec<_> = (1..=THREADS)
        .map(|seed| {
            thread::spawn(move || {
                if seed % 2 == 0 {
                    pool::attach(number).unwrap();
                }
                let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
                for _ in 0..4000 {
                    let bytes = CLASS_BYTES[random.below(largest as u64 + 1) as usize];
                    let lease =
                        pool::acquire(number, bytes, false).expect("each holds one at a time");
                    pool::release(number, lease.slot, lease.generation).unwrap();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_adds_up(&pool::stats(number).unwrap());
    pool::close(number).unwrap();
}

#[test]
fn release_is_refused_to_another_thread() {
    let number = pool::open(settings(MIB, 8192)).unwrap();
    let lease = pool::acquire(number, 4096, false).unwrap();
    let others: [Result<(), Status>; 3] = thread::spawn(move || {
        let Lease {
            slot, generation, ..
        } = lease;
        let loan = pool::lend(number, slot, generation, 0, 1);
        [
            pool::release(number, slot, generation),
            pool::quarantine(number, slot, generation),
            loan.map(drop),
        ]
    })
    .join()
    .unwrap();
    assert_eq!(others, [Err(NOT_OWNER); 3]);
    pool::release(number, lease.slot, lease.generation).unwrap();
    pool::close(number).unwrap();
}

#[test]
fn end_of_a_thread_returns_its_blocks() {
    let number = pool::open(settings(MIB, 8192)).unwrap();
    let mine = pool::acquire(number, 4096, false).unwrap();
    thread::spawn(move || {
        pool::attach(number).unwrap();
        for bytes in [4096, 8192, 4096, 300_000] {
            pool::acquire(number, bytes, false).unwrap();
        }
        pool::acquire(number, 1 << 20, true).unwrap();
        let stats = pool::stats(number).unwrap();
        assert_eq!(
            (stats.in_use_bytes, stats.external_bytes),
            (4096 + 4096 + 8192 + 4096 + (512 << 10), MIB)
        );
        assert_eq!(stats.attachments, 2);
    })
    .join()
    .unwrap();
    let stats = pool::stats(number).unwrap();
    assert_eq!(
        (stats.in_use_bytes, stats.external_bytes, stats.attachments),
        (4096, 0, 1)
    );
    assert_adds_up(&stats);
    pool::release(number, mine.slot, mine.generation).unwrap();
    pool::close(number).unwrap();
}

#[test]
fn end_of_a_thread_leaves_a_lent_block_to_its_last_loan() {
    let number = pool::open(settings(MIB, 8192)).unwrap();
    let (lease, loans) = thread::spawn(move || {
        let lease = pool::acquire(number, 8192, false).unwrap();
        stamp(&lease, 7);
        let lend = |start| pool::lend(number, lease.slot, lease.generation, start, 4096).unwrap();
        (lease, [lend(0), lend(4096)])
    })
    .join()
    .unwrap();
    let figures = || {
        let stats = pool::stats(number).unwrap();
        assert_adds_up(&stats);
        (stats.in_use_bytes, stats.orphaned)
    };
    assert_eq!(figures(), (8192, 1));
    assert_stamped(&lease, 7);
    assert_eq!(
        pool::release(number, lease.slot, lease.generation),
        Err(NOT_OWNER)
    );
    let [first, second] = loans;
    // The device's side may end a loan on any thread.
    thread::spawn(move || drop(first)).join().unwrap();
    assert_eq!(figures(), (8192, 1));
    assert_stamped(&lease, 7);
    drop(second);
    assert_eq!(figures(), (0, 0));
    assert_eq!(pool::trim(number).unwrap(), MIB);
    pool::close(number).unwrap();
}

/// The last loans of a thread's blocks end while the thread does, on another thread.
#[test]
fn end_loan_frees_each_block_once_while_its_thread_ends() {
    let number = pool::open(settings(4 * MIB, 8192)).unwrap();
    for _ in 0..100 {
        let (sender, receiver) = std::sync::mpsc::channel::<Loan>();
        let completer = thread::spawn(move || receiver.into_iter().for_each(drop));
        let owner = thread::spawn(move || {
            for _ in 0..40 {
                let lease = pool::acquire(number, 4096, false).unwrap();
                sender
                    .send(pool::lend(number, lease.slot, lease.generation, 0, 4096).unwrap())
                    .unwrap();
            }
        });
        owner.join().unwrap();
        completer.join().unwrap();
        let stats = pool::stats(number).unwrap();
        assert_eq!((stats.in_use_bytes, stats.orphaned), (0, 0));
        assert_adds_up(&stats);
    }
    pool::close(number).unwrap();
}

//! Single rules, on a pool without a number.

use super::{MIB, settings};
use crate::pool::classes::{CLASS_BYTES, CLASS_COUNT, class_of};
use crate::pool::pool::{EVENT_COUNT, Lease, Pool};
use crate::pool::stats::ClassStats;
use crate::status::{BAD_ARGUMENT, NO_SUCH_HANDLE, POOL_LIMIT};
use crate::thread::OwnerId;

const ME: OwnerId = OwnerId(1);

#[test]
fn acquire_gives_free_blocks_of_other_classes_up_before_it_refuses() {
    let pool = Pool::new(0, settings(MIB, 8192));
    let small: Vec<_> = (0..256)
        .map(|_| pool.acquire(ME, None, 4096, false).unwrap())
        .collect();
    assert_eq!(pool.acquire(ME, None, 4096, false), Err(POOL_LIMIT));
    for lease in &small {
        pool.release(ME, None, lease.slot, lease.generation)
            .unwrap();
    }
    assert_eq!(pool.stats().free_bytes, MIB);
    let large = pool.acquire(ME, None, MIB as u32, false).unwrap();
    assert_eq!((pool.stats().free_bytes, pool.stats().dropped), (0, 256));
    assert_eq!(
        pool.release(ME, None, small[0].slot, small[0].generation),
        Err(NO_SUCH_HANDLE)
    );
    pool.release(ME, None, large.slot, large.generation)
        .unwrap();
    assert!(pool.acquire(ME, None, 1, false).is_ok());
}

#[test]
fn reclaim_takes_no_more_than_is_missing_where_it_can() {
    let pool = Pool::new(0, settings(24 * MIB, 8192));
    let leases: Vec<_> = [8 * MIB, 12 * MIB, 4 * MIB]
        .map(|bytes| pool.acquire(ME, None, bytes as u32, false).unwrap())
        .into();
    for lease in &leases {
        pool.release(ME, None, lease.slot, lease.generation)
            .unwrap();
    }
    pool.acquire(ME, None, 6 * MIB as u32, false).unwrap();
    // 6 MiB: the 4 MiB block and then, for the rest, the smallest larger block.
    assert_eq!(pool.stats().free_bytes, 12 * MIB);
}

#[test]
fn generation_changes_with_the_mapping_only() {
    let pool = Pool::new(0, settings(MIB, 8192));
    let first = pool.acquire(ME, None, 4096, false).unwrap();
    assert!(first.fresh);
    pool.release(ME, None, first.slot, first.generation)
        .unwrap();
    let again = pool.acquire(ME, None, 4096, false).unwrap();
    assert_eq!(
        again,
        Lease {
            fresh: false,
            ..first
        }
    );
    pool.release(ME, None, again.slot, again.generation)
        .unwrap();
    pool.trim();
    for _ in 0..256 {
        let lease = pool.acquire(ME, None, 4096, false).unwrap();
        assert!(lease.slot != first.slot || lease.generation != first.generation);
    }
}

#[test]
fn arenas_are_aligned_to_huge_pages() {
    let pool = Pool::new(0, settings(64 * MIB, 8192));
    for bytes in &CLASS_BYTES[..CLASS_COUNT - 8] {
        let lease = pool.acquire(ME, None, *bytes, false).unwrap();
        assert_eq!(lease.address % (2 << 20), 0, "{bytes}");
        pool.release(ME, None, lease.slot, lease.generation)
            .unwrap();
        pool.trim();
    }
}

#[test]
fn acquire_and_release_work_for_the_largest_class() {
    let pool = Pool::new(0, settings(1 << 53, 8192));
    let lease = pool.acquire(ME, None, 512 << 20, false).unwrap();
    assert_eq!(lease.capacity, 512 << 20);
    pool.release(ME, None, lease.slot, lease.generation)
        .unwrap();
    assert_eq!(pool.trim(), 512 << 20);
}

#[test]
fn count_adds_up_events() {
    let pool = Pool::new(0, settings(MIB, 8192));
    for event in 0..EVENT_COUNT as u32 {
        pool.count(event, 10 + event as i32).unwrap();
    }
    pool.count(1, -4).unwrap();
    assert_eq!(pool.stats().events, [10, 7, 12, 13, 14, 15]);
    assert_eq!(pool.count(EVENT_COUNT as u32, 1), Err(BAD_ARGUMENT));
}

#[test]
fn values_are_the_fields_in_their_order() {
    let pool = Pool::new(0, settings(MIB, 8192));
    pool.acquire(ME, None, 4096, false).unwrap();
    pool.count(5, 7).unwrap();
    let stats = pool.stats();
    let values: Vec<f64> = stats.values().collect();
    assert_eq!(values.len(), 20 + CLASS_COUNT * 8);
    assert_eq!(values[..2], [MIB as f64, stats.mapped_bytes as f64]);
    assert_eq!((values[13], values[14], values[19]), (7.0, 1.0, 1.0));
    for (class, found) in stats.classes.iter().zip(values[20..].chunks(8)) {
        let ClassStats {
            bytes,
            acquired,
            returned,
            in_use,
            ..
        } = *class;
        let ClassStats {
            quarantined,
            free,
            external_in_use,
            dropped,
            ..
        } = *class;
        let first = [bytes, acquired, returned, in_use];
        let last = [quarantined, free, external_in_use, dropped];
        assert_eq!(
            found,
            [first, last]
                .concat()
                .iter()
                .map(|&n| n as f64)
                .collect::<Vec<_>>()
        );
    }
}

#[test]
fn class_of_every_class_is_served() {
    let pool = Pool::new(0, settings(4 << 30, 8192));
    for bytes in CLASS_BYTES {
        let lease = pool.acquire(ME, None, bytes, false).unwrap();
        assert_eq!(
            Some(lease.capacity),
            class_of(bytes).map(|class| CLASS_BYTES[class])
        );
    }
    pool.end_owner(ME);
    assert_eq!(pool.stats().in_use_bytes, 0);
}

//! The pool as a whole: helpers here, tests in the other files.

mod attachments;
mod model;
mod rules;
mod subprocess;
mod threads;

use super::pool::{Lease, Settings};
use super::stats::Stats;

pub const PAGE: usize = 4096;
pub const KIB: u64 = 1024;
pub const MIB: u64 = 1024 * KIB;

pub fn settings(limit_bytes: u64, bucket_capacity: u32) -> Settings {
    Settings {
        enabled: true,
        limit_bytes,
        bucket_capacity,
    }
}

/// Writes `tag` at the start and the end of each page of a block, and leaves it there.
pub fn stamp(lease: &Lease, tag: u64) {
    for position in stamps(lease) {
        // SAFETY: the test holds the lease of the block, and `position` lies in it, aligned to 8.
        unsafe { position.write_volatile(tag) };
    }
}

pub fn assert_stamped(lease: &Lease, tag: u64) {
    for position in stamps(lease) {
        // SAFETY: as in `stamp`.
        let found = unsafe { position.read_volatile() };
        assert_eq!(found, tag, "another thread wrote to the block");
    }
}

fn stamps(lease: &Lease) -> impl Iterator<Item = *mut u64> {
    let pages = (0..lease.capacity as usize).step_by(PAGE);
    let address = lease.address;
    pages
        .flat_map(move |page| [page, page + PAGE - 8])
        .map(move |at| std::ptr::with_exposed_provenance_mut(address + at))
}

/// Checks what holds for all snapshots while nothing else runs.
pub fn assert_adds_up(stats: &Stats) {
    for class in &stats.classes {
        assert_eq!(
            class.acquired - class.returned - class.quarantined,
            class.in_use
        );
    }
    assert_eq!(
        stats.mapped_bytes,
        stats.in_use_bytes + stats.quarantined_bytes + stats.free_bytes
    );
    assert_eq!(
        stats.acquired,
        stats
            .classes
            .iter()
            .map(|class| class.acquired)
            .sum::<u64>()
    );
    assert_eq!(
        stats.returned,
        stats
            .classes
            .iter()
            .map(|class| class.returned)
            .sum::<u64>()
    );
    assert_eq!(
        stats.dropped,
        stats.classes.iter().map(|class| class.dropped).sum::<u64>()
    );
    assert_eq!(
        stats.external_acquired - stats.external_returned,
        stats
            .classes
            .iter()
            .map(|class| class.external_in_use)
            .sum::<u64>()
    );
}

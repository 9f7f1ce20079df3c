//! Figures that add up: acquired = returned + quarantined + in use, and mapped = in use +
//! quarantined + free.
//!
//! While other threads acquire and release, the parts of a snapshot are moments apart.

use std::sync::Arc;

use super::classes::{CLASS_BYTES, CLASS_COUNT};
use super::magazine::Magazine;
use super::pool::{Bucket, EVENT_COUNT, Figures, Pool};
use super::slots::State;
use super::sync::{AtomicU64, lock, read};

/// A pool's figures at one moment, in the order in which they cross the border. Blocks beyond the
/// limit are only in the fields that say "external".
#[derive(Clone, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Stats {
    pub limit_bytes: u64,
    pub mapped_bytes: u64,
    pub peak_mapped_bytes: u64,
    /// Bytes leased, lent or orphaned.
    pub in_use_bytes: u64,
    pub free_bytes: u64,
    /// Bytes beyond the limit, quarantined ones included.
    pub external_bytes: u64,
    /// Bytes within the limit, in use for ever.
    pub quarantined_bytes: u64,
    /// Blocks whose lease ended before their loans.
    pub orphaned: u64,
    /// See `count` of [`super`].
    pub events: [u64; EVENT_COUNT],
    pub acquired: u64,
    pub returned: u64,
    pub external_acquired: u64,
    pub external_returned: u64,
    pub dropped: u64,
    pub attachments: u64,
    pub classes: [ClassStats; CLASS_COUNT],
}

/// The figures of one class.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct ClassStats {
    /// Bytes of a block.
    pub bytes: u64,
    /// Leases ever.
    pub acquired: u64,
    /// Leases that ended and brought their block back.
    pub returned: u64,
    /// Blocks leased, lent or orphaned.
    pub in_use: u64,
    /// Blocks in use for ever.
    pub quarantined: u64,
    /// Blocks kept.
    pub free: u64,
    /// Blocks beyond the limit, quarantined ones included.
    pub external_in_use: u64,
    /// Blocks unmapped: not kept at their return, or given up later.
    pub dropped: u64,
}

impl Pool {
    /// Blocks that will come back, external ones included.
    pub(super) fn in_use_blocks(&self) -> u64 {
        let external = |Bucket { external, .. }: &Bucket| {
            let gone = read(&external.returned) + read(&external.quarantined);
            read(&external.acquired).saturating_sub(gone)
        };
        let magazines = lock(&self.magazines);
        let within = (0..CLASS_COUNT).map(|class| self.class_stats(class, &magazines).in_use);
        within.chain(self.buckets.iter().map(external)).sum()
    }

    pub(super) fn stats(&self) -> Stats {
        let classes: [ClassStats; CLASS_COUNT] = {
            let magazines = lock(&self.magazines);
            std::array::from_fn(|class| self.class_stats(class, &magazines))
        };
        let sum = |field: fn(&ClassStats) -> u64| classes.iter().map(field).sum();
        let external = |field: fn(&Figures) -> &AtomicU64| {
            let buckets = self.buckets.iter();
            buckets.map(|bucket| read(field(&bucket.external))).sum()
        };
        Stats {
            limit_bytes: self.settings.limit_bytes,
            mapped_bytes: self.quota.used(),
            peak_mapped_bytes: self.quota.peak(),
            in_use_bytes: sum(|class| class.in_use * class.bytes),
            free_bytes: sum(|class| class.free * class.bytes),
            external_bytes: read(&self.external_bytes),
            quarantined_bytes: sum(|class| class.quarantined * class.bytes),
            orphaned: self.orphaned(),
            events: self.events.each_ref().map(read),
            acquired: sum(|class| class.acquired),
            returned: sum(|class| class.returned),
            external_acquired: external(|figures| &figures.acquired),
            external_returned: external(|figures| &figures.returned),
            dropped: sum(|class| class.dropped),
            attachments: u64::from(*lock(&self.attachments)),
            classes,
        }
    }

    fn orphaned(&self) -> u64 {
        let slots = self.slots.iter();
        let orphans = slots.filter(|(_, slot)| slot.holder().state() == State::Orphaned);
        orphans.count() as u64
    }

    fn class_stats(&self, class: usize, magazines: &[Arc<Magazine>]) -> ClassStats {
        let bucket = &self.buckets[class];
        let of_all = |counter: &AtomicU64, theirs: fn(&Magazine, usize) -> u64| {
            let theirs = magazines.iter().map(|magazine| theirs(magazine, class));
            read(counter) + theirs.sum::<u64>()
        };
        // Acquired first: a later lease shows as returned only, never as too much in use.
        let acquired = of_all(&bucket.within.acquired, Magazine::acquired);
        let returned = of_all(&bucket.within.returned, Magazine::returned);
        let quarantined = read(&bucket.within.quarantined);
        let own: u32 = magazines.iter().map(|magazine| magazine.len(class)).sum();
        let external_acquired = read(&bucket.external.acquired);
        ClassStats {
            bytes: u64::from(CLASS_BYTES[class]),
            acquired,
            returned,
            in_use: acquired.saturating_sub(returned + quarantined),
            quarantined,
            free: u64::from(bucket.free.len(&self.slots) + own),
            external_in_use: external_acquired.saturating_sub(read(&bucket.external.returned)),
            dropped: read(&bucket.dropped),
        }
    }
}

impl Stats {
    /// Returns all figures, in the order of the fields.
    pub fn values(&self) -> impl Iterator<Item = f64> {
        let start = std::ptr::from_ref(self).cast();
        // SAFETY: both structures are nothing but `u64`s in the order of C, so without padding, and
        // the slice is borrowed as long as they are.
        let values: &[u64] = unsafe { std::slice::from_raw_parts(start, size_of::<Self>() / 8) };
        values.iter().map(|&value| value as f64)
    }
}

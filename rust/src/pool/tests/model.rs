//! Random sequences of calls compared with a naive model.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::strategy::Union;

use super::{KIB, MIB, PAGE, assert_adds_up, assert_stamped, stamp};
use crate::pool::Loan;
use crate::pool::classes::{CLASS_BYTES, CLASS_COUNT};
use crate::pool::magazine::Magazine;
use crate::pool::pool::{Lease, Pool, Settings};
use crate::status::{BAD_ARGUMENT, NO_SUCH_HANDLE, NOT_OWNER, POOL_LIMIT};
use crate::thread::OwnerId;

#[derive(Clone, Debug)]
enum Call {
    Acquire {
        owner: u32,
        length: u32,
        external: bool,
    },
    /// The calls below select one of the known blocks, by a number modulo their count.
    Release {
        pick: usize,
        owner: u32,
    },
    Quarantine {
        pick: usize,
    },
    Lend {
        pick: usize,
        start: u32,
        length: u32,
    },
    EndLoan {
        pick: usize,
    },
    EndOwner {
        owner: u32,
    },
    Trim,
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let owner = || 1..4u32;
    let lengths = prop_oneof![
        6 => 0..70_000u32,
        4 => 0..3_000_000u32,
        1 => Just(u32::MAX),
        2 => prop::sample::select(&CLASS_BYTES[..14]).prop_flat_map(|bytes| bytes - 1..bytes + 2),
    ];
    let range = (0..5000u32, 0..5000u32);
    let call = Union::new_weighted(vec![
        (
            12,
            (owner(), lengths, prop::bool::weighted(0.1))
                .prop_map(|(owner, length, external)| Call::Acquire {
                    owner,
                    length,
                    external,
                })
                .boxed(),
        ),
        (
            9,
            (any::<usize>(), owner())
                .prop_map(|(pick, owner)| Call::Release { pick, owner })
                .boxed(),
        ),
        (
            1,
            any::<usize>()
                .prop_map(|pick| Call::Quarantine { pick })
                .boxed(),
        ),
        (
            4,
            (any::<usize>(), range)
                .prop_map(|(pick, (start, length))| Call::Lend {
                    pick,
                    start,
                    length,
                })
                .boxed(),
        ),
        (
            4,
            any::<usize>()
                .prop_map(|pick| Call::EndLoan { pick })
                .boxed(),
        ),
        (
            1,
            owner().prop_map(|owner| Call::EndOwner { owner }).boxed(),
        ),
        (1, Just(Call::Trim).boxed()),
    ]);
    prop::collection::vec(call, 1..120)
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Life {
    Leased(u32),
    Orphaned,
    Quarantined,
}

struct Known {
    lease: Lease,
    class: usize,
    life: Life,
    loans: Vec<Loan>,
    tag: u64,
}

#[derive(Clone, Copy, Default, PartialEq, Debug)]
struct Counts {
    acquired: u64,
    returned: u64,
    quarantined: u64,
    external_acquired: u64,
    external_returned: u64,
}

struct Model {
    pool: Arc<Pool>,
    /// The magazines of the owners 1 to 3, as far as the pool gives them one.
    magazines: [Option<Arc<Magazine>>; 3],
    settings: Settings,
    blocks: Vec<Known>,
    counts: [Counts; CLASS_COUNT],
    peak: u64,
    tag: u64,
}

impl Model {
    fn new(settings: Settings) -> Self {
        let pool = Arc::new(Pool::new(0, settings));
        Self {
            magazines: [(); 3].map(|()| pool.magazine()),
            pool,
            settings,
            blocks: Vec::new(),
            counts: [Counts::default(); CLASS_COUNT],
            peak: 0,
            tag: 0,
        }
    }

    fn magazine(&self, owner: u32) -> Option<&Magazine> {
        self.magazines[owner as usize - 1].as_deref()
    }

    fn in_use(&self) -> u64 {
        self.blocks
            .iter()
            .filter(|block| !block.lease.external)
            .map(|block| u64::from(block.lease.capacity))
            .sum()
    }

    fn apply(&mut self, call: &Call) {
        let count = self.blocks.len().max(1);
        match *call {
            Call::Acquire {
                owner,
                length,
                external,
            } => self.acquire(owner, length, external),
            Call::Release { pick, owner } => self.release(pick % count, owner),
            Call::Quarantine { pick } => self.quarantine(pick % count),
            Call::Lend {
                pick,
                start,
                length,
            } => self.lend(pick % count, start, length),
            Call::EndLoan { pick } => self.end_loan(pick % count),
            Call::EndOwner { owner } => {
                if let Some(magazine) = self.magazines[owner as usize - 1].take() {
                    self.pool.retire(&magazine);
                }
                self.pool.end_owner(OwnerId(owner));
                for i in (0..self.blocks.len()).rev() {
                    if self.blocks[i].life == Life::Leased(owner) {
                        self.end_lease(i);
                    }
                }
            }
            Call::Trim => {
                let free = self.pool.stats().free_bytes;
                assert_eq!(self.pool.trim(), free);
                assert_eq!(self.pool.stats().free_bytes, 0);
            }
        }
    }

    fn acquire(&mut self, owner: u32, length: u32, external: bool) {
        let result = self
            .pool
            .acquire(OwnerId(owner), self.magazine(owner), length, external);
        let Some(class) = CLASS_BYTES.iter().position(|&bytes| bytes >= length) else {
            return assert_eq!(result, Err(BAD_ARGUMENT));
        };
        let fits = self.in_use() + u64::from(CLASS_BYTES[class]) <= self.settings.limit_bytes;
        if !fits && !external {
            return assert_eq!(result, Err(POOL_LIMIT));
        }
        let lease = result.expect("there is room");
        assert_eq!(
            (lease.external, lease.capacity),
            (!fits, CLASS_BYTES[class])
        );
        assert_eq!(lease.address % PAGE, 0);
        if lease.fresh {
            assert_stamped(&lease, 0);
        }
        let counts = &mut self.counts[class];
        *(if lease.external {
            &mut counts.external_acquired
        } else {
            &mut counts.acquired
        }) += 1;
        self.tag += 1;
        stamp(&lease, self.tag);
        self.blocks.push(Known {
            lease,
            class,
            life: Life::Leased(owner),
            loans: Vec::new(),
            tag: self.tag,
        });
    }

    fn release(&mut self, i: usize, owner: u32) {
        let Some(block) = self.blocks.get(i) else {
            return;
        };
        let (slot, generation) = (block.lease.slot, block.lease.generation);
        let release = |generation| {
            self.pool
                .release(OwnerId(owner), self.magazine(owner), slot, generation)
        };
        assert_eq!(release(generation.wrapping_add(1)), Err(NO_SUCH_HANDLE));
        let result = release(generation);
        if block.life != Life::Leased(owner) {
            return assert_eq!(result, Err(NOT_OWNER));
        }
        assert_eq!(result, Ok(()));
        self.end_lease(i);
        let again = self
            .pool
            .release(OwnerId(owner), self.magazine(owner), slot, generation);
        assert!(matches!(again, Err(NOT_OWNER | NO_SUCH_HANDLE)));
    }

    fn quarantine(&mut self, i: usize) {
        let Some(block) = self.blocks.get_mut(i) else {
            return;
        };
        let owner = if let Life::Leased(owner) = block.life {
            owner
        } else {
            1
        };
        let result = self
            .pool
            .quarantine(OwnerId(owner), block.lease.slot, block.lease.generation);
        if !matches!(block.life, Life::Leased(_)) {
            return assert_eq!(result, Err(NOT_OWNER));
        }
        assert_eq!(result, Ok(()));
        block.life = Life::Quarantined;
        if !block.lease.external {
            self.counts[block.class].quarantined += 1;
        }
    }

    fn lend(&mut self, i: usize, start: u32, length: u32) {
        let Some(block) = self.blocks.get_mut(i) else {
            return;
        };
        let owner = if let Life::Leased(owner) = block.life {
            owner
        } else {
            1
        };
        let Lease {
            slot, generation, ..
        } = block.lease;
        let owner = OwnerId(owner);
        let loan = self.pool.lend(owner, slot, generation, start, length);
        if !matches!(block.life, Life::Leased(_)) {
            assert_eq!(loan.err(), Some(NOT_OWNER));
        } else if start + length > block.lease.capacity {
            assert_eq!(loan.err(), Some(BAD_ARGUMENT));
        } else {
            let loan = loan.unwrap();
            assert_eq!(
                (loan.as_ptr() as usize, loan.bytes()),
                (block.lease.address + start as usize, length as usize)
            );
            block.loans.push(loan);
        }
    }

    fn end_loan(&mut self, i: usize) {
        let Some(block) = self.blocks.get_mut(i) else {
            return;
        };
        if block.loans.len() == 1 {
            assert_stamped(&block.lease, block.tag);
        }
        drop(block.loans.pop());
        if block.life == Life::Orphaned && block.loans.is_empty() {
            self.forget(i);
        }
    }

    /// Notes that the pool has ended the lease. The model checks nothing after that, because the
    /// memory may be gone.
    fn end_lease(&mut self, i: usize) {
        if self.blocks[i].loans.is_empty() {
            self.forget(i);
        } else {
            self.blocks[i].life = Life::Orphaned;
        }
    }

    fn forget(&mut self, i: usize) {
        let block = self.blocks.swap_remove(i);
        let counts = &mut self.counts[block.class];
        *(if block.lease.external {
            &mut counts.external_returned
        } else {
            &mut counts.returned
        }) += 1;
    }

    /// Checks what must hold between any two calls.
    fn check(&mut self) {
        let stats = self.pool.stats();
        self.peak = self.peak.max(stats.mapped_bytes);
        assert!(
            stats.mapped_bytes <= self.settings.limit_bytes && self.in_use() <= stats.mapped_bytes
        );
        assert!(
            stats.peak_mapped_bytes >= self.peak
                && stats.peak_mapped_bytes <= self.settings.limit_bytes
        );
        assert_adds_up(&stats);
        for (class, (found, counts)) in stats.classes.iter().zip(&self.counts).enumerate() {
            assert_eq!(found.acquired, counts.acquired, "{class}");
            assert_eq!(found.returned, counts.returned, "{class}");
            assert_eq!(found.quarantined, counts.quarantined, "{class}");
            assert_eq!(
                found.external_in_use,
                counts.external_acquired - counts.external_returned,
                "{class}"
            );
            let kept = if self.settings.enabled {
                u64::from(self.settings.bucket_capacity)
            } else {
                0
            };
            assert!(
                found.free <= kept,
                "{class}: {} free, {kept} kept",
                found.free
            );
        }
        let orphaned = self
            .blocks
            .iter()
            .filter(|block| block.life == Life::Orphaned)
            .count();
        assert_eq!(stats.orphaned, orphaned as u64);
        let external: u64 = self
            .blocks
            .iter()
            .filter(|b| b.lease.external)
            .map(|b| u64::from(b.lease.capacity))
            .sum();
        assert_eq!(stats.external_bytes, external);
        let mut ranges = BTreeMap::new();
        for Known { lease, tag, .. } in &self.blocks {
            assert_stamped(lease, *tag);
            ranges.insert(lease.address, lease.address + lease.capacity as usize);
        }
        assert_eq!(ranges.len(), self.blocks.len(), "two blocks at one address");
        let mut last = 0;
        for (start, end) in ranges {
            assert!(start >= last, "two blocks overlap");
            last = end;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 96,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn pool_does_what_the_naive_model_does(
        calls in calls(),
        limit_bytes in prop_oneof![4 * KIB..300 * KIB, 4 * KIB..9 * MIB],
        bucket_capacity in prop_oneof![0..6u32, Just(8192)],
        enabled in prop::bool::weighted(0.85),
    ) {
        let mut model = Model::new(Settings { enabled, limit_bytes, bucket_capacity });
        for call in &calls {
            model.apply(call);
            model.check();
        }
        // At the end, everything that can return does, and goes back to the system.
        for owner in 1..4 {
            model.apply(&Call::EndOwner { owner });
        }
        while let Some(i) = model.blocks.iter().position(|block| !block.loans.is_empty()) {
            model.end_loan(i);
        }
        model.check();
        model.apply(&Call::Trim);
        let stats = model.pool.stats();
        prop_assert_eq!((stats.in_use_bytes, stats.orphaned), (0, 0));
        prop_assert_eq!(stats.mapped_bytes, stats.quarantined_bytes);
    }
}

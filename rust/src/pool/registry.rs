//! Pools by number.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::pool::{Pool, Settings};
use super::sync::lock;

struct Registry {
    /// The number given out last; none is given out twice.
    last: u32,
    pools: BTreeMap<u32, Arc<Pool>>,
}

static REGISTRY: Mutex<Registry> = Mutex::new(Registry {
    last: 0,
    pools: BTreeMap::new(),
});

/// Makes a pool with the next number; `None` when the numbers that a status can carry are used up.
pub fn add(settings: Settings) -> Option<Arc<Pool>> {
    let mut registry = lock(&REGISTRY);
    if registry.last == i32::MAX as u32 {
        return None;
    }
    registry.last += 1;
    let number = registry.last;
    let pool = Arc::new(Pool::new(number, settings));
    registry.pools.insert(number, Arc::clone(&pool));
    Some(pool)
}

pub fn find(number: u32) -> Option<Arc<Pool>> {
    lock(&REGISTRY).pools.get(&number).cloned()
}

pub fn remove(number: u32) {
    let removed = lock(&REGISTRY).pools.remove(&number);
    // After the lock: if it is the last reference, its memory is unmapped now.
    drop(removed);
}

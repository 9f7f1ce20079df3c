//! A thread as a user of pools: its id, and its memberships, which end with it.

use std::cell::RefCell;
use std::sync::Arc;
// Not the pool's `sync`: this one is a static, and lives outside of what loom explores.
use std::sync::atomic::{AtomicU32, Ordering};

use super::magazine::Magazine;
use super::pool::Pool;
use super::registry;
use super::slots::OwnerId;
use crate::status::{NO_SUCH_HANDLE, NOT_OWNER, Status};

thread_local! {
    static OWNER: Owner = Owner::new();
}

/// The calling thread. A JavaScript isolate stays on one thread, and a worker's thread ends with
/// it, also when it is terminated; then this is dropped.
struct Owner {
    id: OwnerId,
    /// The pools that this thread has named, the last one first.
    pools: RefCell<Vec<Membership>>,
}

/// A thread's use of one pool.
pub struct Membership {
    pub pool: Arc<Pool>,
    /// The thread's own free blocks, while it has attachments. So the pool is open as long as there
    /// is a magazine.
    pub magazine: Option<Arc<Magazine>>,
    /// This thread's attachments to the pool.
    attachments: u32,
}

impl Owner {
    fn new() -> Self {
        static LAST: AtomicU32 = AtomicU32::new(0);
        Self {
            id: OwnerId(LAST.fetch_add(1, Ordering::Relaxed) + 1),
            pools: RefCell::new(Vec::new()),
        }
    }

    /// Moves the membership of the pool to the front, and makes it if it does not exist.
    #[cold]
    fn promote(&self, number: u32) -> Result<(), Status> {
        let pools = &mut *self.pools.borrow_mut();
        let place = match pools
            .iter()
            .position(|membership| membership.pool.number() == number)
        {
            Some(place) => place,
            None => {
                let pool = registry::find(number).ok_or(NO_SUCH_HANDLE)?;
                pools.retain(|membership| !membership.is_over());
                pools.push(Membership {
                    pool,
                    magazine: None,
                    attachments: 0,
                });
                pools.len() - 1
            }
        };
        pools.swap(0, place);
        Ok(())
    }
}

impl Membership {
    /// Whether the thread can no longer hold anything of the pool.
    fn is_over(&self) -> bool {
        self.attachments == 0 && self.pool.is_dead() && self.pool.in_use_blocks() == 0
    }

    fn retire(&mut self) {
        if let Some(magazine) = self.magazine.take() {
            self.pool.retire(&magazine);
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        for mut member in self.pools.take() {
            member.retire();
            member.pool.end_owner(self.id);
            if member.attachments > 0 {
                member.pool.detach(member.attachments);
            }
        }
    }
}

/// Calls `act` with the pool of that number and the calling thread's id. `act` must not call this
/// again.
#[inline(always)]
pub fn with_pool<T>(
    number: u32,
    act: impl FnOnce(&Arc<Pool>, OwnerId) -> Result<T, Status>,
) -> Result<T, Status> {
    with_member(number, |member, owner| act(&member.pool, owner))
}

/// Calls `act` with the calling thread's membership of the pool, and the thread's id. `act` must
/// not call this again.
#[inline(always)]
pub fn with_member<T>(
    number: u32,
    act: impl FnOnce(&Membership, OwnerId) -> Result<T, Status>,
) -> Result<T, Status> {
    with_owner(|owner| {
        if owner
            .pools
            .borrow()
            .first()
            .is_none_or(|first| first.pool.number() != number)
        {
            owner.promote(number)?;
        }
        let pools = owner.pools.borrow();
        act(pools.first().ok_or(NO_SUCH_HANDLE)?, owner.id)
    })
}

/// Records that one of the pool's attachments is the calling thread's.
pub fn join(pool: Arc<Pool>) -> Result<(), Status> {
    let attached = with_owner(|owner| {
        owner.promote(pool.number())?;
        if let Some(first) = owner.pools.borrow_mut().first_mut() {
            first.attachments += 1;
            if first.magazine.is_none() {
                first.magazine = first.pool.magazine();
            }
        }
        Ok(())
    });
    attached.inspect_err(|_| pool.detach(1))
}

/// Gives one of the calling thread's attachments back.
pub fn leave(number: u32) -> Result<(), Status> {
    let pool = with_owner(|owner| {
        owner.promote(number)?;
        let mut pools = owner.pools.borrow_mut();
        let first = pools
            .first_mut()
            .filter(|first| first.attachments > 0)
            .ok_or(NO_SUCH_HANDLE)?;
        first.attachments -= 1;
        if first.attachments == 0 {
            first.retire();
        }
        Ok(Arc::clone(&first.pool))
    })?;
    pool.detach(1);
    Ok(())
}

/// Calls `act` with the calling thread's owner; while the thread is ending it owns nothing any
/// more.
#[inline(always)]
fn with_owner<T>(act: impl FnOnce(&Owner) -> Result<T, Status>) -> Result<T, Status> {
    OWNER.try_with(act).unwrap_or(Err(NOT_OWNER))
}

//! A thread as a user of pools: its memberships, which end with it.

use std::cell::RefCell;
use std::sync::Arc;

use super::POOLS;
use super::magazine::Magazine;
use super::pool::Pool;
use crate::status::{NO_SUCH_HANDLE, Status};
use crate::thread::{self, OwnerId};

/// The pools that one thread has used, the most recent one first.
#[derive(Default)]
pub struct Memberships {
    all: RefCell<Vec<Membership>>,
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

impl Memberships {
    /// Moves the membership of the pool to the front, and makes it if it does not exist.
    #[cold]
    fn promote(&self, number: u32) -> Result<(), Status> {
        let all = &mut *self.all.borrow_mut();
        let index = match all.iter().position(|member| member.pool.number == number) {
            Some(index) => index,
            None => {
                let pool = POOLS.get(number)?;
                all.retain(|member| !member.is_over());
                all.push(Membership {
                    pool,
                    magazine: None,
                    attachments: 0,
                });
                all.len() - 1
            }
        };
        all.swap(0, index);
        Ok(())
    }

    /// Gives back everything that the thread, whose id is `owner`, holds.
    pub fn end(&self, owner: OwnerId) {
        for mut member in self.all.take() {
            member.retire();
            member.pool.end_owner(owner);
            if member.attachments > 0 {
                member.pool.detach(member.attachments);
            }
        }
    }
}

impl Membership {
    /// Returns whether the thread can no longer hold anything of the pool.
    fn is_over(&self) -> bool {
        self.attachments == 0 && self.pool.is_dead() && self.pool.in_use_blocks() == 0
    }

    fn retire(&mut self) {
        if let Some(magazine) = self.magazine.take() {
            self.pool.retire(&magazine);
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
    thread::with(|thread| {
        let pools = &thread.pools;
        let is_first = |first: &Membership| first.pool.number == number;
        if !pools.all.borrow().first().is_some_and(is_first) {
            pools.promote(number)?;
        }
        act(pools.all.borrow().first().ok_or(NO_SUCH_HANDLE)?, thread.id)
    })
}

/// Records that one of the pool's attachments is the calling thread's.
pub fn join(pool: Arc<Pool>) -> Result<(), Status> {
    let attached = thread::with(|thread| {
        thread.pools.promote(pool.number)?;
        if let Some(first) = thread.pools.all.borrow_mut().first_mut() {
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
    let pool = thread::with(|thread| {
        thread.pools.promote(number)?;
        let mut all = thread.pools.all.borrow_mut();
        let attached = all.first_mut().filter(|first| first.attachments > 0);
        let first = attached.ok_or(NO_SUCH_HANDLE)?;
        first.attachments -= 1;
        if first.attachments == 0 {
            first.retire();
        }
        Ok(Arc::clone(&first.pool))
    })?;
    pool.detach(1);
    Ok(())
}

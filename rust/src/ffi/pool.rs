//! Exports of the pool: arguments checked and figures laid out, nothing else.

use std::cell::Cell;

use super::{Write, exports};
use crate::codec::whole;
use crate::pool::{self, CLASS_BYTES, MAX_BLOCK_BYTES, Settings};
use crate::status::BAD_ARGUMENT;

/// The largest limit: every figure must be exact as an `f64`.
const MAX_LIMIT_BYTES: u64 = 1 << 53;

const EXTERNAL: u32 = 1;
const FRESH: u32 = 2;

thread_local! {
    /// The lease that `basalt_pool_acquire` made, at an address that JavaScript asks for once: an
    /// argument of Deno's type "buffer" costs as much as the rest of the call.
    static LEASE: Cell<[u32; 8]> = const { Cell::new([0; 8]) };
}

exports! {
    /// Makes a pool and returns its number, which is positive.
    safe fn basalt_pool_open(enabled: u32, limit_bytes: f64, bucket_capacity: u32) {
        let limit_bytes = whole(limit_bytes, MAX_LIMIT_BYTES)
            .filter(|&bytes| bytes >= CLASS_BYTES[0].into())
            .ok_or(BAD_ARGUMENT)?;
        pool::open(Settings { enabled: enabled != 0, limit_bytes, bucket_capacity })
    }

    /// Joins a pool by its number. `out`: enabled, limit in bytes, bucket capacity.
    unsafe fn basalt_pool_attach(pool: u32, out: Write[f64; 3]) {
        let Settings { enabled, limit_bytes, bucket_capacity } = pool::attach(pool)?;
        out.copy_from_slice(&[enabled.into(), limit_bytes as f64, bucket_capacity.into()]);
        Ok(())
    }

    /// Leaves a pool.
    safe fn basalt_pool_close(pool: u32) {
        pool::close(pool)
    }

    /// Tells the address at which the calling thread's leases are described, as long as the thread
    /// lives. `out`: its low and high word.
    unsafe fn basalt_pool_lease_address(out: Write[u32; 2]) {
        let address = LEASE.with(|lease| lease.as_ptr().expose_provenance()) as u64;
        out.copy_from_slice(&[address as u32, (address >> 32) as u32]);
        Ok(())
    }

    /// Leases a block of at least `length` bytes; with `external`, beyond the limit if need be.
    ///
    /// It is described at `basalt_pool_lease_address`, until the next call of this thread:
    /// `u32[8]` = slot, generation, bytes, flags (1 external, 2 all zeros), address low and high,
    /// 0, 0.
    safe fn basalt_pool_acquire(pool: u32, length: u32, external: u32) {
        if length > MAX_BLOCK_BYTES {
            return Err(BAD_ARGUMENT);
        }
        let lease = pool::acquire(pool, length, external != 0)?;
        let flags = if lease.external { EXTERNAL } else { 0 } | if lease.fresh { FRESH } else { 0 };
        let address = lease.address as u64;
        let (low, high) = (address as u32, (address >> 32) as u32);
        LEASE.set([lease.slot, lease.generation, lease.capacity, flags, low, high, 0, 0]);
        Ok(())
    }

    /// Ends a lease.
    safe fn basalt_pool_release(pool: u32, slot: u32, generation: u32) {
        pool::release(pool, slot, generation)
    }

    /// Keeps a block in use for ever.
    safe fn basalt_pool_quarantine(pool: u32, slot: u32, generation: u32) {
        pool::quarantine(pool, slot, generation)
    }

    /// Counts an event that only JavaScript sees: see [`pool::count`].
    safe fn basalt_pool_count(pool: u32, counter: u32, delta: i32) {
        pool::count(pool, counter, delta)
    }

    /// Writes the figures of [`pool::Stats::values`], as many as fit, and returns their number.
    unsafe fn basalt_pool_stats(pool: u32, out: Write[f64; out_count], out_count: u32) {
        let stats = pool::stats(pool)?;
        Ok(out.iter_mut().zip(stats.values()).map(|(place, value)| *place = value).count())
    }

    /// Gives free blocks up and returns their size in KiB.
    safe fn basalt_pool_trim(pool: u32) {
        let kib = pool::trim(pool)? / 1024;
        Ok(u32::try_from(kib).map_or(i32::MAX as u32, |kib| kib.min(i32::MAX as u32)))
    }
}

#[cfg(all(test, not(loom)))]
mod tests;

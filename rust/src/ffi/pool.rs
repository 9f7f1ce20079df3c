//! Exports of the pool: arguments checked and figures laid out, nothing else.

use std::cell::Cell;

use super::{Buffer, exports, view};
use crate::pool::{self, CLASS_BYTES, Counter, MAX_BLOCK_BYTES, Settings};
use crate::status::{BAD_ARGUMENT, Status};

/// The largest limit: every figure must be exact as an f64.
const MAX_LIMIT_BYTES: f64 = (1u64 << 53) as f64;

const EXTERNAL: u32 = 1;
const FRESH: u32 = 2;

thread_local! {
    /// What `basalt_pool_acquire` answers beside its status, at an address that JavaScript asks for once: an argument of
    /// Deno's type "buffer" costs 10 ns a call, as much as the rest of it.
    static LEASE: Cell<[u32; 8]> = const { Cell::new([0; 8]) };
}

exports! {
    /// Makes a pool: its number, 1 or more.
    fn basalt_pool_open(enabled: u32, limit_bytes: f64, bucket_capacity: u32) {
        let least = f64::from(CLASS_BYTES[0]);
        if !(least..=MAX_LIMIT_BYTES).contains(&limit_bytes) || limit_bytes.fract() != 0.0 {
            return BAD_ARGUMENT;
        }
        let settings = Settings { enabled: enabled != 0, limit_bytes: limit_bytes as u64, bucket_capacity };
        answer(pool::open(settings).map(|number| number as Status))
    }

    /// Joins a pool by its number. `out`: f64[3] = enabled, limit in bytes, bucket capacity.
    fn basalt_pool_attach(pool: u32, out: Buffer) {
        // SAFETY: `out` is a view of the caller's with 3 values of f64.
        let Some(out) = (unsafe { view::<f64>(out, 3) }) else { return BAD_ARGUMENT };
        answer(pool::attach(pool).map(|settings| {
            out[0] = f64::from(u8::from(settings.enabled));
            out[1] = settings.limit_bytes as f64;
            out[2] = f64::from(settings.bucket_capacity);
            0
        }))
    }

    /// Leaves a pool.
    fn basalt_pool_close(pool: u32) {
        done(pool::close(pool))
    }

    /// Where the calling thread's leases are described, for as long as the thread lives. `out`: u32[2] = address low and high.
    fn basalt_pool_lease_address(out: Buffer) {
        // SAFETY: `out` is a view of the caller's with 2 values of u32.
        let Some(out) = (unsafe { view::<u32>(out, 2) }) else { return BAD_ARGUMENT };
        let address = LEASE.with(|lease| lease.as_ptr().expose_provenance()) as u64;
        out.copy_from_slice(&[address as u32, (address >> 32) as u32]);
        0
    }

    /// Leases a block of at least `length` bytes; with `external`, beyond the limit if need be. It is described at
    /// `basalt_pool_lease_address`, until the next call of this thread: u32[8] = slot, generation, bytes, flags (1 external,
    /// 2 all zeros), address low and high, 0, 0.
    fn basalt_pool_acquire(pool: u32, length: u32, external: u32) {
        if length > MAX_BLOCK_BYTES {
            return BAD_ARGUMENT;
        }
        answer(pool::acquire(pool, length, external != 0).map(|lease| {
            let flags = if lease.external { EXTERNAL } else { 0 } | if lease.fresh { FRESH } else { 0 };
            let address = lease.address as u64;
            let (low, high) = (address as u32, (address >> 32) as u32);
            LEASE.set([lease.slot, lease.generation, lease.capacity, flags, low, high, 0, 0]);
            0
        }))
    }

    /// Ends a lease.
    fn basalt_pool_release(pool: u32, slot: u32, generation: u32) {
        done(pool::release(pool, slot, generation))
    }

    /// Keeps a block in use for ever.
    fn basalt_pool_quarantine(pool: u32, slot: u32, generation: u32) {
        done(pool::quarantine(pool, slot, generation))
    }

    /// Counts an event that only JavaScript sees: see [`Counter`].
    fn basalt_pool_count(pool: u32, counter: u32, delta: i32) {
        let Some(counter) = Counter::from_number(counter) else { return BAD_ARGUMENT };
        done(pool::count(pool, counter, delta))
    }

    /// Writes up to `out_count` figures (f64) and answers how many: see [`pool::Stats::values`].
    fn basalt_pool_stats(pool: u32, out: Buffer, out_count: u32) {
        // SAFETY: `out` is a view of the caller's with `out_count` values of f64.
        let Some(out) = (unsafe { view::<f64>(out, out_count as usize) }) else { return BAD_ARGUMENT };
        answer(pool::stats(pool).map(|stats| {
            let written = out.iter_mut().zip(stats.values()).map(|(place, value)| *place = value).count();
            written as Status
        }))
    }

    /// Gives free blocks up: how many KiB.
    fn basalt_pool_trim(pool: u32) {
        answer(pool::trim(pool).map(|bytes| Status::try_from(bytes / 1024).unwrap_or(Status::MAX)))
    }
}

fn answer(result: Result<Status, Status>) -> Status {
    result.unwrap_or_else(|status| status)
}

fn done(result: Result<(), Status>) -> Status {
    answer(result.map(|()| 0))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::status::{NO_SUCH_HANDLE, NOT_OWNER, POOL_LIMIT};

    #[test]
    fn open_refuses_limits_that_make_no_sense() {
        for limit in [
            f64::NAN,
            f64::INFINITY,
            -1.0,
            0.0,
            4095.0,
            4096.5,
            MAX_LIMIT_BYTES * 2.0,
        ] {
            assert_eq!(basalt_pool_open(1, limit, 1), BAD_ARGUMENT, "{limit}");
        }
    }

    #[test]
    fn exports_answer_what_the_table_says() {
        let number = basalt_pool_open(1, 16384.0, 2);
        assert!(number >= 1);
        let pool = number as u32;
        let mut settings = [0f64; 3];
        assert_eq!(basalt_pool_attach(pool, settings.as_mut_ptr().cast()), 0);
        assert_eq!(settings, [1.0, 16384.0, 2.0]);
        assert_eq!(basalt_pool_attach(pool, std::ptr::null_mut()), BAD_ARGUMENT);

        let mut address = [0u32; 2];
        assert_eq!(basalt_pool_lease_address(address.as_mut_ptr().cast()), 0);
        assert_eq!(basalt_pool_lease_address(std::ptr::null_mut()), BAD_ARGUMENT);
        let described = (u64::from(address[0]) | u64::from(address[1]) << 32) as usize;
        let described = std::ptr::with_exposed_provenance::<[u32; 8]>(described);
        let acquire = |length, external| {
            let status = basalt_pool_acquire(pool, length, external);
            // SAFETY: this thread's, and no call of this thread runs now.
            (status, unsafe { described.read() })
        };
        let (status, first) = acquire(8193, 0);
        let address = u64::from(first[4]) | u64::from(first[5]) << 32;
        assert_eq!(
            (status, first[2], first[3], first[6], first[7]),
            (0, 16384, FRESH, 0, 0)
        );
        assert!(address != 0 && address % 4096 == 0);
        assert_eq!(acquire(1, 0).0, POOL_LIMIT);
        let (status, external) = acquire(1, 1);
        assert_eq!((status, external[2], external[3]), (0, 4096, EXTERNAL | FRESH));
        assert_eq!(acquire(MAX_BLOCK_BYTES + 1, 0).0, BAD_ARGUMENT);

        assert_eq!(basalt_pool_count(pool, 2, 3), 0);
        assert_eq!(basalt_pool_count(pool, 6, 1), BAD_ARGUMENT);
        let mut figures = [-1f64; 220];
        assert_eq!(basalt_pool_stats(pool, figures.as_mut_ptr().cast(), 220), 216);
        assert_eq!(
            figures[..8],
            [16384.0, 16384.0, 16384.0, 16384.0, 0.0, 4096.0, 0.0, 0.0]
        );
        assert_eq!(
            figures[8..20],
            [0.0, 0.0, 3.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 2.0]
        );
        assert_eq!(figures[20..27], [4096.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
        assert_eq!(figures[34..41], [16384.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
        assert_eq!(figures[215..217], [0.0, -1.0]);
        assert_eq!(basalt_pool_stats(pool, figures.as_mut_ptr().cast(), 5), 5);

        assert_eq!(basalt_pool_release(pool, first[0], first[1]), 0);
        assert_eq!(basalt_pool_release(pool, first[0], first[1]), NOT_OWNER);
        assert_eq!(basalt_pool_trim(pool), 16);
        assert_eq!(basalt_pool_release(pool, first[0], first[1]), NO_SUCH_HANDLE);
        assert_eq!(basalt_pool_quarantine(pool, external[0], external[1]), 0);
        assert_eq!(basalt_pool_quarantine(pool, external[0], external[1]), NOT_OWNER);
        assert_eq!((basalt_pool_close(pool), basalt_pool_close(pool)), (0, 0));
        assert_eq!(basalt_pool_close(pool), NO_SUCH_HANDLE);
        assert_eq!(basalt_pool_trim(pool), NO_SUCH_HANDLE);
    }
}

//! Tests that end or exhaust their process. Each runs itself again in a child.

use std::os::unix::process::ExitStatusExt;
use std::ptr;

use crate::pool::pool::{Pool, Settings};
use crate::testing::child;
use crate::thread::OwnerId;

const ME: OwnerId = OwnerId(1);

fn pool() -> Pool {
    Pool::new(
        0,
        Settings {
            enabled: true,
            limit_bytes: 2 << 20,
            bucket_capacity: 8192,
        },
    )
}

/// With the `guard` feature, an access to a free block kills the process. Without it, the same
/// access does not.
#[test]
fn access_to_a_free_block_kills_under_guard() {
    let Some(output) = child("pool::tests::subprocess::access_to_a_free_block_kills_under_guard")
    else {
        let pool = pool();
        let magazine = pool.magazine();
        let lease = pool.acquire(ME, magazine.as_deref(), 4096, false).unwrap();
        let byte = ptr::with_exposed_provenance_mut::<u8>(lease.address);
        // SAFETY: the block is leased.
        unsafe { byte.write_volatile(1) };
        println!("leased: alive");
        pool.release(ME, magazine.as_deref(), lease.slot, lease.generation)
            .unwrap();
        // SAFETY: the block is free, but mapped and readable without the guard, and no other thread
        // uses the pool. With the guard this ends the process.
        unsafe { byte.read_volatile() };
        println!("free: alive");
        let again = pool.acquire(ME, magazine.as_deref(), 4096, false).unwrap();
        assert_eq!(again.address, lease.address);
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("leased: alive"), "{output:?}");
    let killed = cfg!(feature = "guard");
    assert_eq!(
        output.status.signal(),
        killed.then_some(libc::SIGSEGV),
        "{output:?}"
    );
    assert_eq!(text.contains("free: alive"), !killed, "{output:?}");
}

/// Where the process may have no more mappings, a block in the middle of an arena cannot be
/// unmapped. Its memory is released nevertheless, and its addresses are reused.
#[cfg(not(feature = "guard"))]
#[test]
fn memory_goes_back_when_mappings_run_out() {
    let Some(output) = child("pool::tests::subprocess::memory_goes_back_when_mappings_run_out")
    else {
        let pool = pool();
        let leases: Vec<_> = (0..512)
            .map(|_| pool.acquire(ME, None, 4096, false).unwrap())
            .collect();
        for lease in leases.iter().step_by(2) {
            // SAFETY: the block is leased.
            unsafe { ptr::with_exposed_provenance_mut::<u8>(lease.address).write_volatile(1) };
            pool.release(ME, None, lease.slot, lease.generation)
                .unwrap();
        }
        let mappings = exhaust_mappings();
        assert_eq!(pool.trim(), 1 << 20);
        assert_eq!(pool.stats().mapped_bytes, 1 << 20);
        for _ in 0..200 {
            let lease = pool.acquire(ME, None, 4096, false).unwrap();
            assert!(lease.fresh);
            let byte = ptr::with_exposed_provenance_mut::<u8>(lease.address);
            // SAFETY: the block is leased.
            assert_eq!(unsafe { byte.read_volatile() }, 0);
        }
        drop(mappings);
        pool.end_owner(ME);
        assert_eq!(pool.trim(), (1 << 20) + 200 * 4096);
        assert_eq!(pool.stats().mapped_bytes, 0);
        return;
    };
    assert!(output.status.success(), "{output:?}");
}

/// A mapping that is cut into as many as the process may have, except for a few that an allocator
/// needs.
#[cfg(not(feature = "guard"))]
struct Cut {
    start: *mut libc::c_void,
    bytes: usize,
}

#[cfg(not(feature = "guard"))]
fn exhaust_mappings() -> Cut {
    const PAGE: usize = 4096;
    let bytes = 4 << 30;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: an anonymous mapping at an address that the kernel chooses replaces nothing.
    let start = unsafe { libc::mmap(ptr::null_mut(), bytes, libc::PROT_NONE, flags, -1, 0) };
    assert!(start != libc::MAP_FAILED);
    let change = |page: usize, access| {
        // SAFETY: the page lies in the mapping above, which nothing else uses.
        unsafe { libc::mprotect(start.byte_add(page * PAGE), PAGE, access) }
    };
    let cut = (1..bytes / PAGE)
        .step_by(2)
        .find(|&page| change(page, libc::PROT_READ) != 0);
    let cut = cut.expect("a bound on the mappings of a process");
    for page in (1..cut).step_by(2).rev().take(10) {
        assert_eq!(change(page, libc::PROT_NONE), 0);
    }
    Cut { start, bytes }
}

#[cfg(not(feature = "guard"))]
impl Drop for Cut {
    fn drop(&mut self) {
        // SAFETY: the mapping belongs to this value, and nothing else uses it.
        unsafe { libc::munmap(self.start, self.bytes) };
    }
}

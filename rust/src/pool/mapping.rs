//! Memory from the kernel: mapping, unmapping, discarding and, with the `guard` feature, making it
//! inaccessible.
//!
//! Addresses are numbers here, for they travel through tables and to JavaScript; their provenance
//! is exposed where they are made ([`map`]) and taken up where they are used.

use std::ptr;

use crate::status::{Errno, checked};

/// Maps `bytes` of zeros, readable and writable, at a multiple of `align`; huge pages where the
/// system has them.
///
/// `align` is a power of two of at least a page; `bytes` is a multiple of a page. Fails with the
/// kernel's `-ENOMEM`.
pub fn map(bytes: usize, align: usize) -> Result<usize, Errno> {
    debug_assert!(bytes > 0 && align.is_power_of_two());
    // Kernels since 6.7 align large mappings by themselves.
    let mut start = map_anywhere(bytes)?;
    if start & (align - 1) != 0 {
        // SAFETY: the range was just mapped and nothing else knows it.
        unsafe { unmap(start, bytes) }?;
        start = map_within(bytes, align)?;
    }
    let memory = ptr::with_exposed_provenance_mut(start);
    // SAFETY: the range was just mapped here and nothing else knows it; both calls leave its
    // contents as they are. Where they fail (no huge pages in this kernel), the memory is only
    // slower.
    unsafe {
        libc::madvise(memory, bytes, libc::MADV_HUGEPAGE);
        // A fork while the device writes into a private mapping loses the data on older kernels
        // (open(2), NOTES).
        libc::madvise(memory, bytes, libc::MADV_DONTFORK);
    }
    Ok(start)
}

/// Maps `align` bytes more than needed, and unmaps both ends.
fn map_within(bytes: usize, align: usize) -> Result<usize, Errno> {
    let total = bytes + align;
    let start = map_anywhere(total)?;
    let aligned = start.next_multiple_of(align);
    let head = aligned - start;
    let tail = total - bytes - head;
    for (start, bytes) in [(start, head), (aligned + bytes, tail)] {
        if bytes > 0 {
            // A remainder that cannot be cut off (too many mappings) stays: it takes addresses
            // only.
            // SAFETY: the range was just mapped and nothing else knows it.
            let _ = unsafe { unmap(start, bytes) };
        }
    }
    Ok(aligned)
}

fn map_anywhere(bytes: usize) -> Result<usize, Errno> {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: an anonymous mapping at an address of the kernel's choice replaces nothing.
    let memory = unsafe { libc::mmap(ptr::null_mut(), bytes, access, kind, -1, 0) };
    if memory == libc::MAP_FAILED {
        Err(Errno::last())
    } else {
        Ok(memory.expose_provenance())
    }
}

/// Unmaps memory from [`map`], whole or in part. Fails with `-ENOMEM` where a hole would be one
/// mapping too many for the process (`vm.max_map_count`); then nothing has changed.
///
/// # Safety
/// - the range comes from `map`, and no part of it was unmapped;
/// - nothing accesses it again: no block in it is leased or lent, nor will be.
pub unsafe fn unmap(start: usize, bytes: usize) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    checked(unsafe { libc::munmap(ptr::with_exposed_provenance_mut(start), bytes) }).map(drop)
}

/// Populates the pages of a range, whose contents stay (`MADV_POPULATE_WRITE`, Linux 5.14); returns
/// whether the kernel did. It refuses blocks that a guard build has made inaccessible.
pub fn populate(start: usize, bytes: usize) -> bool {
    let memory = ptr::with_exposed_provenance_mut(start);
    // SAFETY: populating changes no byte, wherever the range lies; where nothing is mapped, the
    // call fails.
    unsafe { libc::madvise(memory, bytes, libc::MADV_POPULATE_WRITE) == 0 }
}

/// Gives the pages of a range back but keeps its addresses: it reads as zeros again.
///
/// # Safety
/// - the range comes from [`map`] and is mapped;
/// - nothing accesses it meanwhile, and nothing depends on its contents.
pub unsafe fn discard(start: usize, bytes: usize) {
    let memory = ptr::with_exposed_provenance_mut(start);
    // SAFETY: the caller's promise.
    unsafe { libc::madvise(memory, bytes, libc::MADV_DONTNEED) };
}

/// Makes a free block inaccessible in a guard build. A refusal (too many mappings) leaves it as it
/// was.
///
/// # Safety
/// - the range comes from [`map`] and is mapped;
/// - nothing accesses it before [`unprotect`].
#[inline(always)]
pub unsafe fn protect(start: usize, bytes: usize) {
    if cfg!(feature = "guard") {
        // SAFETY: the caller's promise.
        let _ = unsafe { set_access(start, bytes, libc::PROT_NONE) };
    }
}

/// Makes a block usable again, as it was before [`protect`].
///
/// # Safety
/// The range comes from [`map`] and is mapped.
#[inline(always)]
pub unsafe fn unprotect(start: usize, bytes: usize) -> Result<(), Errno> {
    if cfg!(not(feature = "guard")) {
        return Ok(());
    }
    // SAFETY: the caller's promise; `map` gave the same access.
    unsafe { set_access(start, bytes, libc::PROT_READ | libc::PROT_WRITE) }
}

/// Sets the access to pages (`mprotect(2)`).
///
/// # Safety
/// - the range comes from [`map`] and is mapped;
/// - nothing depends on access that is taken away.
unsafe fn set_access(start: usize, bytes: usize, access: libc::c_int) -> Result<(), Errno> {
    let memory = ptr::with_exposed_provenance_mut(start);
    // SAFETY: the caller's promise.
    checked(unsafe { libc::mprotect(memory, bytes, access) }).map(drop)
}

#[cfg(all(test, not(loom)))]
mod tests;

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
        unmap(start, bytes)?;
        start = map_within(bytes, align)?;
    }
    let memory = ptr::with_exposed_provenance_mut(start);
    // SAFETY: the range was just mapped here and nothing else knows it; both calls leave its
    // contents as they are. Where they fail (no huge pages in this kernel) the memory is as good,
    // only slower.
    unsafe {
        libc::madvise(memory, bytes, libc::MADV_HUGEPAGE);
        // A fork while the device writes into a private mapping loses the data on older kernels
        // (open(2), NOTES).
        libc::madvise(memory, bytes, libc::MADV_DONTFORK);
    }
    Ok(start)
}

/// Maps at least `align` too much and gives both ends back.
fn map_within(bytes: usize, align: usize) -> Result<usize, Errno> {
    let total = bytes + align;
    let start = map_anywhere(total)?;
    let aligned = start.next_multiple_of(align);
    let head = aligned - start;
    let tail = total - bytes - head;
    // A remainder that cannot be cut off (too many mappings) stays: it takes addresses only.
    if head > 0 {
        let _ = unmap(start, head);
    }
    if tail > 0 {
        let _ = unmap(aligned + bytes, tail);
    }
    Ok(aligned)
}

fn map_anywhere(bytes: usize) -> Result<usize, Errno> {
    // SAFETY: an anonymous mapping at an address of the kernel's choice replaces nothing.
    let memory = unsafe {
        libc::mmap(
            ptr::null_mut(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if memory == libc::MAP_FAILED {
        Err(Errno::last())
    } else {
        Ok(memory.expose_provenance())
    }
}

/// Unmaps memory from [`map`], whole or in part. Fails with `-ENOMEM` where a hole would be one
/// mapping too many for the process (`vm.max_map_count`); then nothing has changed.
///
/// The caller is the only one that still knows the range: no block in it is leased or lent.
pub fn unmap(start: usize, bytes: usize) -> Result<(), Errno> {
    // SAFETY: the range comes from `map` and the caller owns all of it, so no reference into it is
    // alive.
    checked(unsafe { libc::munmap(ptr::with_exposed_provenance_mut(start), bytes) }).map(drop)
}

/// Populates the pages of a range, whose contents stay (`MADV_POPULATE_WRITE`, Linux 5.14); returns
/// whether the kernel did.
///
/// The range stays mapped meanwhile. Blocks that a guard build has made inaccessible are refused.
pub fn populate(start: usize, bytes: usize) -> bool {
    let memory = ptr::with_exposed_provenance_mut(start);
    // SAFETY: the range comes from `map` and is still mapped; populating it changes no byte.
    unsafe { libc::madvise(memory, bytes, libc::MADV_POPULATE_WRITE) == 0 }
}

/// Gives the pages of a range back but keeps its addresses: it reads as zeros again. The caller
/// owns the range.
pub fn discard(start: usize, bytes: usize) {
    // SAFETY: the range comes from `map` and the caller owns all of it, so nothing depends on its
    // contents.
    unsafe {
        libc::madvise(
            ptr::with_exposed_provenance_mut(start),
            bytes,
            libc::MADV_DONTNEED,
        )
    };
}

/// Makes a free block inaccessible. A refusal (too many mappings) leaves it as it was.
#[cfg(feature = "guard")]
pub fn protect(start: usize, bytes: usize) {
    // SAFETY: the range comes from `map` and is a free block, so no reference into it is alive.
    unsafe {
        libc::mprotect(
            ptr::with_exposed_provenance_mut(start),
            bytes,
            libc::PROT_NONE,
        )
    };
}

/// Makes a block usable again, as it was before [`protect`].
#[cfg(feature = "guard")]
pub fn unprotect(start: usize, bytes: usize) -> Result<(), Errno> {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: the range comes from `map`; more access than before breaks nothing.
    checked(unsafe { libc::mprotect(ptr::with_exposed_provenance_mut(start), bytes, access) })
        .map(drop)
}

/// Without the `guard` feature, free blocks stay as they are.
#[cfg(not(feature = "guard"))]
pub fn protect(_start: usize, _bytes: usize) {}

/// Without the `guard` feature, blocks are always usable.
#[cfg(not(feature = "guard"))]
pub fn unprotect(_start: usize, _bytes: usize) -> Result<(), Errno> {
    Ok(())
}

#[cfg(test)]
mod tests;

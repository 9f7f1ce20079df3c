//! Memory for direct I/O.

use std::io;

/// A mapping whose pages are present.
pub struct Memory {
    start: *mut libc::c_void,
    len: usize,
}

impl Memory {
    /// Maps `len` bytes and writes to each of them, because the first access to a page must not be
    /// measured.
    pub fn touched(len: usize) -> io::Result<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: it is a new mapping at an address that the kernel chooses.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), len, protection, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `len` bytes were mapped for writing.
        unsafe { std::ptr::write_bytes(start.cast::<u8>(), 0x5a, len) };
        Ok(Self { start, len })
    }

    /// The first byte.
    pub fn start(&self) -> *mut libc::c_void {
        self.start
    }

    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: `touched` mapped it, and nothing refers to it any more.
        unsafe { libc::munmap(self.start, self.len) };
    }
}

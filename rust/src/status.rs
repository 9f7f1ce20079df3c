//! What an exported function answers: a value of zero or more, or a negative code.
//!
//! Codes from -4095 to -1 are the kernel's `errno`, negated; ours lie below. `lib/native/status.ts` has the same list.

/// An answer for JavaScript: a value that is not negative, or one of the codes below.
pub type Status = i32;

/// The native code panicked; the panic was caught and nothing was unwound into the caller.
pub const PANIC: Status = -5000;
/// An argument is out of its range; the caller should have refused it.
pub const BAD_ARGUMENT: Status = -5001;
/// The limit of the pool leaves no room for the request.
pub const POOL_LIMIT: Status = -5002;
/// No pool, block, file or port has that number (any more).
pub const NO_SUCH_HANDLE: Status = -5003;
/// The block belongs to another thread, or is not leased.
pub const NOT_OWNER: Status = -5004;
/// A table is full: too many pools, files, ports or operations.
pub const TABLE_FULL: Status = -5005;

/// The calling thread's `errno`, negated.
pub fn last_errno() -> Status {
    -std::io::Error::last_os_error()
        .raw_os_error()
        .unwrap_or(libc::EIO)
}

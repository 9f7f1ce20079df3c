//! What an exported function answers: a value of zero or more, or a negative code.
//!
//! Codes from -4095 to -1 are the kernel's `errno`, negated; ours lie below. `lib/native/status.ts` has the same list.

/// An answer for JavaScript: a value that is not negative, or one of the codes below.
pub type Status = i32;

/// Declares the codes, and lists them for the ABI number.
macro_rules! statuses {
    ($($(#[$meta:meta])* $name:ident = $value:literal;)+) => {
        $($(#[$meta])* pub const $name: Status = $value;)+
        /// `NAME=value;` for each code, in order.
        pub const NAMES: &str = concat!($(stringify!($name), "=", $value, ";"),+);
    };
}

statuses! {
    /// The native code panicked; the panic was caught and nothing was unwound into the caller.
    PANIC = -5000;
    /// An argument is out of its range; the caller should have refused it.
    BAD_ARGUMENT = -5001;
    /// The limit of the pool leaves no room for the request.
    POOL_LIMIT = -5002;
    /// No pool, block, file or port has that number (any more).
    NO_SUCH_HANDLE = -5003;
    /// The block belongs to another thread, or is not leased.
    NOT_OWNER = -5004;
    /// A table is full: too many pools, files, ports or operations.
    TABLE_FULL = -5005;
}

/// The calling thread's `errno`, negated.
pub fn last_errno() -> Status {
    -std::io::Error::last_os_error()
        .raw_os_error()
        .unwrap_or(libc::EIO)
}

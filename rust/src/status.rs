//! Failures: error numbers of the kernel, and the codes that an export returns.

use std::io;

/// An error number of the kernel, which is positive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Errno(pub i32);

impl Errno {
    /// Returns the calling thread's `errno`.
    pub fn last() -> Self {
        io::Error::last_os_error().into()
    }
}

impl From<io::Error> for Errno {
    /// Returns the number of a system error, `EIO` for any other.
    fn from(error: io::Error) -> Self {
        Self(error.raw_os_error().unwrap_or(libc::EIO))
    }
}

/// Returns the value of a system call, or the calling thread's `errno` if it is negative.
pub fn checked(result: impl TryInto<usize>) -> Result<usize, Errno> {
    result.try_into().map_err(|_| Errno::last())
}

/// The reason why an export failed, as it crosses the border.
///
/// Codes from -4095 to -1 are error numbers of the kernel, negated; Basalt's own are below.
/// `lib/native/status.ts` has the same list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Status(i32);

impl Status {
    /// Returns the code, which is negative.
    pub const fn code(self) -> i32 {
        self.0
    }
}

impl From<Errno> for Status {
    fn from(Errno(number): Errno) -> Self {
        Self(-number)
    }
}

/// Declares the codes, and lists them for the ABI number.
macro_rules! statuses {
    ($($(#[$meta:meta])* $name:ident = $value:literal;)+) => {
        $($(#[$meta])* pub const $name: Status = Status($value);)+
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
    /// No pool, block, file or backend has that number (any more).
    NO_SUCH_HANDLE = -5003;
    /// The block or backend belongs to another thread, or the block is not leased.
    NOT_OWNER = -5004;
    /// A table is full: too many pools, files, backends or operations.
    TABLE_FULL = -5005;
}

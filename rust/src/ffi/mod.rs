//! The exports: each checks its arguments, calls one room of the library, and never unwinds.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::status::{BAD_ARGUMENT, PANIC, Status};

mod abi;
mod codec;
mod engine;
mod file;
mod legacy_codec;
mod pool;
#[cfg(all(test, not(loom)))]
mod tests;

/// A `"buffer"` of Deno's that is valid for reads: the address of a view's first byte, or null for
/// an empty or detached view.
pub type Read = *const u8;

/// A `"buffer"` of Deno's that is valid for reads and writes.
pub type Write = *mut u8;

/// A value that an export returns.
trait Value {
    /// Returns the value as it crosses the border: zero or more.
    fn word(self) -> i32;
}

impl Value for () {
    fn word(self) -> i32 {
        0
    }
}

impl Value for bool {
    fn word(self) -> i32 {
        self.into()
    }
}

impl Value for u32 {
    fn word(self) -> i32 {
        debug_assert!(i32::try_from(self).is_ok());
        self as i32
    }
}

impl Value for usize {
    fn word(self) -> i32 {
        debug_assert!(i32::try_from(self).is_ok());
        self as i32
    }
}

/// Runs the body of an export; a panic becomes [`PANIC`], because unwinding into the caller would
/// end the process.
#[inline(always)]
fn guarded<T: Value>(body: impl FnOnce() -> Result<T, Status>) -> i32 {
    let result = catch_unwind(AssertUnwindSafe(|| body().map(Value::word)));
    result.unwrap_or(Err(PANIC)).unwrap_or_else(Status::code)
}

/// Declares the exports of a room and, beside them, their signatures as text for the ABI number.
///
/// A parameter is `u32`, `i32`, `f64`, `Read[T; len]` or `Write[T; len]`: a buffer of `len` values
/// of `T`, which `len` may compute from the other parameters. The body sees a buffer as a slice and
/// returns `Result<impl Value, Status>`. An export with buffers is an `unsafe fn`.
macro_rules! exports {
    ($($(#[$meta:meta])* $safety:ident fn $name:ident(
        $($param:ident: $kind:ident $([$element:ident; $len:expr])?),* $(,)?
    ) $body:block)+) => {
        $($crate::ffi::export! {
            $safety $(#[$meta])* $name($($param: $kind $([$element; $len])?),*) $body
        })+
        /// `name(kind,…);` for each export of this file, in order.
        pub const SIGNATURES: &str =
            concat!($(stringify!($name), "(", $($crate::ffi::kind!($kind), ",",)* ");"),+);
    };
}

/// Declares one export; see [`exports`].
macro_rules! export {
    (safe $(#[$meta:meta])* $name:ident($($param:ident: $kind:ident),*) $body:block) => {
        $(#[$meta])*
        #[unsafe(no_mangle)]
        pub extern "C" fn $name($($param: $kind),*) -> i32 {
            $crate::ffi::guarded(move || $body)
        }
    };
    (unsafe $(#[$meta:meta])* $name:ident(
        $($param:ident: $kind:ident $([$element:ident; $len:expr])?),*
    ) $body:block) => {
        $(#[$meta])*
        ///
        /// # Safety
        /// Until the call returns:
        $($(#[doc = concat!(
            "- `", stringify!($param), "` is null or a [`", stringify!($kind),
            "`](crate::ffi::", stringify!($kind), ") of `", stringify!($len), "` values of `",
            stringify!($element), "`;",
        )])?)*
        /// - no other thread writes to these ranges, or reads those that are written.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($($param: $kind),*) -> i32 {
            $crate::ffi::guarded(move || {
                let ranges = [$($($crate::ffi::Range::$kind(
                    $param.addr(), ($len as usize).saturating_mul(size_of::<$element>()),
                ),)?)*];
                $crate::ffi::check_ranges(ranges)?;
                $($(
                    // SAFETY: the caller's promise; no range that is written overlaps another one,
                    // and all elements are integers, floats or arrays of them.
                    let $param = unsafe { $crate::ffi::slice!($kind, $element, $param, $len) }?;
                )?)*
                $body
            })
        }
    };
}

/// The name of a kind of parameter in `lib/native/symbols.ts`.
macro_rules! kind {
    (Read) => {
        "buffer"
    };
    (Write) => {
        "buffer"
    };
    ($scalar:ident) => {
        stringify!($scalar)
    };
}

/// The slice of a buffer.
macro_rules! slice {
    (Read, $element:ident, $param:ident, $len:expr) => {
        $crate::ffi::view::<$element>($param, $len as usize)
    };
    (Write, $element:ident, $param:ident, $len:expr) => {
        $crate::ffi::view_mut::<$element>($param, $len as usize)
    };
}

pub(crate) use {export, exports, kind, slice};

/// Returns the caller's view as a shared slice; `BAD_ARGUMENT` if it is not aligned, or null
/// although `len` is not 0.
///
/// # Safety
/// - `buffer` is null or valid for reads of `len` values of `T` for `'a`;
/// - nothing writes to them for `'a`;
/// - any bits are a value of `T`.
unsafe fn view<'a, T>(buffer: Read, len: usize) -> Result<&'a [T], Status> {
    if len == 0 {
        return Ok(&[]);
    }
    check_address::<T>(buffer.addr(), len)?;
    // SAFETY: not null and aligned, checked above; the rest is the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(buffer.cast(), len) })
}

/// Returns the caller's view as an exclusive slice; `BAD_ARGUMENT` if it is not aligned, or null
/// although `len` is not 0.
///
/// # Safety
/// - `buffer` is null or valid for reads and writes of `len` values of `T` for `'a`;
/// - nothing else accesses them for `'a`;
/// - any bits are a value of `T`.
unsafe fn view_mut<'a, T>(buffer: Write, len: usize) -> Result<&'a mut [T], Status> {
    if len == 0 {
        return Ok(&mut []);
    }
    check_address::<T>(buffer.addr(), len)?;
    // SAFETY: not null and aligned, checked above; the rest is the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts_mut(buffer.cast(), len) })
}

/// Refuses an address that no slice can have.
fn check_address<T>(address: usize, len: usize) -> Result<(), Status> {
    debug_assert!(
        len <= isize::MAX as usize / size_of::<T>(),
        "longer than any allocation"
    );
    debug_assert!(
        address.checked_add(len * size_of::<T>()).is_some(),
        "wraps around"
    );
    if address == 0 || !address.is_multiple_of(align_of::<T>()) {
        return Err(BAD_ARGUMENT);
    }
    Ok(())
}

/// Address and bytes of a buffer.
enum Range {
    Read(usize, usize),
    Write(usize, usize),
}

/// Refuses ranges that overlap one that is written: there must be no other reference to it.
fn check_ranges<const N: usize>(ranges: [Range; N]) -> Result<(), Status> {
    let ranges = ranges.map(|range| match range {
        Range::Read(start, bytes) => (start, start.saturating_add(bytes), false),
        Range::Write(start, bytes) => (start, start.saturating_add(bytes), true),
    });
    for (i, &(start, end, writes)) in ranges.iter().enumerate() {
        for &(other_start, other_end, other_writes) in &ranges[..i] {
            let overlap = start.max(other_start) < end.min(other_end);
            if overlap && (writes || other_writes) {
                return Err(BAD_ARGUMENT);
            }
        }
    }
    Ok(())
}

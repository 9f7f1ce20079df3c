//! The exports. Each is one line over a room of the library, checks its arguments, and never unwinds.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::status::{PANIC, Status};

mod abi;
mod codec;
mod engine;
mod file;
mod legacy_codec;
mod pool;

/// A `"buffer"` of Deno's: the address of a view's first byte, or null for an empty or detached one.
pub type Buffer = *mut u8;

/// Runs `body`; a panic becomes [`PANIC`], for unwinding into the caller would end the process.
fn guarded(body: impl FnOnce() -> Status) -> Status {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(PANIC)
}

/// Declares the exports of a room and, beside them, their signatures as text for the ABI number.
///
/// Parameters are `u32`, `i32`, `f64` or `Buffer`; every export answers a [`Status`].
macro_rules! exports {
    ($($(#[$meta:meta])* fn $name:ident($($param:ident: $kind:ident),* $(,)?) $body:block)+) => {
        $(
            $(#[$meta])*
            #[unsafe(no_mangle)]
            pub extern "C" fn $name($($param: $kind),*) -> crate::status::Status {
                crate::ffi::guarded(move || $body)
            }
        )+
        /// `name(kind,…);` for each export of this file, in order.
        pub const SIGNATURES: &str = concat!($(stringify!($name), "(", $(stringify!($kind), ",",)* ");"),+);
    };
}
pub(crate) use exports;

/// The caller's view as a slice; `None` when it is null although `len` is not 0.
///
/// # Safety
/// `buffer` is null or valid for reads and writes of `len` values of `T` until the call ends, aligned for `T`,
/// and nothing else touches it meanwhile: a view that JavaScript passed to a call that it waits for.
unsafe fn view<'a, T>(buffer: Buffer, len: usize) -> Option<&'a mut [T]> {
    if len == 0 {
        return Some(&mut []);
    }
    if buffer.is_null() || !(buffer as usize).is_multiple_of(align_of::<T>()) {
        return None;
    }
    // SAFETY: not null and aligned, checked above; valid and unshared for `len` values, the caller's promise.
    Some(unsafe { std::slice::from_raw_parts_mut(buffer.cast(), len) })
}

/// Whether no two of the regions (address and bytes) share a byte: there must be no two `&mut` to one.
fn disjoint<const N: usize>(mut regions: [(Buffer, usize); N]) -> bool {
    regions.sort_unstable();
    regions
        .windows(2)
        .all(|pair| pair[0].1 <= pair[1].0 as usize - pair[0].0 as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_status() {
        assert_eq!(guarded(|| 7), 7);
        assert_eq!(guarded(|| panic!("expected here")), PANIC);
        let empty: &[Status] = std::hint::black_box(&[]);
        assert_eq!(guarded(|| empty[3]), PANIC);
    }

    #[test]
    fn a_view_is_refused_where_it_is_null_or_not_aligned() {
        let mut words = [0u32; 4];
        let start: Buffer = words.as_mut_ptr().cast();
        // SAFETY: null, not aligned or empty views are not touched; the last one lies within `words`, which nobody else uses.
        unsafe {
            assert!(view::<u32>(std::ptr::null_mut(), 1).is_none());
            assert!(view::<u32>(start.add(1), 1).is_none());
            assert_eq!(view::<u32>(std::ptr::null_mut(), 0), Some(&mut [][..]));
            assert_eq!(view::<u32>(start.add(4), 3).map(|words| words.len()), Some(3));
        }
    }
}

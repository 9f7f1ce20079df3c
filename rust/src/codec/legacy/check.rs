//! Checking a message, and why it is not valid.

use super::MAX_SAFE_INTEGER;
use super::header::{HEADER_BYTES, Header, checksum};
use crate::codec::layout::are_zeros;

/// Why no valid message follows; the numbers cross the border.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Stop {
    /// The bytes are used up exactly.
    End = 0,
    /// The last message is not wholly there.
    Partial = 1,
    /// A header of zeros, or nothing but zeros in the last bytes, too few for a header: nothing was
    /// written there.
    Zeros = 2,
    /// A length above its maximum.
    Length = 3,
    /// The reserved field is not 0.
    Reserved = 4,
    /// The offset is not the expected one, or above [`MAX_SAFE_INTEGER`].
    Offset = 5,
    /// The checksum is wrong.
    Checksum = 6,
    /// The append time is below that of the message before, or above [`MAX_SAFE_INTEGER`].
    Timestamp = 7,
}

/// Checks the message at the start of `rest`, apart from its append time. Returns its length, or
/// the reason why it is not valid and, for [`Stop::Partial`], how many bytes would decide more.
#[inline]
pub(super) fn check(rest: &[u8], expected_offset: u64) -> Result<usize, (Stop, usize)> {
    if rest.len() < HEADER_BYTES {
        return Err(if are_zeros(rest) {
            (Stop::Zeros, 0)
        } else {
            (Stop::Partial, HEADER_BYTES)
        });
    }
    let header = Header::at(rest, 0);
    // A checksum of 0 is rare: for the others the 64 bytes need not be compared.
    if header.checksum == 0 && are_zeros(&rest[..HEADER_BYTES]) {
        return Err((Stop::Zeros, 0));
    }
    if !header.has_plausible_lengths() {
        return Err((Stop::Length, 0));
    }
    if header.reserved != 0 {
        return Err((Stop::Reserved, 0));
    }
    if header.offset != expected_offset || expected_offset > MAX_SAFE_INTEGER {
        return Err((Stop::Offset, 0));
    }
    let total = header.total();
    if total > rest.len() {
        return Err((Stop::Partial, total));
    }
    if header.checksum != checksum(&rest[..total]) {
        return Err((Stop::Checksum, 0));
    }
    Ok(total)
}

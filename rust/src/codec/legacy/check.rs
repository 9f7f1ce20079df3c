//! Checking a message, and why it is not valid.

use super::MAX_SAFE_INTEGER;
use super::header::{HEADER_BYTES, Header, checksum};
use crate::codec::Stop;
use crate::codec::layout::are_zeros;

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
        return Err((Stop::FrameChecksum, 0));
    }
    Ok(total)
}

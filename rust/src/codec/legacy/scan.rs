//! Scanning: which messages of a block are good, and why the first other one is not.

use super::MAX_SAFE_INTEGER;
use super::header::{HEADER_BYTES, Header, checksum};
use crate::codec::layout::are_zeros;

/// Why a scan ended; the numbers cross the border.
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
    /// There is no room for more results; later bytes were not checked.
    Full = 7,
    /// The append time is below that of the message before, or above [`MAX_SAFE_INTEGER`]; a scan
    /// does not look at it.
    Timestamp = 8,
}

/// Where and why a scan ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Good messages.
    pub count: usize,
    /// Where the last good one ends: where the reason to stop lies.
    pub end: usize,
    /// Why it ended.
    pub stop: Stop,
    /// For [`Stop::Partial`]: how many bytes from `end` would decide more; else 0.
    pub needed: usize,
}

/// Checks the messages that lie back to back from `start`, the first with the offset
/// `expected_offset`.
///
/// Writes where each good one starts and, after the last, where it ends, into `starts` (one longer
/// than `lengths`), and the lengths of the payloads into `lengths`. Returns `None` where `start`
/// lies after the bytes, or the arrays do not match.
pub fn scan(
    bytes: &[u8],
    start: usize,
    expected_offset: u64,
    starts: &mut [u32],
    lengths: &mut [u32],
) -> Option<Outcome> {
    if start > bytes.len()
        || u32::try_from(bytes.len()).is_err()
        || starts.len() != lengths.len() + 1
    {
        return None;
    }
    let mut count = 0;
    let mut end = start;
    let (stop, needed) = loop {
        starts[count] = end as u32;
        if end == bytes.len() {
            break (Stop::End, 0);
        }
        if count == lengths.len() {
            break (Stop::Full, 0);
        }
        match check(&bytes[end..], expected_offset.wrapping_add(count as u64)) {
            Ok((total, payload_length)) => {
                lengths[count] = payload_length;
                count += 1;
                end += total;
            }
            Err(reason) => break reason,
        }
    };
    Some(Outcome {
        count,
        end,
        stop,
        needed,
    })
}

/// Checks the message at the start of `rest`: its total and payload length, or why it is not good
/// and what it needs.
#[inline]
pub(super) fn check(rest: &[u8], expected_offset: u64) -> Result<(usize, u32), (Stop, usize)> {
    if rest.len() < HEADER_BYTES {
        return Err(if are_zeros(rest) {
            (Stop::Zeros, 0)
        } else {
            (Stop::Partial, HEADER_BYTES)
        });
    }
    let header = Header::at(rest, 0);
    // A checksum of 0 is rare enough to spare the others the look at all 64 bytes.
    if header.checksum == 0 && are_zeros(&rest[..HEADER_BYTES]) {
        return Err((Stop::Zeros, 0));
    }
    if !header.lengths_plausible() {
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
    Ok((total, header.payload_length))
}

//! Finding: the first valid message in damaged bytes.

use std::ops::RangeInclusive;

use super::header::{HEADER_BYTES, Header, RESERVED, checksum};
use crate::codec::Found;
use crate::codec::layout::{u64_at, zeros};

/// Searches for the first valid message at or after `start`, at any byte, whose offset lies in
/// `offsets`.
///
/// A message is valid if its reserved field is 0, its lengths are plausible, it lies wholly inside
/// the bytes and its checksum is right. `Found::beyond` is a message with a plausible header that
/// ends after the bytes. One message in 10^13 is passed over, see [`is_believable`]. Bytes made to look
/// like headers of long messages cost a hash of each such length, so the caller bounds the bytes.
pub fn find(bytes: &[u8], start: usize, offsets: RangeInclusive<u64>) -> Found {
    let mut found = Found::default();
    let mut at = start;
    while at.saturating_add(HEADER_BYTES) <= bytes.len() {
        let reserved = u64_at(bytes, at + RESERVED);
        if reserved != 0 {
            // The reserved field of a valid header does not include the last byte of this word that
            // is not 0.
            at += 8 - reserved.leading_zeros() as usize / 8;
            continue;
        }
        let header = Header::at(bytes, at);
        if header.checksum == 0 {
            let run = zeros(bytes, at);
            if run >= HEADER_BYTES {
                // A header of zeros is no message, and each header that starts before the last 63
                // bytes of the run is zeros.
                at += run - HEADER_BYTES + 1;
                continue;
            }
        }
        if offsets.contains(&header.offset)
            && header.has_plausible_lengths()
            && is_believable(header.checksum)
        {
            let total = header.total();
            match bytes.get(at..at + total) {
                None => {
                    found.beyond.get_or_insert((at, total as u64));
                }
                Some(message) if header.checksum == checksum(message) => {
                    found.valid = Some(at);
                    return found;
                }
                Some(_) => {}
            }
        }
        at += 1;
    }
    found
}

/// Returns whether fewer than 6 of the checksum's 8 bytes are 0.
///
/// A right checksum has more zeros with a probability of 28 / 2^48. Sparse data, such as arrays of
/// small numbers, looks like many headers of long messages with such a checksum. Hashing all of
/// these messages would take time quadratic in the bytes.
fn is_believable(checksum: u64) -> bool {
    let bytes = checksum.to_le_bytes();
    bytes.iter().filter(|byte| **byte == 0).count() < 6
}

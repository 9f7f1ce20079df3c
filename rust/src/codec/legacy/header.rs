//! Where the fields of a message's header lie.

use twox_hash::XxHash3_64;

use crate::codec::layout::{MAX_PAYLOAD_BYTES, MAX_USER_HEADERS_BYTES, u32_at, u64_at};

/// Bytes of a header.
pub const HEADER_BYTES: usize = 64;
pub(super) const CHECKSUM: usize = 0;
pub(super) const ID: usize = 8;
pub(super) const OFFSET: usize = 24;
pub(super) const TIMESTAMP: usize = 32;
pub(super) const ORIGIN_TIMESTAMP: usize = 40;
pub(super) const USER_HEADERS_LENGTH: usize = 48;
pub(super) const PAYLOAD_LENGTH: usize = 52;
pub(super) const RESERVED: usize = 56;

/// Returns the checksum that a whole message must have: XXH3-64 of everything after that field.
///
/// Inlined into the loops that call it: saving and restoring registers is a tenth of the hash of a
/// short message.
#[inline(always)]
pub(super) fn checksum(message: &[u8]) -> u64 {
    XxHash3_64::oneshot(&message[ID..])
}

/// The fields that decide whether a message is valid.
pub(super) struct Header {
    pub checksum: u64,
    pub offset: u64,
    pub user_headers_length: u32,
    pub payload_length: u32,
    pub reserved: u64,
}

impl Header {
    /// Reads the header that starts at `at`; all its bytes must be there.
    #[inline]
    pub fn at(bytes: &[u8], at: usize) -> Self {
        let bytes: &[u8; HEADER_BYTES] = bytes[at..at + HEADER_BYTES].try_into().expect("64 bytes");
        Self {
            checksum: u64_at(bytes, CHECKSUM),
            offset: u64_at(bytes, OFFSET),
            user_headers_length: u32_at(bytes, USER_HEADERS_LENGTH),
            payload_length: u32_at(bytes, PAYLOAD_LENGTH),
            reserved: u64_at(bytes, RESERVED),
        }
    }

    /// Returns whether both lengths are within their bounds.
    #[inline]
    pub fn has_plausible_lengths(&self) -> bool {
        self.payload_length <= MAX_PAYLOAD_BYTES
            && self.user_headers_length <= MAX_USER_HEADERS_BYTES
    }

    /// Bytes of the whole message; at most 2^33, so it never wraps.
    #[inline]
    pub fn total(&self) -> usize {
        HEADER_BYTES + self.payload_length as usize + self.user_headers_length as usize
    }
}

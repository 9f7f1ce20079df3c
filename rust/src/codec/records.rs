//! Records at the end of a write block, which describe the messages at its start.

use super::layout::{FRAME_HEADER_BYTES, MAX_PAYLOAD_BYTES, MAX_USER_HEADERS_BYTES, u32_at};

/// Bytes of a record: record `i` begins `8 * (i + 1)` bytes before the end of the block.
pub const RECORD_BYTES: usize = 8;
/// Flag: the id's 16 bytes are already in the frame header. A zero id counts as not given.
pub const RECORD_ID_GIVEN: u32 = 1 << 31;
/// Flag: the producer's time is in the reserved field of the frame header.
pub const RECORD_ORIGIN_GIVEN: u32 = 1 << 30;
/// Flag: the message begins a batch, so room for a batch header lies before its frame.
pub const RECORD_BATCH_START: u32 = 1 << 29;

/// The bits of the second word that hold the length of the user headers.
const LENGTH_BITS: u32 = (1 << 17) - 1;

/// Describes one message of a block.
#[derive(Clone, Copy)]
pub(super) struct Record {
    pub payload_length: u32,
    word: u32,
}

impl Record {
    /// Returns the records in their order, which is from the end of `bytes` to the start.
    #[inline]
    pub fn all(bytes: &[u8]) -> impl Iterator<Item = Self> {
        bytes.rchunks_exact(RECORD_BYTES).map(|record| Self {
            payload_length: u32_at(record, 0),
            word: u32_at(record, 4),
        })
    }

    #[inline]
    pub fn has(self, flag: u32) -> bool {
        self.word & flag != 0
    }

    #[inline]
    pub fn user_headers_length(self) -> u32 {
        self.word & LENGTH_BITS
    }

    /// Returns whether the lengths are within their bounds and no unknown flag is set.
    #[inline]
    pub fn is_valid(self) -> bool {
        let known = LENGTH_BITS | RECORD_ID_GIVEN | RECORD_ORIGIN_GIVEN | RECORD_BATCH_START;
        self.word & !known == 0
            && self.payload_length <= MAX_PAYLOAD_BYTES
            && self.user_headers_length() <= MAX_USER_HEADERS_BYTES
    }

    /// Bytes of the frame; the record must be valid.
    #[inline]
    pub fn frame_length(self) -> usize {
        FRAME_HEADER_BYTES + self.payload_length as usize + self.user_headers_length() as usize
    }
}

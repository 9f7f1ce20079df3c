//! Every offset of the format, and the checks that need no checksum.

use super::MAX_SAFE_INTEGER;
use super::scan::Stop;

/// Bytes of a batch header.
pub const BATCH_HEADER_BYTES: usize = 256;
/// Bytes of a frame header.
pub const FRAME_HEADER_BYTES: usize = 48;
/// Length of the longest payload, in bytes.
pub const MAX_PAYLOAD_BYTES: u32 = 64_000_000;
/// Length of the longest encoded user headers, in bytes.
pub const MAX_USER_HEADERS_BYTES: u32 = 100_000;
/// Length of the longest batch that [`super::seal`] writes, in bytes.
pub const MAX_BATCH_BYTES: usize = 64 << 20;

/// Offsets in a batch header.
pub(super) mod batch {
    pub const PARTITION_ID: usize = 0;
    pub const BASE_OFFSET: usize = 8;
    pub const BASE_TIMESTAMP: usize = 16;
    pub const ORIGIN_TIMESTAMP: usize = 24;
    pub const LENGTH: usize = 32;
    pub const CHECKSUM: usize = 40;
    pub const MESSAGE_COUNT: usize = 48;
    pub const FLAGS: usize = 52;
    pub const PRODUCER_ID: usize = 56;
    pub const EPOCH: usize = 64;
    pub const EPOCH_END: usize = 66;
    pub const BASE_SEQUENCE: usize = 68;
    /// From here on a header is zeros.
    pub const RESERVED: usize = 72;
}

/// Offsets in a frame header.
pub(super) mod frame {
    pub const CHECKSUM: usize = 0;
    /// The checksum covers the frame from here to its end.
    pub const ID: usize = 8;
    pub const OFFSET_DELTA: usize = 24;
    pub const USER_HEADERS_LENGTH: usize = 32;
    pub const PAYLOAD_LENGTH: usize = 36;
    pub const RESERVED: usize = 40;
}

/// Length of the longest frame, in bytes.
const MAX_FRAME_BYTES: u64 =
    FRAME_HEADER_BYTES as u64 + MAX_PAYLOAD_BYTES as u64 + MAX_USER_HEADERS_BYTES as u64;
/// Flag of a header with a producer section; there is no other flag.
const PRODUCER_PRESENT: u32 = 1;
const MAX_EPOCH: u32 = i16::MAX as u32;

/// Returns the `u32` at `at`; panics outside the bytes.
#[inline]
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
}

/// Returns the `u64` at `at`; panics outside the bytes.
#[inline]
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"))
}

/// Writes eight bytes: as wide as the hash reads them.
#[inline]
pub(super) fn put(header: &mut [u8], at: usize, value: u64) {
    header[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

/// Counts the zero bytes from `at` to the first other one.
pub(super) fn zeros(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    // Whole groups first: the compiler turns their test into wide instructions.
    let groups = rest.chunks_exact(64);
    let whole = 64 * groups.take_while(|group| are_zeros(group)).count();
    let tail = rest[whole..].iter().take_while(|byte| **byte == 0);
    whole + tail.count()
}

#[inline]
pub(super) fn are_zeros(bytes: &[u8]) -> bool {
    bytes.iter().fold(0, |any, byte| any | byte) == 0
}

/// The fields of a batch header that decide whether the batch is valid.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchHeader {
    pub base_offset: u64,
    pub base_timestamp: u64,
    pub length: u64,
    pub checksum: u64,
    pub message_count: u32,
    pub has_producer: bool,
}

impl BatchHeader {
    /// Reads a header, and checks everything in it that needs neither checksums nor frames.
    #[inline]
    pub fn parse(header: &[u8; BATCH_HEADER_BYTES]) -> Result<Self, Stop> {
        let length = u64_at(header, batch::LENGTH);
        let message_count = u32_at(header, batch::MESSAGE_COUNT);
        let flags = u32_at(header, batch::FLAGS);
        let frames = u64::from(message_count);
        if length == 0 && are_zeros(header) {
            return Err(Stop::Zeros);
        }
        if length < (BATCH_HEADER_BYTES + FRAME_HEADER_BYTES) as u64 {
            return Err(Stop::Length);
        }
        if !are_zeros(&header[batch::RESERVED..]) || !is_producer_plausible(header, flags) {
            return Err(Stop::Reserved);
        }
        if message_count == 0 {
            return Err(Stop::Count);
        }
        if length - BATCH_HEADER_BYTES as u64 > frames * MAX_FRAME_BYTES {
            return Err(Stop::Length);
        }
        if length - (BATCH_HEADER_BYTES as u64) < frames * FRAME_HEADER_BYTES as u64 {
            return Err(Stop::Count);
        }
        Ok(Self {
            base_offset: u64_at(header, batch::BASE_OFFSET),
            base_timestamp: u64_at(header, batch::BASE_TIMESTAMP),
            length,
            checksum: u64_at(header, batch::CHECKSUM),
            message_count,
            has_producer: flags == PRODUCER_PRESENT,
        })
    }

    /// Returns whether JavaScript holds the last offset exactly.
    #[inline]
    pub fn is_offset_safe(&self) -> bool {
        let others = u64::from(self.message_count) - 1;
        let last = self.base_offset.checked_add(others);
        last.is_some_and(|last| last <= MAX_SAFE_INTEGER)
    }
}

/// Returns whether the producer section is absent and zeros, or present and within its bounds.
#[inline]
fn is_producer_plausible(header: &[u8; BATCH_HEADER_BYTES], flags: u32) -> bool {
    match flags {
        0 => are_zeros(&header[batch::PRODUCER_ID..batch::RESERVED]),
        PRODUCER_PRESENT => {
            u64_at(header, batch::PRODUCER_ID) <= i64::MAX as u64
                // With the two reserved bytes after it.
                && u32_at(header, batch::EPOCH) <= MAX_EPOCH
                && u32_at(header, batch::BASE_SEQUENCE) <= i32::MAX as u32
        }
        _ => false,
    }
}

/// How far the frame headers of a batch were read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tiling {
    /// All of them: the frames tile the batch.
    Whole,
    /// Up to one that is not wholly there.
    Visible,
    /// Up to one that the visitor refused.
    Stopped,
}

/// Shows the frame headers of the batch at the start of `rest` to `visit`, in order, as far as they
/// are there and `visit` returns true.
pub(super) fn visit_frame_headers(
    rest: &[u8],
    batch: &BatchHeader,
    mut visit: impl FnMut(&FrameHeader) -> bool,
) -> Result<Tiling, Stop> {
    let mut at = BATCH_HEADER_BYTES as u64;
    for index in 0..batch.message_count {
        if at + FRAME_HEADER_BYTES as u64 > batch.length {
            return Err(Stop::Count);
        }
        let frame = match rest.get(at as usize..) {
            Some(frame) if frame.len() >= FRAME_HEADER_BYTES => FrameHeader::parse(frame, index)?,
            _ => return Ok(Tiling::Visible),
        };
        if !visit(&frame) {
            return Ok(Tiling::Stopped);
        }
        at += frame.length as u64;
    }
    if at == batch.length {
        Ok(Tiling::Whole)
    } else {
        Err(Stop::Count)
    }
}

/// The fields of a frame header that decide whether the frame is valid.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameHeader {
    pub checksum: u64,
    pub payload_length: u32,
    /// Bytes of the whole frame.
    pub length: usize,
}

impl FrameHeader {
    /// Reads and checks the header of frame `index` at the start of `rest`, the rest of the batch.
    #[inline]
    pub fn parse(rest: &[u8], index: u32) -> Result<Self, Stop> {
        let header: &[u8; FRAME_HEADER_BYTES] = rest.first_chunk().ok_or(Stop::Count)?;
        let payload_length = u32_at(header, frame::PAYLOAD_LENGTH);
        let user_headers_length = u32_at(header, frame::USER_HEADERS_LENGTH);
        if payload_length > MAX_PAYLOAD_BYTES || user_headers_length > MAX_USER_HEADERS_BYTES {
            return Err(Stop::Length);
        }
        if u32_at(header, frame::OFFSET_DELTA) != index || u64_at(header, frame::RESERVED) != 0 {
            return Err(Stop::Count);
        }
        Ok(Self {
            checksum: u64_at(header, frame::CHECKSUM),
            payload_length,
            length: FRAME_HEADER_BYTES + payload_length as usize + user_headers_length as usize,
        })
    }
}

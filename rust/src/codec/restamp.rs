//! Restamping: valid batches get another partition, and new batch checksums. Frames stay as they
//! are.

use std::ops::Range;

use super::batch_hash::BatchHash;
use super::layout::{BatchHeader, FrameHeader, batch, put};

/// Writes `partition_id` into every batch of `range`, and a checksum that fits it.
///
/// Unless `keeps_producers`, the producer sections are removed, and the number of batches that had
/// one is returned. Returns `None` where the range is not batches back to back; the batches before
/// that place are restamped.
pub fn restamp(
    bytes: &mut [u8],
    range: Range<usize>,
    partition_id: u64,
    keeps_producers: bool,
) -> Option<usize> {
    let mut rest = bytes.get_mut(range)?;
    let mut hash = BatchHash::new();
    let mut removed = 0;
    while !rest.is_empty() {
        let header = BatchHeader::parse(rest.first_chunk()?).ok()?;
        let (whole, later) = rest.split_at_mut_checked(header.length.try_into().ok()?)?;
        let (header_bytes, frames) = whole.split_first_chunk_mut()?;
        let removes = header.has_producer && !keeps_producers;
        put(header_bytes, batch::PARTITION_ID, partition_id);
        if removes {
            header_bytes[batch::FLAGS..batch::RESERVED].fill(0);
        }
        hash.start(header_bytes, header.has_producer && !removes);
        add_frames(frames, header.message_count, &mut hash)?;
        put(header_bytes, batch::CHECKSUM, hash.finish());
        removed += usize::from(removes);
        rest = later;
    }
    Some(removed)
}

/// Adds the checksums of the frames that fill `frames`.
fn add_frames(frames: &[u8], count: u32, hash: &mut BatchHash) -> Option<()> {
    let mut rest = frames;
    for index in 0..count {
        let header = FrameHeader::parse(rest, index).ok()?;
        hash.add_frame(header.checksum);
        rest = rest.get(header.length..)?;
    }
    rest.is_empty().then_some(())
}

//! Restamping: valid batches get another partition, and new batch checksums. Frames stay as they
//! are.

use std::ops::Range;

use super::batch_hash::BatchHash;
use super::layout::{BatchHeader, Tiling, batch, put, visit_frame_headers};

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
        let removes = header.has_producer && !keeps_producers;
        put(whole, batch::PARTITION_ID, partition_id);
        if removes {
            whole[batch::FLAGS..batch::RESERVED].fill(0);
        }
        hash.start(whole.first_chunk()?, header.has_producer && !removes);
        let tiling = visit_frame_headers(whole, &header, |frame| {
            hash.add_frame(frame.checksum);
            true
        });
        if tiling != Ok(Tiling::Whole) {
            return None;
        }
        put(whole, batch::CHECKSUM, hash.finish());
        removed += usize::from(removes);
        rest = later;
    }
    Some(removed)
}

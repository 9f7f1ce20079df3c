//! Laying out: payloads that lie back to back, each to its place after room for a frame header.

use super::layout::{FRAME_HEADER_BYTES, MAX_PAYLOAD_BYTES};
use super::records::RECORD_BYTES;

/// Distance from a frame to the memory that is prefetched while it is written, in bytes.
const PREFETCH_AHEAD: usize = 2048;
/// Bytes that are prefetched: the processor foresees the rest of a long copy by itself.
const PREFETCH_BYTES: usize = 192;
const CACHE_LINE_BYTES: usize = 64;

/// Where in a write block frames are to be laid out.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Where the first frame begins.
    pub start: usize,
    /// Upper bound of the end of the last one.
    pub end: usize,
    /// Number of records that the block has already.
    pub record_count: usize,
}

/// Result of [`lay`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Laid {
    /// Number of payloads that were copied: as many as fit.
    pub count: usize,
    /// Where the next payload lies in the source.
    pub source_end: usize,
    /// Where the next frame begins in the block.
    pub end: usize,
}

/// Copies payloads from `source`, where they lie back to back, into `block`, and writes a record
/// for each, without flags.
///
/// Copies as many as fit before `layout.end` and the records. Returns `None`, with nothing written,
/// where a payload that would be copied is above its maximum or ends after the source, or `layout`
/// lies outside the block.
pub fn lay(source: &[u8], lengths: &[u32], block: &mut [u8], layout: Layout) -> Option<Laid> {
    let record_bytes = layout.record_count.checked_mul(RECORD_BYTES)?;
    let records_end = block.len().checked_sub(record_bytes)?;
    if layout.start > layout.end || layout.end > block.len() || layout.start > records_end {
        return None;
    }
    let laid = fitting(source.len(), lengths, layout, records_end)?;
    let records_start = records_end - laid.count * RECORD_BYTES;
    let (frames, records) = block[..records_end].split_at_mut(records_start);
    let (mut from, mut rest) = (source, &mut frames[layout.start..]);
    let records = records.rchunks_exact_mut(RECORD_BYTES);
    for (length, record) in lengths.iter().zip(records) {
        let (payload, source_rest) = from.split_at(*length as usize);
        let (frame, after) = rest.split_at_mut(FRAME_HEADER_BYTES + payload.len());
        frame[FRAME_HEADER_BYTES..].copy_from_slice(payload);
        prefetch(after);
        record.copy_from_slice(&u64::from(*length).to_le_bytes());
        (from, rest) = (source_rest, after);
    }
    Some(laid)
}

/// Counts the payloads that fit.
fn fitting(
    source_length: usize,
    lengths: &[u32],
    layout: Layout,
    records_end: usize,
) -> Option<Laid> {
    let mut laid = Laid {
        count: 0,
        source_end: 0,
        end: layout.start,
    };
    for length in lengths {
        let source_end = laid.source_end + *length as usize;
        if *length > MAX_PAYLOAD_BYTES || source_end > source_length {
            return None;
        }
        let end = laid.end + FRAME_HEADER_BYTES + *length as usize;
        let count = laid.count + 1;
        if end > layout.end || end + count * RECORD_BYTES > records_end {
            break;
        }
        (laid.count, laid.source_end, laid.end) = (count, source_end, end);
    }
    Some(laid)
}

/// Prefetches the memory of a frame that comes soon.
///
/// The device read this block last, so it is in no near cache, and the gaps for headers hide from
/// the processor that it is written in order.
#[inline]
fn prefetch(after: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    for line in (0..PREFETCH_BYTES).step_by(CACHE_LINE_BYTES) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let address = after.as_ptr().wrapping_add(PREFETCH_AHEAD + line);
        // SAFETY: a prefetch is a hint that reads nothing and never faults, wherever the address
        // lies.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (after, PREFETCH_AHEAD, PREFETCH_BYTES, CACHE_LINE_BYTES);
}

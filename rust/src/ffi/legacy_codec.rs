//! Exports of the legacy codec: bulk work over messages with a header each.

use super::codec::search;
use super::{Read, Write, exports};
use crate::codec::legacy::{self as codec, Expanded, Gathered, Segment};
use crate::codec::{MAX_SAFE_INTEGER, whole};
use crate::status::BAD_ARGUMENT;

exports! {
    /// Gathers the messages in `source` into batches, which it writes to `target`.
    ///
    /// `context`, read: where the next message lies in `source` and the next batch in `target`, the
    /// offset of the next message, the lowest timestamp, whether no message follows the source (1
    /// or 0). Written: the first four, then the numbers of messages, of batches, of batches split
    /// by length and by time, the reason to stop ([`Stop`](crate::codec::Stop)), and how
    /// many bytes it needs. Returns 0, or `BAD_ARGUMENT`.
    unsafe fn basalt_legacy_gather(
        source: Read[u8; source_length], source_length: u32,
        target: Write[u8; target_length], target_length: u32,
        context: Write[f64; 10],
    ) {
        let (mut progress, is_end) = gathered(context).ok_or(BAD_ARGUMENT)?;
        let stop = codec::gather(source, is_end, target, &mut progress);
        let (stop, needed) = stop.ok_or(BAD_ARGUMENT)?;
        let Gathered { next_offset, last_timestamp, split_by_length, split_by_time, .. } = progress;
        let numbers = [
            progress.source_end as u64, progress.target_end as u64, next_offset, last_timestamp,
            progress.count as u64, progress.batch_count as u64,
            split_by_length as u64, split_by_time as u64, stop as u64, needed as u64,
        ];
        context.copy_from_slice(&numbers.map(|number| number as f64));
        Ok(())
    }

    /// Expands the batches in `source`, which a scan has found valid, into messages in `target` and
    /// entries in `index`.
    ///
    /// `context`, read: where the next batch lies in `source` and the next message in `target`, its
    /// position in the segment, the segment's first offset, and the position from which no batch
    /// begins. Written: the first three, then at 5 the numbers of messages and batches, the reason
    /// to stop ([`ExpandStop`](codec::ExpandStop)), and the bytes and messages of the next batch. Returns 0, or `BAD_ARGUMENT`.
    unsafe fn basalt_legacy_expand(
        source: Read[u8; source_length], source_length: u32,
        target: Write[u8; target_length], target_length: u32,
        index: Write[u8; index_length], index_length: u32,
        context: Write[f64; 10],
    ) {
        let (mut progress, segment) = expanded(context).ok_or(BAD_ARGUMENT)?;
        let stop = codec::expand(source, segment, target, index, &mut progress);
        let (stop, [bytes, messages]) = stop.ok_or(BAD_ARGUMENT)?;
        let Expanded { source_end, target_end, position, count, batch_count } = progress;
        context[..3].copy_from_slice(&[source_end as f64, target_end as f64, position as f64]);
        let numbers = [count, batch_count, stop as usize, bytes, messages];
        context[5..].copy_from_slice(&numbers.map(|number| number as f64));
        Ok(())
    }

    /// Searches for the first valid message in `bytes` at or after `start` whose offset lies in
    /// [`min_offset`, `max_offset`]. `out` and the result are those of `basalt_find`.
    unsafe fn basalt_legacy_find(
        bytes: Read[u8; bytes_length], bytes_length: u32, start: u32,
        min_offset: f64, max_offset: f64,
        out: Write[f64; 3],
    ) {
        search(codec::find, bytes, start, [min_offset, max_offset], out)
    }
}

/// Reads the numbers of a context of `basalt_legacy_gather`.
fn gathered(context: &[f64]) -> Option<(Gathered, bool)> {
    let progress = Gathered {
        source_end: whole(context[0], u32::MAX.into())? as usize,
        target_end: whole(context[1], u32::MAX.into())? as usize,
        // One more than a message can have: the next offset after the very last one.
        next_offset: whole(context[2], MAX_SAFE_INTEGER + 1)?,
        last_timestamp: whole(context[3], MAX_SAFE_INTEGER)?,
        ..Gathered::default()
    };
    Some((progress, context[4] != 0.0))
}

/// Reads the numbers of a context of `basalt_legacy_expand`.
fn expanded(context: &[f64]) -> Option<(Expanded, Segment)> {
    let progress = Expanded {
        source_end: whole(context[0], u32::MAX.into())? as usize,
        target_end: whole(context[1], u32::MAX.into())? as usize,
        position: whole(context[2], u32::MAX.into())?,
        ..Expanded::default()
    };
    let segment = Segment {
        first_offset: whole(context[3], MAX_SAFE_INTEGER)?,
        limit: whole(context[4], u32::MAX.into())?,
    };
    Some((progress, segment))
}

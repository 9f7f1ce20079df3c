//! Exports of the codec: bulk work over the bytes of batches.

use super::{Buffer, disjoint, exports, view};
use crate::codec::{self, Layout, MAX_SAFE_INTEGER, Progress, Results, Run, SEAL_CONTEXT_BYTES, whole};
use crate::status::{BAD_ARGUMENT, Status};

/// Words that a scan has for each message: its start, its length, and the start and first message
/// of its batch.
const RESULT_WORDS: usize = 4;
const SCAN_CONTEXT_NUMBERS: usize = 7;
const FIND_OUT_NUMBERS: usize = 3;
const LAY_CONTEXT_WORDS: usize = 8;
/// Where the answer lies in a context of `basalt_seal`.
const SEAL_END: usize = 40;
/// Stands for "there is none" among positions.
const NONE: f64 = -1.0;

exports! {
    /// Copies payloads that lie back to back in `source` into the write block `bytes`, each after
    /// room for a frame header, as many as fit, and writes their records.
    ///
    /// `lengths`: `u32[lengths_count]`. `context`: `u32[8]` = where the first payload lies in
    /// `source`, its number in `lengths`, where its frame begins, where the last frame ends at
    /// most, records that are there already; then, written, where the next payload lies in
    /// `source`, where the next frame begins, 0. Returns the number of payloads, or `BAD_ARGUMENT`,
    /// nothing written.
    fn basalt_lay(
        source: Buffer, source_length: u32,
        lengths: Buffer, lengths_count: u32,
        bytes: Buffer, bytes_length: u32,
        context: Buffer,
    ) {
        let (source_length, bytes_length) = (source_length as usize, bytes_length as usize);
        let lengths_count = lengths_count as usize;
        if !disjoint([
            (source, source_length), (lengths, 4 * lengths_count), (bytes, bytes_length), (context, 4 * LAY_CONTEXT_WORDS),
        ]) {
            return BAD_ARGUMENT;
        }
        // SAFETY: views that JavaScript passed to this call and waits for, of the lengths that
        // `lay.ts` checked; no two of them overlap.
        let views = unsafe {
            (
                view::<u8>(source, source_length), view::<u32>(lengths, lengths_count), view::<u8>(bytes, bytes_length),
                view::<u32>(context, LAY_CONTEXT_WORDS),
            )
        };
        let (Some(source), Some(lengths), Some(bytes), Some(context)) = views else { return BAD_ARGUMENT };
        let [source_start, first, start, end, record_count] = [0, 1, 2, 3, 4].map(|i| context[i] as usize);
        let (Some(source), Some(lengths)) = (source.get(source_start..), lengths.get(first..)) else {
            return BAD_ARGUMENT;
        };
        let Some(laid) = codec::lay(source, lengths, bytes, Layout { start, end, record_count }) else {
            return BAD_ARGUMENT;
        };
        context[5..].copy_from_slice(&[(source_start + laid.source_end) as u32, laid.end as u32, 0]);
        laid.count as Status
    }

    /// Writes the frame headers and batch headers of all messages in the write block `bytes`.
    ///
    /// `context`: `f64[6]` = start, number of messages, base offset, base timestamp, partition;
    /// then, written, where the last batch ends; and 32 bytes of seed. Returns 0, or
    /// `BAD_ARGUMENT`, nothing written.
    fn basalt_seal(bytes: Buffer, bytes_length: u32, context: Buffer) {
        let bytes_length = bytes_length as usize;
        if !disjoint([(bytes, bytes_length), (context, SEAL_CONTEXT_BYTES)]) {
            return BAD_ARGUMENT;
        }
        // SAFETY: views that JavaScript passed to this call and waits for, of the lengths that
        // `seal.ts` checked; they do not overlap.
        let views = unsafe { (view::<u8>(bytes, bytes_length), view::<u8>(context, SEAL_CONTEXT_BYTES)) };
        let (Some(bytes), Some(context)) = views else { return BAD_ARGUMENT };
        let Some(run) = context.first_chunk().and_then(Run::parse) else { return BAD_ARGUMENT };
        let Some(end) = codec::seal(bytes, &run) else { return BAD_ARGUMENT };
        context[SEAL_END..SEAL_END + 8].copy_from_slice(&(end as f64).to_le_bytes());
        0
    }

    /// Checks the batches that lie back to back in `bytes`, and adds what it finds to `results`.
    ///
    /// `results`: `u32[4 * capacity]` = frame starts, payload lengths, batch starts, numbers of the
    /// batches' first messages, `capacity` words each. `context`: `f64[7]`, read and written: end,
    /// next offset, last timestamp, number of messages, number of batches ([`Progress`]); written:
    /// reason to stop ([`codec::Stop`]), and how many bytes or messages it needs. A scan that was
    /// full goes on with the same context. Returns 0, or `BAD_ARGUMENT`.
    fn basalt_scan(bytes: Buffer, bytes_length: u32, results: Buffer, capacity: u32, context: Buffer) {
        let (bytes_length, capacity) = (bytes_length as usize, capacity as usize);
        if !disjoint([
            (bytes, bytes_length), (results, 4 * RESULT_WORDS * capacity), (context, 8 * SCAN_CONTEXT_NUMBERS),
        ]) {
            return BAD_ARGUMENT;
        }
        // SAFETY: views that JavaScript passed to this call and waits for, of the lengths that
        // `scan.ts` checked; no two of them overlap.
        let views = unsafe {
            (
                view::<u8>(bytes, bytes_length), view::<u32>(results, RESULT_WORDS * capacity),
                view::<f64>(context, SCAN_CONTEXT_NUMBERS),
            )
        };
        let (Some(bytes), Some(results), Some(context)) = views else { return BAD_ARGUMENT };
        let Some(mut progress) = progress(context) else { return BAD_ARGUMENT };
        let (starts, rest) = results.split_at_mut(capacity);
        let (lengths, rest) = rest.split_at_mut(capacity);
        let (batch_starts, batch_firsts) = rest.split_at_mut(capacity);
        let mut results = Results { starts, lengths, batch_starts, batch_firsts };
        let Some((stop, needed)) = codec::scan(bytes, &mut progress, &mut results) else { return BAD_ARGUMENT };
        let Progress { end, next_offset, last_timestamp, count, batch_count } = progress;
        let numbers = [end as u64, next_offset, last_timestamp, count as u64, batch_count as u64, stop as u64];
        context[..6].copy_from_slice(&numbers.map(|number| number as f64));
        context[6] = needed.min(MAX_SAFE_INTEGER) as f64;
        0
    }

    /// Searches for the first valid batch in `bytes` at or after `start` whose base offset lies in
    /// [`min_offset`, `max_offset`].
    ///
    /// `out`: `f64[3]` = its position, and position and length of the first candidate before it
    /// that these bytes do not decide; positions are -1 if there is none. Returns 0, or
    /// `BAD_ARGUMENT`.
    fn basalt_find(
        bytes: Buffer, bytes_length: u32, start: u32,
        min_offset: f64, max_offset: f64,
        out: Buffer,
    ) {
        if !disjoint([(bytes, bytes_length as usize), (out, 8 * FIND_OUT_NUMBERS)]) {
            return BAD_ARGUMENT;
        }
        // SAFETY: views that JavaScript passed to this call and waits for, of the lengths that
        // `find.ts` checked; they do not overlap.
        let views = unsafe { (view::<u8>(bytes, bytes_length as usize), view::<f64>(out, FIND_OUT_NUMBERS)) };
        let (Some(bytes), Some(out)) = views else { return BAD_ARGUMENT };
        let (Some(min), Some(max)) = (whole(min_offset, MAX_SAFE_INTEGER), whole(max_offset, MAX_SAFE_INTEGER)) else {
            return BAD_ARGUMENT;
        };
        if start > bytes_length || min > max {
            return BAD_ARGUMENT;
        }
        let found = codec::find(bytes, start as usize, min..=max);
        let beyond = found.beyond.map_or([NONE, 0.0], |(at, length)| [at as f64, length.min(MAX_SAFE_INTEGER) as f64]);
        out.copy_from_slice(&[found.valid.map_or(NONE, |at| at as f64), beyond[0], beyond[1]]);
        0
    }

    /// Writes `partition_id`, and checksums that fit it, into the valid batches that fill `bytes` from `start`.
    ///
    /// Producer sections are removed unless `keeps_producers` is 1. Returns the number of batches that lost one, or
    /// `BAD_ARGUMENT`, with the batches before the first invalid one restamped.
    fn basalt_restamp(bytes: Buffer, bytes_length: u32, start: u32, partition_id: f64, keeps_producers: u32) {
        let bytes_length = bytes_length as usize;
        // SAFETY: a view that JavaScript passed to this call and waits for, of the length that `restamp.ts` checked.
        let Some(bytes) = (unsafe { view::<u8>(bytes, bytes_length) }) else { return BAD_ARGUMENT };
        let Some(partition_id) = whole(partition_id, MAX_SAFE_INTEGER) else { return BAD_ARGUMENT };
        let removed = codec::restamp(bytes, start as usize..bytes_length, partition_id, keeps_producers != 0);
        removed.map_or(BAD_ARGUMENT, |removed| removed as Status)
    }
}

/// Reads the numbers of a scan's context.
fn progress(context: &[f64]) -> Option<Progress> {
    Some(Progress {
        end: whole(context[0], u32::MAX.into())? as usize,
        // One more than a message can have: the next offset after the very last one.
        next_offset: whole(context[1], MAX_SAFE_INTEGER + 1)?,
        last_timestamp: whole(context[2], MAX_SAFE_INTEGER)?,
        count: whole(context[3], u32::MAX.into())? as usize,
        batch_count: whole(context[4], u32::MAX.into())? as usize,
    })
}

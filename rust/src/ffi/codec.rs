//! Exports of the codec: bulk work over the bytes of batches.

use std::ops::RangeInclusive;

use super::{Read, Write, exports};
use crate::codec::{self, Found, Layout, MAX_SAFE_INTEGER, Progress, Results, Run};
use crate::codec::{SEAL_CONTEXT_BYTES, whole};
use crate::status::{BAD_ARGUMENT, Status};

/// Words that a scan has for each message: its start, its length, and the start and first message
/// of its batch.
const RESULT_WORDS: usize = 4;
/// Where the result lies in a context of `basalt_seal`.
const SEAL_END: usize = 40;
/// Stands for a position that does not exist.
const NO_POSITION: f64 = -1.0;

exports! {
    /// Copies payloads that lie back to back in `source` into the write block `bytes`, each after
    /// room for a frame header, as many as fit, and writes their records.
    ///
    /// `context`: where the first payload lies in `source`, its number in `lengths`, where its
    /// frame begins, where the last frame ends at most, records that are there already; then,
    /// written, where the next payload lies in `source`, where the next frame begins, 0. Returns
    /// the number of payloads, or `BAD_ARGUMENT`, nothing written.
    unsafe fn basalt_lay(
        source: Read[u8; source_length], source_length: u32,
        lengths: Read[u32; lengths_count], lengths_count: u32,
        bytes: Write[u8; bytes_length], bytes_length: u32,
        context: Write[u32; 8],
    ) {
        let numbers = [0, 1, 2, 3, 4].map(|i| context[i] as usize);
        let [source_start, first, start, end, record_count] = numbers;
        let source = source.get(source_start..).ok_or(BAD_ARGUMENT)?;
        let lengths = lengths.get(first..).ok_or(BAD_ARGUMENT)?;
        let layout = Layout { start, end, record_count };
        let laid = codec::lay(source, lengths, bytes, layout).ok_or(BAD_ARGUMENT)?;
        let source_end = source_start + laid.source_end;
        context[5..].copy_from_slice(&[source_end as u32, laid.end as u32, 0]);
        Ok(laid.count)
    }

    /// Writes the frame headers and batch headers of all messages in the write block `bytes`.
    ///
    /// `context`: `f64[6]` = start, number of messages, base offset, base timestamp, partition;
    /// then, written, where the last batch ends; and 32 bytes of seed. Returns 0, or
    /// `BAD_ARGUMENT`, nothing written.
    unsafe fn basalt_seal(
        bytes: Write[u8; bytes_length], bytes_length: u32,
        context: Write[u8; SEAL_CONTEXT_BYTES],
    ) {
        let run = context.first_chunk().and_then(Run::parse).ok_or(BAD_ARGUMENT)?;
        let end = codec::seal(bytes, &run).ok_or(BAD_ARGUMENT)?;
        context[SEAL_END..SEAL_END + 8].copy_from_slice(&(end as f64).to_le_bytes());
        Ok(())
    }

    /// Checks the batches that lie back to back in `bytes`, and adds what it finds to `results`.
    ///
    /// `results`: frame starts, payload lengths, batch starts, numbers of the batches' first
    /// messages, `capacity` words each. `context`, read and written: end, next offset, last
    /// timestamp, number of messages, number of batches ([`Progress`]); written: reason to stop
    /// ([`codec::Stop`]), and how many bytes or messages it needs. A scan that was full goes on
    /// with the same context. Returns 0, or `BAD_ARGUMENT`.
    unsafe fn basalt_scan(
        bytes: Read[u8; bytes_length], bytes_length: u32,
        results: Write[u32; RESULT_WORDS * capacity as usize], capacity: u32,
        context: Write[f64; 7],
    ) {
        let capacity = capacity as usize;
        let mut progress = progress(context).ok_or(BAD_ARGUMENT)?;
        let (starts, rest) = results.split_at_mut(capacity);
        let (lengths, rest) = rest.split_at_mut(capacity);
        let (batch_starts, batch_firsts) = rest.split_at_mut(capacity);
        let mut results = Results { starts, lengths, batch_starts, batch_firsts };
        let (stop, needed) = codec::scan(bytes, &mut progress, &mut results).ok_or(BAD_ARGUMENT)?;
        let Progress { end, next_offset, last_timestamp, count, batch_count } = progress;
        let [end, count, batch_count] = [end, count, batch_count].map(|number| number as u64);
        let numbers = [end, next_offset, last_timestamp, count, batch_count, stop as u64];
        context[..6].copy_from_slice(&numbers.map(|number| number as f64));
        context[6] = needed.min(MAX_SAFE_INTEGER) as f64;
        Ok(())
    }

    /// Searches for the first valid batch in `bytes` at or after `start` whose base offset lies in
    /// [`min_offset`, `max_offset`].
    ///
    /// `out`: its position, and position and length of the first candidate before it that these
    /// bytes do not decide; -1 stands for a position that does not exist. Returns 0, or
    /// `BAD_ARGUMENT`.
    unsafe fn basalt_find(
        bytes: Read[u8; bytes_length], bytes_length: u32, start: u32,
        min_offset: f64, max_offset: f64,
        out: Write[f64; 3],
    ) {
        search(codec::find, bytes, start, [min_offset, max_offset], out)
    }

    /// Returns where the last byte of `bytes` that is not 0 ends; 0 if there is none.
    unsafe fn basalt_nonzero_end(bytes: Read[u8; bytes_length], bytes_length: u32) {
        Ok(codec::last_nonzero(bytes).map_or(0, |last| last + 1))
    }

    /// Writes `partition_id`, and checksums that fit it, into the valid batches that fill `bytes`
    /// from `start` to their end.
    ///
    /// Producer sections are removed unless `keeps_producers` is 1. Returns the number of batches
    /// that lost one, or `BAD_ARGUMENT`, with the batches before the first invalid one restamped.
    unsafe fn basalt_restamp(
        bytes: Write[u8; bytes_length], bytes_length: u32, start: u32,
        partition_id: f64, keeps_producers: u32,
    ) {
        let partition_id = whole(partition_id, MAX_SAFE_INTEGER).ok_or(BAD_ARGUMENT)?;
        let range = start as usize..bytes.len();
        codec::restamp(bytes, range, partition_id, keeps_producers != 0).ok_or(BAD_ARGUMENT)
    }
}

/// Searches `bytes` from `start` for an offset in `bounds`, and writes the result to `out`.
pub(super) fn search(
    find: fn(&[u8], usize, RangeInclusive<u64>) -> Found,
    bytes: &[u8],
    start: u32,
    bounds: [f64; 2],
    out: &mut [f64],
) -> Result<(), Status> {
    let [min, max] = bounds.map(|bound| whole(bound, MAX_SAFE_INTEGER));
    let (min, max) = min.zip(max).ok_or(BAD_ARGUMENT)?;
    if min > max || start as usize > bytes.len() {
        return Err(BAD_ARGUMENT);
    }
    let Found { valid, beyond } = find(bytes, start as usize, min..=max);
    out[0] = valid.map_or(NO_POSITION, |at| at as f64);
    out[1] = beyond.map_or(NO_POSITION, |(at, _)| at as f64);
    out[2] = beyond.map_or(0, |(_, length)| length.min(MAX_SAFE_INTEGER)) as f64;
    Ok(())
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

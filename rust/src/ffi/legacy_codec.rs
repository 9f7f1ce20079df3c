//! Exports of the legacy codec: bulk work over messages with a header each.

use super::{Buffer, disjoint, exports, view};
use crate::codec::legacy::{
    self as codec, ExpandStop, Expanded, GatherStop, Gathered, MAX_SAFE_INTEGER, Segment, whole,
};
use crate::status::{BAD_ARGUMENT, Status};

/// Numbers in the context of a conversion.
const CONTEXT_NUMBERS: usize = 10;
/// Reason to stop that no scan has.
const TARGET_FULL: u64 = 9;

exports! {
    /// Gathers the messages in `source` into batches, which it writes to `target`.
    ///
    /// `context`: `f64[10]`. Read: where the next message lies in `source` and the next batch in
    /// `target`, the offset of the next message, the lowest timestamp, whether no message follows
    /// the source (1 or 0). Written: the first four, then the numbers of messages, of batches, of
    /// batches split by length and by time, the reason to stop ([`codec::Stop`], or 9: `target` is
    /// full), and how many bytes it needs. Returns 0, or `BAD_ARGUMENT`.
    fn basalt_legacy_gather(
        source: Buffer, source_length: u32,
        target: Buffer, target_length: u32,
        context: Buffer,
    ) {
        let (source_length, target_length) = (source_length as usize, target_length as usize);
        if !disjoint([(source, source_length), (target, target_length), (context, 8 * CONTEXT_NUMBERS)]) {
            return BAD_ARGUMENT;
        }
        // SAFETY: views that JavaScript passed to this call and waits for, of the lengths that
        // `gather.ts` checked; no two of them overlap.
        let views = unsafe {
            (view::<u8>(source, source_length), view::<u8>(target, target_length), view(context, CONTEXT_NUMBERS))
        };
        let (Some(source), Some(target), Some(context)) = views else { return BAD_ARGUMENT };
        let Some((mut progress, is_end)) = gathered(context) else { return BAD_ARGUMENT };
        let Some(stop) = codec::gather(source, is_end, target, &mut progress) else { return BAD_ARGUMENT };
        let (stop, needed) = match stop {
            GatherStop::Source(stop, needed) => (stop as u64, needed),
            GatherStop::TargetFull(needed) => (TARGET_FULL, needed),
        };
        let Gathered { source_end, target_end, next_offset, last_timestamp, count, batch_count, .. } = progress;
        let [by_length, by_time] = [progress.split_by_length, progress.split_by_time];
        let numbers = [
            source_end as u64, target_end as u64, next_offset, last_timestamp, count as u64, batch_count as u64,
            by_length as u64, by_time as u64, stop, needed as u64,
        ];
        context.copy_from_slice(&numbers.map(|number| number as f64));
        0
    }

    /// Expands the batches in `source`, which a scan has found valid, into messages in `target` and
    /// entries in `index`.
    ///
    /// `context`: `f64[10]`. Read: where the next batch lies in `source` and the next message in
    /// `target`, its position in the segment, the segment's first offset, and the position from
    /// which no batch begins. Written: the first three, then at 5 the numbers of messages and
    /// batches, the reason to stop (0: no more source, 1: the limit, 2: no room, 3: a position
    /// above `u32`), and the bytes and messages of the next batch. Returns 0, or `BAD_ARGUMENT`.
    fn basalt_legacy_expand(
        source: Buffer, source_length: u32,
        target: Buffer, target_length: u32,
        index: Buffer, index_length: u32,
        context: Buffer,
    ) {
        let [source_length, target_length, index_length] =
            [source_length, target_length, index_length].map(|length| length as usize);
        if !disjoint([
            (source, source_length), (target, target_length), (index, index_length), (context, 8 * CONTEXT_NUMBERS),
        ]) {
            return BAD_ARGUMENT;
        }
        // SAFETY: views that JavaScript passed to this call and waits for, of the lengths that
        // `expand.ts` checked; no two of them overlap.
        let views = unsafe {
            (
                view::<u8>(source, source_length), view::<u8>(target, target_length), view::<u8>(index, index_length),
                view(context, CONTEXT_NUMBERS),
            )
        };
        let (Some(source), Some(target), Some(index), Some(context)) = views else { return BAD_ARGUMENT };
        let Some((mut progress, segment)) = expanded(context) else { return BAD_ARGUMENT };
        let Some(stop) = codec::expand(source, segment, target, index, &mut progress) else { return BAD_ARGUMENT };
        let (stop, bytes, messages) = match stop {
            ExpandStop::End => (0, 0, 0),
            ExpandStop::Limit => (1, 0, 0),
            ExpandStop::Full(bytes, messages) => (2, bytes, messages),
            ExpandStop::Position => (3, 0, 0),
        };
        let Expanded { source_end, target_end, position, count, batch_count } = progress;
        context[..3].copy_from_slice(&[source_end as f64, target_end as f64, position as f64]);
        context[5..].copy_from_slice(&[count, batch_count, stop, bytes, messages].map(|number| number as f64));
        0
    }

    /// Checks the messages in `bytes` from `start` on, at most `max_count`, the first with the
    /// offset `expected_offset`.
    ///
    /// `starts`: `u32[max_count + 1]`, where each good one starts, and where the last ends.
    /// `lengths`: `u32[max_count]`, the payloads' lengths. `out`: `u32[4]` = end of the last good
    /// one, reason to stop ([`codec::Stop`]), bytes needed from there on, 0. Answers the number of
    /// good messages.
    fn basalt_legacy_scan(
        bytes: Buffer, bytes_length: u32, start: u32,
        expected_offset: f64, max_count: u32,
        starts: Buffer, lengths: Buffer, out: Buffer,
    ) {
        let (bytes_length, max_count) = (bytes_length as usize, max_count as usize);
        if !disjoint([(bytes, bytes_length), (starts, 4 * (max_count + 1)), (lengths, 4 * max_count), (out, 16)]) {
            return BAD_ARGUMENT;
        }
        // SAFETY: views that JavaScript passed to this call and waits for, of the lengths that
        // `scan.ts` checked; no two of them overlap.
        let views = unsafe {
            (view::<u8>(bytes, bytes_length), view(starts, max_count + 1), view(lengths, max_count), view(out, 4))
        };
        let (Some(bytes), Some(starts), Some(lengths), Some(out)) = views else { return BAD_ARGUMENT };
        // One more than a message can have: what is expected behind the very last one.
        let Some(expected_offset) = whole(expected_offset, MAX_SAFE_INTEGER + 1) else { return BAD_ARGUMENT };
        let Some(outcome) = codec::scan(bytes, start as usize, expected_offset, starts, lengths) else {
            return BAD_ARGUMENT;
        };
        out.copy_from_slice(&[outcome.end as u32, outcome.stop as u32, outcome.needed as u32, 0]);
        outcome.count as Status
    }

    /// Position of the first valid message in `bytes` at or behind `start` whose offset lies in
    /// [`min_offset`, `max_offset`]; `bytes_length`, where no message can start, if there is none.
    ///
    /// `bytes_length` is at most 2^31 - 1, so that every answer is a status. `out`: `u32[2]`, of
    /// the first message before that position that may be valid but ends behind the bytes, the
    /// position and the length; `bytes_length` and 0 if there is none.
    fn basalt_legacy_find(
        bytes: Buffer, bytes_length: u32, start: u32,
        min_offset: f64, max_offset: f64,
        out: Buffer,
    ) {
        let Ok(none) = Status::try_from(bytes_length) else { return BAD_ARGUMENT };
        if !disjoint([(bytes, bytes_length as usize), (out, 8)]) {
            return BAD_ARGUMENT;
        }
        // SAFETY: views that JavaScript passed to this call and waits for, of the lengths that
        // `find.ts` checked; no two of them overlap.
        let views = unsafe { (view::<u8>(bytes, bytes_length as usize), view::<u32>(out, 2)) };
        let (Some(bytes), Some(out)) = views else { return BAD_ARGUMENT };
        let (Some(min), Some(max)) = (whole(min_offset, MAX_SAFE_INTEGER), whole(max_offset, MAX_SAFE_INTEGER)) else {
            return BAD_ARGUMENT;
        };
        if start > bytes_length || min > max {
            return BAD_ARGUMENT;
        }
        let found = codec::find(bytes, start as usize, min..=max);
        let (at, length) = found.beyond.unwrap_or((bytes.len(), 0));
        out.copy_from_slice(&[at as u32, length as u32]);
        found.valid.map_or(none, |at| at as Status)
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
        count: 0,
        batch_count: 0,
        split_by_length: 0,
        split_by_time: 0,
    };
    Some((progress, context[4] != 0.0))
}

/// Reads the numbers of a context of `basalt_legacy_expand`.
fn expanded(context: &[f64]) -> Option<(Expanded, Segment)> {
    let progress = Expanded {
        source_end: whole(context[0], u32::MAX.into())? as usize,
        target_end: whole(context[1], u32::MAX.into())? as usize,
        position: whole(context[2], u32::MAX.into())?,
        count: 0,
        batch_count: 0,
    };
    let segment = Segment {
        first_offset: whole(context[3], MAX_SAFE_INTEGER)?,
        limit: whole(context[4], u32::MAX.into())?,
    };
    Some((progress, segment))
}

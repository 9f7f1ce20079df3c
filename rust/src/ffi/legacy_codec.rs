//! Exports of the legacy codec: bulk work over messages with a header each.

use super::{Buffer, disjoint, exports, view};
use crate::codec::legacy::{self as codec, CONTEXT_BYTES, Context, MAX_SAFE_INTEGER, whole};
use crate::status::{BAD_ARGUMENT, Status};

exports! {
    /// Copies payloads that lie back to back in `source` into `bytes`, each behind room for a header, as many as fit.
    ///
    /// `lengths`: `u32[lengths_count]`. `records`: `u32[records_length]`, see [`codec::spread`]. `context`: `u32[8]` = where
    /// the first payload lies in `source`, its number in `lengths`, where its message starts in `bytes`, its first word in
    /// `records`; then, written, where the next payload lies in `source`, where the next message starts in `bytes`, 0, 0.
    /// Answers the number of payloads, or `BAD_ARGUMENT`, some of them copied.
    fn basalt_legacy_spread(
        source: Buffer, source_length: u32,
        lengths: Buffer, lengths_count: u32,
        bytes: Buffer, bytes_length: u32,
        records: Buffer, records_length: u32,
        context: Buffer,
    ) {
        let (source_length, bytes_length) = (source_length as usize, bytes_length as usize);
        let (lengths_count, records_length) = (lengths_count as usize, records_length as usize);
        if !disjoint([
            (source, source_length), (lengths, 4 * lengths_count), (bytes, bytes_length),
            (records, 4 * records_length), (context, 32),
        ]) {
            return BAD_ARGUMENT;
        }
        // SAFETY: views that JavaScript passed to this call and waits for, of the lengths that `spread.ts` checked;
        // no two of them overlap.
        let views = unsafe {
            (
                view::<u8>(source, source_length), view::<u32>(lengths, lengths_count), view::<u8>(bytes, bytes_length),
                view::<u32>(records, records_length), view::<u32>(context, 8),
            )
        };
        let (Some(source), Some(lengths), Some(bytes), Some(records), Some(context)) = views else { return BAD_ARGUMENT };
        let [source_start, first, start, record] = [0, 1, 2, 3].map(|i| context[i] as usize);
        let (Some(source), Some(lengths), Some(records)) =
            (source.get(source_start..), lengths.get(first..), records.get_mut(record..)) else { return BAD_ARGUMENT };
        let Some(done) = codec::spread(source, lengths, bytes, start, records) else { return BAD_ARGUMENT };
        context[4..].copy_from_slice(&[(source_start + done.source_end) as u32, done.end as u32, 0, 0]);
        done.count as Status
    }

    /// Writes headers, checksums and index entries of the run of `count` messages that lies in `bytes` from `start`:
    /// for each, 64 bytes of room for the header, payload, encoded user headers.
    ///
    /// `records`: `u32[2 * count]`, payload length, and user headers' length with the flags. `context`: 64 bytes, see
    /// [`Context::parse`]. Answers 0, or `BAD_ARGUMENT`, nothing written.
    fn basalt_legacy_stamp(
        bytes: Buffer, bytes_length: u32, start: u32,
        records: Buffer, count: u32,
        index: Buffer, index_length: u32,
        context: Buffer,
    ) {
        let (bytes_length, index_length) = (bytes_length as usize, index_length as usize);
        let words = 2 * count as usize;
        if !disjoint([(bytes, bytes_length), (records, 4 * words), (index, index_length), (context, CONTEXT_BYTES)]) {
            return BAD_ARGUMENT;
        }
        // SAFETY: views that JavaScript passed to this call and waits for, of the lengths that `stamp.ts` checked;
        // no two of them overlap.
        let views = unsafe {
            (view(bytes, bytes_length), view(records, words), view(index, index_length), view(context, CONTEXT_BYTES))
        };
        let (Some(bytes), Some(records), Some(index), Some(context)) = views else { return BAD_ARGUMENT };
        let Some(context) = context.first_chunk().and_then(Context::parse) else { return BAD_ARGUMENT };
        codec::stamp(bytes, start as usize, records, index, &context).map_or(BAD_ARGUMENT, |()| 0)
    }

    /// Checks the messages in `bytes` from `start` on, at most `max_count`, the first with the offset `expected_offset`.
    ///
    /// `starts`: `u32[max_count + 1]`, where each good one starts, and where the last ends. `lengths`: `u32[max_count]`,
    /// the payloads' lengths. `out`: `u32[4]` = end of the last good one, reason to stop ([`codec::Stop`]), bytes needed
    /// from there on, 0. Answers the number of good messages.
    fn basalt_legacy_scan(
        bytes: Buffer, bytes_length: u32, start: u32,
        expected_offset: f64, max_count: u32,
        starts: Buffer, lengths: Buffer, out: Buffer,
    ) {
        let (bytes_length, max_count) = (bytes_length as usize, max_count as usize);
        if !disjoint([(bytes, bytes_length), (starts, 4 * (max_count + 1)), (lengths, 4 * max_count), (out, 16)]) {
            return BAD_ARGUMENT;
        }
        // SAFETY: views that JavaScript passed to this call and waits for, of the lengths that `scan.ts` checked;
        // no two of them overlap.
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
    /// `bytes_length` is at most 2^31 - 1, so that every answer is a status. `out`: `u32[2]`, of the first message before
    /// that position that may be valid but ends behind the bytes, the position and the length; `bytes_length` and 0 if
    /// there is none.
    fn basalt_legacy_find(
        bytes: Buffer, bytes_length: u32, start: u32,
        min_offset: f64, max_offset: f64,
        out: Buffer,
    ) {
        let Ok(none) = Status::try_from(bytes_length) else { return BAD_ARGUMENT };
        if !disjoint([(bytes, bytes_length as usize), (out, 8)]) {
            return BAD_ARGUMENT;
        }
        // SAFETY: views that JavaScript passed to this call and waits for, of the lengths that `find.ts` checked;
        // no two of them overlap.
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

//! Gathering: a run of messages with a header each becomes batches (`docs/format.md#old-import`).
//!
//! Consecutive messages with equal timestamps are one batch, of at most 1 MiB, whose producer times
//! lie within a u32 of microseconds. A batch that may go on after the source is not written, unless
//! the caller says that no more messages follow. So the batches do not depend on the blocks in which
//! the source is read.

use super::MAX_SAFE_INTEGER;
use super::header::{
    HEADER_BYTES, Header, ID, OFFSET, ORIGIN_TIMESTAMP, PAYLOAD_LENGTH, TIMESTAMP,
};
use super::header::{USER_HEADERS_LENGTH, checksum};
use crate::codec::Stop;
use crate::codec::batch_hash::{BatchHash, frame_checksum};
use crate::codec::layout::{
    BATCH_HEADER_BYTES, FRAME_HEADER_BYTES, are_zeros, batch, frame, put, u32_at, u64_at,
};

/// A batch of more than one message is at most this long, in bytes.
pub const MAX_GATHERED_BYTES: usize = 1 << 20;

/// How far gathering has come; another call goes on from here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gathered {
    /// Where the next batch begins in the source.
    pub source_end: usize,
    /// Where the next batch begins in the target.
    pub target_end: usize,
    /// Offset that the next message must have.
    pub next_offset: u64,
    /// Append time of the last message, and at first the lower bound of all.
    pub last_timestamp: u64,
    /// Number of messages.
    pub count: usize,
    /// Number of batches.
    pub batch_count: usize,
    /// Number of batches that end before their last equal timestamp because of their length.
    pub split_by_length: usize,
    /// The same, because of producer times that lie too far apart.
    pub split_by_time: usize,
}

/// Gathers the messages in `source` from `progress.source_end` and writes their batches to
/// `target`.
///
/// `is_end` says that no message follows the source. Returns the reason to stop, and for
/// [`Stop::Partial`] how many bytes from `progress.source_end` would decide more, for [`Stop::Full`]
/// the length of the next batch, else 0. `Partial` also stands for a batch that more messages may
/// belong to. Returns `None` where `progress` lies outside the bytes.
pub fn gather(
    source: &[u8],
    is_end: bool,
    target: &mut [u8],
    progress: &mut Gathered,
) -> Option<(Stop, usize)> {
    if progress.source_end > source.len() || progress.target_end > target.len() {
        return None;
    }
    let mut hash = BatchHash::new();
    loop {
        let rest = &source[progress.source_end..];
        let run = match Run::measure(rest, is_end, progress) {
            Ok(run) => run,
            Err(stop) => return Some(stop),
        };
        let Some(room) = target[progress.target_end..].get_mut(..run.batch_length) else {
            return Some((Stop::Full, run.batch_length));
        };
        run.write(rest, room, progress.next_offset, &mut hash);
        progress.source_end += run.source_length;
        progress.target_end += run.batch_length;
        progress.next_offset += run.count as u64;
        progress.last_timestamp = run.timestamp;
        progress.count += run.count;
        progress.batch_count += 1;
        progress.split_by_length += usize::from(run.end == RunEnd::Length);
        progress.split_by_time += usize::from(run.end == RunEnd::Time);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum RunEnd {
    /// Another timestamp follows, or nothing.
    Done,
    /// The next message would make the batch too long.
    Length,
    /// The producer time of the next message is too far away.
    Time,
}

/// The messages that become the next batch; all of them are valid.
struct Run {
    count: usize,
    timestamp: u64,
    origin_timestamp: u64,
    source_length: usize,
    batch_length: usize,
    end: RunEnd,
}

impl Run {
    fn measure(rest: &[u8], is_end: bool, progress: &Gathered) -> Result<Self, (Stop, usize)> {
        let mut run = Self {
            count: 0,
            timestamp: 0,
            origin_timestamp: u64::MAX,
            source_length: 0,
            batch_length: BATCH_HEADER_BYTES,
            end: RunEnd::Done,
        };
        let mut latest = 0;
        loop {
            let message = &rest[run.source_length..];
            let expected = progress.next_offset + run.count as u64;
            // Too short to tell whether it is a message, zeros or nothing.
            if message.len() < HEADER_BYTES && !is_end {
                return Err((Stop::Partial, run.source_length + HEADER_BYTES));
            }
            if run.count == 0 && message.is_empty() {
                return Err((Stop::End, 0));
            }
            let length = match check(message, expected) {
                Ok(length) => length,
                Err((Stop::Partial, needed)) if run.count > 0 && !is_end => {
                    return Err((Stop::Partial, run.source_length + needed));
                }
                Err(stop) if run.count == 0 => return Err(stop),
                Err(_) => return Ok(run),
            };
            let timestamp = u64_at(message, TIMESTAMP);
            if run.count == 0 {
                if timestamp < progress.last_timestamp || timestamp > MAX_SAFE_INTEGER {
                    return Err((Stop::Timestamp, 0));
                }
                run.timestamp = timestamp;
            } else if timestamp != run.timestamp {
                return Ok(run);
            }
            let origin = u64_at(message, ORIGIN_TIMESTAMP);
            let earliest = run.origin_timestamp.min(origin);
            let batch_length = run.batch_length + length - HEADER_BYTES + FRAME_HEADER_BYTES;
            if run.count > 0 && latest.max(origin) - earliest > u32::MAX.into() {
                run.end = RunEnd::Time;
                return Ok(run);
            }
            if run.count > 0 && batch_length > MAX_GATHERED_BYTES {
                run.end = RunEnd::Length;
                return Ok(run);
            }
            (run.origin_timestamp, latest) = (earliest, latest.max(origin));
            run.batch_length = batch_length;
            run.source_length += length;
            run.count += 1;
        }
    }

    fn write(&self, source: &[u8], room: &mut [u8], base_offset: u64, hash: &mut BatchHash) {
        let (header, mut frames) = room
            .split_first_chunk_mut::<BATCH_HEADER_BYTES>()
            .expect("room for a batch header");
        *header = [0; BATCH_HEADER_BYTES];
        put(header, batch::BASE_OFFSET, base_offset);
        put(header, batch::BASE_TIMESTAMP, self.timestamp);
        put(header, batch::ORIGIN_TIMESTAMP, self.origin_timestamp);
        put(header, batch::LENGTH, self.batch_length as u64);
        put(header, batch::MESSAGE_COUNT, self.count as u64);
        hash.start(header, false);
        let mut messages = source;
        for index in 0..self.count {
            let body = u32_at(messages, PAYLOAD_LENGTH) + u32_at(messages, USER_HEADERS_LENGTH);
            let (message, later) = messages.split_at(HEADER_BYTES + body as usize);
            let (whole, rest) = frames.split_at_mut(FRAME_HEADER_BYTES + body as usize);
            hash.add_frame(self.write_frame(message, whole, index));
            (messages, frames) = (later, rest);
        }
        put(header, batch::CHECKSUM, hash.finish());
    }

    #[inline]
    fn write_frame(&self, message: &[u8], whole: &mut [u8], index: usize) -> u64 {
        let delta = u64_at(message, ORIGIN_TIMESTAMP) - self.origin_timestamp;
        whole[frame::ID..frame::OFFSET_DELTA].copy_from_slice(&message[ID..OFFSET]);
        put(whole, frame::OFFSET_DELTA, delta << 32 | index as u64);
        // Both lengths: they lie side by side in the same order.
        let lengths = u64_at(message, USER_HEADERS_LENGTH);
        put(whole, frame::USER_HEADERS_LENGTH, lengths);
        put(whole, frame::RESERVED, 0);
        whole[FRAME_HEADER_BYTES..].copy_from_slice(&message[HEADER_BYTES..]);
        let checksum = frame_checksum(whole);
        put(whole, frame::CHECKSUM, checksum);
        checksum
    }
}

/// Checks the message at the start of `rest`, apart from its append time. Returns its length, or
/// the reason why it is not valid and, for [`Stop::Partial`], how many bytes would decide more.
#[inline]
pub(super) fn check(rest: &[u8], expected_offset: u64) -> Result<usize, (Stop, usize)> {
    if rest.len() < HEADER_BYTES {
        return Err(if are_zeros(rest) {
            (Stop::Zeros, 0)
        } else {
            (Stop::Partial, HEADER_BYTES)
        });
    }
    let header = Header::at(rest, 0);
    // A checksum of 0 is rare: for the others the 64 bytes need not be compared.
    if header.checksum == 0 && are_zeros(&rest[..HEADER_BYTES]) {
        return Err((Stop::Zeros, 0));
    }
    if !header.has_plausible_lengths() {
        return Err((Stop::Length, 0));
    }
    if header.reserved != 0 {
        return Err((Stop::Reserved, 0));
    }
    if header.offset != expected_offset || expected_offset > MAX_SAFE_INTEGER {
        return Err((Stop::Offset, 0));
    }
    let total = header.total();
    if total > rest.len() {
        return Err((Stop::Partial, total));
    }
    if header.checksum != checksum(&rest[..total]) {
        return Err((Stop::FrameChecksum, 0));
    }
    Ok(total)
}

//! Expanding: batches become messages with a header each, and the entries of their index.

use super::header::{CHECKSUM, HEADER_BYTES, ID, OFFSET, ORIGIN_TIMESTAMP, RESERVED, TIMESTAMP};
use super::header::{USER_HEADERS_LENGTH, checksum};
use crate::codec::layout::{BATCH_HEADER_BYTES, BatchHeader, FRAME_HEADER_BYTES, FrameHeader};
use crate::codec::layout::{batch, frame, put, u32_at, u64_at};

/// Bytes of an index entry.
pub const INDEX_ENTRY_BYTES: usize = 16;

/// How far expanding has come; another call goes on from here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expanded {
    /// Where the next batch begins in the source.
    pub source_end: usize,
    /// Where the next message begins in the target.
    pub target_end: usize,
    /// Where the next message begins in the target's segment.
    pub position: u64,
    /// Number of messages, and of index entries.
    pub count: usize,
    /// Number of batches.
    pub batch_count: usize,
}

/// The segment that is written.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// Offset of its first message.
    pub first_offset: u64,
    /// No batch begins at this position or after it.
    pub limit: u64,
}

/// Why expanding stopped; the numbers cross the border.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum ExpandStop {
    /// The source is used up.
    End = 0,
    /// The next batch belongs to another segment.
    Limit = 1,
    /// The target or the index has no room for the next batch.
    Full = 2,
    /// The positions of the next batch do not fit a u32.
    Position = 3,
}

/// Expands the batches in `source` from `progress.source_end`, which a scan has found valid.
///
/// Whole batches only. Returns the reason to stop, and for [`ExpandStop::Full`] the bytes and the
/// number of messages of the next batch, else 0. Returns `None` where the source is not batches
/// back to back, or `progress` lies outside.
pub fn expand(
    source: &[u8],
    segment: Segment,
    target: &mut [u8],
    index: &mut [u8],
    progress: &mut Expanded,
) -> Option<(ExpandStop, [usize; 2])> {
    if progress.target_end > target.len() {
        return None;
    }
    loop {
        let rest = source.get(progress.source_end..)?;
        if rest.is_empty() {
            return Some((ExpandStop::End, [0, 0]));
        }
        if progress.position >= segment.limit {
            return Some((ExpandStop::Limit, [0, 0]));
        }
        let header_bytes: &[u8; BATCH_HEADER_BYTES] = rest.first_chunk()?;
        let header = BatchHeader::parse(header_bytes).ok()?;
        let whole = rest.get(..header.length.try_into().ok()?)?;
        let count = header.message_count as usize;
        let frames = whole.len() - BATCH_HEADER_BYTES;
        let expanded = frames + count * (HEADER_BYTES - FRAME_HEADER_BYTES);
        if progress.position + expanded as u64 > u32::MAX.into() {
            return Some((ExpandStop::Position, [0, 0]));
        }
        let entries_start = progress.count * INDEX_ENTRY_BYTES;
        let room = target[progress.target_end..].get_mut(..expanded);
        let entries = index
            .get_mut(entries_start..)
            .and_then(|rest| rest.get_mut(..count * INDEX_ENTRY_BYTES));
        let (Some(room), Some(entries)) = (room, entries) else {
            return Some((ExpandStop::Full, [expanded, count]));
        };
        write(
            whole,
            &header,
            segment.first_offset,
            progress.position,
            room,
            entries,
        )?;
        progress.source_end += whole.len();
        progress.target_end += expanded;
        progress.position += expanded as u64;
        progress.count += count;
        progress.batch_count += 1;
    }
}

/// Writes the messages of a batch, and their index entries.
fn write(
    whole: &[u8],
    header: &BatchHeader,
    first_offset: u64,
    position: u64,
    room: &mut [u8],
    entries: &mut [u8],
) -> Option<()> {
    let origin_timestamp = u64_at(whole, batch::ORIGIN_TIMESTAMP);
    let (mut frames, mut rest) = (&whole[BATCH_HEADER_BYTES..], room);
    let mut end = position;
    let entries = entries.chunks_exact_mut(INDEX_ENTRY_BYTES);
    for (number, entry) in entries.enumerate() {
        let length = FrameHeader::parse(frames, number as u32).ok()?.length;
        let (from, later) = frames.split_at_checked(length)?;
        let (message, after) =
            rest.split_at_mut_checked(length - FRAME_HEADER_BYTES + HEADER_BYTES)?;
        let offset = header.base_offset + number as u64;
        let delta = u32_at(from, frame::OFFSET_DELTA + 4);
        message[ID..OFFSET].copy_from_slice(&from[frame::ID..frame::OFFSET_DELTA]);
        put(message, OFFSET, offset);
        put(message, TIMESTAMP, header.base_timestamp);
        let origin = origin_timestamp.checked_add(delta.into())?;
        put(message, ORIGIN_TIMESTAMP, origin);
        // Both lengths: they lie side by side in the same order.
        let lengths = u64_at(from, frame::USER_HEADERS_LENGTH);
        put(message, USER_HEADERS_LENGTH, lengths);
        put(message, RESERVED, 0);
        message[HEADER_BYTES..].copy_from_slice(&from[FRAME_HEADER_BYTES..]);
        let hash = checksum(message);
        put(message, CHECKSUM, hash);
        end += message.len() as u64;
        let relative_offset = offset.checked_sub(first_offset)? & u64::from(u32::MAX);
        put(entry, 0, end << 32 | relative_offset);
        put(entry, 8, header.base_timestamp);
        (frames, rest) = (later, after);
    }
    frames.is_empty().then_some(())
}

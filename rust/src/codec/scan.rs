//! Scanning: which batches of a block are valid, and why the first other one is not.

use super::MAX_SAFE_INTEGER;
use super::batch_hash::{BatchHash, frame_checksum};
use super::layout::{BATCH_HEADER_BYTES, BatchHeader, FrameHeader, are_zeros, visit_frame_headers};

/// Why a scan, or gathering ([`super::legacy`]), stopped; the numbers cross the border.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Stop {
    /// The bytes are used up exactly.
    End = 0,
    /// The batch ends after the bytes; the part that is there is plausible.
    Partial = 1,
    /// A header of zeros, or nothing but zeros in the last bytes: nothing was written there.
    Zeros = 2,
    /// The length of the batch, of a payload or of user headers is out of its bounds.
    Length = 3,
    /// Reserved bytes, the flags or the producer section of the batch header are wrong.
    Reserved = 4,
    /// The frames do not tile the batch, are out of order, or there are none.
    Count = 5,
    /// The offset is not the expected one, or above [`MAX_SAFE_INTEGER`].
    Offset = 6,
    /// The append time is below that of the batch before, or above [`MAX_SAFE_INTEGER`].
    Timestamp = 7,
    /// The checksum of a frame is wrong.
    FrameChecksum = 8,
    /// The checksum of the batch is wrong.
    BatchChecksum = 9,
    /// There is no room for the next batch, or for its results.
    Full = 10,
}

/// How far a scan has come; a scan with room for more results goes on from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Where the last valid batch ends, and at first where the scan starts.
    pub end: usize,
    /// Offset that the next batch must have; at most [`MAX_SAFE_INTEGER`] + 1.
    pub next_offset: u64,
    /// Append time of the last valid batch, and at first the lower bound of all.
    pub last_timestamp: u64,
    /// Number of messages.
    pub count: usize,
    /// Number of batches.
    pub batch_count: usize,
}

/// Room for the results of a scan.
pub struct Results<'a> {
    /// For each message, where its frame begins.
    pub starts: &'a mut [u32],
    /// For each message, the length of its payload.
    pub lengths: &'a mut [u32],
    /// For each batch, where its header begins.
    pub batch_starts: &'a mut [u32],
    /// For each batch, the number of its first message.
    pub batch_firsts: &'a mut [u32],
}

/// Checks the batches that lie back to back from `progress.end`, and adds what it finds to
/// `results` and `progress`.
///
/// Returns the reason to stop, and for [`Stop::Partial`] how many bytes from `progress.end` would
/// decide more, for [`Stop::Full`] the number of messages in the next batch, else 0. Returns `None`
/// where `progress` does not fit the bytes or the results.
pub fn scan(
    bytes: &[u8],
    progress: &mut Progress,
    results: &mut Results<'_>,
) -> Option<(Stop, u64)> {
    let fits = progress.end <= bytes.len()
        && u32::try_from(bytes.len()).is_ok()
        && results.starts.len() == results.lengths.len()
        && results.batch_starts.len() == results.batch_firsts.len()
        && progress.count <= results.starts.len()
        && progress.batch_count <= results.batch_starts.len();
    if !fits {
        return None;
    }
    let mut hash = BatchHash::new();
    loop {
        if let Err(stopped) = add_batch(bytes, progress, results, &mut hash) {
            return Some(stopped);
        }
    }
}

/// Checks the batch at `progress.end` and adds it.
fn add_batch(
    bytes: &[u8],
    progress: &mut Progress,
    results: &mut Results<'_>,
    hash: &mut BatchHash,
) -> Result<(), (Stop, u64)> {
    let start = progress.end;
    let rest = &bytes[start..];
    let (header_bytes, header) = checked_header(rest, progress)?;
    let Some(batch) = usize::try_from(header.length)
        .ok()
        .and_then(|length| rest.get(..length))
    else {
        visit_frame_headers(rest, &header, |_| true).map_err(|stop| (stop, 0))?;
        return Err((Stop::Partial, header.length));
    };
    let (first, count) = (progress.count, header.message_count as usize);
    if count > results.starts.len() - first || progress.batch_count == results.batch_starts.len() {
        return Err((Stop::Full, header.message_count.into()));
    }
    let starts = &mut results.starts[first..first + count];
    let lengths = &mut results.lengths[first..first + count];
    hash.start(header_bytes, header.has_producer);
    check_frames(batch, start, starts, lengths, hash).map_err(|stop| (stop, 0))?;
    if hash.finish() != header.checksum {
        return Err((Stop::BatchChecksum, 0));
    }
    results.batch_starts[progress.batch_count] = start as u32;
    results.batch_firsts[progress.batch_count] = first as u32;
    *progress = Progress {
        end: start + batch.len(),
        next_offset: header.base_offset + count as u64,
        last_timestamp: header.base_timestamp,
        count: first + count,
        batch_count: progress.batch_count + 1,
    };
    Ok(())
}

/// Reads the batch header at the start of `rest`, and checks it without its checksum.
#[inline]
fn checked_header<'a>(
    rest: &'a [u8],
    progress: &Progress,
) -> Result<(&'a [u8; BATCH_HEADER_BYTES], BatchHeader), (Stop, u64)> {
    let Some(header_bytes) = rest.first_chunk() else {
        return Err(match rest {
            [] => (Stop::End, 0),
            _ if are_zeros(rest) => (Stop::Zeros, 0),
            _ => (Stop::Partial, BATCH_HEADER_BYTES as u64),
        });
    };
    let header = BatchHeader::parse(header_bytes).map_err(|stop| (stop, 0))?;
    if header.base_offset != progress.next_offset || !header.is_offset_safe() {
        return Err((Stop::Offset, 0));
    }
    if header.base_timestamp < progress.last_timestamp || header.base_timestamp > MAX_SAFE_INTEGER {
        return Err((Stop::Timestamp, 0));
    }
    Ok((header_bytes, header))
}

/// Checks all frames of `batch`, which begins at `start` in the bytes, and collects their positions
/// and checksums.
#[inline]
fn check_frames(
    batch: &[u8],
    start: usize,
    starts: &mut [u32],
    lengths: &mut [u32],
    hash: &mut BatchHash,
) -> Result<(), Stop> {
    let mut at = BATCH_HEADER_BYTES;
    for (index, (frame_start, payload_length)) in starts.iter_mut().zip(lengths).enumerate() {
        let rest = &batch[at..];
        let header = FrameHeader::parse(rest, index as u32)?;
        let frame = rest.get(..header.length).ok_or(Stop::Count)?;
        if header.checksum != frame_checksum(frame) {
            return Err(Stop::FrameChecksum);
        }
        hash.add_frame(header.checksum);
        *frame_start = (start + at) as u32;
        *payload_length = header.payload_length;
        at += header.length;
    }
    if at == batch.len() {
        Ok(())
    } else {
        Err(Stop::Count)
    }
}

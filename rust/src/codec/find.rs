//! Finding: the first valid batch in damaged bytes.
//!
//! A batch header ends with 184 zero bytes, and before them its length and its message count are
//! not 0. So a header at `p` implies a run of zeros that includes `[p + 72, p + 256)` and begins in
//! `(p + 48, p + 72]`: a run of zeros that begins at `a` has at most 24 candidates before it,
//! however long it is. The search looks for such runs:
//!
//! ```text
//! window = [at, at + 184)
//! loop
//!     x = last byte of the window that is not 0   // random bytes: in the first word that is read
//!     if there is one: at = x + 1                  // no run of 184 zeros includes x
//!     else: try the 24 candidates; at = end of the run
//! ```
//!
//! Each byte is read at most once, and of random bytes only one word in 184 bytes. A candidate is
//! tested in the order of cost: the fields of its header, the headers of its frames, the batch
//! checksum (which covers the header and the frames' checksums), and only then the payloads.
//!
//! Bytes can be made to hold many batches that overlap and fail at their last payload only. Their
//! tests have a budget that is proportional to the bytes; a search that has spent it stops and
//! reports the candidate as undecided.

use std::ops::{Range, RangeInclusive};

use super::MAX_SAFE_INTEGER;
use super::batch_hash::{BatchHash, frame_checksum};
use super::layout::{
    BATCH_HEADER_BYTES, BatchHeader, FrameHeader, Tiling, batch, visit_frame_headers, zeros,
};

/// Bytes of zeros at the end of a header.
const ZERO_BYTES: usize = BATCH_HEADER_BYTES - batch::RESERVED;
/// Cost of reading a frame header, in bytes that could be hashed in the same time.
const FRAME_COST: u64 = 64;
/// The budget, as a multiple of the bytes that are searched. A single batch costs less than 3 times
/// its bytes.
const BUDGET_FACTOR: u64 = 32;

/// Result of a search.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Position of the first valid batch or message.
    pub valid: Option<usize>,
    /// Position and length of the first candidate before it that these bytes do not decide: its
    /// header and the frame headers that are there are plausible, but it ends after the bytes, or
    /// the search has spent its budget.
    pub beyond: Option<(usize, u64)>,
}

/// Searches for the first valid batch at or after `start`, at any byte, whose base offset lies in
/// `offsets`.
pub fn find(bytes: &[u8], start: usize, offsets: RangeInclusive<u64>) -> Found {
    let mut search = Search {
        bytes,
        offsets,
        budget: BUDGET_FACTOR * bytes.len() as u64,
        hash: BatchHash::new(),
        found: Found::default(),
    };
    let runs = ZeroRuns {
        bytes,
        at: start,
        zeros_until: start,
    };
    for run in runs {
        // The count at 48 is not all zeros, and the zeros begin at 72 at the latest.
        let first = start.max(run.start.saturating_sub(batch::RESERVED));
        for at in first..(run.start + 1).saturating_sub(batch::MESSAGE_COUNT + 1) {
            if at + BATCH_HEADER_BYTES > run.end {
                break;
            }
            match search.test(at) {
                Verdict::Invalid => {}
                Verdict::Beyond(length) => {
                    search.found.beyond.get_or_insert((at, length));
                }
                Verdict::Valid => {
                    search.found.valid = Some(at);
                    return search.found;
                }
                Verdict::Undecided(length) => {
                    search.found.beyond.get_or_insert((at, length));
                    return search.found;
                }
            }
        }
    }
    search.found
}

/// Iterates over the runs of at least [`ZERO_BYTES`] zeros.
struct ZeroRuns<'a> {
    bytes: &'a [u8],
    /// Where the next run begins at the earliest; the byte before it is not 0, or is not searched.
    at: usize,
    /// Bytes from `at` to here are known to be 0.
    zeros_until: usize,
}

impl Iterator for ZeroRuns<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        loop {
            let window_end = self.at.checked_add(ZERO_BYTES)?;
            let unknown = self.at.max(self.zeros_until);
            let window = self.bytes.get(unknown..window_end)?;
            if let Some(last) = last_nonzero(window) {
                self.zeros_until = window_end;
                self.at = unknown + last + 1;
                continue;
            }
            let run = self.at..window_end + zeros(self.bytes, window_end);
            // The byte at its end is not 0.
            self.at = run.end + 1;
            self.zeros_until = self.at;
            return Some(run);
        }
    }
}

/// Returns the position of the last byte that is not 0.
#[inline]
pub fn last_nonzero(bytes: &[u8]) -> Option<usize> {
    let words = bytes.rchunks_exact(8);
    let head = words.remainder();
    let mut word_end = bytes.len();
    for word in words {
        let word = u64::from_le_bytes(word.try_into().expect("8 bytes"));
        if word != 0 {
            return Some(word_end - 1 - word.leading_zeros() as usize / 8);
        }
        word_end -= 8;
    }
    head.iter().rposition(|byte| *byte != 0)
}

enum Verdict {
    Invalid,
    Valid,
    /// It may be valid, but ends after the bytes.
    Beyond(u64),
    /// The budget is spent.
    Undecided(u64),
}

struct Search<'a> {
    bytes: &'a [u8],
    offsets: RangeInclusive<u64>,
    budget: u64,
    hash: BatchHash,
    found: Found,
}

impl Search<'_> {
    /// Tests whether a valid batch begins at `at`, where a whole header lies.
    fn test(&mut self, at: usize) -> Verdict {
        let rest = &self.bytes[at..];
        let header_bytes: &[u8; BATCH_HEADER_BYTES] = rest.first_chunk().expect("a whole header");
        let Ok(header) = BatchHeader::parse(header_bytes) else {
            return Verdict::Invalid;
        };
        let is_beyond = header.length > rest.len() as u64;
        if !self.offsets.contains(&header.base_offset)
            || !header.is_offset_safe()
            || header.base_timestamp > MAX_SAFE_INTEGER
            // Only the first one counts.
            || is_beyond && self.found.beyond.is_some()
        {
            return Verdict::Invalid;
        }
        self.hash.start(header_bytes, header.has_producer);
        match self.test_frame_headers(rest, &header) {
            Verdict::Valid if is_beyond => Verdict::Beyond(header.length),
            Verdict::Valid => self.test_payloads(rest, &header),
            other => other,
        }
    }

    /// Tests the frame headers and the batch checksum, as far as they lie within `rest`.
    fn test_frame_headers(&mut self, rest: &[u8], header: &BatchHeader) -> Verdict {
        let tiling = visit_frame_headers(rest, header, |frame| {
            self.hash.add_frame(frame.checksum);
            self.spend(FRAME_COST)
        });
        match tiling {
            Ok(Tiling::Whole) if self.hash.finish() == header.checksum => Verdict::Valid,
            Ok(Tiling::Visible) => Verdict::Beyond(header.length),
            Ok(Tiling::Stopped) => Verdict::Undecided(header.length),
            _ => Verdict::Invalid,
        }
    }

    /// Tests the frame checksums of a batch whose frame headers tile it.
    fn test_payloads(&mut self, rest: &[u8], header: &BatchHeader) -> Verdict {
        let mut frames = &rest[BATCH_HEADER_BYTES..header.length as usize];
        for index in 0..header.message_count {
            let frame_header =
                FrameHeader::parse(frames, index).expect("a frame that was tested before");
            if !self.spend(frame_header.length as u64) {
                return Verdict::Undecided(header.length);
            }
            let (frame, later) = frames.split_at(frame_header.length);
            if frame_checksum(frame) != frame_header.checksum {
                return Verdict::Invalid;
            }
            frames = later;
        }
        Verdict::Valid
    }

    fn spend(&mut self, cost: u64) -> bool {
        let left = self.budget.checked_sub(cost);
        self.budget = left.unwrap_or(0);
        left.is_some()
    }
}

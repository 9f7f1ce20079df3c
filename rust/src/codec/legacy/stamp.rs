//! Stamping: the headers, checksums and index entries of a run of payloads.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

use super::header::{
    CHECKSUM, HEADER_BYTES, ID, MAX_PAYLOAD_BYTES, MAX_USER_HEADERS_BYTES, OFFSET, ORIGIN_TIMESTAMP,
    RESERVED, TIMESTAMP, USER_HEADERS_LENGTH, checksum,
};
use super::{MAX_SAFE_INTEGER, whole};

/// Bytes of an index entry: number in the segment (u32), end position (u32), timestamp (u64).
pub const INDEX_ENTRY_BYTES: usize = 16;
/// Bytes of a [`Context`] as it crosses the border.
pub const CONTEXT_BYTES: usize = 64;
/// Flag of a record: its id's 16 bytes are already in the header's place. A zero id counts as not given.
pub const RECORD_ID_GIVEN: u32 = 1 << 31;
/// Flag of a record: its origin timestamp is already in the header's place.
pub const RECORD_ORIGIN_GIVEN: u32 = 1 << 30;

/// What a run of messages is stamped with.
#[derive(Clone, Debug)]
pub struct Context {
    /// Offset of the first message.
    pub first_offset: u64,
    /// Time of all of them, in microseconds since the epoch.
    pub timestamp: u64,
    /// Number of the first one's index entry in its segment.
    pub relative_offset: u64,
    /// Where in the segment's log the run starts, in bytes.
    pub position: u64,
    /// What the random ids are drawn from.
    pub seed: [u8; 32],
}

impl Context {
    /// Reads four `f64` and the seed; `None` where a number is no integer of its range.
    pub fn parse(bytes: &[u8; CONTEXT_BYTES]) -> Option<Self> {
        let number = |i: usize| f64::from_le_bytes(bytes[8 * i..8 * i + 8].try_into().expect("8 bytes"));
        Some(Self {
            first_offset: whole(number(0), MAX_SAFE_INTEGER)?,
            timestamp: whole(number(1), MAX_SAFE_INTEGER)?,
            relative_offset: whole(number(2), u32::MAX.into())?,
            position: whole(number(3), u32::MAX.into())?,
            seed: bytes[32..].try_into().expect("32 bytes"),
        })
    }
}

/// Writes the header of every record of the run that starts at `start`, and its index entry.
///
/// `records` has two words a record: the payload's length, and the user headers' length with the flags. Both lie in
/// `bytes` already, behind room for the header. Answers `None`, having written nothing, where the run does not fit
/// `bytes`, `index`, the format's maxima or the context's ranges.
pub fn stamp(
    bytes: &mut [u8],
    start: usize,
    records: &[u32],
    index: &mut [u8],
    context: &Context,
) -> Option<()> {
    let records = records.chunks_exact(2).map(|words| (words[0], words[1]));
    let count = records.len() as u64;
    let run_end = run_end(start, records.clone())?;
    let fits = run_end <= bytes.len() as u64
        && count <= (index.len() / INDEX_ENTRY_BYTES) as u64
        && context.first_offset + count <= MAX_SAFE_INTEGER + 1
        && context.relative_offset + count <= 1 << 32
        && context.position + (run_end - start as u64) <= u32::MAX.into();
    if !fits {
        return None;
    }
    let mut random = Xoshiro256PlusPlus::from_seed(context.seed);
    let mut at = start;
    for (i, ((payload_length, word), entry)) in
        records.zip(index.chunks_exact_mut(INDEX_ENTRY_BYTES)).enumerate()
    {
        let user_headers_length = word & !(RECORD_ID_GIVEN | RECORD_ORIGIN_GIVEN);
        let end = at + HEADER_BYTES + payload_length as usize + user_headers_length as usize;
        let message = &mut bytes[at..end];
        let header: &mut [u8; HEADER_BYTES] = message.first_chunk_mut().expect("64 bytes");
        if word & RECORD_ID_GIVEN == 0 || header[ID..OFFSET].iter().all(|byte| *byte == 0) {
            let [first, second] = random_id(&mut random);
            put(header, ID, first);
            put(header, ID + 8, second);
        }
        put(header, OFFSET, context.first_offset + i as u64);
        put(header, TIMESTAMP, context.timestamp);
        if word & RECORD_ORIGIN_GIVEN == 0 {
            put(header, ORIGIN_TIMESTAMP, context.timestamp);
        }
        // In one store, for the hash reads both lengths at once: after two of them it would wait until they are in the cache.
        let lengths = u64::from(payload_length) << 32 | u64::from(user_headers_length);
        put(header, USER_HEADERS_LENGTH, lengths);
        put(header, RESERVED, 0);
        let checksum = checksum(message);
        message[CHECKSUM..ID].copy_from_slice(&checksum.to_le_bytes());
        // Both fit a u32: checked above for the last record, which has the largest.
        let number = (context.relative_offset + i as u64) as u32;
        let position = (context.position + (end - start) as u64) as u32;
        write_entry(entry, number, position, context.timestamp);
        at = end;
    }
    Some(())
}

/// Where the run ends in the bytes; `None` where a length is above its maximum. At most 2^32 records of less than
/// 2^27 bytes, so the sum never wraps.
fn run_end(start: usize, records: impl Iterator<Item = (u32, u32)>) -> Option<u64> {
    let mut end = start as u64;
    for (payload_length, word) in records {
        let user_headers_length = word & !(RECORD_ID_GIVEN | RECORD_ORIGIN_GIVEN);
        if payload_length > MAX_PAYLOAD_BYTES || user_headers_length > MAX_USER_HEADERS_BYTES {
            return None;
        }
        end += HEADER_BYTES as u64 + u64::from(payload_length) + u64::from(user_headers_length);
    }
    Some(end)
}

/// Writes eight bytes of a header: as wide as the hash reads them.
#[inline]
fn put(header: &mut [u8; HEADER_BYTES], at: usize, value: u64) {
    header[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

fn write_entry(entry: &mut [u8], number: u32, position: u32, timestamp: u64) {
    entry[..4].copy_from_slice(&number.to_le_bytes());
    entry[4..8].copy_from_slice(&position.to_le_bytes());
    entry[8..].copy_from_slice(&timestamp.to_le_bytes());
}

/// A random UUID v4 (RFC 9562, section 5.4) as two little-endian words: 122 random bits, version 4, variant binary 10.
#[inline]
fn random_id(random: &mut Xoshiro256PlusPlus) -> [u64; 2] {
    let (version, variant) = (random.next_u64(), random.next_u64());
    [version & !(0xf0 << 48) | 0x40 << 48, variant & !0xc0 | 0x80]
}

//! Sealing: the frame headers and batch headers of everything in one write block.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

use super::batch_hash::{BatchHash, frame_checksum};
use super::layout::{
    BATCH_HEADER_BYTES, FRAME_HEADER_BYTES, MAX_BATCH_BYTES, are_zeros, batch, frame, put, u64_at,
};
use super::records::{
    RECORD_BATCH_START, RECORD_BYTES, RECORD_ID_GIVEN, RECORD_ORIGIN_GIVEN, Record,
};
use super::{MAX_SAFE_INTEGER, whole};

/// Bytes of a [`Run`] as it crosses the border: five numbers, room for the result, the seed.
pub const SEAL_CONTEXT_BYTES: usize = 80;
const SEED: usize = 48;

/// Parameters for sealing a block.
#[derive(Clone, Debug)]
pub struct Run {
    /// Where the first batch header begins in the block.
    pub start: usize,
    /// Number of messages.
    pub count: usize,
    /// Offset of the first message.
    pub base_offset: u64,
    /// Append time of all batches, in microseconds since the epoch.
    pub base_timestamp: u64,
    /// Partition that the batches belong to.
    pub partition_id: u64,
    /// Source of the random ids.
    pub seed: [u8; 32],
}

impl Run {
    /// Reads five `f64` and the seed; `None` where a number is no integer of its range.
    pub fn parse(bytes: &[u8; SEAL_CONTEXT_BYTES]) -> Option<Self> {
        let number = |i: usize, max| whole(f64::from_bits(u64_at(bytes, 8 * i)), max);
        Some(Self {
            start: number(0, u32::MAX.into())? as usize,
            count: number(1, u32::MAX.into())? as usize,
            base_offset: number(2, MAX_SAFE_INTEGER)?,
            base_timestamp: number(3, MAX_SAFE_INTEGER)?,
            partition_id: number(4, MAX_SAFE_INTEGER)?,
            seed: bytes[SEED..].try_into().expect("32 bytes"),
        })
    }
}

/// Writes the frame headers and batch headers of the messages in `block`, and returns where the
/// last batch ends.
///
/// The block has frames from `run.start` up and records from its end down. The first message begins
/// a batch. For each message, the payload and the user headers lie 48 bytes after the start of its
/// frame. Returns `None`, with nothing written, where the messages do not fit or a number is out of
/// its range.
pub fn seal(block: &mut [u8], run: &Run) -> Option<usize> {
    let record_bytes = run.count.checked_mul(RECORD_BYTES)?;
    let frames_end = block.len().checked_sub(record_bytes)?;
    let fits = block.len().is_multiple_of(RECORD_BYTES)
        && run.start <= frames_end
        && run.base_timestamp <= MAX_SAFE_INTEGER
        && run.base_offset.checked_add(run.count as u64)? <= MAX_SAFE_INTEGER + 1;
    if !fits {
        return None;
    }
    let (frames, records) = block.split_at_mut(frames_end);
    let end = planned_end(frames, records, run)?;

    let mut sealer = Sealer {
        random: Xoshiro256PlusPlus::from_seed(run.seed),
        hash: BatchHash::new(),
        run,
    };
    let (mut rest, mut left) = (&mut frames[run.start..end], &records[..]);
    let mut base_offset = run.base_offset;
    while !left.is_empty() {
        let plan = Plan::new(rest, left, run.base_timestamp).expect("planned before");
        let (this, later) = rest.split_at_mut(plan.length);
        sealer.write(this, left, &plan, base_offset);
        rest = later;
        left = &left[..left.len() - plan.count * RECORD_BYTES];
        base_offset += plan.count as u64;
    }
    Some(end)
}

/// Checks every batch of the block, and returns where the last one ends.
fn planned_end(frames: &[u8], records: &[u8], run: &Run) -> Option<usize> {
    let (mut end, mut left) = (run.start, records);
    let first = Record::all(records).next();
    if first.is_some_and(|first| !first.has(RECORD_BATCH_START)) {
        return None;
    }
    while !left.is_empty() {
        let plan = Plan::new(&frames[end..], left, run.base_timestamp)?;
        end += plan.length;
        left = &left[..left.len() - plan.count * RECORD_BYTES];
    }
    Some(end)
}

/// The extent of a batch.
struct Plan {
    count: usize,
    length: usize,
    /// The smallest producer time.
    origin_timestamp: u64,
}

impl Plan {
    /// Measures the batch at the start of `rest`, whose first message has the last of `records`.
    fn new(rest: &[u8], records: &[u8], base_timestamp: u64) -> Option<Self> {
        let (mut count, mut length) = (0, BATCH_HEADER_BYTES);
        let (mut earliest, mut latest) = (u64::MAX, 0);
        for record in Record::all(records) {
            if count > 0 && record.has(RECORD_BATCH_START) {
                break;
            }
            let frame = length;
            if !record.is_valid() {
                return None;
            }
            length += record.frame_length();
            if length > rest.len() || length > MAX_BATCH_BYTES {
                return None;
            }
            let time = producer_time(&rest[frame..], record, base_timestamp);
            (earliest, latest) = (earliest.min(time), latest.max(time));
            count += 1;
        }
        (latest - earliest <= u32::MAX.into()).then_some(Self {
            count,
            length,
            origin_timestamp: earliest,
        })
    }
}

/// Returns the time that the producer gave in the room of the frame header, or the append time.
#[inline]
fn producer_time(header: &[u8], record: Record, base_timestamp: u64) -> u64 {
    if record.has(RECORD_ORIGIN_GIVEN) {
        u64_at(header, frame::RESERVED)
    } else {
        base_timestamp
    }
}

/// Writes headers, batch after batch.
struct Sealer<'a> {
    random: Xoshiro256PlusPlus,
    hash: BatchHash,
    run: &'a Run,
}

impl Sealer<'_> {
    fn write(&mut self, whole: &mut [u8], records: &[u8], plan: &Plan, base_offset: u64) {
        let (header, mut frames) = whole
            .split_first_chunk_mut()
            .expect("room for a batch header");
        self.write_batch_header(header, plan, base_offset);
        self.hash.start(header, false);
        for (index, record) in Record::all(records).take(plan.count).enumerate() {
            let (this, later) = frames.split_at_mut(record.frame_length());
            let checksum = self.write_frame(this, record, index as u32, plan.origin_timestamp);
            self.hash.add_frame(checksum);
            frames = later;
        }
        put(header, batch::CHECKSUM, self.hash.finish());
    }

    fn write_batch_header(
        &self,
        header: &mut [u8; BATCH_HEADER_BYTES],
        plan: &Plan,
        base_offset: u64,
    ) {
        *header = [0; BATCH_HEADER_BYTES];
        put(header, batch::PARTITION_ID, self.run.partition_id);
        put(header, batch::BASE_OFFSET, base_offset);
        put(header, batch::BASE_TIMESTAMP, self.run.base_timestamp);
        put(header, batch::ORIGIN_TIMESTAMP, plan.origin_timestamp);
        put(header, batch::LENGTH, plan.length as u64);
        // The flags after the count are 0: there is no producer section.
        put(header, batch::MESSAGE_COUNT, plan.count as u64);
    }

    #[inline]
    fn write_frame(
        &mut self,
        whole: &mut [u8],
        record: Record,
        index: u32,
        origin_timestamp: u64,
    ) -> u64 {
        let header: &mut [u8; FRAME_HEADER_BYTES] = whole.first_chunk_mut().expect("48 bytes");
        let time = producer_time(header, record, self.run.base_timestamp);
        if !record.has(RECORD_ID_GIVEN) || are_zeros(&header[frame::ID..frame::OFFSET_DELTA]) {
            let [first, second] = random_id(&mut self.random);
            put(header, frame::ID, first);
            put(header, frame::ID + 8, second);
        }
        // Two fields in one store, for the hash reads both at once: after two stores it would wait
        // for the cache.
        let deltas = (time - origin_timestamp) << 32 | u64::from(index);
        put(header, frame::OFFSET_DELTA, deltas);
        let [payload, headers] = [record.payload_length, record.user_headers_length()];
        let lengths = u64::from(payload) << 32 | u64::from(headers);
        put(header, frame::USER_HEADERS_LENGTH, lengths);
        put(header, frame::RESERVED, 0);
        let checksum = frame_checksum(whole);
        put(whole, frame::CHECKSUM, checksum);
        checksum
    }
}

/// Draws a random UUID v4 (RFC 9562, section 5.4) as two little-endian words: 122 random bits,
/// version 4, variant binary 10.
#[inline]
fn random_id(random: &mut Xoshiro256PlusPlus) -> [u64; 2] {
    let (version, variant) = (random.next_u64(), random.next_u64());
    [version & !(0xf0 << 48) | 0x40 << 48, variant & !0xc0 | 0x80]
}

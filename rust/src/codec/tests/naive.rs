//! A plain writer of batches, and a check of them: Apache Iggy's decoder, plus the rules that it
//! does not check.

use iggy_binary_protocol::batch::decode_batch_slice;
use twox_hash::XxHash3_64;

use crate::codec::{MAX_PAYLOAD_BYTES, MAX_SAFE_INTEGER, MAX_USER_HEADERS_BYTES};

/// A time near those of the format's vectors, in microseconds.
pub const TIME: u64 = 1_700_000_000_000_000;

/// Producer id, epoch, base sequence.
pub type Producer = (u64, u16, u32);

/// The fields of a frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    pub id: u128,
    pub timestamp_delta: u32,
    pub payload: Vec<u8>,
    pub user_headers: Vec<u8>,
}

impl Frame {
    pub fn of(payload: &[u8]) -> Self {
        Self {
            id: 1,
            payload: payload.to_vec(),
            ..Self::default()
        }
    }

    pub fn write(&self, index: u32) -> Vec<u8> {
        let mut rest = self.id.to_le_bytes().to_vec();
        rest.extend(index.to_le_bytes());
        rest.extend(self.timestamp_delta.to_le_bytes());
        rest.extend((self.user_headers.len() as u32).to_le_bytes());
        rest.extend((self.payload.len() as u32).to_le_bytes());
        rest.extend([0; 8]);
        rest.extend(&self.payload);
        rest.extend(&self.user_headers);
        let mut all = XxHash3_64::oneshot(&rest).to_le_bytes().to_vec();
        all.extend(rest);
        all
    }
}

/// The fields of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    pub partition_id: u64,
    pub base_offset: u64,
    pub base_timestamp: u64,
    pub origin_timestamp: u64,
    pub producer: Option<Producer>,
    pub frames: Vec<Frame>,
}

impl Batch {
    /// Makes a batch of frames with these payloads.
    pub fn of(base_offset: u64, payloads: &[&[u8]]) -> Self {
        Self {
            base_offset,
            base_timestamp: TIME,
            origin_timestamp: TIME - 1,
            frames: payloads.iter().map(|payload| Frame::of(payload)).collect(),
            ..Self::default()
        }
    }

    pub fn write(&self) -> Vec<u8> {
        let frames: Vec<Vec<u8>> = (0..)
            .zip(&self.frames)
            .map(|(i, frame)| frame.write(i))
            .collect();
        self.write_around(&frames)
    }

    /// Encodes the batch around frames that may be invalid.
    pub fn write_around(&self, frames: &[Vec<u8>]) -> Vec<u8> {
        let length = 256 + frames.iter().map(Vec::len).sum::<usize>();
        let mut bytes = Vec::new();
        for number in [
            self.partition_id,
            self.base_offset,
            self.base_timestamp,
            self.origin_timestamp,
            length as u64,
        ] {
            bytes.extend(number.to_le_bytes());
        }
        let count = (frames.len() as u32).to_le_bytes();
        let mut hashed = [&bytes[..], &count].concat();
        let mut section = vec![0; 20];
        if let Some((id, epoch, sequence)) = self.producer {
            section[0] = 1;
            section[4..12].copy_from_slice(&id.to_le_bytes());
            section[12..14].copy_from_slice(&epoch.to_le_bytes());
            section[16..20].copy_from_slice(&sequence.to_le_bytes());
            hashed.extend([&section[..1], &section[4..14], &section[16..20]].concat());
        }
        for frame in frames {
            hashed.extend(&frame[..8]);
        }
        bytes.extend(XxHash3_64::oneshot(&hashed).to_le_bytes());
        bytes.extend(count);
        bytes.extend(section);
        bytes.resize(256, 0);
        bytes.extend(frames.concat());
        bytes
    }
}

/// Returns length, base offset and base timestamp of the valid batch at the start of `bytes`.
pub fn valid(bytes: &[u8]) -> Option<(usize, u64, u64)> {
    let batch = decode_batch_slice(bytes).ok()?;
    let header = batch.header;
    let frames: Vec<_> = batch.iter().collect();
    let are_good = (0..).zip(&frames).all(|(i, frame)| {
        frame.header.offset_delta == i
            && frame.header.payload_length <= MAX_PAYLOAD_BYTES
            && frame.header.user_headers_length <= MAX_USER_HEADERS_BYTES
    });
    let last = header
        .base_offset
        .checked_add(frames.len() as u64)?
        .checked_sub(1)?;
    let is_good = !frames.is_empty()
        && are_good
        && last <= MAX_SAFE_INTEGER
        && header.base_timestamp <= MAX_SAFE_INTEGER;
    is_good.then_some((
        header.total_size(),
        header.base_offset,
        header.base_timestamp,
    ))
}

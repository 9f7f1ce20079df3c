// What a batch is, as the format's text has it: the model that the fuzz targets compare with.
#![allow(dead_code)]

use twox_hash::XxHash3_64;

const HEADER: usize = 256;
const FRAME_HEADER: usize = 48;

/// A valid batch.
#[derive(Debug, PartialEq)]
pub struct Batch {
    pub length: usize,
    pub base_offset: u64,
    pub base_timestamp: u64,
    /// Where each frame begins in the batch, and the length of its payload.
    pub frames: Vec<(usize, usize)>,
}

pub fn number(bytes: &[u8], at: usize, length: usize) -> u64 {
    bytes[at..at + length]
        .iter()
        .rev()
        .fold(0, |value, byte| value << 8 | u64::from(*byte))
}

fn are_zeros(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// The checksum of a batch with this header, whose frames have these checksums.
fn batch_checksum(header: &[u8], checksums: &[u8]) -> u64 {
    let mut hashed = [&header[..40], &header[48..52]].concat();
    if header[52] == 1 {
        hashed.extend([&[1], &header[56..66], &header[68..72]].concat());
    }
    hashed.extend(checksums);
    XxHash3_64::oneshot(&hashed)
}

/// Makes the checksums of up to `count` batches from `at` right, as far as their lengths lead:
/// chance alone never would.
pub fn repair(bytes: &mut [u8], mut at: usize, count: u8) {
    for _ in 0..count {
        let Some(header) = bytes.get(at..at.saturating_add(HEADER)) else {
            return;
        };
        let (length, messages) = (number(header, 32, 8) as usize, number(header, 48, 4));
        let Some(batch) = bytes
            .get_mut(at..at.saturating_add(length))
            .filter(|batch| batch.len() >= HEADER)
        else {
            return;
        };
        let (mut frame, mut checksums) = (HEADER, Vec::new());
        for _ in 0..messages {
            if frame + FRAME_HEADER > length {
                break;
            }
            let end = frame
                + FRAME_HEADER
                + (number(batch, frame + 32, 4) + number(batch, frame + 36, 4)) as usize;
            let Some(whole) = batch.get_mut(frame..end) else {
                break;
            };
            let checksum = XxHash3_64::oneshot(&whole[8..]).to_le_bytes();
            whole[..8].copy_from_slice(&checksum);
            checksums.extend(checksum);
            frame = end;
        }
        let checksum = batch_checksum(batch, &checksums);
        batch[40..48].copy_from_slice(&checksum.to_le_bytes());
        at += length;
    }
}

/// The batch that begins at `at`, if it is whole and valid by itself.
pub fn batch(bytes: &[u8], at: usize) -> Option<Batch> {
    let header = bytes.get(at..at.checked_add(HEADER)?)?;
    let (length, count) = (number(header, 32, 8), number(header, 48, 4));
    let (base_offset, base_timestamp) = (number(header, 8, 8), number(header, 16, 8));
    let most = (1 << 53) - 1;
    let is_good = length >= 304
        && count > 0
        && base_offset.checked_add(count - 1)? <= most
        && base_timestamp <= most
        && are_zeros(&header[53..56])
        && are_zeros(&header[66..68])
        && are_zeros(&header[72..])
        && match header[52] {
            0 => are_zeros(&header[56..72]),
            1 => {
                number(header, 56, 8) < 1 << 63
                    && number(header, 64, 2) < 1 << 15
                    && number(header, 68, 4) < 1 << 31
            }
            _ => false,
        };
    let batch = bytes
        .get(at..at.checked_add(usize::try_from(length).ok()?)?)
        .filter(|_| is_good)?;
    let (mut frame, mut frames, mut checksums) = (HEADER, Vec::new(), Vec::new());
    for index in 0..count {
        let header = batch.get(frame..frame + FRAME_HEADER)?;
        let (headers, payload) = (number(header, 32, 4), number(header, 36, 4));
        let end = frame + FRAME_HEADER + (headers + payload) as usize;
        let whole = batch.get(frame..end)?;
        let is_good = headers <= 100_000
            && payload <= 64_000_000
            && number(header, 24, 4) == index
            && are_zeros(&header[40..])
            && XxHash3_64::oneshot(&whole[8..]) == number(header, 0, 8);
        if !is_good {
            return None;
        }
        frames.push((frame, payload as usize));
        checksums.extend(&header[..8]);
        frame = end;
    }
    let is_good =
        frame == batch.len() && batch_checksum(header, &checksums) == number(header, 40, 8);
    is_good.then_some(Batch {
        length: batch.len(),
        base_offset,
        base_timestamp,
        frames,
    })
}

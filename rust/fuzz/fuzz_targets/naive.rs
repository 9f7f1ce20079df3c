// What a message is, as the format's text has it: the model that the fuzz targets compare with.

use twox_hash::XxHash3_64;

const HEADER: usize = 64;

fn number(bytes: &[u8], at: usize, length: usize) -> u64 {
    bytes[at..at + length]
        .iter()
        .rev()
        .fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// Makes the checksums of up to `count` messages from `at` on right, as far as their lengths lead: chance alone never would.
pub fn repair(bytes: &mut [u8], mut at: usize, count: u8) {
    for _ in 0..count {
        let Some(header) = bytes.get(at..at + HEADER) else {
            return;
        };
        let length = HEADER + number(header, 48, 4) as usize + number(header, 52, 4) as usize;
        let Some(whole) = bytes.get_mut(at..at + length) else {
            return;
        };
        let checksum = XxHash3_64::oneshot(&whole[8..]);
        whole[..8].copy_from_slice(&checksum.to_le_bytes());
        at += length;
    }
}

/// The length of the message that begins at `at`, if it is whole and valid, with its offset.
pub fn message(bytes: &[u8], at: usize) -> Option<(usize, u64)> {
    let header = bytes.get(at..at + HEADER)?;
    let headers = number(header, 48, 4) as usize;
    let payload = number(header, 52, 4) as usize;
    if headers > 100_000 || payload > 64_000_000 || number(header, 56, 8) != 0 {
        return None;
    }
    let length = HEADER + headers + payload;
    let whole = bytes.get(at..at.checked_add(length)?)?;
    let right = XxHash3_64::oneshot(&whole[8..]) == number(header, 0, 8);
    right.then(|| (length, number(header, 24, 8)))
}

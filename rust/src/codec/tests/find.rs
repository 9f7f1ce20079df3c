//! Tests of finding batches.

use std::ops::RangeInclusive;

use proptest::prelude::*;
use twox_hash::XxHash3_64;

use super::naive::{Batch, Frame, TIME, valid};
use crate::codec::{Found, MAX_SAFE_INTEGER, find};
use crate::testing::within_bound;

const ALL: RangeInclusive<u64> = 0..=MAX_SAFE_INTEGER;

/// Generates a piece of damaged bytes.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let noise = prop::collection::vec(prop_oneof![3 => Just(0u8), 1 => any::<u8>()], 0..300);
    let sparse = (0usize..600).prop_map(|length| vec![0; length]);
    let batch = (
        0u64..4,
        prop::collection::vec(noise.clone(), 1..3),
        prop::option::of((0..1u64 << 63, 0u16..1 << 15, 0u32..1 << 31)),
    )
        .prop_map(|(base_offset, payloads, producer)| {
            let payloads: Vec<&[u8]> = payloads.iter().map(|payload| &payload[..]).collect();
            Batch {
                producer,
                ..Batch::of(base_offset, &payloads)
            }
            .write()
        })
        .boxed();
    let damaged = (batch.clone(), 0usize..400, any::<u8>()).prop_map(|(mut bytes, at, value)| {
        let at = at % bytes.len();
        bytes[at] ^= value;
        bytes
    });
    let cut = (batch.clone(), 0usize..400).prop_map(|(mut bytes, length)| {
        bytes.truncate(length);
        bytes
    });
    prop_oneof![noise, sparse, batch, damaged, cut]
}

/// Returns the length of the batch at the start of `bytes` if it ends after them and its visible
/// part is plausible.
fn undecided(bytes: &[u8], offsets: &RangeInclusive<u64>) -> Option<u64> {
    let number = |at: usize, length: usize| -> u64 {
        bytes[at..at + length]
            .iter()
            .rev()
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    };
    let is_zero = |at: usize, end: usize| bytes[at..end].iter().all(|byte| *byte == 0);
    if bytes.len() < 256 {
        return None;
    }
    let (length, count) = (number(32, 8), number(48, 4));
    let (base_offset, flags) = (number(8, 8), bytes[52]);
    let is_plausible = length > bytes.len() as u64
        && count > 0
        && length >= 256 + 48 * count
        && length <= 256 + 64_100_048 * count
        && offsets.contains(&base_offset)
        && base_offset
            .checked_add(count - 1)
            .is_some_and(|last| last <= MAX_SAFE_INTEGER)
        && number(16, 8) <= MAX_SAFE_INTEGER
        && is_zero(72, 256)
        && is_zero(53, 56)
        && is_zero(66, 68)
        && (flags == 1
            && number(56, 8) < 1 << 63
            && number(64, 2) < 1 << 15
            && number(68, 4) < 1 << 31
            || flags == 0 && is_zero(56, 72));
    if !is_plausible {
        return None;
    }
    let mut hashed = [&bytes[..40], &bytes[48..52]].concat();
    if flags == 1 {
        hashed.extend([&[1], &bytes[56..66], &bytes[68..72]].concat());
    }
    let mut at = 256;
    for index in 0..count {
        if at + 48 > length {
            return None;
        }
        if at + 48 > bytes.len() as u64 {
            return Some(length);
        }
        let start = at as usize;
        let (headers, payload) = (number(start + 32, 4), number(start + 36, 4));
        let is_good = headers <= 100_000
            && payload <= 64_000_000
            && number(start + 24, 4) == index
            && is_zero(start + 40, start + 48);
        if !is_good {
            return None;
        }
        hashed.extend(&bytes[start..start + 8]);
        at += 48 + headers + payload;
    }
    (at == length && XxHash3_64::oneshot(&hashed) == number(40, 8)).then_some(length)
}

/// Checks every position.
fn naive(bytes: &[u8], start: usize, offsets: &RangeInclusive<u64>) -> Found {
    let mut found = Found::default();
    for at in start..bytes.len() {
        if valid(&bytes[at..]).is_some_and(|(_, offset, _)| offsets.contains(&offset)) {
            found.valid = Some(at);
            break;
        }
        if found.beyond.is_none() {
            found.beyond = undecided(&bytes[at..], offsets).map(|length| (at, length));
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn find_agrees_with_trying_every_position(
        pieces in prop::collection::vec(piece(), 0..5), start in 0usize..600, cut in 0usize..60,
        range in (0u64..4, 0u64..4),
    ) {
        let mut bytes = pieces.concat();
        bytes.truncate(bytes.len().saturating_sub(cut));
        let start = start.min(bytes.len());
        let offsets = range.0..=range.0 + range.1;
        prop_assert_eq!(find(&bytes, start, offsets.clone()), naive(&bytes, start, &offsets));
    }
}

#[test]
fn find_passes_over_zeros_false_headers_and_other_offsets() {
    let good = Batch::of(9, &[&[3; 20]]).write();
    let end = good.len();
    for before in 0..600 {
        for filler in [0, 1] {
            let bytes = [&vec![filler; before][..], &good].concat();
            for start in [0, before.saturating_sub(300), before] {
                assert_eq!(
                    find(&bytes, start, 9..=9).valid,
                    Some(before),
                    "{before} of {filler}"
                );
            }
            assert_eq!(find(&bytes, before + 1, ALL).valid, None);
            assert_eq!(find(&bytes, 0, 10..=20).valid, None);
            assert_eq!(find(&bytes, 0, 0..=8).valid, None);
            assert_eq!(find(&bytes[..before + end - 1], 0, ALL).valid, None);
        }
    }
    assert_eq!(find(&good, usize::MAX, ALL), Found::default());
    assert_eq!(find(&[], 0, 0..=u64::MAX), Found::default());
}

/// The zeros after a header's fields begin at any byte that the fields allow.
#[test]
fn find_sees_headers_whose_zeros_begin_at_any_byte() {
    for (count, producer) in [
        (1, None),
        (256, None),
        (65536, None),
        (1, Some((0, 0, 0))),
        (1, Some((1, 0, 0))),
        (1, Some((1 << 62, 0, 0))),
        (1, Some((0, 1, 0))),
        (1, Some((0, 1 << 14, 0))),
        (1, Some((0, 0, 1))),
        (1, Some((0, 0, 1 << 30))),
    ] {
        let payloads: Vec<&[u8]> = vec![b""; count];
        let batch = Batch {
            producer,
            ..Batch::of(0, &payloads)
        };
        for filler in [0, 1] {
            let bytes = [&[filler; 70][..], &batch.write()].concat();
            assert_eq!(
                find(&bytes, 0, ALL).valid,
                Some(70),
                "{count} with {producer:?}"
            );
        }
    }
}

#[test]
fn find_reports_a_batch_that_ends_after_the_bytes() {
    let (long, short) = (
        Batch::of(9, &[&[3; 5000], b"x"]).write(),
        Batch::of(11, &[&[4; 20]]).write(),
    );
    let bytes = [&[1; 100][..], &long, &short].concat();
    let whole = 100 + long.len();
    for end in 100..bytes.len() {
        let found = find(&bytes[..end], 0, 9..=20);
        let beyond = (100 + 256..whole)
            .contains(&end)
            .then_some((100, long.len() as u64));
        let cut = (whole + 256..bytes.len())
            .contains(&end)
            .then_some((whole, short.len() as u64));
        let valid = (end >= whole).then_some(100);
        assert_eq!(found, Found { valid, beyond }, "{end} bytes");
        if valid.is_some() {
            assert_eq!(find(&bytes[..end], 101, 9..=20).beyond, cut);
        }
    }
    let cut = [&long[..256], &long[..256], &short].concat();
    let beyond = |at| Some((at, long.len() as u64));
    let valid = Some(512);
    // A header is not a frame: the second refutes the first, and what follows refutes the second.
    assert_eq!(
        find(&cut, 0, 9..=20),
        Found {
            valid,
            beyond: None
        }
    );
    let cut = &cut[..512];
    assert_eq!(
        find(cut, 0, 9..=20),
        Found {
            valid: None,
            beyond: beyond(256)
        }
    );
    assert_eq!(find(cut, 0, 10..=20), Found::default());
    // The first of several counts, also where a valid one follows within the bytes.
    let longer = Batch::of(9, &[&[3; 9000]]).write();
    let bytes = [&longer[..1000], &long[..1000], &short].concat();
    let first = Some((0, longer.len() as u64));
    assert_eq!(
        find(&bytes, 0, 9..=20),
        Found {
            valid: Some(2000),
            beyond: first
        }
    );
    assert_eq!(
        find(&bytes, 1, 9..=20),
        Found {
            valid: Some(2000),
            beyond: beyond(1000)
        }
    );
}

#[test]
fn find_passes_over_sparse_data() {
    for distance in [13, 150, 185, 190, 200, 255, 256, 300] {
        let sparse: Vec<u8> = (0..4_000_000)
            .map(|i| {
                if i % distance == 0 {
                    (i / distance % 199) as u8
                } else {
                    0
                }
            })
            .collect();
        assert_eq!(within_bound(|| find(&sparse, 0, ALL)), Found::default());
    }
}

/// Each header belongs to a batch with a frame of its own, followed by frames that all share. Only
/// the batch checksums are wrong.
#[test]
fn find_is_not_quadratic_in_headers_that_share_frames() {
    let (headers, frames) = (8_000, 80_000);
    let tail: Vec<u8> = (1..=frames)
        .flat_map(|index| Frame::of(b"").write(index))
        .collect();
    let mut bytes = Vec::new();
    for i in 0..headers {
        let to_tail = (headers - i - 1) * 304;
        bytes.extend(headed(i, to_tail, 304 + to_tail + tail.len(), frames + 1));
    }
    bytes.extend(tail);
    let found = within_bound(|| find(&bytes, 0, ALL));
    assert_eq!(found.valid, None);
    assert!(found.beyond.is_some(), "it gave up");
}

/// Once one batch is known to end after the bytes, the others cost nothing.
#[test]
fn find_passes_over_further_batches_that_end_after_the_bytes() {
    let (headers, frames) = (2_000, 20_000);
    let mut tail: Vec<u8> = (1..=frames)
        .flat_map(|index| Frame::of(b"").write(index))
        .collect();
    let at_last = tail.len() - 48;
    tail[at_last + 36..at_last + 40].copy_from_slice(&1_000_000u32.to_le_bytes());
    let good = Batch::of(7, &[b"good"]).write();
    // With one more frame, whose header lies after the bytes, so that it cannot show that the batch
    // checksum is wrong.
    let length = |i: usize| (headers - i) * 304 + tail.len() + 1_000_000 + 48;
    let heads: Vec<u8> = (0..headers)
        .flat_map(|i| headed(i, (headers - i - 1) * 304, length(i), frames + 2))
        .collect();
    let bytes = [&heads[..], &tail, &good].concat();
    let found = within_bound(|| find(&bytes, 0, ALL));
    assert_eq!(found.valid, Some(heads.len() + tail.len()));
    assert_eq!(found.beyond, Some((0, length(0) as u64)));
}

/// Makes a batch header and the header of a first frame with a payload of some length, with wrong
/// checksums.
fn headed(base_offset: usize, payload_length: usize, batch_length: usize, count: u32) -> Vec<u8> {
    let mut batch = Batch::of(base_offset as u64, &[b""]).write();
    batch[32..40].copy_from_slice(&(batch_length as u64).to_le_bytes());
    batch[48..52].copy_from_slice(&count.to_le_bytes());
    batch[256 + 36..256 + 40].copy_from_slice(&(payload_length as u32).to_le_bytes());
    batch
}

/// Makes batches, each in the payload of the one before. Their checksums are right, except for
/// those of the frames.
fn nested(count: usize) -> Vec<u8> {
    let mut bytes = vec![9; 2_000_000];
    let total = bytes.len() + count * 304;
    let mut heads = Vec::new();
    for i in 0..count {
        let payload_length = total - (i + 1) * 304;
        let mut frame = Frame::of(b"").write(0);
        frame[36..40].copy_from_slice(&(payload_length as u32).to_le_bytes());
        let mut batch = Batch::of(i as u64, &[]).write_around(&[frame]);
        batch[32..40].copy_from_slice(&((304 + payload_length) as u64).to_le_bytes());
        let hashed = [&batch[..40], &batch[48..52], &batch[256..264]].concat();
        batch[40..48].copy_from_slice(&XxHash3_64::oneshot(&hashed).to_le_bytes());
        heads.extend(batch);
    }
    heads.append(&mut bytes);
    heads
}

#[test]
fn find_is_not_quadratic_in_batches_that_end_at_the_same_byte() {
    let bytes = nested(20_000);
    let found = within_bound(|| find(&bytes, 0, ALL));
    let (at, length) = found.beyond.expect("it gave up");
    assert_eq!((found.valid, at + length as usize), (None, bytes.len()));
    assert!(at > 0 && at % 304 == 0);
}

/// A few nested batches are no reason to give up.
#[test]
fn find_goes_through_batches_within_batches() {
    let good = Batch::of(7, &[b"good"]).write();
    let mut bytes = nested(25);
    let at = bytes.len();
    bytes.extend(&good);
    assert_eq!(
        find(&bytes, 0, ALL),
        Found {
            valid: Some(at),
            beyond: None
        }
    );
}

#[test]
fn find_sees_the_longest_frames_and_the_smallest() {
    let long = Batch::of(9, &[&vec![0; 64_000_000]]).write();
    assert_eq!(find(&long, 0, 9..=9).valid, Some(0));
    let payloads: Vec<&[u8]> = vec![b""; 200_000];
    let many = Batch {
        base_timestamp: TIME,
        ..Batch::of(9, &payloads)
    }
    .write();
    assert_eq!(find(&many, 0, 9..=9).valid, Some(0));
}

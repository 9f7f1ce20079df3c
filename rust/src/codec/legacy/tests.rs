//! Properties compared with a parser as plain as the tables of the format, and the format's
//! vectors.

mod conversion;

use proptest::prelude::*;
use twox_hash::XxHash3_64;

use super::gather::check;
use super::*;
use crate::codec::{Found, Stop};
use crate::testing::within_bound;

const TIME: u64 = 1_700_000_000_000_000;

/// Encodes a message field by field, like the table of the format.
fn message(
    id: u128,
    offset: u64,
    times: (u64, u64),
    payload: &[u8],
    user_headers: &[u8],
) -> Vec<u8> {
    let mut rest = id.to_le_bytes().to_vec();
    rest.extend(offset.to_le_bytes());
    rest.extend(times.0.to_le_bytes());
    rest.extend(times.1.to_le_bytes());
    rest.extend((user_headers.len() as u32).to_le_bytes());
    rest.extend((payload.len() as u32).to_le_bytes());
    rest.extend([0; 8]);
    rest.extend(payload);
    rest.extend(user_headers);
    let mut all = XxHash3_64::oneshot(&rest).to_le_bytes().to_vec();
    all.extend(rest);
    all
}

fn run(first_offset: u64, payloads: &[Vec<u8>]) -> Vec<u8> {
    let messages = payloads.iter().enumerate();
    messages
        .flat_map(|(i, payload)| {
            message(
                i as u128 + 1,
                first_offset + i as u64,
                (TIME, 9),
                payload,
                &[],
            )
        })
        .collect()
}

/// Counts the valid messages from `offset`, and returns why the next one is not valid and what it
/// needs.
fn stop(bytes: &[u8], offset: u64) -> (usize, Stop, usize) {
    let (mut rest, mut count) = (bytes, 0);
    loop {
        if rest.is_empty() {
            return (count, Stop::End, 0);
        }
        match check(rest, offset + count as u64) {
            Ok(length) => rest = &rest[length..],
            Err((stop, needed)) => return (count, stop, needed),
        }
        count += 1;
    }
}

proptest! {
    #[test]
    fn find_agrees_with_trying_every_position(
        start in 0usize..300,
        noise in prop::collection::vec(prop_oneof![3 => Just(0u8), 1 => any::<u8>()], 0..300),
        cut in 0usize..40, damaged in any::<bool>(), range in (0u64..4, 0u64..4),
    ) {
        let mut bytes = noise.clone();
        bytes.extend(run(1, &[vec![0; 5], noise]));
        if damaged {
            bytes[cut] ^= 1;
        }
        bytes.truncate(bytes.len() - cut);
        let offsets = range.0..=range.0 + range.1;
        let naive = (start..bytes.len())
            .find(|&at| valid(&bytes[at..]).is_some_and(|offset| offsets.contains(&offset)));
        prop_assert_eq!(find(&bytes, start, offsets).valid, naive);
    }
}

/// Returns the offset of the message at the start of `bytes`, parsed as plainly as the table.
fn valid(bytes: &[u8]) -> Option<u64> {
    let number = |at: usize, length: usize| -> Option<u64> {
        Some(
            bytes
                .get(at..at + length)?
                .iter()
                .rev()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        )
    };
    let (user_headers, payload) = (number(48, 4)?, number(52, 4)?);
    let whole = bytes.get(8..64 + (user_headers + payload) as usize)?;
    let good = user_headers <= 100_000
        && payload <= 64_000_000
        && number(56, 8)? == 0
        && number(0, 8)? == XxHash3_64::oneshot(whole);
    good.then(|| number(24, 8).unwrap())
}

#[test]
fn checksum_is_that_of_the_format() {
    let vectors = [
        (0, 0x26e9_b5f8_348d_5aec),
        (1, 0xa45d_8848_eee2_a0ff),
        (8, 0x47dc_f589_0405_13cc),
        (72, 0xb3a8_23b0_fbea_0270),
        (73, 0xbc1c_2311_685f_f8e3),
        (184, 0x5b64_ac83_1e5e_eaea),
        (185, 0x3e26_a3bf_b4ee_ceb9),
        (256, 0x5ef5_0814_06a2_64ec),
        (968, 0x8284_b002_ba65_c59e),
        (969, 0x6eee_9674_b4bc_063e),
        (1000, 0x414d_fbb6_9f99_938f),
        (4096, 0x558e_5be0_33ea_6686),
        (65536, 0x67f4_2f1c_57f8_e5eb_u64),
    ];
    for (length, expected) in vectors {
        let payload: Vec<u8> = (0..length).map(|i: u32| (i % 251) as u8).collect();
        let bytes = message(0x2a, 7, (TIME, TIME - 1), &payload, &[]);
        assert_eq!(stop(&bytes, 7), (1, Stop::End, 0));
        assert_eq!(
            u64::from_le_bytes(bytes[..8].try_into().unwrap()),
            expected,
            "payload of {length} bytes"
        );
    }
}

#[test]
fn check_finds_every_flipped_bit() {
    let whole = run(5, &[b"hello".to_vec(), Vec::new(), vec![7; 90]]);
    let ends = [69, 133, 287];
    assert_eq!(stop(&whole, 5), (3, Stop::End, 0));
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            let (count, stop, _) = stop(&bytes, 5);
            let before = ends.iter().filter(|end| **end <= at).count();
            assert_eq!(count, before, "byte {at}, bit {bit}: {stop:?}");
            assert_ne!(stop, Stop::End);
        }
    }
}

#[test]
fn check_reports_every_truncation_as_partial() {
    let whole = run(5, &[b"hello".to_vec(), vec![7; 90]]);
    for length in 0..=whole.len() {
        let expected = match length {
            0 => (0, Stop::End, 0),
            1..64 => (0, Stop::Partial, 64),
            64..69 => (0, Stop::Partial, 69),
            69 => (1, Stop::End, 0),
            70..133 => (1, Stop::Partial, 64),
            133..223 => (1, Stop::Partial, 154),
            _ => (2, Stop::End, 0),
        };
        assert_eq!(stop(&whole[..length], 5), expected, "{length} bytes");
    }
}

#[test]
fn check_reports_the_first_reason_in_order() {
    let good = run(5, &[vec![1; 10]]);
    let with = |changes: &[(usize, &[u8])]| {
        let mut bytes = good.clone();
        for (at, change) in changes {
            bytes[*at..*at + change.len()].copy_from_slice(change);
        }
        bytes
    };
    let (long, huge): (&[u8], &[u8]) = (&100_001u32.to_le_bytes(), &64_000_001u32.to_le_bytes());
    let (most, reserved, offset): (&[u8], &[u8], &[u8]) = (&100_000u32.to_le_bytes(), &[1], &[6]);
    assert_eq!(stop(&with(&[(0, &[0; 64])]), 5), (0, Stop::Zeros, 0));
    assert_eq!(
        stop(&with(&[(48, long), (56, reserved), (24, offset)]), 5),
        (0, Stop::Length, 0)
    );
    assert_eq!(
        stop(&with(&[(52, huge), (56, reserved)]), 5),
        (0, Stop::Length, 0)
    );
    assert_eq!(
        stop(&with(&[(48, most), (63, reserved), (24, offset)]), 5),
        (0, Stop::Reserved, 0)
    );
    assert_eq!(stop(&with(&[(56, reserved)]), 5), (0, Stop::Reserved, 0));
    assert_eq!(
        stop(&with(&[(48, most), (24, offset)]), 5),
        (0, Stop::Offset, 0)
    );
    assert_eq!(
        stop(&with(&[(48, most)]), 5),
        (0, Stop::Partial, 64 + 10 + 100_000)
    );
    assert_eq!(stop(&with(&[(64, &[2])]), 5), (0, Stop::FrameChecksum, 0));
    for length in 1..64 {
        assert_eq!(stop(&vec![0; length], 5), (0, Stop::Zeros, 0));
    }
}

#[test]
fn find_passes_over_zeros_and_false_headers() {
    let good = run(9, &[vec![3; 20]]);
    let bare = run(9, &[Vec::new()]);
    for before in 0..100 {
        // After zeros, and after bytes whose last ones cover the reserved field of an earlier
        // start.
        for filler in [0, 1] {
            let bytes = [vec![filler; before], bare.clone()].concat();
            assert_eq!(find(&bytes, 0, 9..=9).valid, Some(before));
            assert_eq!(find(&bytes[..bytes.len() - 1], 0, 9..=9).valid, None);
        }
    }
    let mut bytes = vec![0; 1000];
    bytes.extend(&good);
    bytes[500] = 1;
    for start in 0..=1000 {
        assert_eq!(find(&bytes, start, 0..=20).valid, Some(1000));
    }
    assert_eq!(find(&bytes, 1001, 0..=20).valid, None);
    assert_eq!(find(&bytes, 0, 10..=20).valid, None);
    assert_eq!(find(&bytes[..bytes.len() - 1], 0, 0..=20).valid, None);
    assert_eq!(find(&good, usize::MAX, 0..=20).valid, None);
    assert_eq!(find(&[], 0, 0..=u64::MAX).valid, None);
}

#[test]
fn find_reports_a_message_that_ends_after_the_bytes() {
    let (long, short) = (run(9, &[vec![3; 5000]]), run(10, &[vec![4; 20]]));
    let bytes = [vec![1; 100], long.clone(), short.clone()].concat();
    for end in 100..=bytes.len() {
        let found = find(&bytes[..end], 0, 9..=20);
        let (header, whole) = (100 + 64, 100 + long.len());
        let beyond = (header..whole).contains(&end);
        let beyond = beyond.then_some((100, long.len() as u64));
        assert_eq!(
            found,
            Found {
                valid: (end >= whole).then_some(100),
                beyond
            }
        );
    }
    // The first of several, also where a valid one follows within the bytes.
    let cut = [&long[..64], &long[..64], &short].concat();
    assert_eq!(
        find(&cut, 0, 9..=20),
        Found {
            valid: Some(128),
            beyond: Some((0, long.len() as u64))
        }
    );
    assert_eq!(
        find(&cut, 1, 9..=20),
        Found {
            valid: Some(128),
            beyond: Some((64, long.len() as u64))
        }
    );
    assert_eq!(
        find(&cut, 65, 9..=20),
        Found {
            valid: Some(128),
            beyond: None
        }
    );
    assert_eq!(
        find(&cut, 0, 10..=20),
        Found {
            valid: Some(128),
            beyond: None
        }
    );
}

#[test]
fn find_hashes_no_sparse_checksum() {
    // One byte in 13 is not 0. Hashing each length that appears would take minutes.
    let sparse: Vec<u8> = (0..2_000_000u32)
        .map(|i| if i % 13 == 0 { (i / 13 % 199) as u8 } else { 0 })
        .collect();
    let found = within_bound(|| find(&sparse, 0, 0..=MAX_SAFE_INTEGER));
    assert_eq!(found.valid, None);
}

#[test]
fn check_refuses_offsets_above_the_largest_safe_integer() {
    let bytes = run(MAX_SAFE_INTEGER, &[vec![1], vec![2]]);
    assert_eq!(stop(&bytes, MAX_SAFE_INTEGER), (1, Stop::Offset, 0));
    assert_eq!(
        stop(&bytes[65..], MAX_SAFE_INTEGER + 1),
        (0, Stop::Offset, 0)
    );
}

#[test]
fn find_sees_a_long_message_with_a_length_next_to_the_reserved_field() {
    // From 16 MiB on, the byte before the reserved field is not 0.
    let bytes = [vec![1; 70], run(9, &[vec![0; 1 << 24]])].concat();
    assert_eq!(find(&bytes, 60, 9..=9).valid, Some(70));
}

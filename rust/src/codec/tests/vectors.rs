//! The vectors of `docs/format.md`.

use twox_hash::XxHash3_64;

use super::naive::{Batch, Frame, TIME, valid};
use super::scan::scanned;
use crate::codec::Stop;

const UUID: u128 = u128::from_be_bytes([
    0xff, 0xee, 0xdd, 0xcc, 0xbb, 0xaa, 0x99, 0x88, 0x77, 0x46, 0x55, 0x44, 0x33, 0x22, 0x11, 0x00,
]);

fn first() -> Batch {
    let mut user_headers = vec![2, 1, 0, 0, 0, b'k', 11, 4, 0, 0, 0];
    user_headers.extend(42u32.to_le_bytes());
    let world = Frame {
        id: UUID,
        timestamp_delta: 7,
        payload: b"world!!".to_vec(),
        user_headers,
    };
    Batch {
        frames: vec![Frame::of(b"hello"), world],
        ..Batch::of(0, &[])
    }
}

fn checksum(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

#[test]
fn scan_accepts_the_vectors() {
    let produced = Batch {
        producer: Some((4000, 3, 17)),
        ..first()
    };
    let second = Batch {
        base_offset: 2,
        base_timestamp: TIME + 500,
        origin_timestamp: TIME + 400,
        frames: vec![Frame {
            id: 3,
            ..Frame::default()
        }],
        ..Batch::default()
    };
    let (first, produced, second) = (first().write(), produced.write(), second.write());
    assert_eq!(checksum(&first, 256), 0xb9bf_bddb_9ea5_5c8e);
    assert_eq!(checksum(&first, 309), 0xc1e6_0f9f_4c3f_40f0);
    assert_eq!(
        (checksum(&first, 40), first.len()),
        (0xe5bc_231e_842b_b6c6, 379)
    );
    assert_eq!(checksum(&produced, 40), 0x938f_1da6_273e_7299);
    assert_eq!(
        (checksum(&second, 40), second.len()),
        (0x51f8_9854_70d8_f1ab, 304)
    );
    for bytes in [
        [&first[..], &second].concat(),
        [&produced[..], &second].concat(),
    ] {
        assert_eq!(valid(&bytes), Some((379, 0, TIME)));
        assert_eq!(scanned(&bytes, 0, 8).stop, Stop::End);
    }
}

#[test]
fn hash_is_that_of_a_consumer_offset() {
    assert_eq!(
        XxHash3_64::oneshot(&114u64.to_le_bytes()),
        0xf4d7_d6b8_ed18_f825
    );
}

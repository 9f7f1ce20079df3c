//! Tests of sealing.

use iggy_binary_protocol::batch::decode_batch_slice;
use proptest::prelude::*;

use super::naive::{Batch, Frame, TIME};
use super::scan::{at, scanned_from};
use crate::codec::{
    MAX_SAFE_INTEGER, RECORD_BATCH_START, RECORD_BYTES, RECORD_ID_GIVEN, RECORD_ORIGIN_GIVEN, Run,
    SEAL_CONTEXT_BYTES, Stop, seal,
};

/// A message to lay out.
#[derive(Clone, Debug)]
struct Message {
    payload: Vec<u8>,
    user_headers: Vec<u8>,
    id: Option<u128>,
    origin: Option<u64>,
}

fn message() -> impl Strategy<Value = Message> {
    let bytes = |most| prop::collection::vec(any::<u8>(), 0..most);
    let id = prop_oneof![Just(None), Just(Some(0)), any::<u128>().prop_map(Some)];
    // The append time is within the span, so any two times are.
    let origin = prop::option::of(TIME - (1 << 31)..TIME + (1 << 31));
    (bytes(300), bytes(40), id, origin).prop_map(|(payload, user_headers, id, origin)| Message {
        payload,
        user_headers,
        id,
        origin,
    })
}

fn run(start: usize, count: usize) -> Run {
    Run {
        start,
        count,
        base_offset: 7,
        base_timestamp: TIME,
        partition_id: 3,
        seed: [5; 32],
    }
}

/// Lays out batches with garbage in the space for headers, and their records at the end of the
/// block.
fn laid_out(start: usize, batches: &[Vec<Message>], room: usize) -> (Vec<u8>, usize) {
    let (mut bytes, mut words) = (vec![0xee; start], Vec::new());
    for batch in batches {
        bytes.resize(bytes.len() + 256, 0xdd);
        for (i, message) in batch.iter().enumerate() {
            let mut header = [0xdd; 48];
            let mut word = message.user_headers.len() as u32;
            if i == 0 {
                word |= RECORD_BATCH_START;
            }
            if let Some(id) = message.id {
                header[8..24].copy_from_slice(&id.to_le_bytes());
                word |= RECORD_ID_GIVEN;
            }
            if let Some(origin) = message.origin {
                header[40..48].copy_from_slice(&origin.to_le_bytes());
                word |= RECORD_ORIGIN_GIVEN;
            }
            words.push([message.payload.len() as u32, word]);
            bytes.extend(header);
            bytes.extend(&message.payload);
            bytes.extend(&message.user_headers);
        }
    }
    bytes.resize((bytes.len() + room).next_multiple_of(8), 0xcc);
    let frames_end = bytes.len();
    for [payload, word] in words.iter().rev() {
        bytes.extend(payload.to_le_bytes());
        bytes.extend(word.to_le_bytes());
    }
    (bytes, frames_end)
}

/// Returns what `seal` should write. Ids that are not given are copied from its result.
fn expected(start: usize, batches: &[Vec<Message>], sealed: &[u8]) -> Vec<Batch> {
    let (mut at, mut base_offset) = (start, 7);
    let batches = batches.iter().map(|messages| {
        at += 256;
        let time = |message: &Message| message.origin.unwrap_or(TIME);
        let origin_timestamp = messages.iter().map(time).min().expect("a message");
        let frames = messages.iter().map(|message| {
            let written = u128::from_le_bytes(sealed[at + 8..at + 24].try_into().unwrap());
            let given = message.id.filter(|id| *id != 0);
            if given.is_none() {
                assert_eq!((sealed[at + 14] >> 4, sealed[at + 16] >> 6), (4, 2));
            }
            at += 48 + message.payload.len() + message.user_headers.len();
            Frame {
                id: given.unwrap_or(written),
                timestamp_delta: (time(message) - origin_timestamp) as u32,
                payload: message.payload.clone(),
                user_headers: message.user_headers.clone(),
            }
        });
        let batch = Batch {
            partition_id: 3,
            base_offset,
            base_timestamp: TIME,
            origin_timestamp,
            producer: None,
            frames: frames.collect(),
        };
        base_offset += messages.len() as u64;
        batch
    });
    batches.collect()
}

proptest! {
    #[test]
    fn seal_writes_what_the_naive_writer_writes_and_iggy_decodes(
        start in 0usize..100,
        batches in prop::collection::vec(prop::collection::vec(message(), 1..6), 0..5),
        room in 0usize..40,
    ) {
        let count = batches.iter().map(Vec::len).sum();
        let (mut bytes, frames_end) = laid_out(start, &batches, room);
        let before = bytes.clone();
        let end = seal(&mut bytes, &run(start, count)).expect("a block that fits");

        let expected = expected(start, &batches, &bytes);
        let written: Vec<u8> = expected.iter().flat_map(Batch::write).collect();
        prop_assert_eq!(&bytes[start..end], &written);
        // Everything else is unchanged.
        prop_assert_eq!(&bytes[..start], &before[..start]);
        prop_assert_eq!(&bytes[end..], &before[end..]);
        prop_assert!(end <= frames_end);

        let mut at_batch = start;
        for batch in &expected {
            let decoded = decode_batch_slice(&bytes[at_batch..end]).expect("what Iggy accepts");
            prop_assert_eq!(decoded.header.base_offset, batch.base_offset);
            prop_assert_eq!(decoded.header.partition_id, 3);
            prop_assert_eq!(decoded.header.producer, None);
            for (frame, view) in batch.frames.iter().zip(&decoded) {
                prop_assert_eq!(&frame.payload[..], view.payload);
                prop_assert_eq!(&frame.user_headers[..], view.user_headers);
                prop_assert_eq!(frame.id, view.header.id);
                prop_assert_eq!(frame.timestamp_delta, view.header.timestamp_delta);
            }
            prop_assert_eq!(decoded.iter().count(), batch.frames.len());
            at_batch += decoded.header.total_size();
        }
        prop_assert_eq!(at_batch, end);

        let found = scanned_from(&bytes[..end], at(start, 7, TIME), count);
        prop_assert_eq!((found.stop, found.progress.count), (Stop::End, count));
        prop_assert_eq!(found.progress.batch_count, batches.len());
    }
}

fn plain(payload: &[u8]) -> Message {
    Message {
        payload: payload.to_vec(),
        user_headers: Vec::new(),
        id: None,
        origin: None,
    }
}

/// Seals, and checks that a refused block is unchanged.
fn sealed(mut bytes: Vec<u8>, run: &Run) -> Option<usize> {
    let before = bytes.clone();
    let end = seal(&mut bytes, run);
    assert!(end.is_some() || bytes == before, "refused, but written");
    end
}

/// Makes a block of zeros with these records.
fn block(length: usize, records: &[[u32; 2]]) -> Vec<u8> {
    let mut bytes = vec![0; length];
    for (i, [payload, word]) in records.iter().enumerate() {
        let at = length - RECORD_BYTES * (i + 1);
        bytes[at..at + 4].copy_from_slice(&payload.to_le_bytes());
        bytes[at + 4..at + 8].copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

#[test]
fn seal_refuses_frames_that_reach_into_the_records() {
    let start = RECORD_BATCH_START;
    // 256 + 2 * 48 + 8 bytes of frames, 16 of records.
    assert_eq!(
        sealed(block(376, &[[4, start], [4, 0]]), &run(0, 2)),
        Some(360)
    );
    assert_eq!(sealed(block(376, &[[4, start], [5, 0]]), &run(0, 2)), None);
    assert_eq!(sealed(block(376, &[[4, start], [4, 1]]), &run(0, 2)), None);
    assert_eq!(sealed(block(376, &[[4, start], [4, 0]]), &run(1, 2)), None);
    assert_eq!(
        sealed(block(376, &[[4, start], [4, start]]), &run(0, 2)),
        None
    );
    assert_eq!(sealed(block(376, &[[0, start]]), &run(368, 1)), None);
    assert_eq!(sealed(block(376, &[[0, start]]), &run(369, 1)), None);
    assert_eq!(sealed(block(376, &[]), &run(usize::MAX, 0)), None);
    assert_eq!(sealed(block(16, &[]), &run(0, 3)), None);
    assert_eq!(sealed(block(16, &[]), &run(0, usize::MAX)), None);
    assert_eq!(sealed(block(377, &[[4, start]]), &run(0, 1)), None);
}

#[test]
fn seal_of_no_messages_ends_where_it_starts() {
    assert_eq!(sealed(block(16, &[]), &run(16, 0)), Some(16));
    assert_eq!(sealed(Vec::new(), &run(0, 0)), Some(0));
}

#[test]
fn seal_refuses_lengths_above_their_maxima_and_unknown_flags() {
    let start = RECORD_BATCH_START;
    let one = |record| sealed(block(1 << 20, &[record]), &run(0, 1));
    assert_eq!(one([0, start | 100_000]), Some(256 + 48 + 100_000));
    assert_eq!(one([0, start | 100_001]), None);
    assert_eq!(one([0, 0]), None, "the first message begins a batch");
    for bit in 17..29 {
        assert_eq!(one([0, start | 1 << bit]), None);
    }
    let large = |payload| {
        let mut bytes = block(64_001_000, &[[payload, start]]);
        seal(&mut bytes, &run(0, 1))
    };
    assert_eq!(large(64_000_000), Some(64_000_304));
    assert_eq!(large(64_000_001), None);
}

#[test]
fn seal_refuses_a_batch_above_64_mib() {
    let most = (64 << 20) - 64_000_000 - 256 - 2 * 48;
    let two = |second, flags| {
        let mut bytes = block(
            70_000_000,
            &[[64_000_000, RECORD_BATCH_START], [second, flags]],
        );
        seal(&mut bytes, &run(0, 2))
    };
    assert_eq!(two(most, 0), Some(64 << 20));
    assert_eq!(two(most + 1, 0), None);
    assert_eq!(two(most + 1, RECORD_BATCH_START), Some((64 << 20) + 257));
}

#[test]
fn seal_refuses_producer_times_too_far_apart() {
    let span = u64::from(u32::MAX);
    let at = |origins: &[u64]| {
        let messages = origins.iter().map(|origin| Message {
            origin: Some(*origin),
            ..plain(b"x")
        });
        let (bytes, _) = laid_out(0, &[messages.collect()], 0);
        sealed(bytes, &run(0, origins.len())).is_some()
    };
    assert!(at(&[5, 5 + span]) && at(&[5 + span, 5]));
    assert!(!at(&[5, 6 + span]) && !at(&[6 + span, 100, 5]));
    assert!(at(&[u64::MAX, u64::MAX - span]));
    // A message without a time of its own has the append time.
    let without = |origin| {
        let first = Message {
            origin: Some(origin),
            ..plain(b"x")
        };
        let (bytes, _) = laid_out(0, &[vec![first, plain(b"y")]], 0);
        sealed(bytes, &run(0, 2)).is_some()
    };
    assert!(without(TIME - span) && without(TIME + span));
    assert!(!without(TIME - span - 1) && !without(TIME + span + 1) && !without(0));
    // Each batch has a span of its own.
    let batches = [TIME - span, TIME + span].map(|origin| {
        vec![Message {
            origin: Some(origin),
            ..plain(b"x")
        }]
    });
    let (bytes, _) = laid_out(0, &batches, 0);
    assert!(sealed(bytes, &run(0, 2)).is_some());
}

#[test]
fn seal_refuses_offsets_and_times_above_the_largest_safe_integer() {
    let of = |base_offset, base_timestamp| {
        let (bytes, _) = laid_out(0, &[vec![plain(b"a"), plain(b"b")]], 0);
        let run = Run {
            base_offset,
            base_timestamp,
            ..run(0, 2)
        };
        sealed(bytes, &run).is_some()
    };
    let most = MAX_SAFE_INTEGER;
    assert!(of(most - 1, most) && !of(most, most) && !of(u64::MAX, 0) && !of(0, most + 1));
}

#[test]
fn seal_draws_distinct_ids_within_a_run_and_from_each_seed() {
    let ids = |seed: u8| {
        let (mut bytes, _) = laid_out(0, &[vec![plain(b"x"); 10]], 0);
        let run = Run {
            seed: [seed; 32],
            ..run(0, 10)
        };
        let end = seal(&mut bytes, &run).expect("fits");
        bytes[256..end]
            .chunks(49)
            .map(|frame| frame[8..24].to_vec())
            .collect::<Vec<_>>()
    };
    let all = [ids(1), ids(2)].concat();
    let distinct: std::collections::HashSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), 20);
    assert_eq!(ids(1), ids(1));
}

#[test]
fn run_parse_refuses_numbers_that_are_no_integers() {
    let parse = |numbers: [f64; 5]| {
        let mut bytes = [9; SEAL_CONTEXT_BYTES];
        for (i, number) in numbers.iter().enumerate() {
            bytes[8 * i..8 * i + 8].copy_from_slice(&number.to_le_bytes());
        }
        Run::parse(&bytes).map(|run| {
            (
                run.start,
                run.count,
                run.base_offset,
                run.partition_id,
                run.seed,
            )
        })
    };
    let most = MAX_SAFE_INTEGER as f64;
    assert_eq!(
        parse([1.0, 2.0, most, 3.0, 4.0]),
        Some((1, 2, MAX_SAFE_INTEGER, 4, [9; 32]))
    );
    for bad in [-1.0, 0.5, f64::NAN, f64::INFINITY, most + 1.0] {
        for place in 0..5 {
            let mut numbers = [0.0; 5];
            numbers[place] = bad;
            assert_eq!(parse(numbers), None, "{bad} at {place}");
        }
    }
    assert_eq!(parse([4_294_967_296.0, 0.0, 0.0, 0.0, 0.0]), None);
    assert_eq!(parse([0.0, 4_294_967_296.0, 0.0, 0.0, 0.0]), None);
}

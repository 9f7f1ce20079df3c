//! Gathering and expanding: round trips, where batches end, and what is refused.

use iggy_binary_protocol::batch::decode_batch_slice;
use proptest::prelude::*;

use super::{TIME, message, run};
use crate::codec::legacy::*;
use crate::codec::{self, BATCH_HEADER_BYTES, Progress, Results, Stop, restamp};

const ROOM: usize = 4 << 20;

fn start(offset: u64) -> Gathered {
    Gathered {
        next_offset: offset,
        ..Gathered::default()
    }
}

fn gathered(source: &[u8], is_end: bool, offset: u64) -> (Vec<u8>, Gathered, (Stop, usize)) {
    // A message alone in its batch has five times as many header bytes there.
    let (mut target, mut progress) = (vec![0xee; 5 * source.len()], start(offset));
    let stop =
        gather(source, is_end, &mut target, &mut progress).expect("progress within the bytes");
    target.truncate(progress.target_end);
    (target, progress, stop)
}

fn expanded(source: &[u8], first_offset: u64) -> (Vec<u8>, Vec<u8>, Expanded) {
    let [mut target, mut index] = [0; 2].map(|_| vec![0xee; 2 * source.len()]);
    let mut progress = Expanded::default();
    let segment = Segment {
        first_offset,
        limit: u32::MAX.into(),
    };
    let stop = expand(source, segment, &mut target, &mut index, &mut progress);
    assert_eq!(stop, Some((ExpandStop::End, [0, 0])));
    target.truncate(progress.target_end);
    index.truncate(progress.count * INDEX_ENTRY_BYTES);
    (target, index, progress)
}

/// Counts the batches and messages of valid batches that fill the bytes.
fn scanned(bytes: &[u8], next_offset: u64) -> (usize, usize) {
    let mut progress = Progress {
        end: 0,
        next_offset,
        last_timestamp: 0,
        count: 0,
        batch_count: 0,
    };
    let mut words = vec![vec![0; 4096]; 4];
    let [starts, lengths, batch_starts, batch_firsts] = &mut words[..] else {
        panic!("four arrays")
    };
    let mut results = Results {
        starts,
        lengths,
        batch_starts,
        batch_firsts,
    };
    let stop = codec::scan(bytes, &mut progress, &mut results).expect("arguments in range");
    assert_eq!((stop.0, progress.end), (codec::Stop::End, bytes.len()));
    (progress.batch_count, progress.count)
}

proptest! {
    #[test]
    fn expand_returns_gathered_messages_byte_for_byte(
        first in 0u64..1000,
        parts in prop::collection::vec(
            (
                0u64..2, any::<u128>(), 0u64..1 << 34,
                prop::collection::vec(any::<u8>(), 0..400), 0usize..60,
            ),
            0..40,
        ),
    ) {
        let (mut time, mut source, mut entries) = (TIME, Vec::new(), Vec::new());
        for (i, (step, id, origin, payload, headers)) in parts.iter().enumerate() {
            time += step;
            let headers = vec![9; *headers];
            source.extend(message(*id, first + i as u64, (time, *origin), payload, &headers));
            entries.extend((i as u32).to_le_bytes());
            entries.extend((source.len() as u32).to_le_bytes());
            entries.extend(time.to_le_bytes());
        }
        let (batches, progress, stop) = gathered(&source, true, first);
        prop_assert_eq!(stop, (Stop::End, 0));
        prop_assert_eq!(scanned(&batches, first), (progress.batch_count, parts.len()));
        let (target, index, back) = expanded(&batches, first);
        prop_assert_eq!((target, index), (source, entries));
        prop_assert_eq!(back.batch_count, progress.batch_count);
    }

    #[test]
    fn gather_and_restamp_write_batches_that_iggy_decodes(
        partition in 0u64..=MAX_SAFE_INTEGER,
        parts in prop::collection::vec((0u64..2, any::<u128>(), 0u64..1 << 34, 0usize..300), 1..40),
    ) {
        let (mut time, mut source) = (TIME, Vec::new());
        for (i, (step, id, origin, length)) in parts.iter().enumerate() {
            time += step;
            source.extend(message(*id, i as u64, (time, *origin), &vec![i as u8; *length], &[]));
        }
        let (mut batches, progress, _) = gathered(&source, true, 0);
        let end = batches.len();
        prop_assert_eq!(restamp(&mut batches, 0..end, partition, false), Some(0));
        let (mut at, mut count) = (0, 0);
        for _ in 0..progress.batch_count {
            let decoded = decode_batch_slice(&batches[at..]).expect("what Iggy accepts");
            prop_assert_eq!(decoded.header.partition_id, partition);
            prop_assert_eq!(decoded.header.base_offset, count as u64);
            for frame in &decoded {
                let (_, id, origin, length) = parts[count];
                let delta = u64::from(frame.header.timestamp_delta);
                let time = decoded.header.origin_timestamp + delta;
                prop_assert_eq!((frame.header.id, time), (id, origin));
                prop_assert_eq!(frame.payload, &vec![count as u8; length]);
                count += 1;
            }
            at += decoded.header.total_size();
        }
        prop_assert_eq!((at, count), (end, parts.len()));
    }

    #[test]
    fn gather_does_not_depend_on_blocks(cuts in prop::collection::vec(0usize..300, 1..8)) {
        let mut source = Vec::new();
        for i in 0..40u64 {
            source.extend(message(1, i, (TIME + i / 7, TIME), &vec![1; i as usize * 5], &[]));
        }
        let whole = gathered(&source, true, 0).0;
        let (mut target, mut progress, mut end) = (vec![0; ROOM], start(0), 0);
        for cut in cuts.iter().cycle() {
            end = (end + cut + 1).min(source.len());
            let is_end = end == source.len();
            gather(&source[..end], is_end, &mut target, &mut progress).expect("within the bytes");
            if is_end {
                break;
            }
        }
        prop_assert_eq!(&target[..progress.target_end], &whole[..]);
    }
}

#[test]
fn gather_ends_a_batch_at_its_limits() {
    let payloads = vec![vec![1; 300_000]; 5];
    let (batches, progress, _) = gathered(&run(0, &payloads), true, 0);
    assert_eq!(scanned(&batches, 0), (2, 5));
    assert_eq!((progress.split_by_length, progress.split_by_time), (1, 0));
    let apart = [
        message(1, 0, (TIME, 5), &[], &[]),
        message(2, 1, (TIME, 5 + (1 << 32)), &[], &[]),
    ]
    .concat();
    let (batches, progress, _) = gathered(&apart, true, 0);
    assert_eq!(scanned(&batches, 0), (2, 2));
    assert_eq!((progress.split_by_length, progress.split_by_time), (0, 1));
    // Up to the limit they are one batch, and a long message is a batch by itself.
    let near = [
        message(1, 0, (TIME, 4 + (1 << 32)), &[], &[]),
        message(2, 1, (TIME, 5), &[], &[]),
    ]
    .concat();
    assert_eq!(gathered(&near, true, 0).1.batch_count, 1);
    assert_eq!(
        gathered(&run(0, &[vec![1; 2 << 20]]), true, 0)
            .1
            .batch_count,
        1
    );
}

#[test]
fn gather_stops_at_the_first_invalid_message() {
    let good = run(3, &[vec![1; 10], vec![2; 20], vec![3; 30]]);
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        let (batches, progress, stop) = gathered(&bytes, true, 3);
        assert_eq!(
            progress.count,
            [74, 158].iter().filter(|end| **end <= at).count()
        );
        assert_eq!(scanned(&batches, 3).1, progress.count);
        assert_ne!(stop, (Stop::End, 0));
    }
    for length in 0..good.len() {
        let (_, progress, stop) = gathered(&good[..length], false, 3);
        assert_eq!(progress.count, 0);
        assert!(matches!(stop, (Stop::Partial, needed) if needed > length));
    }
    let back = [
        message(1, 0, (TIME, 0), &[], &[]),
        message(1, 1, (TIME - 1, 0), &[], &[]),
    ]
    .concat();
    let (_, progress, stop) = gathered(&back, true, 0);
    assert_eq!((progress.count, stop), (1, (Stop::Timestamp, 0)));
}

#[test]
fn gather_reports_the_room_that_a_full_target_lacks() {
    let source = run(0, &[vec![1; 10]]);
    let needed = BATCH_HEADER_BYTES + 48 + 10;
    for room in 0..needed {
        let mut progress = start(0);
        let stop = gather(&source, true, &mut vec![0; room], &mut progress);
        assert_eq!(stop, Some((Stop::Full, needed)));
    }
}

#[test]
fn restamp_leaves_valid_batches_and_can_be_undone() {
    let source = [
        run(0, &[vec![1; 10], vec![2; 900]]),
        message(7, 2, (TIME + 1, 3), &[4], &[]),
    ]
    .concat();
    let batches = gathered(&source, true, 0).0;
    let mut other = batches.clone();
    assert_eq!(restamp(&mut other, 0..batches.len(), 7, false), Some(0));
    assert_ne!(other, batches);
    assert_eq!(scanned(&other, 0), (2, 3));
    assert_eq!(restamp(&mut other, 0..batches.len(), 0, false), Some(0));
    assert_eq!(other, batches);
    assert_eq!(restamp(&mut other, 0..batches.len() - 1, 0, false), None);
    assert_eq!(restamp(&mut other, 1..batches.len(), 0, false), None);
}

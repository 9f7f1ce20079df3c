//! Tests of scanning.

use iggy_binary_protocol::batch::decode_batch_slice;
use proptest::prelude::*;
use twox_hash::XxHash3_64;

use super::naive::{Batch, Frame, Producer, TIME, valid};
use crate::codec::{MAX_SAFE_INTEGER, Progress, Results, Stop, scan};

/// The results of a scan.
#[derive(Debug)]
pub struct Scanned {
    pub stop: Stop,
    pub needed: u64,
    pub progress: Progress,
    pub starts: Vec<u32>,
    pub lengths: Vec<u32>,
    pub batch_starts: Vec<u32>,
    pub batch_firsts: Vec<u32>,
}

impl Scanned {
    fn outcome(&self) -> (usize, Stop, u64) {
        (self.progress.count, self.stop, self.needed)
    }
}

pub fn scanned_from(bytes: &[u8], mut progress: Progress, room: usize) -> Scanned {
    let mut words = [0; 4].map(|_| vec![u32::MAX; room]);
    let [starts, lengths, batch_starts, batch_firsts] = &mut words;
    let mut results = Results {
        starts,
        lengths,
        batch_starts,
        batch_firsts,
    };
    let (stop, needed) = scan(bytes, &mut progress, &mut results).expect("arguments in range");
    let [mut starts, mut lengths, mut batch_starts, mut batch_firsts] = words;
    starts.truncate(progress.count);
    lengths.truncate(progress.count);
    batch_starts.truncate(progress.batch_count);
    batch_firsts.truncate(progress.batch_count);
    Scanned {
        stop,
        needed,
        progress,
        starts,
        lengths,
        batch_starts,
        batch_firsts,
    }
}

pub fn at(end: usize, next_offset: u64, last_timestamp: u64) -> Progress {
    Progress {
        end,
        next_offset,
        last_timestamp,
        count: 0,
        batch_count: 0,
    }
}

pub fn scanned(bytes: &[u8], offset: u64, room: usize) -> Scanned {
    scanned_from(bytes, at(0, offset, 0), room)
}

fn frame() -> impl Strategy<Value = Frame> {
    let bytes = |most| prop::collection::vec(any::<u8>(), 0..most);
    (any::<u128>(), any::<u32>(), bytes(300), bytes(40)).prop_map(
        |(id, timestamp_delta, payload, user_headers)| Frame {
            id,
            timestamp_delta,
            payload,
            user_headers,
        },
    )
}

/// Generates batches with any content, with offsets and times in order.
fn batches() -> impl Strategy<Value = Vec<Batch>> {
    let producer = prop::option::of((0..1u64 << 63, 0u16..1 << 15, 0u32..1 << 31));
    let batch = (
        any::<u64>(),
        any::<u64>(),
        0u64..3,
        producer,
        prop::collection::vec(frame(), 1..5),
    );
    prop::collection::vec(batch, 0..5).prop_map(|parts| {
        let (mut base_offset, mut base_timestamp) = (5, TIME);
        let batches = parts.into_iter().map(
            |(partition_id, origin_timestamp, later, producer, frames)| {
                base_timestamp += later;
                let batch = Batch {
                    partition_id,
                    base_offset,
                    base_timestamp,
                    origin_timestamp,
                    producer,
                    frames,
                };
                base_offset += batch.frames.len() as u64;
                batch
            },
        );
        batches.collect()
    })
}

proptest! {
    #[test]
    fn scan_finds_every_batch_and_where_its_frames_are(
        batches in batches(), before in 0usize..40, room in 0usize..30,
    ) {
        let mut bytes = vec![0xee; before];
        let (mut starts, mut lengths) = (Vec::new(), Vec::new());
        let (mut batch_starts, mut batch_firsts) = (Vec::new(), Vec::new());
        let mut fit = at(before, 5, TIME);
        for batch in &batches {
            if fit.count + batch.frames.len() > room || fit.end != bytes.len() {
                bytes.extend(batch.write());
                continue;
            }
            batch_starts.push(bytes.len() as u32);
            batch_firsts.push(fit.count as u32);
            let mut frame_start = bytes.len() + 256;
            for frame in &batch.frames {
                starts.push(frame_start as u32);
                lengths.push(frame.payload.len() as u32);
                frame_start += 48 + frame.payload.len() + frame.user_headers.len();
            }
            bytes.extend(batch.write());
            fit = Progress {
                end: bytes.len(),
                next_offset: fit.next_offset + batch.frames.len() as u64,
                last_timestamp: batch.base_timestamp,
                count: starts.len(),
                batch_count: batch_starts.len(),
            };
        }
        let found = scanned_from(&bytes, at(before, 5, TIME), room);
        prop_assert_eq!(found.progress, fit);
        prop_assert_eq!(found.stop, if fit.end == bytes.len() { Stop::End } else { Stop::Full });
        prop_assert_eq!((&found.starts, &found.lengths), (&starts, &lengths));
        prop_assert_eq!((&found.batch_starts, &found.batch_firsts), (&batch_starts, &batch_firsts));

        // It continues when there is room for the batch for which it was full.
        if found.stop == Stop::Full {
            prop_assert_eq!(found.needed, batches[fit.batch_count].frames.len() as u64);
            let all = scanned_from(&bytes, at(before, 5, TIME), 20).progress;
            let rest = scanned_from(&bytes, Progress { count: 0, batch_count: 0, ..fit }, 20);
            prop_assert_eq!(rest.stop, Stop::End);
            prop_assert_eq!(rest.progress.count + fit.count, all.count);
        }
    }

    /// A scan refuses a changed header if and only if Iggy refuses the batch.
    #[test]
    fn scan_agrees_with_iggy_about_any_changed_header(
        batches in batches(), at in 0usize..304, value in any::<u8>(), is_repaired in any::<bool>(),
    ) {
        for batch in &batches {
            let mut bytes = batch.write();
            bytes[at] = value;
            if is_repaired {
                repair(&mut bytes);
            }
            let from = self::at(0, batch.base_offset, batch.base_timestamp);
            let found = scanned_from(&bytes, from, 8);
            let accepted = valid(&bytes);
            let expected = accepted.is_some_and(|(length, base_offset, base_timestamp)| {
                length == bytes.len()
                    && base_offset == batch.base_offset
                    && base_timestamp >= batch.base_timestamp
            });
            prop_assert_eq!(found.stop == Stop::End, expected, "byte {} is {}: {:?}", at, value, found.stop);
            if found.stop == Stop::End {
                prop_assert!(decode_batch_slice(&bytes).is_ok());
            }
        }
    }
}

/// Corrects the checksums of a batch, as far as its lengths lead.
pub fn repair(bytes: &mut [u8]) {
    let number = |bytes: &[u8], at: usize| {
        u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
    };
    let mut hashed = [&bytes[..40], &bytes[48..52]].concat();
    if bytes[52] == 1 {
        hashed.extend([&[1], &bytes[56..66], &bytes[68..72]].concat());
    }
    let mut at = 256;
    while at + 48 <= bytes.len() {
        let end = at + 48 + number(bytes, at + 32) + number(bytes, at + 36);
        let Some(frame) = bytes.get_mut(at..end) else {
            break;
        };
        let checksum = XxHash3_64::oneshot(&frame[8..]).to_le_bytes();
        frame[..8].copy_from_slice(&checksum);
        hashed.extend(checksum);
        at = end;
    }
    let checksum = XxHash3_64::oneshot(&hashed).to_le_bytes();
    bytes[40..48].copy_from_slice(&checksum);
}

#[test]
fn scan_finds_every_flipped_bit() {
    let produced = Batch {
        producer: Some((4000, 3, 17)),
        ..Batch::of(5, &[b"hello", b""])
    };
    let second = Batch::of(7, &[&[7; 90]]);
    let (first, second) = (produced.write(), second.write());
    let whole = [&first[..], &second].concat();
    assert_eq!(scanned(&whole, 5, 8).outcome(), (3, Stop::End, 0));
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            let found = scanned(&bytes, 5, 8);
            let before = if at < first.len() { 0 } else { 2 };
            assert_eq!(
                found.progress.count, before,
                "byte {at}, bit {bit}: {:?}",
                found.stop
            );
            assert!(!matches!(found.stop, Stop::End | Stop::Full));
            if at >= first.len() {
                assert!(
                    decode_batch_slice(&bytes[first.len()..]).is_err() || at < first.len() + 24
                );
            }
        }
    }
}

#[test]
fn scan_reports_every_truncation_as_partial() {
    let (first, second) = (
        Batch::of(5, &[b"hello", b"you"]).write(),
        Batch::of(7, &[&[7; 90]]).write(),
    );
    let whole = [&first[..], &second].concat();
    let (one, all) = (first.len(), whole.len());
    assert_eq!((one, all), (360, 754));
    for length in 0..=all {
        let expected = match length {
            0 => (0, Stop::End, 0),
            1..256 => (0, Stop::Partial, 256),
            256..360 => (0, Stop::Partial, 360),
            360 => (2, Stop::End, 0),
            // Its header begins with a partition of 0.
            361..=368 => (2, Stop::Zeros, 0),
            369..616 => (2, Stop::Partial, 256),
            616..754 => (2, Stop::Partial, 394),
            _ => (3, Stop::End, 0),
        };
        // The same for the first one: 8 zeros.
        let expected = if (1..=8).contains(&length) {
            (0, Stop::Zeros, 0)
        } else {
            expected
        };
        assert_eq!(
            scanned(&whole[..length], 5, 8).outcome(),
            expected,
            "{length} bytes"
        );
    }
}

/// Changes bytes of a batch with one frame of 10 bytes, or of the one with a producer, and returns
/// why a scan stopped.
fn stop_with(changes: &[(usize, &[u8])]) -> (Stop, u64) {
    let mut bytes = Batch::of(5, &[&[1; 10], &[2; 10]]).write();
    for (at, change) in changes {
        bytes[*at..*at + change.len()].copy_from_slice(change);
    }
    let found = scanned_from(&bytes, at(0, 5, TIME - 10), 8);
    assert_eq!(
        (
            found.progress.count,
            found.progress.batch_count,
            found.progress.end
        ),
        (0, 0, 0)
    );
    (found.stop, found.needed)
}

#[test]
fn scan_reports_the_reasons_of_a_batch_header_in_order() {
    let length = |length: u64| length.to_le_bytes();
    let (short, least, most) = (length(303), length(352), length(256 + 2 * 64_100_048));
    let (less, more) = (length(351), length(256 + 2 * 64_100_048 + 1));
    let (reserved, offset, early): (&[u8], &[u8], [u8; 8]) =
        (&[1], &[6], (TIME - 11).to_le_bytes());
    let no_count: &[u8] = &[0; 4];
    assert_eq!(stop_with(&[(0, &[0; 256])]), (Stop::Zeros, 0));
    assert_eq!(
        stop_with(&[(32, &short), (72, reserved)]),
        (Stop::Length, 0)
    );
    assert_eq!(stop_with(&[(32, &[0; 8])]), (Stop::Length, 0));
    for at in (53..56).chain(72..256) {
        assert_eq!(
            stop_with(&[(at, reserved), (48, no_count)]),
            (Stop::Reserved, 0)
        );
    }
    assert_eq!(stop_with(&[(48, no_count), (8, offset)]), (Stop::Count, 0));
    assert_eq!(stop_with(&[(32, &more), (8, offset)]), (Stop::Length, 0));
    assert_eq!(stop_with(&[(32, &[0xff; 8])]), (Stop::Length, 0));
    assert_eq!(stop_with(&[(32, &less), (8, offset)]), (Stop::Count, 0));
    assert_eq!(stop_with(&[(32, &least), (8, offset)]), (Stop::Offset, 0));
    assert_eq!(stop_with(&[(8, offset), (16, &early)]), (Stop::Offset, 0));
    assert_eq!(
        stop_with(&[(16, &early), (32, &most)]),
        (Stop::Timestamp, 0)
    );
    assert_eq!(
        stop_with(&[(16, &length(MAX_SAFE_INTEGER + 1))]),
        (Stop::Timestamp, 0)
    );
    assert_eq!(
        stop_with(&[(16, &length(TIME - 10))]),
        (Stop::BatchChecksum, 0)
    );
}

#[test]
fn scan_refuses_a_producer_section_out_of_bounds() {
    let stop = |producer: Producer, changes: &[(usize, u8)]| {
        let batch = Batch {
            producer: Some(producer),
            ..Batch::of(5, &[b"x"])
        };
        let mut bytes = batch.write();
        for (at, value) in changes {
            bytes[*at] = *value;
        }
        scanned(&bytes, 5, 8).stop
    };
    let (id, epoch, sequence) = (i64::MAX as u64, i16::MAX as u16, i32::MAX as u32);
    assert_eq!(stop((id, epoch, sequence), &[]), Stop::End);
    assert_eq!(stop((0, 0, 0), &[]), Stop::End);
    assert_eq!(stop((id + 1, epoch, sequence), &[]), Stop::Reserved);
    assert_eq!(stop((id, epoch + 1, sequence), &[]), Stop::Reserved);
    assert_eq!(stop((id, epoch, sequence + 1), &[]), Stop::Reserved);
    for at in (53..56).chain(66..68) {
        assert_eq!(stop((1, 1, 1), &[(at, 1)]), Stop::Reserved);
    }
    // Without the flag, the section is zeros. There is no other flag.
    assert_eq!(stop((1, 0, 0), &[(52, 0)]), Stop::Reserved);
    assert_eq!(stop((0, 0, 0), &[(52, 0)]), Stop::BatchChecksum);
    assert_eq!(stop((0, 0, 0), &[(52, 3)]), Stop::Reserved);
}

#[test]
fn scan_reports_the_reasons_of_a_frame() {
    let (first, second) = (256, 256 + 58);
    let long_payload = 64_000_001u32.to_le_bytes();
    let long_headers = 100_001u32.to_le_bytes();
    for at in [first, second] {
        assert_eq!(stop_with(&[(at + 36, &long_payload)]), (Stop::Length, 0));
        assert_eq!(stop_with(&[(at + 32, &long_headers)]), (Stop::Length, 0));
        assert_eq!(stop_with(&[(at + 24, &[7])]), (Stop::Count, 0));
        for reserved in at + 40..at + 48 {
            assert_eq!(stop_with(&[(reserved, &[1])]), (Stop::Count, 0));
        }
        assert_eq!(stop_with(&[(at + 50, &[9])]), (Stop::FrameChecksum, 0));
        assert_eq!(stop_with(&[(at, &[9])]), (Stop::FrameChecksum, 0));
    }
    // The second frame ends after the batch, or before its end.
    assert_eq!(stop_with(&[(second + 36, &[11])]), (Stop::Count, 0));
    assert_eq!(stop_with(&[(second + 36, &[9])]), (Stop::FrameChecksum, 0));
    let shorter = [Frame::of(&[1; 10]).write(0), vec![0; 8]];
    let bytes = Batch::of(5, &[]).write_around(&[shorter.concat()]);
    assert_eq!(scanned(&bytes, 5, 8).stop, Stop::Count);
    assert_eq!(stop_with(&[(40, &[9])]), (Stop::BatchChecksum, 0));
}

#[test]
fn scan_reports_partial_only_for_plausible_visible_frames() {
    let bytes = Batch::of(5, &[&[1; 10], &[2; 10], &[3; 10]]).write();
    for (at, value) in [(24, 9), (39, 9), (35, 9), (40, 1)] {
        let (mut first, mut second) = (bytes.clone(), bytes.clone());
        first[256 + at] = value;
        second[256 + 58 + at] = value;
        for length in 256..bytes.len() {
            let stop = scanned(&first[..length], 5, 8).stop;
            assert_eq!(
                stop == Stop::Partial,
                length < 304,
                "{length} bytes: {stop:?}"
            );
            let stop = scanned(&second[..length], 5, 8).stop;
            assert_eq!(
                stop == Stop::Partial,
                length < 362,
                "{length} bytes: {stop:?}"
            );
        }
    }
    // Frames that end before or after the batch, by its own length.
    for length in [256 + 3 * 58 - 10, 256 + 3 * 58 - 1, 256 + 3 * 58 + 1] {
        let mut changed = bytes.clone();
        changed[32..40].copy_from_slice(&(length as u64).to_le_bytes());
        let whole = changed.len() - 10;
        assert_eq!(scanned(&changed[..whole], 5, 8).stop, Stop::Count);
    }
}

#[test]
fn scan_reports_a_tail_of_zeros_of_any_length() {
    let good = Batch::of(5, &[&[1; 10]]).write();
    for length in 1..600 {
        let bytes = [&good[..], &vec![0; length]].concat();
        assert_eq!(scanned(&bytes, 5, 8).outcome(), (1, Stop::Zeros, 0));
        let mut bytes = bytes;
        *bytes.last_mut().unwrap() = 1;
        let expected = match length {
            ..256 => (1, Stop::Partial, 256),
            256 => (1, Stop::Length, 0),
            _ => (1, Stop::Zeros, 0),
        };
        assert_eq!(scanned(&bytes, 5, 8).outcome(), expected, "{length} bytes");
    }
}

#[test]
fn scan_refuses_offsets_above_the_largest_safe_integer() {
    let most = MAX_SAFE_INTEGER;
    let last = Batch::of(most, &[b"a"]).write();
    let two = Batch::of(most, &[b"a", b"b"]).write();
    assert_eq!(scanned(&last, most, 8).stop, Stop::End);
    assert_eq!(scanned(&two, most, 8).stop, Stop::Offset);
    let after = Batch::of(most + 1, &[b"a"]).write();
    assert_eq!(scanned(&after, most + 1, 8).stop, Stop::Offset);
    let wrapped = Batch::of(u64::MAX, &[b"a", b"b"]).write();
    assert_eq!(scanned(&wrapped, u64::MAX, 8).stop, Stop::Offset);
}

#[test]
fn scan_hashes_the_checksums_of_any_number_of_frames() {
    for count in [1, 55, 56, 57, 58, 59, 120, 121, 122, 1000] {
        let payloads: Vec<&[u8]> = vec![b"x"; count];
        for producer in [None, Some((1, 2, 3))] {
            let batch = Batch {
                producer,
                ..Batch::of(0, &payloads)
            };
            let found = scanned(&batch.write(), 0, count);
            assert_eq!(found.outcome(), (count, Stop::End, 0));
        }
    }
}

#[test]
fn scan_refuses_progress_and_results_that_do_not_fit() {
    let bytes = Batch::of(0, &[b"a"]).write();
    let tried = |mut progress: Progress, room: [usize; 4]| {
        let mut words = room.map(|room| vec![0; room]);
        let [starts, lengths, batch_starts, batch_firsts] = &mut words;
        let mut results = Results {
            starts,
            lengths,
            batch_starts,
            batch_firsts,
        };
        scan(&bytes, &mut progress, &mut results).map(|(stop, _)| stop)
    };
    let progress = at(0, 0, 0);
    assert_eq!(tried(progress, [1; 4]), Some(Stop::End));
    assert_eq!(tried(progress, [0; 4]), Some(Stop::Full));
    assert_eq!(tried(progress, [1, 1, 0, 0]), Some(Stop::Full));
    assert_eq!(
        tried(
            Progress {
                count: 1,
                ..progress
            },
            [1; 4]
        ),
        Some(Stop::Full)
    );
    assert_eq!(
        tried(
            Progress {
                count: 2,
                ..progress
            },
            [1; 4]
        ),
        None
    );
    assert_eq!(
        tried(
            Progress {
                batch_count: 2,
                ..progress
            },
            [1; 4]
        ),
        None
    );
    assert_eq!(
        tried(
            Progress {
                end: bytes.len() + 1,
                ..progress
            },
            [1; 4]
        ),
        None
    );
    for odd in 0..4 {
        let mut room = [1; 4];
        room[odd] = 2;
        assert_eq!(tried(progress, room), None);
    }
}

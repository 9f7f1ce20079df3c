#![no_main]
//! Scanning any bytes: what is called valid is valid by the naive model, and it stops at the first
//! that is not.

use basalt::codec::{MAX_SAFE_INTEGER, Progress, Results, Stop, scan};
use libfuzzer_sys::fuzz_target;

#[path = "naive.rs"]
mod naive;

fuzz_target!(|input: (u16, u64, u64, u8, u8, &[u8])| {
    let (start, offset, timestamp, room, repaired, bytes) = input;
    let (start, room) = (usize::from(start), usize::from(room));
    let (offset, timestamp) = (offset & MAX_SAFE_INTEGER, timestamp & MAX_SAFE_INTEGER);
    let bytes = &mut bytes.to_vec()[..];
    naive::repair(bytes, start, repaired);
    let [mut starts, mut lengths, mut batch_starts, mut batch_firsts] =
        [0; 4].map(|_| vec![0; room]);
    let mut results = Results {
        starts: &mut starts,
        lengths: &mut lengths,
        batch_starts: &mut batch_starts,
        batch_firsts: &mut batch_firsts,
    };
    let mut progress = Progress {
        end: start,
        next_offset: offset,
        last_timestamp: timestamp,
        count: 0,
        batch_count: 0,
    };
    let Some((stop, needed)) = scan(bytes, &mut progress, &mut results) else {
        assert!(start > bytes.len());
        return;
    };
    let (mut at, mut count, mut last) = (start, 0, timestamp);
    let good = |at: usize, count: usize, last: u64| {
        naive::batch(bytes, at).filter(|batch| {
            batch.base_offset == offset + count as u64 && batch.base_timestamp >= last
        })
    };
    for i in 0..progress.batch_count {
        let batch = good(at, count, last).expect("a valid batch");
        assert_eq!(
            (batch_starts[i] as usize, batch_firsts[i] as usize),
            (at, count)
        );
        for (frame, payload) in &batch.frames {
            assert_eq!(
                (starts[count] as usize, lengths[count] as usize),
                (at + frame, *payload)
            );
            count += 1;
        }
        at += batch.length;
        last = batch.base_timestamp;
    }
    let expected = Progress {
        end: at,
        next_offset: offset + count as u64,
        last_timestamp: last,
        count,
        batch_count: progress.batch_count,
    };
    assert_eq!(progress, expected);
    match stop {
        Stop::Full => assert!(count + needed as usize > room),
        Stop::End => assert_eq!(at, bytes.len()),
        _ => assert_eq!(good(at, count, last), None),
    }
    assert!(stop == Stop::Full || (stop == Stop::Partial) == (needed != 0));
    assert!(stop != Stop::Partial || needed > (bytes.len() - at) as u64);
});

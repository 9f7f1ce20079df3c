#![no_main]
//! Scanning any bytes: what is called good is good by the naive model, and it stops at the first that is not.

use basalt::codec::{MAX_SAFE_INTEGER, Stop, scan};
use libfuzzer_sys::fuzz_target;

#[path = "naive.rs"]
mod naive;

fuzz_target!(|input: (u16, u64, u8, u8, &[u8])| {
    let (start, offset, room, repaired, bytes) = input;
    let (start, offset) = (usize::from(start), offset & MAX_SAFE_INTEGER);
    let bytes = &mut bytes.to_vec()[..];
    naive::repair(bytes, start, repaired);
    let mut starts = vec![0; usize::from(room) + 1];
    let mut lengths = vec![0; usize::from(room)];
    let Some(outcome) = scan(bytes, start, offset, &mut starts, &mut lengths) else {
        assert!(start > bytes.len());
        return;
    };
    let mut at = start;
    for i in 0..outcome.count {
        assert_eq!(starts[i] as usize, at);
        let (length, found) = naive::message(bytes, at).expect("a good message");
        assert_eq!(found, offset + i as u64);
        assert!(lengths[i] as usize + 64 <= length);
        at += length;
    }
    assert_eq!((starts[outcome.count] as usize, outcome.end), (at, at));
    let next = naive::message(bytes, at);
    match outcome.stop {
        Stop::Full => assert_eq!(outcome.count, lengths.len()),
        Stop::End => assert_eq!(at, bytes.len()),
        Stop::Offset => assert!(next.is_none_or(|(_, found)| found != offset + outcome.count as u64)),
        _ => assert_eq!(next, None),
    }
    assert!(outcome.stop == Stop::Partial || outcome.needed == 0);
    assert!(outcome.stop != Stop::Partial || at + outcome.needed > bytes.len());
});

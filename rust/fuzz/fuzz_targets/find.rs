#![no_main]
//! Finding a batch in any bytes, as a reader does that goes on after what is undecided: it finds
//! the first valid one.

use basalt::codec::find;
use libfuzzer_sys::fuzz_target;

#[path = "naive.rs"]
mod naive;

fuzz_target!(|input: (u16, u16, u64, u64, &[u8])| {
    let (start, repaired, a, b, bytes) = input;
    let (start, repaired) = (usize::from(start), usize::from(repaired));
    if start > bytes.len() {
        return;
    }
    let bytes = &mut bytes.to_vec()[..];
    naive::repair(bytes, repaired, 2);
    let offsets = a.min(b)..=a.max(b);
    let valid =
        |at: usize| naive::batch(bytes, at).filter(|batch| offsets.contains(&batch.base_offset));
    let expected = (start..bytes.len()).find(|at| valid(*at).is_some());
    let mut from = start;
    let first = loop {
        let found = find(bytes, from, offsets.clone());
        if let Some(at) = found.valid {
            assert!(at >= from && valid(at).is_some());
        }
        let Some((at, length)) = found.beyond else {
            break found.valid;
        };
        assert!(at >= from && at < found.valid.unwrap_or(bytes.len()) && length >= 304);
        if at as u64 + length <= bytes.len() as u64 {
            // It gave up on this one, which may be valid; otherwise a valid one would be the
            // answer.
            assert_eq!(found.valid, None);
            if valid(at).is_some() {
                break Some(at);
            }
        }
        if found.valid.is_some() {
            break found.valid;
        }
        from = at + 1;
    };
    assert_eq!(first, expected);
});

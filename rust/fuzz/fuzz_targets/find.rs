#![no_main]
//! Finding a message in any bytes: what is found is valid by the naive model, and none before it is.

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
    naive::repair(bytes, repaired, 1);
    let offsets = a.min(b)..=a.max(b);
    let valid = |at: usize| naive::message(bytes, at).filter(|(_, offset)| offsets.contains(offset));
    let found = find(bytes, start, offsets.clone());
    let end = found.valid.unwrap_or(bytes.len());
    if let Some(at) = found.valid {
        assert!(valid(at).is_some());
    }
    for at in start..end {
        // A checksum with six bytes of 0 is passed over: one message in 10^13.
        let zeros = bytes[at..].iter().take(8).filter(|byte| **byte == 0).count();
        assert!(valid(at).is_none() || zeros >= 6, "passed over at {at}");
    }
    if let Some((at, length)) = found.beyond {
        assert!(at >= start && at < end && at + length > bytes.len());
    }
});

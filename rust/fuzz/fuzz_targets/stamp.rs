#![no_main]
//! Stamping any records: refused as a whole, or a run that scans as it was asked for, with its index.

use basalt::codec::{Context, INDEX_ENTRY_BYTES, RECORD_ID_GIVEN, RECORD_ORIGIN_GIVEN, Stop, scan, stamp};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u16, Vec<(u16, u16)>, [u8; 64], Vec<u8>)| {
    let (start, records, context, mut bytes) = input;
    let Some(context) = Context::parse(&context) else {
        return;
    };
    let words: Vec<u32> = records
        .iter()
        .flat_map(|&(payload, headers)| {
            let flags = u32::from(headers) << 16 & (RECORD_ID_GIVEN | RECORD_ORIGIN_GIVEN);
            [u32::from(payload), u32::from(headers & 0x3ff) | flags]
        })
        .collect();
    let before = bytes.clone();
    let mut index = vec![0xee; records.len() * INDEX_ENTRY_BYTES];
    let start = usize::from(start);
    if stamp(&mut bytes, start, &words, &mut index, &context).is_none() {
        assert_eq!(bytes, before, "refused, but written");
        assert!(index.iter().all(|byte| *byte == 0xee));
        return;
    }
    let mut starts = vec![0; records.len() + 1];
    let mut lengths = vec![0; records.len()];
    let outcome = scan(&bytes, start, context.first_offset, &mut starts, &mut lengths).unwrap();
    assert_eq!(outcome.count, records.len());
    assert!(matches!(outcome.stop, Stop::Full | Stop::End) || outcome.end < bytes.len());
    for (i, pair) in words.chunks_exact(2).enumerate() {
        assert_eq!(lengths[i], pair[0]);
        let entry = &index[i * INDEX_ENTRY_BYTES..];
        let word = |at: usize| u32::from_le_bytes(entry[at..at + 4].try_into().unwrap());
        assert_eq!(u64::from(word(0)), context.relative_offset + i as u64);
        let end = context.position + u64::from(starts[i + 1]) - start as u64;
        assert_eq!(u64::from(word(4)), end);
        // What is no header is as it was.
        let body = starts[i] as usize + 64..starts[i + 1] as usize;
        assert_eq!(bytes[body.clone()], before[body]);
    }
    assert_eq!(bytes[..start], before[..start]);
    assert_eq!(bytes[outcome.end..], before[outcome.end..]);
});

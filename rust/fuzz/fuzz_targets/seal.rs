#![no_main]
//! Sealing any block: refused as a whole, or batches that are valid by the naive model and hold
//! what was laid out.

use basalt::codec::{
    RECORD_BATCH_START, RECORD_BYTES, RECORD_ID_GIVEN, RECORD_ORIGIN_GIVEN, Run, seal,
};
use libfuzzer_sys::fuzz_target;

#[path = "naive.rs"]
mod naive;

fuzz_target!(|input: (u16, u8, u64, u64, u64, bool, &[u8])| {
    let (start, count, base_offset, base_timestamp, partition_id, is_tamed, bytes) = input;
    let (start, count) = (usize::from(start), usize::from(count));
    let mut block = bytes.to_vec();
    if is_tamed {
        tame(&mut block, start, count, base_timestamp);
    }
    let before = block.clone();
    let run = Run {
        start,
        count,
        base_offset,
        base_timestamp,
        partition_id,
        seed: [1; 32],
    };
    let Some(end) = seal(&mut block, &run) else {
        assert_eq!(block, before, "refused, but written");
        return;
    };
    assert!(end + RECORD_BYTES * count <= block.len());
    assert_eq!(
        (&block[..start], &block[end..]),
        (&before[..start], &before[end..])
    );
    let (mut at, mut messages) = (start, 0);
    while messages < count {
        let batch = naive::batch(&block, at).expect("a valid batch");
        assert_eq!(batch.base_offset, base_offset + messages as u64);
        assert_eq!(batch.base_timestamp, base_timestamp);
        assert_eq!(naive::number(&block, at, 8), partition_id);
        let origin = naive::number(&block, at + 24, 8);
        let mut earliest = u64::MAX;
        for (i, (frame, payload)) in batch.frames.iter().enumerate() {
            let record = block.len() - RECORD_BYTES * (messages + 1);
            let word = naive::number(&block, record + 4, 4) as u32;
            let frame = at + frame;
            assert_eq!(naive::number(&block, record, 4), *payload as u64);
            assert_eq!(word & RECORD_BATCH_START != 0, i == 0);
            let given = &before[frame + 8..frame + 24];
            let id = &block[frame + 8..frame + 24];
            assert!(id.iter().any(|byte| *byte != 0));
            if word & RECORD_ID_GIVEN != 0 && given.iter().any(|byte| *byte != 0) {
                assert_eq!(id, given);
            }
            let time = match word & RECORD_ORIGIN_GIVEN {
                0 => base_timestamp,
                _ => naive::number(&before, frame + 40, 8),
            };
            assert_eq!(origin + naive::number(&block, frame + 28, 4), time);
            earliest = earliest.min(time);
            let body = frame + 48..frame + 48 + payload + (word & 0x1ffff) as usize;
            assert_eq!(block[body.clone()], before[body]);
            messages += 1;
        }
        assert_eq!(origin, earliest);
        at += batch.length;
    }
    assert_eq!((at, messages), (end, count));
});

/// Makes lengths short, flags known and times near, so that more than refusals are tried.
fn tame(block: &mut [u8], start: usize, count: usize, base_timestamp: u64) {
    let mut frame = start;
    for i in 0..count {
        let Some(record) = block.len().checked_sub(RECORD_BYTES * (i + 1)) else {
            return;
        };
        block[record + 1..record + 4].fill(0);
        block[record + 5] = 0;
        block[record + 6] = 0;
        block[record + 7] &= 0xe0;
        if i == 0 {
            block[record + 7] |= 0x20;
        }
        if block[record + 7] & 0x20 != 0 {
            frame += 256;
        }
        if let Some(time) = block.get_mut(frame + 40..frame + 48) {
            let near = base_timestamp.wrapping_add(u64::from(time[0]));
            time.copy_from_slice(&near.to_le_bytes());
        }
        frame += 48 + usize::from(block[record]) + usize::from(block[record + 4]);
    }
}

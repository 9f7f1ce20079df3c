//! Tests of laying out.

use proptest::prelude::*;

use crate::codec::{Laid, Layout, MAX_PAYLOAD_BYTES, RECORD_BYTES, lay};

proptest! {
    #[test]
    fn lay_lays_out_what_fits_and_no_more(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..12),
        start in 0usize..100, room in 0usize..3000, spare in 0usize..300, record_count in 0usize..5,
    ) {
        let lengths: Vec<u32> = payloads.iter().map(|payload| payload.len() as u32).collect();
        let length = start + room + RECORD_BYTES * record_count;
        let layout = Layout { start, end: length - spare.min(room), record_count };
        let mut bytes = vec![0xee; length];
        let mut expected = bytes.clone();
        let mut laid = Laid { count: 0, source_end: 0, end: start };
        for payload in &payloads {
            let at = laid.end + 48;
            let room = length - RECORD_BYTES * record_count;
            let record = room.checked_sub(RECORD_BYTES * (laid.count + 1));
            let end = at + payload.len();
            let fits = |record: &usize| end <= layout.end && end <= *record;
            let Some(record) = record.filter(fits) else { break };
            expected[at..end].copy_from_slice(payload);
            expected[record..record + 4].copy_from_slice(&(payload.len() as u32).to_le_bytes());
            expected[record + 4..record + 8].fill(0);
            laid = Laid { count: laid.count + 1, source_end: laid.source_end + payload.len(), end };
        }
        prop_assert_eq!(lay(&payloads.concat(), &lengths, &mut bytes, layout), Some(laid));
        prop_assert_eq!(bytes, expected);
    }
}

#[test]
fn lay_refuses_lengths_beyond_the_source_and_the_maximum_and_writes_nothing() {
    let run = |lengths: &[u32], start, end, record_count| {
        let mut bytes = [0; 400];
        let layout = Layout {
            start,
            end,
            record_count,
        };
        let laid = lay(&[1; 30], lengths, &mut bytes, layout);
        assert!(laid.is_some() || bytes.iter().all(|byte| *byte == 0));
        laid.map(|laid| laid.count)
    };
    assert_eq!(run(&[10, 20], 0, 400, 0), Some(2));
    assert_eq!(run(&[], 400, 400, 0), Some(0));
    assert_eq!(run(&[10, 21], 0, 400, 0), None);
    assert_eq!(run(&[31], 0, 400, 0), None);
    assert_eq!(run(&[u32::MAX], 0, 400, 0), None);
    assert_eq!(run(&[MAX_PAYLOAD_BYTES + 1], 0, 400, 0), None);
    assert_eq!(run(&[], 0, 401, 0), None);
    assert_eq!(run(&[], 11, 10, 0), None);
    assert_eq!(run(&[], 393, 400, 1), None);
    assert_eq!(run(&[], 0, 400, 51), None);
    assert_eq!(run(&[], 0, 400, usize::MAX), None);
    // A payload that does not fit is not checked.
    assert_eq!(run(&[10, 20, 30], 0, 140, 0), None);
    assert_eq!(run(&[10, 20, 30], 0, 60, 0), Some(1));
}

#[test]
fn lay_refuses_a_payload_above_its_maximum() {
    let most = MAX_PAYLOAD_BYTES as usize;
    let (source, mut bytes) = (vec![0; most + 1], vec![0; most + 100]);
    let layout = Layout {
        start: 0,
        end: bytes.len(),
        record_count: 0,
    };
    let mut count = |length| lay(&source, &[length], &mut bytes, layout).map(|laid| laid.count);
    assert_eq!(count(MAX_PAYLOAD_BYTES), Some(1));
    assert_eq!(count(MAX_PAYLOAD_BYTES + 1), None);
}

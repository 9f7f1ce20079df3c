//! Spreading: payloads that lie back to back, each to its place behind room for a header.

use super::header::{HEADER_BYTES, MAX_PAYLOAD_BYTES};

/// What [`spread`] did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spread {
    /// Payloads that were copied.
    pub count: usize,
    /// Where the first byte lies that was not taken from the source.
    pub source_end: usize,
    /// Where the next message starts in the bytes.
    pub end: usize,
}

/// Copies payloads from `source`, where they lie back to back, into `bytes` from `start` on, each behind room for a header,
/// as many as fit; writes their records for [`super::stamp`], two words each, no user headers.
///
/// `lengths` are the payloads' lengths. `None`, some of them copied, where one is above its maximum or ends behind the
/// source, or `start` lies behind the bytes.
pub fn spread(
    source: &[u8],
    lengths: &[u32],
    bytes: &mut [u8],
    start: usize,
    records: &mut [u32],
) -> Option<Spread> {
    let (mut from, mut rest) = (0, bytes.get_mut(start..)?);
    let mut count = 0;
    for (length, record) in lengths.iter().zip(records.chunks_exact_mut(2)) {
        if *length > MAX_PAYLOAD_BYTES {
            return None;
        }
        let length = *length as usize;
        let payload = source.get(from..from + length)?;
        let Some((message, behind)) = rest.split_at_mut_checked(HEADER_BYTES + length) else {
            break;
        };
        message[HEADER_BYTES..].copy_from_slice(payload);
        record.copy_from_slice(&[length as u32, 0]);
        (from, rest) = (from + length, behind);
        count += 1;
    }
    let end = start + count * HEADER_BYTES + from;
    Some(Spread {
        count,
        source_end: from,
        end,
    })
}

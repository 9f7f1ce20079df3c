//! The bytes of messages in bulk: spreading payloads, stamping a run, checking a block, finding a message in damaged bytes.
//!
//! A message is a header of 64 bytes, its payload, its user headers; messages lie back to back. All integers are
//! little-endian. The header: checksum (XXH3-64 of all that follows it), id (16 bytes), offset, timestamp, origin
//! timestamp, length of the user headers (u32), length of the payload (u32), reserved (0).

mod find;
mod header;
mod scan;
mod spread;
mod stamp;

pub use find::{Found, find};
pub use header::{HEADER_BYTES, MAX_PAYLOAD_BYTES, MAX_USER_HEADERS_BYTES};
pub use scan::{Outcome, Stop, scan};
pub use spread::{Spread, spread};
pub use stamp::{CONTEXT_BYTES, Context, INDEX_ENTRY_BYTES, RECORD_ID_GIVEN, RECORD_ORIGIN_GIVEN, stamp};

/// The largest offset or time that crosses the border: the last integer that JavaScript's numbers hold exactly.
pub const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// The integer that `value` is; `None` for a fraction, a negative number, NaN or one above `max`.
pub fn whole(value: f64, max: u64) -> Option<u64> {
    // The cast saturates and drops fractions, so it gives the value back only if that was an integer in range.
    let integer = value as u64;
    (integer as f64 == value && integer <= max).then_some(integer)
}

#[cfg(test)]
mod tests;

//! The bytes of batches in bulk: laying out payloads, sealing batches, checking blocks, finding a
//! batch in damaged bytes.
//!
//! The format is described in `docs/format.md`; [`layout`] has every offset of it. [`legacy`] is
//! the format of Apache Iggy up to 0.8, for import and export.

mod batch_hash;
mod find;
mod lay;
mod layout;
pub mod legacy;
mod records;
mod restamp;
mod scan;
mod seal;

pub use find::{Found, find};
pub use lay::{Laid, Layout, lay};
pub use layout::{
    BATCH_HEADER_BYTES, FRAME_HEADER_BYTES, MAX_BATCH_BYTES, MAX_PAYLOAD_BYTES,
    MAX_USER_HEADERS_BYTES,
};
pub use records::{RECORD_BATCH_START, RECORD_BYTES, RECORD_ID_GIVEN, RECORD_ORIGIN_GIVEN};
pub use restamp::restamp;
pub use scan::{Progress, Results, Stop, scan};
pub use seal::{Run, SEAL_CONTEXT_BYTES, seal};

/// The largest offset or time that crosses the border: the last integer that JavaScript's numbers
/// hold exactly.
pub const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// Returns the integer that `value` is; `None` for a fraction, a negative number, NaN or one above
/// `max`.
pub fn whole(value: f64, max: u64) -> Option<u64> {
    // The cast saturates and drops fractions, so it gives the value back only if that was an
    // integer in range.
    let integer = value as u64;
    (integer as f64 == value && integer <= max).then_some(integer)
}

#[cfg(all(test, not(loom)))]
mod tests;

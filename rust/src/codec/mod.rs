//! The bytes of batches in bulk: laying out payloads, sealing batches, checking blocks, finding a
//! batch in damaged bytes.
//!
//! The format is described in `docs/format.md`; [`layout`] has every offset of it, and no other
//! file has one. [`legacy`] is the format of Apache Iggy up to 0.8, for import and export.
//!
//! While a log gathers messages, its *write block* grows from both ends. Payloads lie where they
//! will be written, each after room for a frame header, and the first of a batch after room for a
//! batch header. At the end of the block, one record a message says how long it is and what its
//! header room already contains:
//!
//! ```text
//! | physical block | batch  | frame  | payload,| frame  | payload,|        |        |        |
//! | that is there  | header | header | headers | header | headers | unused | record | record |
//! | already        | (room) | (room) | 0       | (room) | 1       |        | 1      | 0      |
//! ```
//!
//! [`lay`] copies payloads there. [`seal`] plans every batch of the block first, and writes nothing
//! if one of them does not fit; then it fills the rooms. No payload is moved.
//!
//! The readers, [`scan`], [`find`] and [`restamp`], take any bytes: none makes them panic or read
//! outside. They check headers by the same functions of [`layout`], so that they agree on what a
//! batch is.

mod batch_hash;
mod find;
mod lay;
mod layout;
pub mod legacy;
mod records;
mod restamp;
mod scan;
mod seal;

pub use find::{Found, find, last_nonzero};
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

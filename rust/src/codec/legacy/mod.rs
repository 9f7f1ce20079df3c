//! The format of Apache Iggy up to 0.8: one header per message.
//!
//! A message is a header of 64 bytes, its payload, its user headers; messages lie back to back. All
//! integers are little-endian. The header: checksum (XXH3-64 of all that follows it), id (16
//! bytes), offset, timestamp, origin timestamp, length of the user headers (u32), length of the
//! payload (u32), reserved (0).

mod expand;
mod find;
mod gather;
mod header;

use super::MAX_SAFE_INTEGER;
pub use expand::{ExpandStop, Expanded, INDEX_ENTRY_BYTES, Segment, expand};
pub use find::find;
pub use gather::{Gathered, MAX_GATHERED_BYTES, gather};
pub use header::HEADER_BYTES;

#[cfg(all(test, not(loom)))]
mod tests;

//! The native core of Basalt: memory, system calls on descriptors, bytes in bulk.
//!
//! Nothing here knows JavaScript's types, sees a path or reads a clock; `ffi` holds the only
//! exports.

pub mod codec;
pub mod engine;
pub mod ffi;
mod handles;
pub mod pool;
pub mod probe;
mod process;
pub mod status;
#[cfg(all(test, not(loom)))]
mod testing;
mod thread;

//! The number by which JavaScript and the library recognise each other.

use super::{codec, engine, exports, file, legacy_codec, pool};
use crate::status::NAMES;
use crate::thread;

exports! {
    /// Returns the low 31 bits of FNV-1a over the version, the status codes and the signatures of
    /// all exports: it changes when any of them does.
    safe fn basalt_abi() {
        Ok(ABI & 0x7fff_ffff)
    }

    /// Notes that the isolate with this random number uses the library on the calling thread, and
    /// ends what an earlier isolate of the thread left. Returns whether there was one.
    safe fn basalt_isolate_begin(low: u32, high: u32) {
        thread::begin_isolate(u64::from(high) << 32 | u64::from(low))
    }
}

const ABI: u32 = {
    let parts = [
        env!("CARGO_PKG_VERSION"),
        NAMES,
        SIGNATURES,
        codec::SIGNATURES,
        legacy_codec::SIGNATURES,
        engine::SIGNATURES,
        file::SIGNATURES,
        pool::SIGNATURES,
    ];
    let mut hash = 0x811c_9dc5u32;
    let mut part = 0;
    while part < parts.len() {
        let bytes = parts[part].as_bytes();
        let mut i = 0;
        while i < bytes.len() {
            hash = (hash ^ bytes[i].to_ascii_lowercase() as u32).wrapping_mul(0x0100_0193);
            i += 1;
        }
        part += 1;
    }
    hash
};

//! Exports of the engine: pending operations, and the same operations run in place.

use std::time::Duration;

use super::{Read, Write, exports};
use crate::engine::backends::{self, WATCHES};
use crate::engine::entry::{Completion, Entry, completion};
use crate::engine::{Kind, plain};

/// Stands for a wait without a limit.
const NO_LIMIT: u32 = u32::MAX;

exports! {
    /// Opens a backend for the calling thread and returns its number, or the reason why the system
    /// refuses this kind (1 = threads, 2 = ring, 3 = in place).
    ///
    /// `out`: the highest number of pending operations, then the highest number of threads or the
    /// mode of the ring.
    unsafe fn basalt_engine_open(kind: u32, out: Write[u32; 2]) {
        let (number, facts) = backends::open(Kind::try_from(kind)?)?;
        out.copy_from_slice(&facts);
        Ok(number)
    }

    /// Closes a backend of the calling thread and drops the completions of pending operations.
    safe fn basalt_engine_close(backend: u32) {
        backends::close(backend)
    }

    /// Begins the operations of `entries` (see `engine::entry`), waits for `min` completions but no
    /// longer than `limit_micros` (0xffffffff: without a limit), takes up to `capacity` of them,
    /// and returns their number.
    unsafe fn basalt_engine_turn(
        backend: u32,
        entries: Read[Entry; entry_count], entry_count: u32,
        out: Write[Completion; capacity], capacity: u32,
        min: u32, limit_micros: u32,
    ) {
        let limit = (limit_micros != NO_LIMIT).then(|| Duration::from_micros(limit_micros.into()));
        backends::with(backend, |own| own.turn(entries, out, min as usize, limit))
    }

    /// Runs operations to their end, many at a time. `out`: their completions in the order of
    /// `entries`.
    unsafe fn basalt_engine_batch(
        backend: u32,
        entries: Read[Entry; entry_count], entry_count: u32,
        out: Write[Completion; entry_count],
    ) {
        backends::with(backend, |own| own.batch(entries, out))
    }

    /// Runs an operation to its end on the calling thread and returns its status. `out`: its
    /// completion.
    unsafe fn basalt_engine_run(entry: Read[Entry; 1], out: Write[Completion; 1]) {
        let outcome = plain::run(&entry[0]);
        out[0] = completion(entry[0][8], outcome);
        outcome.result
    }

    /// Prepares for `basalt_engine_wait` (1), or ends that (0). Returns the number of completions
    /// that are ready: with one there is nothing to wait for.
    safe fn basalt_engine_arm(backend: u32, on: u32) {
        backends::with(backend, |own| own.arm(on != 0))
    }

    /// Waits, on any thread, until there is a completion or no operation is pending, or until the
    /// end of the backend or of the time.
    safe fn basalt_engine_wait(backend: u32, timeout_ms: u32) {
        WATCHES.get(backend)?.wait(Duration::from_millis(timeout_ms.into()));
        Ok(())
    }

    /// Returns how many calls of `basalt_engine_wait` have begun to wait, modulo 2^31.
    safe fn basalt_engine_waits(backend: u32) {
        Ok(WATCHES.get(backend)?.waits() & 0x7fff_ffff)
    }
}

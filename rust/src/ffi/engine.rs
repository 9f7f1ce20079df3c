//! Exports of the engine: operations in flight, and the same operations run in place.

use std::time::Duration;

use super::{Buffer, exports, view};
use crate::engine::entry::{Completion, Entry, completion};
use crate::engine::{Kind, ports};
use crate::status::{BAD_ARGUMENT, Status};

/// A budget that is none: wait as long as it takes.
const NO_LIMIT: u32 = u32::MAX;

exports! {
    /// Opens a port of the calling thread and answers its number, or why the system refuses this kind (1 = threads, 2 = ring, 3 = in place).
    /// `out`: u32[2] = the most operations in flight, the most threads or the mode of the ring.
    fn basalt_engine_open(kind: u32, out: Buffer) {
        // SAFETY: the caller passes a view of 2 words and waits.
        let Some(out) = (unsafe { view::<u32>(out, 2) }) else { return BAD_ARGUMENT };
        Kind::try_from(kind).and_then(ports::open).map_or_else(|status| status, |(number, facts)| {
            out.copy_from_slice(&[facts.max_operations, facts.detail]);
            number as Status
        })
    }

    /// Ends a port of the calling thread; completions of what is in flight are dropped.
    fn basalt_engine_close(port: u32) {
        code(ports::close(port))
    }

    /// One turn: begins the operations of `entries` (u32[12] each, see `engine::entry`), waits for `min` completions but no longer than
    /// `budget_micros` (0xffffffff: as long as it takes), and takes up to `capacity` (u32[4] each). Answers how many.
    fn basalt_engine_turn(
        port: u32,
        entries: Buffer,
        entry_count: u32,
        out: Buffer,
        capacity: u32,
        min: u32,
        budget_micros: u32,
    ) {
        // SAFETY: the caller passes a view of so many entries and waits.
        let entries = unsafe { view::<Entry>(entries, entry_count as usize) };
        // SAFETY: the caller passes another view of so many completions and waits.
        let out = unsafe { view::<Completion>(out, capacity as usize) };
        let (Some(entries), Some(out)) = (entries, out) else { return BAD_ARGUMENT };
        let budget = (budget_micros != NO_LIMIT).then(|| Duration::from_micros(budget_micros.into()));
        count(ports::turn(port, entries, out, min as usize, budget))
    }

    /// Runs `count` operations to their end, many at a time. `out`: u32[4] each, their completions in the order of `entries`.
    fn basalt_engine_batch(port: u32, entries: Buffer, entry_count: u32, out: Buffer) {
        // SAFETY: the caller passes a view of so many entries and waits.
        let entries = unsafe { view::<Entry>(entries, entry_count as usize) };
        // SAFETY: the caller passes another view, of as many completions, and waits.
        let out = unsafe { view::<Completion>(out, entry_count as usize) };
        let (Some(entries), Some(out)) = (entries, out) else { return BAD_ARGUMENT };
        code(ports::batch(port, entries, out))
    }

    /// Runs an operation to its end on the calling thread and answers its status. `out`: u32[4], its completion.
    fn basalt_engine_run(entry: Buffer, out: Buffer) {
        // SAFETY: the caller passes a view of 12 words and waits.
        let entry = unsafe { view::<Entry>(entry, 1) };
        // SAFETY: the caller passes a view of 4 words, another one than the entry's, and waits.
        let out = unsafe { view::<Completion>(out, 1) };
        let (Some(entry), Some(out)) = (entry, out) else { return BAD_ARGUMENT };
        let outcome = ports::run(&entry[0]);
        out[0] = completion(entry[0][8], outcome);
        outcome.status
    }

    /// Prepares for `basalt_engine_wait` (1), or ends that (0). Answers how many completions are there already: then there is nothing to wait for.
    fn basalt_engine_arm(port: u32, on: u32) {
        count(ports::arm(port, on != 0))
    }

    /// Waits, on whichever thread, for a completion, for nothing being in flight, or for the end of the port or of the time.
    fn basalt_engine_wait(port: u32, timeout_ms: u32) {
        code(ports::wait(port, Duration::from_millis(timeout_ms.into())))
    }

    /// How many calls of `basalt_engine_wait` have come as far as waiting, modulo 2^31.
    fn basalt_engine_waits(port: u32) {
        ports::waits(port).map_or_else(|status| status, |count| (count & 0x7fff_ffff) as Status)
    }
}

fn code(result: Result<(), Status>) -> Status {
    result.err().unwrap_or(0)
}

fn count(result: Result<usize, Status>) -> Status {
    result.map_or_else(|status| status, |count| count as Status)
}

//! Exports of the engine: operations in flight, and the same operations run in place.

use std::time::Duration;

use super::{Buffer, exports, view};
use crate::engine::entry::{Completion, Entry, completion};
use crate::engine::{MAX_THREADS, port, ports};
use crate::status::{BAD_ARGUMENT, Status};

exports! {
    /// Opens a port of the calling thread and answers its number.
    /// `out`: u32[4] = the kind of engine (1 = threads), the most operations in flight, the most threads, 0.
    fn basalt_engine_open(out: Buffer) {
        // SAFETY: the caller passes a view of 4 words and waits.
        let Some(out) = (unsafe { view::<u32>(out, 4) }) else { return BAD_ARGUMENT };
        out.copy_from_slice(&[1, port::MAX_OPERATIONS as u32, MAX_THREADS as u32, 0]);
        ports::open().map_or_else(|status| status, |number| number as Status)
    }

    /// Ends a port of the calling thread; completions of what is in flight are dropped.
    fn basalt_engine_close(port: u32) {
        code(ports::close(port))
    }

    /// Starts an operation. `entry`: u32[12], see `engine::entry`.
    fn basalt_engine_submit(port: u32, entry: Buffer) {
        match words(entry) {
            Some(entry) => code(ports::submit(port, &entry)),
            None => BAD_ARGUMENT,
        }
    }

    /// Runs an operation to its end and answers its status. `out`: u32[4], its completion.
    fn basalt_engine_run(entry: Buffer, out: Buffer) {
        let Some(entry) = words(entry) else { return BAD_ARGUMENT };
        // SAFETY: the caller passes a view of 4 words, another one than the entry's, and waits.
        let Some(out) = (unsafe { view::<u32>(out, 4) }) else { return BAD_ARGUMENT };
        let outcome = ports::run(&entry);
        out.copy_from_slice(&completion(entry[8], outcome));
        outcome.status
    }

    /// Takes completions of a port of the calling thread, u32[4] each, as many as there are and fit; never waits. Answers how many.
    fn basalt_engine_collect(port: u32, out: Buffer, capacity: u32) {
        // SAFETY: the caller passes a view of `capacity` completions of 4 words and waits.
        let Some(out) = (unsafe { view::<Completion>(out, capacity as usize) }) else { return BAD_ARGUMENT };
        ports::mine(port).map_or_else(|status| status, |port| port.collect(out) as Status)
    }

    /// Waits, on whichever thread, until a completion is ready, nothing is in flight, or the time is over. Answers how many are ready.
    fn basalt_engine_wait(port: u32, timeout_ms: u32) {
        count(ports::any(port).and_then(|port| port.wait(Duration::from_millis(timeout_ms.into()))))
    }

    /// Waits until nothing is in flight or the time is over. Answers how many completions are ready.
    fn basalt_engine_settle(port: u32, timeout_ms: u32) {
        count(ports::mine(port).and_then(|port| port.settle(Duration::from_millis(timeout_ms.into()))))
    }
}

/// A copy of an entry, so that nobody can change it while it is checked.
fn words(entry: Buffer) -> Option<Entry> {
    // SAFETY: the caller passes a view of 12 words and waits.
    unsafe { view::<Entry>(entry, 1) }.map(|entry| entry[0])
}

fn code(result: Result<(), Status>) -> Status {
    result.err().unwrap_or(0)
}

fn count(result: Result<usize, Status>) -> Status {
    result.map_or_else(|status| status, |count| count as Status)
}

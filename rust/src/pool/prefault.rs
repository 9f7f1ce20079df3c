//! Populates mapped memory before it is used.
//!
//! The first access to a page costs a fault and its zeroing, three to ten times as much as writing
//! it. A pool maps more than the block that is asked for; a background thread populates the rest
//! and ends when nothing is left to do. The thread holds [`RANGES`] while it populates, and a
//! caller that unmaps takes its ranges out first. So nothing is populated that is not the pool's.

use std::sync::Mutex;
use std::thread;

use super::mapping;
use super::sync::lock;

/// Bytes that are populated at once under the lock: a huge page, which one fault zeroes whole.
const STEP_BYTES: usize = 2 << 20;

/// Addresses `(start, end)` that are left to populate. One thread works on them as long as there
/// are any.
static RANGES: Mutex<Vec<(usize, usize)>> = Mutex::new(Vec::new());

/// Populates mapped memory in the background.
pub fn start(start: usize, bytes: usize) {
    let mut ranges = lock(&RANGES);
    ranges.push((start, start + bytes));
    if ranges.len() > 1 {
        return;
    }
    let thread = thread::Builder::new()
        .name("basalt-prefault".into())
        .spawn(run);
    if thread.is_err() {
        // The first access populates the memory.
        ranges.clear();
    }
}

/// Removes a range that is about to be unmapped: after the return nothing in it is populated.
pub fn cancel(start: usize, bytes: usize) {
    let end = start + bytes;
    let mut ranges = lock(&RANGES);
    if ranges.iter().all(|&(from, to)| to <= start || end <= from) {
        return;
    }
    let rest = ranges
        .drain(..)
        .flat_map(|(from, to)| [(from, to.min(start)), (from.max(end), to)])
        .filter(|(from, to)| from < to)
        .collect();
    *ranges = rest;
}

fn run() {
    loop {
        let mut ranges = lock(&RANGES);
        let Some((start, end)) = ranges.first_mut() else {
            return;
        };
        let to = (*start + STEP_BYTES).min(*end);
        let populated = mapping::populate(*start, to - *start);
        *start = if populated { to } else { *end };
        if start == end {
            ranges.remove(0);
            if ranges.is_empty() {
                // Under the same lock: the next caller of `start` begins another thread.
                return;
            }
        }
        drop(ranges);
        thread::yield_now();
    }
}

#[cfg(all(test, not(loom)))]
mod tests;

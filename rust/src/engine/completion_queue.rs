//! Completions of one isolate's operations, until it collects them.

use std::collections::VecDeque;
use std::time::Duration;

use super::entry::Completion;
use super::sync::{Condvar, Mutex, lock, wait_while};
use crate::status::{NO_SUCH_HANDLE, Status, TABLE_FULL};

/// Maximum number of operations of a queue that are not collected yet.
pub const MAX_OPERATIONS: usize = 4096;

/// Collects the completions of one isolate's operations.
#[derive(Default)]
pub struct CompletionQueue {
    state: Mutex<State>,
    /// Notified of a completion, of the end of the last pending operation, and of the queue's end.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    ready: VecDeque<Completion>,
    /// Operations begun whose completion is not in `ready` yet.
    pending: usize,
    closed: bool,
}

impl CompletionQueue {
    /// Counts an operation, which must be completed exactly once.
    pub fn begin(&self) -> Result<(), Status> {
        let mut state = lock(&self.state);
        if state.closed {
            return Err(NO_SUCH_HANDLE);
        }
        if state.pending + state.ready.len() >= MAX_OPERATIONS {
            return Err(TABLE_FULL);
        }
        state.pending += 1;
        Ok(())
    }

    /// Ends an operation, whose memory and file are already released. A closed queue drops the
    /// completion.
    pub fn complete(&self, completion: Completion) {
        let mut state = lock(&self.state);
        state.pending -= 1;
        if !state.closed {
            state.ready.push_back(completion);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Moves as many completions to `out` as there are and fit, oldest first. Never waits.
    pub fn collect(&self, out: &mut [Completion]) -> usize {
        let mut state = lock(&self.state);
        let count = out.len().min(state.ready.len());
        for (place, completion) in out.iter_mut().zip(state.ready.drain(..count)) {
            *place = completion;
        }
        drop(state);
        // A wait for the completion that was taken here must end if it was the last one.
        self.changed.notify_all();
        count
    }

    /// Waits until `min` completions are ready, no operation is pending, or the timeout. Returns
    /// the number of ready completions.
    pub fn wait(&self, min: usize, timeout: Duration) -> Result<usize, Status> {
        let state = lock(&self.state);
        let state = wait_while(&self.changed, state, timeout, |state| {
            !state.closed && state.ready.len() < min && state.pending > 0
        });
        if state.closed {
            Err(NO_SUCH_HANDLE)
        } else {
            Ok(state.ready.len())
        }
    }

    /// Ends the queue: waits end, and all completions are dropped, including later ones.
    pub fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        state.ready = VecDeque::new();
        drop(state);
        self.changed.notify_all();
    }

    /// Whether the queue has ended.
    pub fn is_closed(&self) -> bool {
        lock(&self.state).closed
    }
}

#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(all(test, loom))]
mod loom_tests;

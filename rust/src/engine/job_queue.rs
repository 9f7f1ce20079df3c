//! Jobs for our threads, and the number of threads.

use std::collections::VecDeque;
use std::time::Duration;

use super::sync::{Condvar, Mutex, lock, wait_while};

/// A queue of jobs, taken in order, with a count of the threads that take them.
pub struct JobQueue<J> {
    state: Mutex<State<J>>,
    /// Notified once for each job that an idle thread should take.
    filled: Condvar,
    max_threads: usize,
}

struct State<J> {
    jobs: VecDeque<J>,
    /// Threads between their start and the `None` of `next`, at most `max_threads`.
    threads: usize,
    /// Those of them that wait in `next`.
    idle: usize,
}

impl<J> JobQueue<J> {
    /// Creates an empty queue for at most `max_threads` threads.
    pub fn new(max_threads: usize) -> JobQueue<J> {
        let state = State {
            jobs: VecDeque::new(),
            threads: 0,
            idle: 0,
        };
        JobQueue {
            state: Mutex::new(state),
            filled: Condvar::new(),
            max_threads,
        }
    }

    /// Adds a job. `true` asks the caller to start a thread, which is already counted and calls
    /// `next` until that returns `None`. If it cannot be started, the caller calls `not_started`.
    pub fn push(&self, job: J) -> bool {
        let mut state = lock(&self.state);
        state.jobs.push_back(job);
        if state.jobs.len() <= state.idle {
            self.filled.notify_one();
            return false;
        }
        // Each idle thread, if there is any, was already woken for an earlier job. A busy one takes
        // this job when it has finished.
        let start = state.threads < self.max_threads;
        state.threads += usize::from(start);
        start
    }

    /// Uncounts a thread that could not be started. Returns the jobs for the caller to run if no
    /// other thread is left to take them.
    pub fn not_started(&self) -> VecDeque<J> {
        let mut state = lock(&self.state);
        state.threads -= 1;
        if state.threads == 0 {
            std::mem::take(&mut state.jobs)
        } else {
            VecDeque::new()
        }
    }

    /// Waits for the next job. Returns `None` when there was no job for `timeout`: the calling
    /// thread is no longer counted, and must end.
    pub fn next(&self, timeout: Duration) -> Option<J> {
        let mut state = lock(&self.state);
        state.idle += 1;
        state = wait_while(&self.filled, state, timeout, |state| state.jobs.is_empty());
        state.idle -= 1;
        let job = state.jobs.pop_front();
        state.threads -= usize::from(job.is_none());
        job
    }
}

#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(all(test, loom))]
mod loom_tests;

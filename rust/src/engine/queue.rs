//! Jobs on their way to our threads, and how many threads that takes.

use std::collections::VecDeque;
use std::time::Duration;

use super::sync::{Condvar, Mutex, lock, wait_while};

/// A queue of jobs, taken in order, with a count of the threads that take them.
pub struct Queue<J> {
    state: Mutex<State<J>>,
    /// Told once for each job that an idle thread is to take.
    filled: Condvar,
    max_threads: usize,
}

struct State<J> {
    jobs: VecDeque<J>,
    /// Threads that are between their start and `next` answering `None`; at most `max_threads`.
    threads: usize,
    /// Of these, the threads that wait in `next`.
    idle: usize,
}

impl<J> Queue<J> {
    /// An empty queue for so many threads at most.
    pub fn new(max_threads: usize) -> Queue<J> {
        let state = State {
            jobs: VecDeque::new(),
            threads: 0,
            idle: 0,
        };
        Queue {
            state: Mutex::new(state),
            filled: Condvar::new(),
            max_threads,
        }
    }

    /// Adds a job. `true` asks the caller to start a thread, counted already: it calls `next` until that is `None`;
    /// if it cannot be started, the caller says so by `not_started`.
    pub fn push(&self, job: J) -> bool {
        let mut state = lock(&self.state);
        state.jobs.push_back(job);
        if state.jobs.len() <= state.idle {
            self.filled.notify_one();
            return false;
        }
        // Idle threads, if there are any, were each told of an earlier job; a busy one takes this job when it is done.
        let start = state.threads < self.max_threads;
        state.threads += usize::from(start);
        start
    }

    /// Takes the count of a thread back that could not be started. When no other is left to take the jobs, they are answered
    /// for the caller to run itself.
    pub fn not_started(&self) -> VecDeque<J> {
        let mut state = lock(&self.state);
        state.threads -= 1;
        if state.threads == 0 {
            std::mem::take(&mut state.jobs)
        } else {
            VecDeque::new()
        }
    }

    /// The next job, waited for; `None` when there was nothing to do for `patience`: the calling thread is no longer counted and ends.
    pub fn next(&self, patience: Duration) -> Option<J> {
        let mut state = lock(&self.state);
        state.idle += 1;
        state = wait_while(&self.filled, state, patience, |state| state.jobs.is_empty());
        state.idle -= 1;
        let job = state.jobs.pop_front();
        state.threads -= usize::from(job.is_none());
        job
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_asked_for_only_while_none_is_free_and_the_limit_allows() {
        let queue = Queue::new(2);
        assert!(queue.push(1));
        assert!(queue.push(2));
        assert!(!queue.push(3));
        for job in 1..=3 {
            assert_eq!(queue.next(Duration::ZERO), Some(job));
        }
        assert_eq!(queue.next(Duration::ZERO), None);
        assert!(queue.push(4), "one of the two ended");
        assert!(!queue.push(5));
    }

    #[test]
    fn jobs_without_any_thread_come_back() {
        let queue = Queue::new(2);
        assert!(queue.push(1));
        assert!(queue.push(2));
        assert_eq!(queue.not_started(), [], "the other one will take them");
        assert_eq!(queue.not_started(), [1, 2]);
        assert!(queue.push(3));
        assert_eq!(queue.next(Duration::ZERO), Some(3));
    }

    #[test]
    fn an_idle_thread_is_woken_instead() {
        let queue = std::sync::Arc::new(Queue::new(8));
        assert!(queue.push(1));
        let taker = {
            let queue = queue.clone();
            std::thread::spawn(move || [(); 2].map(|()| queue.next(Duration::MAX)))
        };
        while lock(&queue.state).idle == 0 || !lock(&queue.state).jobs.is_empty() {
            std::thread::yield_now();
        }
        assert!(!queue.push(2));
        assert_eq!(taker.join().unwrap(), [Some(1), Some(2)]);
    }

    #[test]
    fn an_idle_thread_counts_for_one_job_only() {
        let queue = Queue::new(2);
        // A thread that was told of a job and has not run since.
        let mut state = lock(&queue.state);
        (state.threads, state.idle) = (1, 1);
        drop(state);
        assert!(!queue.push(1));
        assert!(queue.push(2));
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::sync::Arc;

    /// Two submitters, threads started as the queue asks: every job is taken, however they interleave.
    #[test]
    fn no_job_is_left() {
        loom::model(|| {
            let queue = Arc::new(Queue::new(1));
            let submit = |queue: &Arc<Queue<u32>>, job| {
                let start = queue.push(job);
                start.then(|| {
                    let queue = queue.clone();
                    // The one thread takes both jobs, then would wait for ever; so it takes just two.
                    loom::thread::spawn(move || {
                        queue.next(Duration::MAX).unwrap() + queue.next(Duration::MAX).unwrap()
                    })
                })
            };
            let other = {
                let queue = queue.clone();
                loom::thread::spawn(move || submit(&queue, 2))
            };
            let mine = submit(&queue, 1);
            let taker = match (mine, other.join().unwrap()) {
                (Some(taker), None) | (None, Some(taker)) => taker,
                _ => panic!("one thread for a limit of one"),
            };
            assert_eq!(taker.join().unwrap(), 3);
        });
    }
}

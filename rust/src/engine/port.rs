//! Where an isolate's completions gather until it collects them.

use std::collections::VecDeque;
use std::time::Duration;

use super::entry::Completion;
use super::sync::{Condvar, Mutex, lock, wait_while};
use crate::status::{NO_SUCH_HANDLE, Status, TABLE_FULL};

/// The most operations of a port that are not collected yet.
pub const MAX_OPERATIONS: usize = 4096;

/// The completions of one isolate's operations.
#[derive(Default)]
pub struct Port {
    state: Mutex<State>,
    /// Told of whatever ends a wait: a completion, nothing being in flight any more, the port's end.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    ready: VecDeque<Completion>,
    /// Operations begun whose completion is not in `ready` yet.
    in_flight: usize,
    closed: bool,
}

impl Port {
    /// Counts an operation, which must be completed exactly once.
    pub fn begin(&self) -> Result<(), Status> {
        let mut state = lock(&self.state);
        if state.closed {
            return Err(NO_SUCH_HANDLE);
        }
        if state.in_flight + state.ready.len() >= MAX_OPERATIONS {
            return Err(TABLE_FULL);
        }
        state.in_flight += 1;
        Ok(())
    }

    /// How many completions are ready.
    pub fn ready(&self) -> usize {
        lock(&self.state).ready.len()
    }

    /// Takes a `begin` back.
    pub fn abandon(&self) {
        lock(&self.state).in_flight -= 1;
        self.changed.notify_all();
    }

    /// Ends an operation; what it held must be released before. Nobody hears of it when the port is closed.
    pub fn complete(&self, completion: Completion) {
        let mut state = lock(&self.state);
        state.in_flight -= 1;
        if !state.closed {
            state.ready.push_back(completion);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Moves completions to `out`, oldest first, as many as there are or fit; never waits.
    pub fn collect(&self, out: &mut [Completion]) -> usize {
        let mut state = lock(&self.state);
        let count = out.len().min(state.ready.len());
        for (place, completion) in out.iter_mut().zip(state.ready.drain(..count)) {
            *place = completion;
        }
        drop(state);
        // A wait for a completion that was taken here has nothing to wait for if it was the last one.
        self.changed.notify_all();
        count
    }

    /// Waits until `min` completions are ready, nothing is in flight, or the time is over. Answers how many are ready.
    pub fn wait(&self, min: usize, timeout: Duration) -> Result<usize, Status> {
        let state = lock(&self.state);
        let state = wait_while(&self.changed, state, timeout, |state| {
            !state.closed && state.ready.len() < min && state.in_flight > 0
        });
        if state.closed {
            Err(NO_SUCH_HANDLE)
        } else {
            Ok(state.ready.len())
        }
    }

    /// Ends the port: waits end, completions are dropped, those to come as well.
    pub fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        state.ready = VecDeque::new();
        drop(state);
        self.changed.notify_all();
    }

    /// Whether the port has ended.
    pub fn is_closed(&self) -> bool {
        lock(&self.state).closed
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn completions_come_in_order_and_as_many_as_fit() {
        let port = Port::default();
        for tag in 0..5 {
            port.begin().unwrap();
            port.complete([tag, 0, 0, 0]);
        }
        assert_eq!(port.wait(1, Duration::MAX), Ok(5));
        let mut out = [[9; 4]; 3];
        assert_eq!(port.collect(&mut []), 0);
        assert_eq!(port.collect(&mut out), 3);
        assert_eq!(out.map(|completion| completion[0]), [0, 1, 2]);
        assert_eq!(port.collect(&mut out), 2);
        assert_eq!(out.map(|completion| completion[0]), [3, 4, 2]);
        assert_eq!(port.collect(&mut out), 0);
    }

    #[test]
    fn a_wait_does_not_wait_for_nothing() {
        let port = Port::default();
        assert_eq!(port.wait(1, Duration::MAX), Ok(0));
        assert_eq!(port.wait(usize::MAX, Duration::MAX), Ok(0));
        port.begin().unwrap();
        assert_eq!(port.wait(1, Duration::from_millis(1)), Ok(0));
        port.abandon();
        assert_eq!(port.wait(1, Duration::MAX), Ok(0));
    }

    #[test]
    fn operations_are_bounded_until_they_are_collected() {
        let port = Port::default();
        for _ in 0..MAX_OPERATIONS {
            port.begin().unwrap();
        }
        assert_eq!(port.begin(), Err(TABLE_FULL));
        port.complete([0; 4]);
        assert_eq!(port.begin(), Err(TABLE_FULL));
        assert_eq!(port.collect(&mut [[0; 4]; 2]), 1);
        assert_eq!(port.begin(), Ok(()));
    }

    #[test]
    fn closing_ends_waits_and_drops_completions() {
        let port = Arc::new(Port::default());
        port.begin().unwrap();
        port.begin().unwrap();
        port.complete([0; 4]);
        let waiter = {
            let port = port.clone();
            std::thread::spawn(move || port.wait(usize::MAX, Duration::MAX))
        };
        port.close();
        assert_eq!(waiter.join().unwrap(), Err(NO_SUCH_HANDLE));
        port.complete([1; 4]);
        assert_eq!(port.collect(&mut [[0; 4]; 2]), 0);
        assert_eq!(port.begin(), Err(NO_SUCH_HANDLE));
    }

    #[test]
    fn a_wait_ends_when_another_collects_the_last_completion() {
        let port = Arc::new(Port::default());
        for round in 0..200 {
            port.begin().unwrap();
            let waiter = {
                let port = port.clone();
                std::thread::spawn(move || port.wait(1, Duration::MAX).unwrap())
            };
            port.complete([round; 4]);
            assert_eq!(port.collect(&mut [[0; 4]; 1]), 1);
            assert!(waiter.join().unwrap() <= 1);
        }
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::sync::Arc;

    #[test]
    fn each_wait_ends_and_each_completion_is_collected_once() {
        loom::model(|| {
            let port = Arc::new(Port::default());
            let threads: Vec<_> = (0..2)
                .map(|tag| {
                    port.begin().unwrap();
                    let port = port.clone();
                    loom::thread::spawn(move || port.complete([tag, 0, 0, 0]))
                })
                .collect();
            let mut seen = Vec::new();
            while seen.len() < 2 {
                assert!(port.wait(1, Duration::MAX).unwrap() > 0);
                let mut out = [[9; 4]; 2];
                let count = port.collect(&mut out);
                seen.extend(out[..count].iter().map(|completion| completion[0]));
            }
            seen.sort_unstable();
            assert_eq!(seen, [0, 1]);
            for thread in threads {
                thread.join().unwrap();
            }
        });
    }

    #[test]
    fn a_waiting_thread_is_not_forgotten_when_its_completion_is_taken_or_the_port_ends() {
        for close in [false, true] {
            loom::model(move || {
                let port = Arc::new(Port::default());
                port.begin().unwrap();
                let waiter = {
                    let port = port.clone();
                    loom::thread::spawn(move || port.wait(1, Duration::MAX))
                };
                let worker = {
                    let port = port.clone();
                    loom::thread::spawn(move || port.complete([0; 4]))
                };
                if close {
                    port.close();
                } else {
                    port.collect(&mut [[0; 4]; 1]);
                }
                waiter.join().unwrap().ok();
                worker.join().unwrap();
            });
        }
    }
}

//! Backends of an isolate's operations: a ring, our threads, or the isolate's own thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::completion_queue::{self, CompletionQueue};
use super::entry::{Completion, Entry, Operation, Outcome, completion, decode};
use super::event_fd::EventFd;
use super::threads::{self, End, Job, MAX_THREADS};
use super::uring::{self, BATCH_DEPTH, Ring};
use crate::process;
use crate::status::{BAD_ARGUMENT, Status};

/// Kind of a backend. The numbers are those of `lib/engine/engine.ts`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Our threads.
    Threads = 1,
    /// A ring shared with the kernel.
    Uring = 2,
    /// Each operation in place, when it is begun.
    Plain = 3,
}

impl TryFrom<u32> for Kind {
    type Error = Status;

    fn try_from(number: u32) -> Result<Kind, Status> {
        [Kind::Threads, Kind::Uring, Kind::Plain]
            .into_iter()
            .find(|kind| *kind as u32 == number)
            .ok_or(BAD_ARGUMENT)
    }
}

/// Runs operations and keeps their completions.
///
/// Dropping it ends it. Pending operations release their memory and files when they complete: a
/// ring waits for that, and our threads do it later. Jobs that have not begun are dropped.
pub enum Backend {
    /// A ring of the calling thread.
    Ring(Box<Ring>),
    /// A function that takes jobs.
    Jobs(Arc<CompletionQueue>, fn(Job)),
}

impl Backend {
    /// Creates a backend of the calling thread. The error says why the system refuses it.
    pub fn new(kind: Kind) -> Result<Backend, Status> {
        Ok(match kind {
            Kind::Uring => Backend::Ring(Box::new(Ring::new()?)),
            Kind::Threads => Backend::Jobs(Arc::default(), threads::submit),
            Kind::Plain => Backend::Jobs(Arc::default(), Job::run),
        })
    }

    /// Returns the maximum number of operations that are begun and not collected, and the mode of
    /// the ring or the maximum number of threads.
    pub fn facts(&self) -> [u32; 2] {
        match self {
            Backend::Ring(ring) => [uring::MAX_OPERATIONS as u32, ring.mode as u32],
            Backend::Jobs(..) => [completion_queue::MAX_OPERATIONS as u32, MAX_THREADS as u32],
        }
    }

    /// Returns the part that other threads may use, for waiting.
    pub fn watch(&self) -> Watch {
        Watch {
            waits: AtomicU32::new(0),
            source: match self {
                Backend::Ring(ring) => Source::EventFd(ring.event.clone()),
                Backend::Jobs(queue, _) => Source::Queue(queue.clone()),
            },
        }
    }

    /// Begins the operations of `entries`, waits for `min` completions but no longer than `limit`
    /// (`None`: without a limit), collects as many as fit, and returns their number.
    ///
    /// A refused entry is completed with the reason.
    pub fn turn(
        &mut self,
        entries: &[Entry],
        out: &mut [Completion],
        min: usize,
        limit: Option<Duration>,
    ) -> Result<usize, Status> {
        match self {
            Backend::Ring(ring) => {
                for entry in entries {
                    ring.begin(entry[8], decode(entry))?;
                }
                Ok(ring.turn(out, min, limit)?)
            }
            Backend::Jobs(queue, run) => {
                for entry in entries {
                    begin(queue, entry[8], decode(entry), *run)?;
                }
                if min > 0 {
                    queue.wait(min, limit.unwrap_or(Duration::MAX))?;
                }
                Ok(queue.collect(out))
            }
        }
    }

    /// Runs the operations of `entries` to their end. `out` has room for all completions. Other
    /// operations that complete meanwhile are collected later.
    pub fn batch(&mut self, entries: &[Entry], out: &mut [Completion]) -> Result<(), Status> {
        let run = match self {
            Backend::Ring(ring) => return Ok(ring.batch(entries, out)?),
            Backend::Jobs(_, run) => *run,
        };
        let queue = Arc::<CompletionQueue>::default();
        let (mut begun, mut over) = (0, 0);
        while over < entries.len() {
            while begun < entries.len() && begun - over < BATCH_DEPTH {
                begin(&queue, begun as u32, decode(&entries[begun]), run)?;
                begun += 1;
            }
            queue.wait(1, Duration::MAX)?;
            let mut some = [[0; 4]; BATCH_DEPTH];
            let count = queue.collect(&mut some);
            for [index, rest @ ..] in &some[..count] {
                let [status, transferred, last] = *rest;
                let index = *index as usize;
                out[index] = [entries[index][8], status, transferred, last];
            }
            over += count;
        }
        Ok(())
    }

    /// Prepares for a wait on another thread, or ends that. Returns the number of ready
    /// completions.
    pub fn arm(&mut self, on: bool) -> Result<usize, Status> {
        match self {
            Backend::Ring(ring) if on => Ok(ring.arm()?),
            Backend::Ring(ring) => {
                ring.disarm();
                Ok(0)
            }
            // A wait for a queue checks it first.
            Backend::Jobs(queue, _) => queue.wait(0, Duration::ZERO),
        }
    }

    /// Ends the backend with an isolate whose thread lives on, after the pending operations.
    pub fn end_with_isolate(self) {
        if let Backend::Jobs(queue, _) = &self {
            queue.wait(usize::MAX, Duration::MAX).ok();
        }
    }

    /// Ends the backend with the calling thread.
    ///
    /// A forked child has neither the ring nor the threads. When the process ends, its memory ends
    /// with it, so there is no need to wait for the device.
    pub fn end_with_thread(self) {
        // SAFETY: both calls only return a number.
        let ends_process = unsafe { libc::getpid() == libc::gettid() };
        if process::forked() || ends_process {
            std::mem::forget(self);
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        if let Backend::Jobs(queue, _) = self {
            queue.close();
        }
    }
}

/// Passes an operation to `run`, or completes an operation that was refused.
fn begin(
    queue: &Arc<CompletionQueue>,
    tag: u32,
    operation: Result<Operation, Status>,
    run: fn(Job),
) -> Result<(), Status> {
    queue.begin()?;
    match operation {
        Ok(operation) => run(Job {
            operation,
            end: End::Queue(queue.clone(), tag),
        }),
        Err(status) => queue.complete(completion(tag, Outcome::failed(status))),
    }
    Ok(())
}

/// A backend as other threads see it.
pub struct Watch {
    /// Number of calls of [`wait`](Self::wait).
    waits: AtomicU32,
    source: Source,
}

enum Source {
    EventFd(Arc<EventFd>),
    Queue(Arc<CompletionQueue>),
}

impl Watch {
    /// Waits on any thread for a completion, until no operation is pending, until the backend has
    /// ended, or until the timeout.
    pub fn wait(&self, timeout: Duration) {
        // Relaxed: the count guards no other memory.
        self.waits.fetch_add(1, Ordering::Relaxed);
        match &self.source {
            Source::EventFd(event) => event.wait(timeout),
            // A closed queue ends the wait.
            Source::Queue(queue) => drop(queue.wait(1, timeout)),
        }
    }

    /// Returns the number of waits that have begun.
    pub fn waits(&self) -> u32 {
        self.waits.load(Ordering::Relaxed)
    }
}

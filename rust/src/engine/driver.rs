//! What runs the operations of one isolate: a ring, our threads, or the isolate's own thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::bell::Bell;
use super::entry::{Completion, Entry, Operation, completion, decode};
use super::plain;
use super::port::{self, Port};
use super::threads::{self, End, Job, MAX_THREADS};
use super::uring::{self, BATCH_DEPTH, Ring};
use crate::process;
use crate::status::{BAD_ARGUMENT, Status};

/// Which one; the numbers are those of `lib/engine/native_engine.ts`.
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

/// What there is to know of a driver.
pub struct Facts {
    /// The most operations that are begun and not collected.
    pub max_operations: u32,
    /// The most threads, or the mode of the ring.
    pub detail: u32,
}

/// Runs operations and keeps their completions.
pub enum Driver {
    /// By a ring of the calling thread.
    Ring(Box<Ring>),
    /// By what a job is given to.
    Jobs(Arc<Port>, fn(Job)),
}

impl Driver {
    /// A driver of the calling thread; the status says why the system refuses it.
    pub fn new(kind: Kind) -> Result<Driver, Status> {
        Ok(match kind {
            Kind::Uring => Driver::Ring(Box::new(Ring::new()?)),
            Kind::Threads => Driver::Jobs(Arc::default(), threads::submit),
            Kind::Plain => Driver::Jobs(Arc::default(), Job::run),
        })
    }

    /// What there is to know of it.
    pub fn facts(&self) -> Facts {
        let (max_operations, detail) = match self {
            Driver::Ring(ring) => (uring::MAX_OPERATIONS, ring.mode() as u32),
            Driver::Jobs(..) => (port::MAX_OPERATIONS, MAX_THREADS as u32),
        };
        Facts {
            max_operations: max_operations as u32,
            detail,
        }
    }

    /// What other threads may do with it: wait.
    pub fn watch(&self) -> Watch {
        Watch {
            waits: AtomicU32::new(0),
            source: match self {
                Driver::Ring(ring) => Source::Bell(ring.bell()),
                Driver::Jobs(port, _) => Source::Port(port.clone()),
            },
        }
    }

    /// Begins the operations of `entries`, each with its tag, then waits for `min` completions but no longer than `budget` (`None`: as long
    /// as it takes), and takes as many as fit. Answers how many. An entry that is refused is completed with the reason.
    pub fn turn(
        &mut self,
        entries: &[Entry],
        out: &mut [Completion],
        min: usize,
        budget: Option<Duration>,
    ) -> Result<usize, Status> {
        match self {
            Driver::Ring(ring) => {
                for entry in entries {
                    ring.begin(entry[8], decode(entry))?;
                }
                Ok(ring.turn(out, min, budget)?)
            }
            Driver::Jobs(port, run) => {
                for entry in entries {
                    begin(port, entry[8], decode(entry), *run)?;
                }
                if min > 0 {
                    port.wait(min, budget.unwrap_or(Duration::MAX))?;
                }
                Ok(port.collect(out))
            }
        }
    }

    /// Runs the operations of `entries` to their end; `out` has a place for each. Others may complete meanwhile; they are collected later.
    pub fn batch(&mut self, entries: &[Entry], out: &mut [Completion]) -> Result<(), Status> {
        let run = match self {
            Driver::Ring(ring) => return Ok(ring.batch(entries, out)?),
            Driver::Jobs(_, run) => *run,
        };
        let port = Arc::<Port>::default();
        let (mut begun, mut over) = (0, 0);
        while over < entries.len() {
            while begun < entries.len() && begun - over < BATCH_DEPTH {
                begin(&port, begun as u32, decode(&entries[begun]), run)?;
                begun += 1;
            }
            port.wait(1, Duration::MAX)?;
            let mut some = [[0; 4]; BATCH_DEPTH];
            let count = port.collect(&mut some);
            for [index, rest @ ..] in &some[..count] {
                let [status, transferred, last] = *rest;
                let index = *index as usize;
                out[index] = [entries[index][8], status, transferred, last];
            }
            over += count;
        }
        Ok(())
    }

    /// Prepares for a wait on another thread, or ends it. Answers how many completions are there already.
    pub fn arm(&mut self, on: bool) -> Result<usize, Status> {
        match self {
            Driver::Ring(ring) if on => Ok(ring.arm()?),
            Driver::Ring(ring) => {
                ring.disarm();
                Ok(0)
            }
            // A wait for a port looks first itself.
            Driver::Jobs(port, _) => Ok(port.ready()),
        }
    }

    /// Ends it. The memory and files of what is in flight are given back after the last completion: a ring waits for that, our threads do
    /// it later. What has not begun is not begun any more.
    pub fn end(self) {
        match self {
            Driver::Ring(ring) => ring.end(),
            Driver::Jobs(port, _) => port.close(),
        }
    }

    /// Ends it with the calling thread. A forked child has neither the ring nor the threads, and the end of the process is the end of
    /// its memory: nobody need wait for the device then.
    pub fn end_with_thread(self) {
        // SAFETY: two questions that touch no memory.
        let ends_process = unsafe { libc::getpid() == libc::gettid() };
        if process::forked() || ends_process {
            std::mem::forget(self);
        } else {
            self.end();
        }
    }
}

/// Gives an operation to what runs it; one that was refused is completed at once.
fn begin(
    port: &Arc<Port>,
    tag: u32,
    operation: Result<Operation, Status>,
    run: fn(Job),
) -> Result<(), Status> {
    port.begin()?;
    match operation {
        Ok(operation) => run(Job {
            operation,
            end: End::Port(port.clone(), tag),
        }),
        Err(status) => port.complete(completion(tag, plain::failed(status))),
    }
    Ok(())
}

/// A driver as other threads see it.
pub struct Watch {
    /// How many waits have begun.
    waits: AtomicU32,
    source: Source,
}

enum Source {
    Bell(Arc<Bell>),
    Port(Arc<Port>),
}

impl Watch {
    /// Waits, on whichever thread, for a completion, for nothing being in flight, or for the end of the driver or of the time.
    pub fn wait(&self, timeout: Duration) {
        // Relaxed: it only tells whether a thread came as far as here.
        self.waits.fetch_add(1, Ordering::Relaxed);
        match &self.source {
            Source::Bell(bell) => bell.wait(timeout),
            // A port that is closed has nothing to say.
            Source::Port(port) => drop(port.wait(1, timeout)),
        }
    }

    /// How many waits have begun.
    pub fn waits(&self) -> u32 {
        self.waits.load(Ordering::Relaxed)
    }
}

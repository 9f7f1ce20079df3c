//! Our own threads: one pool for the process. They are started as jobs come, and end when idle.
//!
//! The runtime has threads for blocking calls. There, each operation would cost several times the
//! processor time, and other work of the program would delay our I/O.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use super::completion_queue::CompletionQueue;
use super::entry::{Operation, Outcome, completion};
use super::job_queue::JobQueue;
use super::plain;
use super::sealing::Handoff;
use crate::status::{NO_SUCH_HANDLE, PANIC};

/// Maximum number of threads, since more than 16 are no faster.
pub const MAX_THREADS: usize = 16;
/// Time that a thread waits for a job before it ends.
const IDLE_LIMIT: Duration = Duration::from_secs(10);
/// Size of a thread's stack. It has no deep calls.
const STACK_BYTES: usize = 128 << 10;

/// An operation, and where its end is reported.
pub struct Job {
    /// The operation to run.
    pub operation: Operation,
    /// Where its end is reported.
    pub end: End,
}

/// Where the end of an operation is reported.
pub enum End {
    /// To the queue where it was begun, by its tag.
    Queue(Arc<CompletionQueue>, u32),
    /// To the ring that waits for it.
    Ring(Arc<Handoff>),
}

impl Job {
    /// Runs the operation on this thread, and reports its end.
    pub fn run(self) {
        let Job { operation, end } = self;
        // A closed queue has no isolate to report to, so the operation is not run.
        let outcome = match &end {
            End::Queue(queue, _) if queue.is_closed() => Ok(Outcome::failed(NO_SUCH_HANDLE)),
            _ => catch_unwind(AssertUnwindSafe(|| plain::execute(&operation))),
        };
        // Loan and file end before the completion. After it, the block may be reused, and the
        // descriptor of a closed file must be gone.
        drop(operation);
        let outcome = outcome.unwrap_or(Outcome::failed(PANIC));
        match end {
            End::Queue(queue, tag) => queue.complete(completion(tag, outcome)),
            End::Ring(handoff) => handoff.complete(outcome),
        }
    }
}

static JOBS: LazyLock<JobQueue<Job>> = LazyLock::new(|| JobQueue::new(MAX_THREADS));

/// Passes a job to the threads. If the system refuses even one thread, it runs here.
pub fn submit(job: Job) {
    if JOBS.push(job) && start().is_err() {
        JOBS.not_started().into_iter().for_each(Job::run);
    }
}

fn start() -> std::io::Result<()> {
    let body = || {
        block_signals();
        while let Some(job) = JOBS.next(IDLE_LIMIT) {
            job.run();
        }
    };
    std::thread::Builder::new()
        .name("basalt-io".into())
        .stack_size(STACK_BYTES)
        .spawn(body)
        .map(drop)
}

/// Leaves signals to the program's threads, so that none interrupts a system call here.
fn block_signals() {
    let mut all = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the set is filled before it is used, and a null old set is allowed. The call changes
    // only the calling thread, which is ours.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), std::ptr::null_mut());
    }
}

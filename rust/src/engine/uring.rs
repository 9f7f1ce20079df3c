//! Operations pending in a ring that is shared with the kernel.
//!
//! One thread, the isolate's, creates, enters and ends the ring, without a lock. Completions are
//! processed when that thread asks for them (`SINGLE_ISSUER | DEFER_TASKRUN`), which is the fastest
//! way.

use std::collections::VecDeque;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::time::Duration;

use io_uring::types::{CancelBuilder, Fd, FsyncFlags, SubmitArgs, Timespec};
use io_uring::{EnterFlags, IoUring, Probe, opcode, squeue};

use super::entry::{
    Completion, Entry, Op, Operation, Outcome, allocation_mode, completion, decode,
};
use super::event_fd::EventFd;
use super::plain;
use super::progress::{Next, PAUSE, Progress};
use super::sealing::Handoff;
use super::threads::{self, End, Job};
use crate::status::{BAD_ARGUMENT, Errno, Status};

/// Entries of the submission queue.
const ENTRIES: u32 = 256;
/// Maximum number of pending operations, all of which fit into the completion queue.
pub const MAX_OPERATIONS: usize = 4 * ENTRIES as usize;
/// Number of entries that the kernel gets at a time. The device starts with the first ones while
/// the others are made.
const CHUNK: usize = 4;
/// Number of operations of a batch that are pending at a time.
pub const BATCH_DEPTH: usize = 128;
/// Number of completions that a batch waits for before it begins more operations. Waiting for one
/// at a time costs as much as waiting for all.
const BATCH_MIN: usize = 32;

/// Marks the pause before a retry in the data of a completion.
const PAUSED: u64 = 1 << 32;
/// Marks the cancellation of everything.
const CANCEL: u64 = u64::MAX;

/// How completions reach the queue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// Whenever the thread enters the kernel or is interrupted.
    Plain = 0,
    /// When the thread enters the kernel.
    Cooperative = 1,
    /// When the thread asks for them.
    Deferred = 2,
}

/// An operation between its beginning and its completion.
enum PendingOperation {
    /// An operation in calls of the ring.
    Calls {
        operation: Operation,
        progress: Progress,
        /// Whether it needs a pause before its next call.
        pauses: bool,
    },
    /// An operation on one of our threads.
    Thread(Arc<Handoff>),
}

impl PendingOperation {
    /// Records the result of the kernel for the last call.
    fn advance(&mut self, result: i32) -> Next {
        match self {
            PendingOperation::Calls {
                operation,
                progress,
                pauses,
            } => {
                if std::mem::take(pauses) {
                    return Next::Call;
                }
                let result = usize::try_from(result).map_err(|_| Errno(-result));
                let next = progress.advance(result, &operation.file.refused_flags);
                *pauses = next == Next::CallLater;
                next
            }
            // An interrupted poll is repeated.
            PendingOperation::Thread(handoff) => handoff.outcome().map_or(Next::Call, Next::Over),
        }
    }
}

/// A ring with the operations pending in it.
///
/// Each operation's memory and file stay here until the kernel has reported that it is done with
/// them. Dropping the ring cancels the calls that the kernel has not begun and waits for the
/// others, because the kernel may write to their memory. If that fails, ring and operations are
/// leaked.
pub struct Ring {
    ring: ManuallyDrop<IoUring>,
    /// How completions reach the queue.
    pub mode: Mode,
    /// Whether the kernel has `IORING_OP_FTRUNCATE` (Linux 6.9).
    truncates: bool,
    /// Wakes another thread that waits for this ring.
    pub event: Arc<EventFd>,
    /// By tag. The operations of a batch come after those of the isolate.
    pending: ManuallyDrop<Vec<Option<PendingOperation>>>,
    /// Pending operations whose next call is not in the submission queue yet.
    waiting: VecDeque<u32>,
    /// Calls in the submission queue or with the kernel.
    in_kernel: usize,
    /// Completions that are not taken yet.
    ready: VecDeque<Completion>,
    /// Whether completions signal the event.
    armed: bool,
    /// Whether the ring is being dropped, so that no call is repeated.
    ending: bool,
}

impl Ring {
    /// Creates a ring of the calling thread. The error says why the system refuses it.
    pub fn new() -> Result<Ring, Errno> {
        let (ring, mode) = build()?;
        let mut probe = Probe::new();
        ring.submitter().register_probe(&mut probe)?;
        let needed = [
            opcode::Read::CODE,
            opcode::Write::CODE,
            opcode::Fsync::CODE,
            opcode::Fallocate::CODE,
            opcode::Timeout::CODE,
            opcode::AsyncCancel::CODE,
            opcode::PollAdd::CODE,
        ];
        let params = ring.params();
        if !params.is_feature_ext_arg()
            || !params.is_feature_nodrop()
            || !needed.iter().all(|code| probe.is_supported(*code))
        {
            return Err(Errno(libc::EOPNOTSUPP));
        }
        let event = Arc::new(EventFd::new()?);
        ring.submitter().register_eventfd(event.descriptor())?;
        let mut pending = Vec::new();
        pending.resize_with(MAX_OPERATIONS + BATCH_DEPTH, || None);
        let mut ring = Ring {
            ring: ManuallyDrop::new(ring),
            mode,
            truncates: probe.is_supported(opcode::Ftruncate::CODE),
            event,
            pending: ManuallyDrop::new(pending),
            waiting: VecDeque::with_capacity(MAX_OPERATIONS + BATCH_DEPTH),
            in_kernel: 0,
            ready: VecDeque::with_capacity(MAX_OPERATIONS),
            armed: false,
            ending: false,
        };
        ring.disarm();
        Ok(ring)
    }

    /// Returns the number of operations without a completion.
    fn pending_count(&self) -> usize {
        self.in_kernel + self.waiting.len()
    }

    /// Begins an operation of the isolate. Its tag must not be in use. A refused operation is
    /// completed at once.
    pub fn begin(&mut self, tag: u32, operation: Result<Operation, Status>) -> Result<(), Status> {
        match self.pending.get(tag as usize) {
            Some(None) if (tag as usize) < MAX_OPERATIONS => {}
            _ => return Err(BAD_ARGUMENT),
        }
        if let Some(outcome) = self.launch(tag, operation) {
            self.ready.push_back(completion(tag, outcome));
        }
        Ok(())
    }

    /// Puts an operation in its empty slot. Returns its outcome if it has already ended.
    fn launch(&mut self, tag: u32, operation: Result<Operation, Status>) -> Option<Outcome> {
        debug_assert!(self.pending[tag as usize].is_none());
        let operation = match operation {
            Ok(operation) => operation,
            Err(status) => return Some(Outcome::failed(status)),
        };
        if operation.op == Op::Truncate && !self.truncates {
            // This usually changes only metadata in memory, for which another thread would cost
            // more than it saves.
            return Some(plain::execute(&operation));
        }
        let pending = if operation.op == Op::Seal {
            let Ok(handoff) = Handoff::new(self.event.clone()) else {
                // There is no descriptor for the event, so the operation runs here.
                return Some(plain::execute(&operation));
            };
            let end = End::Ring(handoff.clone());
            threads::submit(Job { operation, end });
            PendingOperation::Thread(handoff)
        } else {
            let progress = Progress::of(&operation);
            if let Next::Over(outcome) = progress.begin() {
                return Some(outcome);
            }
            PendingOperation::Calls {
                operation,
                progress,
                pauses: false,
            }
        };
        self.pending[tag as usize] = Some(pending);
        self.waiting.push_back(tag);
        None
    }

    /// Passes the operations that were begun to the kernel, waits for `min` completions but no
    /// longer than `limit` (`None`: without a limit), collects as many as fit, and returns their
    /// number.
    pub fn turn(
        &mut self,
        out: &mut [Completion],
        min: usize,
        limit: Option<Duration>,
    ) -> Result<usize, Errno> {
        let mut count = 0;
        while count < out.len()
            && let Some(completion) = self.ready.pop_front()
        {
            out[count] = completion;
            count += 1;
        }
        let min = min.min(out.len());
        loop {
            self.enter(min.saturating_sub(count), limit)?;
            while count < out.len()
                && let Some((tag, outcome)) = self.next_over()
            {
                // Otherwise it belongs to a batch whose wait failed.
                if (tag as usize) < MAX_OPERATIONS {
                    out[count] = completion(tag, outcome);
                    count += 1;
                }
            }
            // The kernel may have completed only parts of operations, whose next calls are begun at
            // once. A limit is for the whole turn, so there is no second wait.
            if limit.is_some() || count >= min || self.pending_count() == 0 {
                break;
            }
        }
        if !self.waiting.is_empty() {
            self.enter(0, None)?;
        }
        if self.armed && self.pending_count() == 0 && self.ready.is_empty() {
            self.event.signal();
        }
        Ok(count)
    }

    /// Runs operations to their end, [`BATCH_DEPTH`] at a time. `out` has room for all completions.
    /// Other completions are kept for the next turn.
    pub fn batch(&mut self, entries: &[Entry], out: &mut [Completion]) -> Result<(), Errno> {
        // A batch whose wait failed left operations pending. Their slots are free once the kernel
        // is done with their memory.
        let is_free = |slot: &usize| self.pending[MAX_OPERATIONS + slot].is_none();
        let mut free: Vec<usize> = (0..BATCH_DEPTH).filter(is_free).collect();
        // The index of the entry, by slot.
        let mut indices = [None; BATCH_DEPTH];
        let (mut next, mut over) = (0, 0);
        while over < entries.len() {
            while next < entries.len()
                && let Some(slot) = free.pop()
            {
                let entry = &entries[next];
                if let Some(outcome) = self.launch((MAX_OPERATIONS + slot) as u32, decode(entry)) {
                    out[next] = completion(entry[8], outcome);
                    over += 1;
                    free.push(slot);
                } else {
                    indices[slot] = Some(next);
                }
                next += 1;
            }
            // Waits only for operations of this batch, because an earlier one that is still pending
            // may never end.
            let min = BATCH_MIN.min(next - over);
            self.enter(min.max(usize::from(free.is_empty())), None)?;
            while let Some((tag, outcome)) = self.next_over() {
                let Some(slot) = (tag as usize).checked_sub(MAX_OPERATIONS) else {
                    self.ready.push_back(completion(tag, outcome));
                    continue;
                };
                free.push(slot);
                if let Some(index) = indices[slot].take() {
                    out[index] = completion(entries[index][8], outcome);
                    over += 1;
                }
            }
        }
        Ok(())
    }

    /// Makes completions signal the event. Returns the number of ready completions, with which
    /// there is nothing to wait for.
    pub fn arm(&mut self) -> Result<usize, Errno> {
        self.armed = true;
        self.ring.completion().enable_eventfd();
        // The kernel must process deferred completions after that: earlier ones did not signal, and
        // later ones do.
        // SAFETY: there are no entries and no argument, so the call only posts completions.
        let result = unsafe {
            self.ring
                .submitter()
                .enter::<libc::sigset_t>(0, 0, EnterFlags::GETEVENTS.bits(), None)
        };
        result.map(|_| ()).or_else(ignore_transient)?;
        Ok(self.ready.len() + self.ring.completion().len())
    }

    /// Stops signalling the event, because a signal costs about as much as a system call.
    pub fn disarm(&mut self) {
        self.armed = false;
        self.ring.completion().disable_eventfd();
    }

    /// Passes all waiting calls to the kernel, then waits for completions.
    fn enter(&mut self, min: usize, limit: Option<Duration>) -> Result<(), Errno> {
        loop {
            for _ in 0..CHUNK {
                if !self.push() {
                    break;
                }
            }
            if self.waiting.is_empty() {
                break;
            }
            self.ring.submit().map(|_| ()).or_else(ignore_transient)?;
            if self.ring.submission().len() >= CHUNK {
                // The kernel accepts nothing at the moment, so ready completions must be taken
                // first.
                break;
            }
        }
        let mut min = min.min(self.in_kernel);
        if self.ring.completion().len() >= min {
            min = 0;
        }
        let timespec = limit.map(Timespec::from);
        let result = match &timespec {
            Some(timespec) if min > 0 => {
                let args = SubmitArgs::new().timespec(timespec);
                self.ring.submitter().submit_with_args(min, &args)
            }
            _ if min > 0 => self.ring.submit_and_wait(min),
            _ if self.wants_entering() => self.ring.submit(),
            _ => Ok(0),
        };
        result.map(|_| ()).or_else(ignore_transient)
    }

    /// Whether the kernel has entries to take or completions to post, so that it must be entered.
    fn wants_entering(&mut self) -> bool {
        let queue = self.ring.submission();
        !queue.is_empty() || queue.taskrun() || queue.cq_overflow()
    }

    /// Moves the first waiting call into the submission queue. Returns `false` if no call waits, or
    /// if there is no room.
    fn push(&mut self) -> bool {
        let Some(tag) = self.waiting.front().copied() else {
            return false;
        };
        let Some(pending) = &mut self.pending[tag as usize] else {
            self.waiting.pop_front();
            return true;
        };
        let entry = match pending {
            PendingOperation::Calls { pauses: true, .. } => {
                opcode::Timeout::new(&raw const TIMEOUT)
                    .build()
                    .user_data(u64::from(tag) | PAUSED)
            }
            PendingOperation::Calls {
                operation,
                progress,
                ..
            } => call(operation, progress).user_data(tag.into()),
            PendingOperation::Thread(handoff) => {
                opcode::PollAdd::new(Fd(handoff.descriptor()), libc::POLLIN as u32)
                    .build()
                    .user_data(tag.into())
            }
        };
        // SAFETY: memory and file of the call stay in `pending` until its completion is taken from
        // the queue: another operation gets a slot only when it is empty, and `drop` leaks what it
        // cannot wait for. The pause is a static, and the descriptor of an event belongs to the
        // handoff, which is in `pending`, too.
        if unsafe { self.ring.submission().push(&entry) }.is_err() {
            return false;
        }
        self.waiting.pop_front();
        self.in_kernel += 1;
        true
    }

    /// Takes completions of calls until one of them ends an operation, whose memory and file are
    /// released first.
    fn next_over(&mut self) -> Option<(u32, Outcome)> {
        loop {
            let entry = self.ring.completion().next()?;
            self.in_kernel -= 1;
            if entry.user_data() == CANCEL {
                continue;
            }
            let tag = entry.user_data() as u32;
            let Some(pending) = self.pending.get_mut(tag as usize).and_then(Option::as_mut) else {
                continue;
            };
            let next = pending.advance(entry.result());
            let outcome = match next {
                Next::Over(outcome) => outcome,
                _ if self.ending => Outcome::failed(Errno(libc::ECANCELED).into()),
                Next::Call | Next::CallLater => {
                    self.waiting.push_back(tag);
                    continue;
                }
            };
            self.pending[tag as usize] = None;
            return Some((tag, outcome));
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.ending = true;
        for tag in std::mem::take(&mut self.waiting) {
            self.pending[tag as usize] = None;
        }
        if self.in_kernel > 0 {
            let cancel = opcode::AsyncCancel2::new(CancelBuilder::any().all())
                .build()
                .user_data(CANCEL);
            // SAFETY: the entry refers to no memory. Without room for it, the wait is for all
            // calls.
            self.in_kernel += usize::from(unsafe { self.ring.submission().push(&cancel) }.is_ok());
        }
        while self.in_kernel > 0 {
            if self.enter(1, None).is_err() {
                // The kernel may still use the memory, so nothing is released.
                return;
            }
            while self.next_over().is_some() {}
        }
        // SAFETY: nothing is in the kernel, and neither field is used again.
        unsafe {
            ManuallyDrop::drop(&mut self.pending);
            ManuallyDrop::drop(&mut self.ring);
        }
        self.event.signal();
    }
}

/// The pause of a call that got EAGAIN. The kernel copies it.
static TIMEOUT: Timespec = Timespec::new().nsec(PAUSE.as_nanos() as u32);

/// Makes the kernel's entry for an operation's next call.
fn call(operation: &Operation, progress: &Progress) -> squeue::Entry {
    let fd = Fd(operation.file.descriptor());
    match progress.op() {
        // One of our threads seals.
        Op::Seal => opcode::Nop::new().build(),
        Op::Read | Op::Write => {
            // `decode` gives each of them its memory, and `Progress` stays within it.
            let Ok(rest) = operation.rest(progress.from()) else {
                return opcode::Nop::new().build();
            };
            // `decode` refuses more than `MAX_LENGTH`.
            let length = rest.length as u32;
            if progress.op() == Op::Read {
                opcode::Read::new(fd, rest.memory, length)
                    .offset(rest.position)
                    .rw_flags(progress.rwf())
                    .build()
            } else {
                opcode::Write::new(fd, rest.memory, length)
                    .offset(rest.position)
                    .rw_flags(progress.rwf())
                    .build()
            }
        }
        Op::SyncData => opcode::Fsync::new(fd).flags(FsyncFlags::DATASYNC).build(),
        Op::SyncFull => opcode::Fsync::new(fd).build(),
        Op::Allocate => opcode::Fallocate::new(fd, operation.length)
            .offset(operation.position)
            .mode(allocation_mode(progress.zeroes()))
            .build(),
        Op::Truncate => opcode::Ftruncate::new(fd, operation.position).build(),
    }
}

/// Creates a ring with the best flags that the kernel knows.
fn build() -> Result<(IoUring, Mode), Errno> {
    let mut last = Errno(libc::ENOSYS);
    for mode in [Mode::Deferred, Mode::Cooperative, Mode::Plain] {
        let mut builder = IoUring::builder();
        builder.dontfork().setup_cqsize(MAX_OPERATIONS as u32);
        if mode == Mode::Deferred {
            builder.setup_single_issuer().setup_defer_taskrun();
        } else if mode == Mode::Cooperative {
            builder.setup_coop_taskrun();
        }
        if mode != Mode::Plain {
            builder.setup_taskrun_flag();
        }
        match builder.build(ENTRIES) {
            Ok(ring) => return Ok((ring, mode)),
            // EINVAL means a flag that this kernel does not know.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => last = Errno(libc::EINVAL),
            Err(error) => return Err(error.into()),
        }
    }
    Err(last)
}

/// Ignores errors that may not occur again: the wait timed out or was interrupted, or memory or
/// room for completions is short.
fn ignore_transient(error: std::io::Error) -> Result<(), Errno> {
    match error.raw_os_error() {
        Some(libc::ETIME | libc::EINTR | libc::EAGAIN | libc::EBUSY) => Ok(()),
        _ => Err(error.into()),
    }
}

#[cfg(all(test, not(loom)))]
mod tests;

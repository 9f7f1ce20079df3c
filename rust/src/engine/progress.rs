//! How far an operation has come, and what each result of the kernel means for it. The rules are
//! the same for system calls and for a ring.

use std::ffi::c_int;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::entry::{DONTCACHE, DSYNC, Op, Operation, Outcome, SYNC, ZEROED};
use super::files::Alignment;
use crate::status::{Errno, Status};
use crate::{probe, process};

/// How often an operation that gets EAGAIN is tried again, with a pause of [`PAUSE`] before each
/// retry.
const MAX_AGAIN: u32 = 100;
/// A millisecond, long enough for a device's queue to have room again.
pub const PAUSE: Duration = Duration::from_millis(1);

/// The next step of an operation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Next {
    /// Makes a call for the rest, which begins at [`Progress::from`].
    Call,
    /// Makes the same call after a [`PAUSE`].
    CallLater,
    /// Makes no call: the operation has ended.
    Over(Outcome),
}

/// The finished part of an operation.
pub struct Progress {
    /// The next call: the operation's own, or the sync that replaces a refused flag.
    op: Op,
    /// Flags of the next call.
    flags: u32,
    /// The sync that follows the transfer because its flag was refused.
    sync: Option<Op>,
    length: usize,
    /// Position in the file after the operation's last byte.
    end: u64,
    alignment: Option<Alignment>,
    done: usize,
    /// Number of EAGAIN results.
    again: u32,
}

impl Progress {
    /// Begins an operation.
    pub fn of(operation: &Operation) -> Progress {
        let mut progress = Progress {
            op: operation.op,
            flags: operation.flags,
            sync: None,
            length: operation.length as usize,
            end: operation.position.saturating_add(operation.length),
            alignment: operation.file.alignment,
            done: 0,
            again: 0,
        };
        progress.drop_flags(operation.file.refused_flags.load(Ordering::Relaxed));
        progress
    }

    /// Drops the flags that the system refuses. A sync after the transfer replaces [`DSYNC`] and
    /// [`SYNC`]. [`DONTCACHE`] and [`ZEROED`] are hints.
    fn drop_flags(&mut self, refused: u32) {
        let refused = self.flags & refused;
        self.flags -= refused;
        if refused & SYNC != 0 {
            self.sync = Some(Op::SyncFull);
        } else if refused & DSYNC != 0 {
            self.sync = Some(Op::SyncData);
        }
    }

    /// Returns the action of the next call.
    pub fn op(&self) -> Op {
        self.op
    }

    /// Returns the flags for `preadv2(2)` and `pwritev2(2)`.
    pub fn rwf(&self) -> c_int {
        let each = [
            (DSYNC, libc::RWF_DSYNC),
            (SYNC, libc::RWF_SYNC),
            (DONTCACHE, libc::RWF_DONTCACHE),
        ];
        let set = each.iter().filter(|(flag, _)| self.flags & flag != 0);
        set.fold(0, |all, (_, rwf)| all | rwf)
    }

    /// Whether an allocation's next call asks for zeros.
    pub fn zeroes(&self) -> bool {
        self.flags & ZEROED != 0
    }

    /// Returns the first step.
    pub fn begin(&self) -> Next {
        if self.op.moves_bytes() && self.length == 0 {
            self.over(Ok(()))
        } else {
            Next::Call
        }
    }

    /// Returns where the next call begins, in bytes from the beginning of the operation.
    ///
    /// A direct file's transfer continues where position and memory suit the device. The bytes
    /// between there and the end of the last transfer are moved again, to the same place.
    pub fn from(&self) -> usize {
        let resume = self
            .alignment
            .map_or(1, |alignment| alignment.resume as usize);
        self.done - self.done % resume
    }

    /// Records the result of a call: the bytes that it moved from [`Progress::from`], or why it
    /// failed. Flags that the system refuses are added to `refused`, which belongs to the file.
    pub fn advance(&mut self, result: Result<usize, Errno>, refused: &AtomicU32) -> Next {
        let errno = match result {
            Ok(moved) if self.op.moves_bytes() => return self.moved(moved),
            Ok(_) => return self.over(Ok(())),
            Err(errno) => errno,
        };
        let syncs = matches!(self.op, Op::SyncData | Op::SyncFull);
        match errno {
            errno if self.flags != 0 && probe::is_flag_refused(errno) => {
                refused.fetch_or(self.flags, Ordering::Relaxed);
                self.drop_flags(self.flags);
                Next::Call
            }
            // This includes a sync, because the kernel keeps a write error until it has reported
            // it.
            Errno(libc::EINTR) => Next::Call,
            // No other failure of a sync is repeated, because the kernel may have forgotten what it
            // could not write.
            Errno(libc::EAGAIN) if !syncs && self.again < MAX_AGAIN => {
                self.again += 1;
                Next::CallLater
            }
            // A direct write cannot be shortened to a limit within a sector.
            Errno(libc::EINVAL) => self.over(Err(self.why_stuck(errno))),
            errno => self.over(Err(errno)),
        }
    }

    /// Returns why a call made no progress: `EFBIG` if the limit on the size of a file lies within
    /// the write, `errno` otherwise.
    fn why_stuck(&self, errno: Errno) -> Errno {
        let writes = self.op == Op::Write;
        if writes && self.end > process::limit(libc::RLIMIT_FSIZE) {
            Errno(libc::EFBIG)
        } else {
            errno
        }
    }

    fn moved(&mut self, moved: usize) -> Next {
        let reads = self.op == Op::Read;
        let end = self.from() + moved;
        if end <= self.done {
            // The end of the file, or a write that will never make progress.
            return self.over(if reads {
                Ok(())
            } else {
                Err(self.why_stuck(Errno(libc::EIO)))
            });
        }
        self.done = end.min(self.length);
        // The device returns whole sectors, and only the end of the file cuts one.
        let sector = self
            .alignment
            .map_or(1, |alignment| alignment.read as usize);
        let cut = reads && !self.done.is_multiple_of(sector);
        if self.done < self.length && !cut {
            return Next::Call;
        }
        match self.sync.take() {
            Some(op) => {
                self.op = op;
                Next::Call
            }
            None => self.over(Ok(())),
        }
    }

    fn over(&self, result: Result<(), Errno>) -> Next {
        // An allocation reports with 1 that zeros were written.
        let transferred = self.done as u32 + u32::from(result.is_ok() && self.zeroes());
        let result = result.map_err(Status::from);
        Next::Over(Outcome {
            result,
            transferred,
        })
    }
}

#[cfg(all(test, not(loom)))]
mod tests;

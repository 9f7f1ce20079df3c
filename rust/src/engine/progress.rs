//! How far an operation has come, and what each answer of the kernel means for it: the same rules for system calls and for a ring.

use super::entry::{Kind, Operation, Outcome, ZEROED};
use super::files::Alignment;
use crate::status::{Errno, Status};

/// How often an operation that meets EAGAIN is tried again, with a pause of [`PAUSE`] before each.
const MAX_AGAIN: u32 = 100;
/// A millisecond: long enough for a device's queue to have a place again.
pub const PAUSE: std::time::Duration = std::time::Duration::from_millis(1);

/// What an operation needs after an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Next {
    /// A call for what is left, which begins at [`Progress::from`].
    Call,
    /// The same after a [`PAUSE`].
    CallLater,
    /// Nothing: it is over.
    Over(Outcome),
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Direction {
    Read,
    Write,
}

/// What was done of an operation.
pub struct Progress {
    /// `None` for an operation that moves no bytes.
    direction: Option<Direction>,
    /// Whether a call that was interrupted or found no room is made again.
    repeats: bool,
    length: usize,
    alignment: Option<Alignment>,
    done: usize,
    /// Answers of EAGAIN so far.
    again: u32,
    /// Whether an allocation asks for zeros: until the system refuses.
    zeroes: bool,
}

impl Progress {
    /// An operation of which nothing is done.
    pub fn of(operation: &Operation) -> Progress {
        let direction = match operation.kind {
            Kind::Read => Some(Direction::Read),
            Kind::Write | Kind::SealWrite => Some(Direction::Write),
            _ => None,
        };
        Progress {
            direction,
            // A sync that failed is never repeated, for whatever reason: the kernel may have forgotten by then what it could not write.
            repeats: !matches!(operation.kind, Kind::SyncData | Kind::SyncFull),
            length: operation.length as usize,
            alignment: operation.file.alignment(),
            done: 0,
            again: 0,
            zeroes: operation.flags & ZEROED != 0,
        }
    }

    /// Whether an allocation's next call asks for zeros.
    pub fn zeroes(&self) -> bool {
        self.zeroes
    }

    /// What it needs first.
    pub fn begin(&self) -> Next {
        if self.direction.is_some() && self.length == 0 {
            self.over(Ok(()))
        } else {
            Next::Call
        }
    }

    /// Where the next call begins, in bytes from the operation's beginning.
    ///
    /// A direct file's transfer is continued where position and memory suit the device; the bytes between there and the end of
    /// the last transfer are moved a second time, to the same place.
    pub fn from(&self) -> usize {
        let resume = self.alignment.map_or(1, |alignment| alignment.resume as usize);
        self.done - self.done % resume
    }

    /// Enters the answer of a call: the bytes that it moved from [`Progress::from`] on, or why it failed.
    pub fn answer(&mut self, answer: Result<usize, Errno>) -> Next {
        match (answer, self.direction) {
            (Ok(_), None) => self.over(Ok(())),
            // The kernel, the filesystem or the device does not write zeros: the space alone is had, within the same operation.
            (Err(Errno(libc::EOPNOTSUPP)), None) if self.zeroes => {
                self.zeroes = false;
                Next::Call
            }
            (Ok(moved), Some(direction)) => self.moved(moved, direction),
            (Err(Errno(libc::EINTR)), _) if self.repeats => Next::Call,
            (Err(Errno(libc::EAGAIN)), _) if self.repeats && self.again < MAX_AGAIN => {
                self.again += 1;
                Next::CallLater
            }
            (Err(errno), _) => self.over(Err(errno)),
        }
    }

    fn moved(&mut self, moved: usize, direction: Direction) -> Next {
        let end = self.from() + moved;
        if end <= self.done {
            // Nothing more is there to be read; a write that gets no further never will.
            return self.over(match direction {
                Direction::Read => Ok(()),
                Direction::Write => Err(Errno(libc::EIO)),
            });
        }
        self.done = end.min(self.length);
        // The device gives whole sectors: only the end of the file cuts one.
        let sector = self.alignment.map_or(1, |alignment| alignment.read as usize);
        let cut = direction == Direction::Read && !self.done.is_multiple_of(sector);
        if self.done == self.length || cut {
            self.over(Ok(()))
        } else {
            Next::Call
        }
    }

    fn over(&self, result: Result<(), Errno>) -> Next {
        // An allocation tells by 1 that zeros were written.
        let transferred = self.done as u32 + u32::from(result.is_ok() && self.zeroes);
        let result = result.map_err(Status::from);
        Next::Over(Outcome { result, transferred })
    }
}

#[cfg(test)]
mod tests;

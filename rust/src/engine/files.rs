//! Adopted descriptors, by handle.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};

use super::entry::{DSYNC, SYNC};
use super::event_fd::EventFd;
use crate::handles::HandleTable;
use crate::probe;
use crate::process;
use crate::status::{Errno, Status, checked};
use crate::thread;

/// Unit of direct transfers that is assumed where the kernel does not report it.
const SMALLEST_SECTOR: u32 = 512;

/// An open descriptor of ours. It is closed when the last operation on it has ended.
pub struct File {
    fd: OwnedFd,
    /// Present if the file was opened with `O_DIRECT`.
    pub alignment: Option<Alignment>,
    /// Flags of operations that the system has refused for this file.
    pub refused_flags: AtomicU32,
    /// Whether it has taken the lock of the open file.
    locked: AtomicBool,
}

/// Alignment of a direct file's transfers, in bytes.
#[derive(Clone, Copy)]
pub struct Alignment {
    /// Unit of the end of a read that does not end at the end of the file.
    pub read: u32,
    /// Unit of positions at which a transfer can be continued. It also suits the memory.
    pub resume: u32,
}

impl File {
    fn new(fd: OwnedFd) -> Result<File, Errno> {
        let flags = probe::descriptor_flags(fd.as_raw_fd())?;
        let direct = flags & libc::O_DIRECT != 0;
        let writes = flags & libc::O_ACCMODE != libc::O_RDONLY;
        let syncs_later = writes && !probe::has_durable_writes(fd.as_raw_fd());
        let refused_flags = if syncs_later { DSYNC | SYNC } else { 0 };
        let alignment = direct.then(|| {
            let needs = probe::direct_alignment(fd.as_raw_fd()).unwrap_or_default();
            let known = |value: u32| Some(value).filter(|value| value.is_power_of_two());
            let write = known(needs.offset).unwrap_or(SMALLEST_SECTOR);
            let read = known(needs.read_offset).unwrap_or(write);
            let memory = known(needs.memory).unwrap_or(SMALLEST_SECTOR);
            let resume = write.max(read).max(memory);
            Alignment { read, resume }
        });
        Ok(File {
            fd,
            alignment,
            refused_flags: AtomicU32::new(refused_flags),
            locked: AtomicBool::new(false),
        })
    }

    /// Takes the lock of the open file without waiting: see [`probe::lock`].
    pub fn lock(&self, exclusive: bool) -> Result<(), Errno> {
        probe::lock(self.descriptor(), exclusive)?;
        // Relaxed: dropping the last reference comes after this.
        self.locked.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Returns the descriptor, which is valid as long as this is borrowed.
    pub fn descriptor(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl Drop for File {
    /// Gives the lock back before the descriptor is closed: a ring may refer to the open file for
    /// some time after its last completion, until its thread enters the kernel again.
    ///
    /// In a forked child the open file is the parent's.
    fn drop(&mut self) {
        if *self.locked.get_mut() && !process::forked() {
            probe::unlock(self.descriptor());
        }
    }
}

/// The files by handle, each owned by the thread that adopted it, and closed with it: a terminated
/// isolate closes nothing itself.
pub static FILES: HandleTable<File> = HandleTable::new();

/// Makes a file from a duplicate of `fd`, which stays the caller's. Returns the handle.
pub fn adopt(fd: RawFd) -> Result<u32, Status> {
    adopt_if(fd, |_| Ok(()))
}

/// Upper bound of the descriptors that a search examines, which takes a tenth of a second. It is
/// the default of `/proc/sys/fs/nr_open`. Some systems raise that a thousandfold.
const MAX_DESCRIPTORS: RawFd = 1 << 20;

/// Searches for the descriptor of the file `(device, inode)` whose position is `position`. The
/// runtime opened it and does not report its number.
///
/// Any thread may close it and reuse the number at any time, so the result is a hint that
/// [`adopt_at`] checks.
pub fn find(device: f64, inode: f64, position: u64) -> Result<RawFd, Errno> {
    /// The last number that was found. The runtime closes it after its file was adopted, so the
    /// next file often gets the same number.
    static LAST_FOUND: AtomicI32 = AtomicI32::new(0);
    // The position last, because querying it waits for a transfer that changes it.
    let is_wanted = |&fd: &RawFd| {
        probe::identity(fd).is_ok_and(|(dev, ino)| dev as f64 == device && ino as f64 == inode)
            && probe::position(fd) == Ok(position)
    };
    let last = LAST_FOUND.load(Ordering::Relaxed);
    if is_wanted(&last) {
        return Ok(last);
    }
    let limit = process::limit(libc::RLIMIT_NOFILE).min(MAX_DESCRIPTORS as u64) as RawFd;
    // A new descriptor gets the lowest free number.
    let next = EventFd::new()?.descriptor().min(limit);
    // The runtime has just taken the one before. It is the last one in use, unless other
    // threads open and close files.
    let found = (0..next)
        .rev()
        .chain(next..limit)
        .find(is_wanted)
        .ok_or(Errno(libc::ENOENT))?;
    LAST_FOUND.store(found, Ordering::Relaxed);
    Ok(found)
}

/// Adopts `fd` if its position is `position`, and returns `-ENOENT` otherwise. Descriptors that
/// share a position are the same open file.
///
/// The open file gets flags that the runtime cannot pass to `open(2)`. Without `O_NONBLOCK`,
/// io_uring leaves every transfer of a file in memory (tmpfs) to a kernel thread, where it queues
/// after others that wait for a slow disk. With `direct` it gets `O_DIRECT`, or the result is
/// `-EINVAL` if its filesystem refuses that.
pub fn adopt_at(fd: RawFd, position: u64, direct: bool) -> Result<u32, Status> {
    let flags = libc::O_NONBLOCK | if direct { libc::O_DIRECT } else { 0 };
    adopt_if(fd, |duplicate| {
        if probe::position(duplicate)? != position {
            return Err(Errno(libc::ENOENT));
        }
        probe::set_flags(duplicate, flags)
    })
}

/// Adopts a duplicate of `fd` if `check` succeeds. It checks the duplicate, because nothing else
/// can close that.
fn adopt_if(fd: RawFd, check: impl FnOnce(RawFd) -> Result<(), Errno>) -> Result<u32, Status> {
    process::check()?;
    let owner = thread::with(|thread| Ok(thread.id))?;
    if fd < 0 {
        return Err(Errno(libc::EBADF).into());
    }
    // SAFETY: duplicating accesses no memory, and an invalid number is EBADF.
    let duplicate = checked(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) })? as RawFd;
    // SAFETY: the kernel has just made this descriptor for us, and nothing else knows it.
    let duplicate = unsafe { OwnedFd::from_raw_fd(duplicate) };
    check(duplicate.as_raw_fd())?;
    let file = File::new(duplicate)?;
    FILES.insert(owner, |_| file).map(|(handle, _)| handle)
}

/// Returns the file of a handle.
pub fn get(handle: u32) -> Result<Arc<File>, Status> {
    FILES.get(handle)
}

/// Ends a handle. The descriptor is closed at once, or after the last pending operation.
pub fn close(handle: u32) -> Result<(), Status> {
    FILES.remove(handle).map(drop)
}

#[cfg(all(test, not(loom)))]
pub mod tests;

//! Asks the kernel what a descriptor is and what it can do.
//!
//! Each fact comes from the system call that defines it: `statx(2)` for size, identity and direct
//! alignment, `fstatfs(2)` for the filesystem, ioctls for a block device. Some facts are only found
//! by trying, and the try moves no data: a flag of `preadv2(2)` is tested by a read beyond the end
//! of any file, the holder of a lock by a query that takes none.
//!
//! There are two kinds of failure. A system call or flag that this kernel does not have, or that a
//! filter of system calls refuses, is a fact about the host ([`is_refused`]): the caller does
//! without it. Every other failure is an error of the descriptor and is returned.
//!
//! Some constants and structures are not in the libc crate yet, and some functions came with a
//! glibc that is newer than the oldest one that Deno supports. These are called by number. The one
//! offset in a structure that is computed here is checked by an assertion.

use std::mem::{MaybeUninit, offset_of};
use std::os::fd::RawFd;

use crate::status::{Errno, checked};

/// `STATX_DIO_READ_ALIGN` of `linux/stat.h`, Linux 6.16; the libc crate lacks it.
const STATX_DIO_READ_ALIGN: u32 = 0x0002_0000;
/// Offset of `stx_dio_read_offset_align`: after two words of alignment, the subvolume and three
/// words about atomic writes.
const READ_OFFSET_ALIGN: usize = offset_of!(libc::statx, stx_dio_offset_align) + 4 + 8 + 3 * 4;
const _: () =
    assert!(READ_OFFSET_ALIGN == 0xb4 && READ_OFFSET_ALIGN + 4 <= size_of::<libc::statx>());

/// Sets the signal that an open file sends (`fcntl(2)`); the libc crate lacks it.
const F_SETSIG: i32 = 10;

/// `cachestat(2)`, on every architecture.
const SYS_CACHESTAT: libc::c_long = 451;

/// Index of the mask of known alignments among the values of [`file`].
pub const KNOWN_VALUE: usize = 5;
/// Number of values of [`file`].
pub const FILE_VALUES: usize = 16;
/// Number of values of [`cached_pages`].
pub const CACHE_VALUES: usize = 5;

/// Alignment that direct I/O needs, in bytes; 0 where the kernel does not say.
#[derive(Clone, Copy, Debug, Default)]
pub struct DirectAlignment {
    /// Addresses in memory.
    pub memory: u32,
    /// Positions and lengths.
    pub offset: u32,
    /// Positions and lengths of reads, where it is different (Linux 6.16).
    pub read_offset: u32,
}

/// Returns the flags of an open file: access mode, `O_DIRECT` and the rest (`F_GETFL`).
pub fn descriptor_flags(fd: RawFd) -> Result<i32, Errno> {
    // SAFETY: the call only reads the flags of an open file.
    checked(unsafe { libc::fcntl(fd, libc::F_GETFL) }).map(|flags| flags as i32)
}

/// Adds flags to those of an open file; `-EINVAL` for `O_DIRECT` if its filesystem refuses it.
pub fn set_flags(fd: RawFd, flags: i32) -> Result<(), Errno> {
    let flags = descriptor_flags(fd)? | flags;
    // SAFETY: the call changes flags of an open file, and no memory.
    checked(unsafe { libc::fcntl(fd, libc::F_SETFL, flags) }).map(drop)
}

/// Returns the position of an open file.
pub fn position(fd: RawFd) -> Result<u64, Errno> {
    // SAFETY: the call moves the position by 0 bytes, and touches no memory.
    checked(unsafe { libc::lseek(fd, 0, libc::SEEK_CUR) }).map(|position| position as u64)
}

/// Identifies a file by `st_dev` and `st_ino`.
pub fn identity(fd: RawFd) -> Result<(u64, u64), Errno> {
    let stat = statx(fd, WITHOUT_TIMES)?;
    let device = libc::makedev(stat.stx_dev_major, stat.stx_dev_minor);
    Ok((device, stat.stx_ino))
}

/// Returns the alignment that direct I/O on this file needs.
pub fn direct_alignment(fd: RawFd) -> Result<DirectAlignment, Errno> {
    Ok(alignment_of(&statx(fd, WITHOUT_TIMES)?))
}

/// Returns the structure that a system call fills.
///
/// # Safety
/// - zeros are a valid `T`;
/// - `call` writes nothing to its argument but a valid `T`.
unsafe fn filled<T>(call: impl FnOnce(*mut T) -> libc::c_long) -> Result<T, Errno> {
    let mut value = MaybeUninit::zeroed();
    checked(call(value.as_mut_ptr()))?;
    // SAFETY: zeros, then what the call wrote, are valid by the caller's promise.
    Ok(unsafe { value.assume_init() })
}

fn alignment_of(stat: &libc::statx) -> DirectAlignment {
    let known = |bit| stat.stx_mask & bit != 0;
    let dio = known(libc::STATX_DIOALIGN);
    // SAFETY: the word lies within the structure (asserted above), all of whose bytes were zeroed
    // or written by the kernel; any bits are a u32.
    let read = unsafe {
        std::ptr::from_ref(stat)
            .byte_add(READ_OFFSET_ALIGN)
            .cast::<u32>()
            .read_unaligned()
    };
    DirectAlignment {
        memory: if dio { stat.stx_dio_mem_align } else { 0 },
        offset: if dio { stat.stx_dio_offset_align } else { 0 },
        read_offset: if known(STATX_DIO_READ_ALIGN) { read } else { 0 },
    }
}

/// The fields of `statx(2)` that cost nothing. Since Linux 6.13, asking for the times of a file
/// makes its next write change the inode as well: on ext4 a durable write of one block then takes
/// half as long again.
const WITHOUT_TIMES: u32 = (libc::STATX_BASIC_STATS | libc::STATX_DIOALIGN | STATX_DIO_READ_ALIGN)
    & !(libc::STATX_ATIME | libc::STATX_MTIME | libc::STATX_CTIME);

fn statx(fd: RawFd, mask: u32) -> Result<libc::statx, Errno> {
    let (path, flags) = (c"".as_ptr(), libc::AT_EMPTY_PATH);
    // By number: the function came with glibc 2.28, and Deno itself asks for 2.27.
    // SAFETY: the path is an empty C string; the call fills a `statx`, of plain integers.
    match unsafe { filled(|stat| libc::syscall(libc::SYS_statx, fd, path, flags, mask, stat)) } {
        Err(errno) if is_refused(errno) => fstat(fd),
        result => result,
    }
}

/// Returns whether the kernel does not have a system call, or a filter of system calls refuses it.
/// Old container runtimes refuse unknown calls with `EPERM`.
pub fn is_refused(Errno(number): Errno) -> bool {
    matches!(number, libc::ENOSYS | libc::EPERM)
}

/// Returns whether the kernel, a filter of system calls, the filesystem or the device refuses a flag
/// of a system call.
pub fn is_flag_refused(errno: Errno) -> bool {
    errno == Errno(libc::EOPNOTSUPP) || is_refused(errno)
}

/// Fills the fields of `statx(2)` that `fstat(2)` knows.
fn fstat(fd: RawFd) -> Result<libc::statx, Errno> {
    // By number: this symbol came with glibc 2.33.
    // SAFETY: the call fills a `stat`, of plain integers.
    let from: libc::stat = unsafe { filled(|from| libc::syscall(libc::SYS_fstat, fd, from)) }?;
    // SAFETY: the structure is plain integers, for which zeros are values.
    let mut stat: libc::statx = unsafe { MaybeUninit::zeroed().assume_init() };
    stat.stx_mask = libc::STATX_BASIC_STATS;
    stat.stx_size = from.st_size as u64;
    stat.stx_blksize = from.st_blksize as u32;
    stat.stx_mode = from.st_mode as u16;
    stat.stx_nlink = from.st_nlink as u32;
    stat.stx_ino = from.st_ino;
    stat.stx_blocks = from.st_blocks as u64;
    (stat.stx_dev_major, stat.stx_dev_minor) = (libc::major(from.st_dev), libc::minor(from.st_dev));
    (stat.stx_rdev_major, stat.stx_rdev_minor) =
        (libc::major(from.st_rdev), libc::minor(from.st_rdev));
    stat.stx_mtime.tv_sec = from.st_mtime;
    stat.stx_mtime.tv_nsec = from.st_mtime_nsec as u32;
    Ok(stat)
}

/// Describes a file: size, `st_blksize`, direct alignment of memory, of offsets, of reads' offsets,
/// a mask of the known ones (1 = the first two, 2 = the third), device major, minor, `f_type`,
/// `st_mode`, `F_GETFL` flags, inode, links, 512-byte blocks allocated, physical block, and, with
/// `times`, the time of modification in microseconds.
///
/// The physical block is 0 except for a block device, whose size and device are its own, not those
/// of its name.
pub fn file(fd: RawFd, times: bool) -> Result<[f64; FILE_VALUES], Errno> {
    let asked = if times { libc::STATX_MTIME } else { 0 };
    let stat = statx(fd, WITHOUT_TIMES | asked)?;
    let flags = descriptor_flags(fd)?;
    let system = filesystem(fd)?;
    let alignment = alignment_of(&stat);
    let known = u32::from(stat.stx_mask & libc::STATX_DIOALIGN != 0)
        | u32::from(stat.stx_mask & STATX_DIO_READ_ALIGN != 0) << 1;
    let (mut size, mut physical_block) = (stat.stx_size, 0);
    let (mut major, mut minor) = (stat.stx_dev_major, stat.stx_dev_minor);
    if u32::from(stat.stx_mode) & libc::S_IFMT == libc::S_IFBLK {
        (size, physical_block) = block_device(fd)?;
        (major, minor) = (stat.stx_rdev_major, stat.stx_rdev_minor);
    }
    let modified = stat.stx_mtime.tv_sec as f64 * 1e6 + f64::from(stat.stx_mtime.tv_nsec / 1000);
    Ok([
        size as f64,
        f64::from(stat.stx_blksize),
        f64::from(alignment.memory),
        f64::from(alignment.offset),
        f64::from(alignment.read_offset),
        f64::from(known),
        f64::from(major),
        f64::from(minor),
        f64::from(system.f_type as u32),
        f64::from(stat.stx_mode),
        f64::from(flags),
        stat.stx_ino as f64,
        f64::from(stat.stx_nlink),
        stat.stx_blocks as f64,
        f64::from(physical_block),
        modified,
    ])
}

/// Returns how many bytes an unprivileged user can still allocate on the filesystem of a file;
/// `None` if it does not count its blocks.
pub fn free_bytes(fd: RawFd) -> Result<Option<u64>, Errno> {
    let system = filesystem(fd)?;
    let block = u64::try_from(system.f_frsize).unwrap_or(0);
    let counts = system.f_blocks > 0 && block > 0;
    Ok(counts.then(|| system.f_bavail.saturating_mul(block)))
}

fn filesystem(fd: RawFd) -> Result<libc::statfs, Errno> {
    // SAFETY: the call fills a `statfs`, of plain integers.
    unsafe { filled(|system| libc::fstatfs(fd, system).into()) }
}

/// Returns the size of a block device and of its physical blocks, in bytes, which `statx(2)` does
/// not tell.
fn block_device(fd: RawFd) -> Result<(u64, u32), Errno> {
    /// `_IOR(0x12, 114, size_t)` of `linux/fs.h`; the libc crate lacks it.
    const BLKGETSIZE64: libc::Ioctl = 0x8008_1272;
    let (mut bytes, mut physical_block) = (0u64, 0u32);
    // SAFETY: writes 64 bits where there is room for them.
    checked(unsafe { libc::ioctl(fd, BLKGETSIZE64, &raw mut bytes) })?;
    // SAFETY: writes 32 bits where there is room for them.
    checked(unsafe { libc::ioctl(fd, libc::BLKPBSZGET, &raw mut physical_block) })?;
    Ok((bytes, physical_block))
}

/// Counts the pages of a range in the page cache: cached, dirty, being written, evicted, recently
/// evicted.
///
/// `cachestat(2)` of Linux 6.5; `-ENOSYS` where it is missing or refused. A length of 0 goes to the
/// end of the file.
pub fn cached_pages(fd: RawFd, position: u64, length: u64) -> Result<[f64; CACHE_VALUES], Errno> {
    let range = [position, length];
    let mut pages = [0u64; CACHE_VALUES];
    // SAFETY: `struct cachestat_range` is two, `struct cachestat` five 64-bit words; both outlive
    // the call.
    let result =
        unsafe { libc::syscall(SYS_CACHESTAT, fd, range.as_ptr(), pages.as_mut_ptr(), 0u32) };
    match checked(result) {
        Err(errno) if is_refused(errno) => Err(Errno(libc::ENOSYS)),
        result => result.map(|_| pages.map(|count| count as f64)),
    }
}

/// Asks the kernel to drop the clean pages of a file from `position` to its end
/// (`POSIX_FADV_DONTNEED`).
pub fn drop_cached(fd: RawFd, position: u64) -> Result<(), Errno> {
    // SAFETY: touches no memory of ours; a position is below 2^53, so that no sign is lost.
    match unsafe { libc::posix_fadvise(fd, position as libc::off_t, 0, libc::POSIX_FADV_DONTNEED) }
    {
        0 => Ok(()),
        number => Err(Errno(number)),
    }
}

/// Returns whether the flag of durable writes is accepted. A read and a write of no bytes fail where
/// the kernel, an emulator or a filter of system calls refuses the flag for all files.
pub fn has_durable_writes(fd: RawFd) -> bool {
    let vector = libc::iovec {
        iov_base: std::ptr::null_mut(),
        iov_len: 0,
    };
    // SAFETY: no byte is written; the vector outlives the call.
    let written = checked(unsafe { libc::pwritev2(fd, &raw const vector, 1, 0, libc::RWF_DSYNC) });
    let errors = [read_nothing(fd, libc::RWF_DSYNC).err(), written.err()];
    !errors.into_iter().flatten().any(is_flag_refused)
}

/// Returns whether reads of this file can use `RWF_DONTCACHE` (Linux 6.14 and a filesystem that has
/// it).
pub fn uncached_reads(fd: RawFd) -> Result<bool, Errno> {
    match read_nothing(fd, libc::RWF_DONTCACHE) {
        Err(errno) if is_flag_refused(errno) || errno == Errno(libc::EINVAL) => Ok(false),
        result => result.map(|_| true),
    }
}

/// Reads beyond the end of any file: the kernel checks the flag, and has nothing to read.
fn read_nothing(fd: RawFd, flag: i32) -> Result<usize, Errno> {
    const BEYOND: libc::off_t = 1 << 52;
    let mut byte = 0u8;
    let vector = libc::iovec {
        iov_base: (&raw mut byte).cast(),
        iov_len: 1,
    };
    // SAFETY: the vector is of one writable byte, borrowed by nothing else; both outlive the call.
    checked(unsafe { libc::preadv2(fd, &raw const vector, 1, BEYOND, flag) })
}

/// Takes the lock of an open file (`flock(2)`), shared or exclusive, without waiting;
/// `-EWOULDBLOCK` while another open file has it.
///
/// It belongs to the open file and all its duplicates, and ends with the last of them.
pub fn lock(fd: RawFd, exclusive: bool) -> Result<(), Errno> {
    let kind = if exclusive {
        libc::LOCK_EX
    } else {
        libc::LOCK_SH
    };
    // SAFETY: the call touches no memory.
    checked(unsafe { libc::flock(fd, kind | libc::LOCK_NB) })?;
    if exclusive {
        // Where the filesystem has no such locks, `is_locked` fails as well.
        let _ = ofd_lock(fd, libc::F_OFD_SETLK, libc::F_RDLCK);
    }
    Ok(())
}

/// Gives back what [`lock`] took.
pub fn unlock(fd: RawFd) {
    let _ = ofd_lock(fd, libc::F_OFD_SETLK, libc::F_UNLCK);
    // SAFETY: the call touches no memory.
    let _ = unsafe { libc::flock(fd, libc::LOCK_UN) };
}

/// Returns whether an exclusive lock is held on the file, without taking one.
///
/// The kernel cannot be asked about a `flock(2)`. So its holder also takes a shared open file
/// description lock (`fcntl(2)`), with which a lock for writing would conflict; both end together.
pub fn is_locked(fd: RawFd) -> Result<bool, Errno> {
    let found = ofd_lock(fd, libc::F_OFD_GETLK, libc::F_WRLCK)?;
    Ok(found != libc::F_UNLCK)
}

/// Sets a lock on the whole file, or finds a lock that conflicts with it; returns its type.
fn ofd_lock(fd: RawFd, command: i32, kind: i32) -> Result<i32, Errno> {
    // SAFETY: zeros are a valid `flock`: the whole file, and no process, as open file description
    // locks ask for.
    let mut lock: libc::flock = unsafe { MaybeUninit::zeroed().assume_init() };
    lock.l_type = kind as libc::c_short;
    // SAFETY: the kernel reads and writes `lock`, which lives until it returns.
    checked(unsafe { libc::fcntl(fd, command, &raw mut lock) })?;
    Ok(i32::from(lock.l_type))
}

/// Returns whether the file is open nowhere else, in any process or container of this kernel.
///
/// Only then the kernel grants a write lease (`fcntl(2)`, `F_SETLEASE`), which is given back at
/// once. Only the file's owner gets one, or a process with `CAP_LEASE` (otherwise `EACCES`), and
/// only on a filesystem that has leases (otherwise `EINVAL`).
pub fn is_sole_opener(fd: RawFd) -> Result<bool, Errno> {
    match set_lease(fd, libc::F_WRLCK) {
        Err(Errno(libc::EAGAIN)) => Ok(false),
        result => result
            .and_then(|_| set_lease(fd, libc::F_UNLCK))
            .map(|_| true),
    }
}

/// Takes a write lease of an open file, or gives it back; `-EAGAIN` while the file is open
/// elsewhere.
///
/// A process that opens it meanwhile waits, and the kernel sends this process a signal. `SIGURG` is
/// ignored by default; `SIGIO`, which is sent otherwise, ends the process. The end of the lease
/// resets the signal.
fn set_lease(fd: RawFd, kind: i32) -> Result<usize, Errno> {
    // SAFETY: the calls set numbers of the open file, and touch no memory.
    unsafe {
        checked(libc::fcntl(fd, F_SETSIG, libc::SIGURG))?;
        checked(libc::fcntl(fd, libc::F_SETLEASE, kind))
    }
}

/// Writes the kernel's release (`uname(2)`), such as `6.18.0-generic`, as far as `out` has room;
/// returns the bytes written.
pub fn kernel_release(out: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the call fills a `utsname`, of plain bytes.
    let name: libc::utsname = unsafe { filled(|name| libc::uname(name).into()) }?;
    let text = name.release.iter().take_while(|&&byte| byte != 0);
    let written = out.iter_mut().zip(text).map(|(to, &byte)| *to = byte as u8);
    Ok(written.count())
}

#[cfg(all(test, not(loom)))]
mod tests;

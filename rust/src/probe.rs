//! Questions about a descriptor that the kernel answers.

use std::mem::{MaybeUninit, offset_of};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use crate::status::{Status, last_errno};

/// `STATX_DIO_READ_ALIGN` of `linux/stat.h`, Linux 6.16; the libc crate lacks it.
const STATX_DIO_READ_ALIGN: u32 = 0x0002_0000;
/// Where `stx_dio_read_offset_align` is: after two words of alignment, the subvolume and three words about atomic writes.
const READ_OFFSET_ALIGN: usize = offset_of!(libc::statx, stx_dio_offset_align) + 4 + 8 + 3 * 4;
const _: () = assert!(READ_OFFSET_ALIGN == 0xb4 && READ_OFFSET_ALIGN + 4 <= size_of::<libc::statx>());

/// Which signal an open file sends (`fcntl(2)`); the libc crate lacks it.
const F_SETSIG: i32 = 10;

/// How many values [`file`] gives.
pub const FILE_VALUES: usize = 16;
/// How many values [`cached_pages`] gives.
pub const CACHE_VALUES: usize = 5;

/// What direct I/O must suit, in bytes; 0 where the kernel does not say.
#[derive(Clone, Copy, Debug, Default)]
pub struct DirectAlignment {
    /// Addresses in memory.
    pub memory: u32,
    /// Positions and lengths.
    pub offset: u32,
    /// Positions and lengths of reads, where it is another (Linux 6.16).
    pub read_offset: u32,
}

/// The flags of an open file: access mode, `O_DIRECT` and the rest (`F_GETFL`).
pub fn descriptor_flags(fd: RawFd) -> Result<i32, Status> {
    // SAFETY: a question about a number; it touches no memory.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    if flags < 0 { Err(last_errno()) } else { Ok(flags) }
}

/// Adds flags to those of an open file; `-EINVAL` for an `O_DIRECT` that its filesystem does not have.
pub fn set_flags(fd: RawFd, flags: i32) -> Result<(), Status> {
    let flags = descriptor_flags(fd)? | flags;
    // SAFETY: changes flags of an open file; it touches no memory.
    let result = unsafe { libc::fcntl(fd, libc::F_SETFL, flags) };
    if result < 0 { Err(last_errno()) } else { Ok(()) }
}

/// Where transfers without a position of their own go on.
pub fn position(fd: RawFd) -> Result<u64, Status> {
    // SAFETY: a question about a number; it touches no memory, and moves nothing by 0 bytes.
    let position = unsafe { libc::lseek(fd, 0, libc::SEEK_CUR) };
    u64::try_from(position).map_err(|_| last_errno())
}

/// Which file it is: `st_dev` and `st_ino`.
pub fn identity(fd: RawFd) -> Result<(u64, u64), Status> {
    let stat = statx(fd)?;
    Ok((
        libc::makedev(stat.stx_dev_major, stat.stx_dev_minor),
        stat.stx_ino,
    ))
}

/// The lowest number that is no descriptor: the next one will have it.
pub fn lowest_free() -> Result<RawFd, Status> {
    // SAFETY: makes a descriptor; it touches no memory.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
    if fd < 0 {
        return Err(last_errno());
    }
    // SAFETY: the kernel made it for us just now, and nobody else knows of it.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
    Ok(fd)
}

/// The first number that no descriptor of this process can have.
pub fn descriptor_limit() -> Result<RawFd, Status> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` has room for what the kernel writes.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } < 0 {
        return Err(last_errno());
    }
    Ok(RawFd::try_from(limit.rlim_cur).unwrap_or(RawFd::MAX))
}

/// What direct I/O on this file must suit.
pub fn direct_alignment(fd: RawFd) -> Result<DirectAlignment, Status> {
    Ok(alignment_of(&statx(fd)?))
}

fn alignment_of(stat: &libc::statx) -> DirectAlignment {
    let known = |bit| stat.stx_mask & bit != 0;
    let dio = known(libc::STATX_DIOALIGN);
    // SAFETY: the word lies within the structure (asserted above), which the kernel or zeroing filled; any bits are a u32.
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

fn statx(fd: RawFd) -> Result<libc::statx, Status> {
    // SAFETY: the structure is plain integers, for which zeros are values.
    let mut stat: libc::statx = unsafe { MaybeUninit::zeroed().assume_init() };
    let mask = libc::STATX_BASIC_STATS | libc::STATX_DIOALIGN | STATX_DIO_READ_ALIGN;
    // By number: the function came with glibc 2.28, and Deno itself asks for 2.27.
    // SAFETY: the path is an empty C string, and `stat` has room for what the kernel writes (256 bytes).
    let result = unsafe {
        libc::syscall(
            libc::SYS_statx,
            fd,
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            mask,
            &raw mut stat,
        )
    };
    if result < 0 { Err(last_errno()) } else { Ok(stat) }
}

/// What is known of a file:
/// size, `st_blksize`, direct alignment of memory, of offsets, of reads' offsets, which of them are known (1 = the first two, 2 = the third),
/// device major, minor, `f_type`, `st_mode`, `F_GETFL` flags, time of modification in microseconds, inode, links, 512-byte blocks allocated,
/// physical block. The last is 0 but for a block device, of which size and device are its own, not those of its name.
pub fn file(fd: RawFd) -> Result<[f64; FILE_VALUES], Status> {
    let stat = statx(fd)?;
    let flags = descriptor_flags(fd)?;
    let system = filesystem(fd)?;
    let alignment = alignment_of(&stat);
    let known = u32::from(stat.stx_mask & libc::STATX_DIOALIGN != 0)
        | u32::from(stat.stx_mask & STATX_DIO_READ_ALIGN != 0) << 1;
    let device = if u32::from(stat.stx_mode) & libc::S_IFMT == libc::S_IFBLK {
        Some(block_device(fd)?)
    } else {
        None
    };
    let (major, minor) = match device {
        Some(_) => (stat.stx_rdev_major, stat.stx_rdev_minor),
        None => (stat.stx_dev_major, stat.stx_dev_minor),
    };
    let modified = stat.stx_mtime.tv_sec as f64 * 1e6 + f64::from(stat.stx_mtime.tv_nsec / 1000);
    Ok([
        device.map_or(stat.stx_size, |device| device.bytes) as f64,
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
        modified,
        stat.stx_ino as f64,
        f64::from(stat.stx_nlink),
        stat.stx_blocks as f64,
        device.map_or(0.0, |device| f64::from(device.physical_block)),
    ])
}

/// How many bytes an unprivileged user can still allocate on the filesystem of a file; nothing if
/// it does not count its blocks.
pub fn free_bytes(fd: RawFd) -> Result<Option<u64>, Status> {
    let system = filesystem(fd)?;
    let block = u64::try_from(system.f_frsize).unwrap_or(0);
    let counts = system.f_blocks > 0 && block > 0;
    Ok(counts.then(|| system.f_bavail.saturating_mul(block)))
}

fn filesystem(fd: RawFd) -> Result<libc::statfs, Status> {
    let mut system = MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: `system` has room for what the kernel writes.
    if unsafe { libc::fstatfs(fd, system.as_mut_ptr()) } < 0 {
        return Err(last_errno());
    }
    // SAFETY: zeroed, then filled by the call; plain integers.
    Ok(unsafe { system.assume_init() })
}

#[derive(Clone, Copy)]
struct BlockDevice {
    bytes: u64,
    physical_block: u32,
}

/// What `statx(2)` does not tell of a block device.
fn block_device(fd: RawFd) -> Result<BlockDevice, Status> {
    /// `linux/fs.h`: `_IOR(0x12, 114, size_t)` and `_IO(0x12, 123)`; the libc crate lacks them.
    const BLKGETSIZE64: libc::Ioctl = 0x8008_1272;
    const BLKPBSZGET: libc::Ioctl = 0x127b;
    let mut bytes = 0u64;
    let mut physical_block = 0u32;
    // SAFETY: the first writes 64, the second 32 bits, each where there is room for them.
    let results = unsafe {
        [
            libc::ioctl(fd, BLKGETSIZE64, &raw mut bytes),
            libc::ioctl(fd, BLKPBSZGET, &raw mut physical_block),
        ]
    };
    if results.iter().any(|&result| result < 0) {
        return Err(last_errno());
    }
    Ok(BlockDevice {
        bytes,
        physical_block,
    })
}

/// Pages of a range in the page cache: cached, dirty, being written, evicted, recently evicted (`cachestat(2)`, Linux 6.5; `-ENOSYS` before).
/// A length of 0 goes to the end of the file.
pub fn cached_pages(fd: RawFd, position: u64, length: u64) -> Result<[f64; CACHE_VALUES], Status> {
    /// The number of the call on every architecture.
    const SYS_CACHESTAT: libc::c_long = 451;
    let range = [position, length];
    let mut pages = [0u64; CACHE_VALUES];
    // SAFETY: `struct cachestat_range` is two, `struct cachestat` five 64-bit words; both outlive the call.
    let result = unsafe { libc::syscall(SYS_CACHESTAT, fd, range.as_ptr(), pages.as_mut_ptr(), 0u32) };
    if result < 0 {
        Err(last_errno())
    } else {
        Ok(pages.map(|count| count as f64))
    }
}

/// Asks the kernel to drop the clean pages of a file from `position` on (`posix_fadvise(2)`, `POSIX_FADV_DONTNEED`).
pub fn drop_cached(fd: RawFd, position: u64) -> Result<(), Status> {
    // SAFETY: touches no memory of ours; a position is below 2^53, so that no sign is lost.
    match unsafe { libc::posix_fadvise(fd, position as libc::off_t, 0, libc::POSIX_FADV_DONTNEED) } {
        0 => Ok(()),
        errno => Err(-errno),
    }
}

/// Whether reads of this file may say `RWF_DONTCACHE` (Linux 6.14, and the filesystem must agree).
pub fn uncached_reads(fd: RawFd) -> Result<bool, Status> {
    // Beyond the end of any file: nothing is read, but the flag is judged first.
    const BEYOND: libc::off_t = 1 << 52;
    let mut byte = 0u8;
    let vector = libc::iovec {
        iov_base: (&raw mut byte).cast(),
        iov_len: 1,
    };
    // SAFETY: the vector is of one writable byte, borrowed by nothing else; both outlive the call.
    if unsafe { libc::preadv2(fd, &raw const vector, 1, BEYOND, libc::RWF_DONTCACHE) } >= 0 {
        return Ok(true);
    }
    match -last_errno() {
        libc::EOPNOTSUPP | libc::EINVAL => Ok(false),
        errno => Err(-errno),
    }
}

/// Takes the lock of an open file (`flock(2)`), shared or exclusive, without waiting; `-EWOULDBLOCK` while another has it.
/// It belongs to the open file and all its duplicates, and ends with the last of them.
pub fn lock(fd: RawFd, exclusive: bool) -> Result<(), Status> {
    let kind = if exclusive { libc::LOCK_EX } else { libc::LOCK_SH };
    // SAFETY: touches no memory.
    if unsafe { libc::flock(fd, kind | libc::LOCK_NB) } < 0 {
        Err(last_errno())
    } else {
        Ok(())
    }
}

/// Whether nobody else has the file open, in any process or container of this kernel: a write lease (`fcntl(2)`, `F_SETLEASE`) is granted then only.
/// It is given back at once. The kernel asks for the file's owner or `CAP_LEASE` (`EACCES`), and for a filesystem that has leases (`EINVAL`).
pub fn is_sole_opener(fd: RawFd) -> Result<bool, Status> {
    match take_lease(fd) {
        Ok(()) => end_lease(fd).map(|()| true),
        Err(status) if status == -libc::EAGAIN => Ok(false),
        Err(status) => Err(status),
    }
}

/// Takes a write lease of an open file; `-EAGAIN` while somebody else has the file open.
///
/// Who opens it meanwhile waits, and the kernel sends this process a signal: one that is ignored unless somebody listens,
/// for `SIGIO`, which it is if nothing is said, ends the process. The end of a lease forgets which.
fn take_lease(fd: RawFd) -> Result<(), Status> {
    // SAFETY: sets a number of the open file; it touches no memory.
    if unsafe { libc::fcntl(fd, F_SETSIG, libc::SIGURG) } < 0 {
        return Err(last_errno());
    }
    set_lease(fd, libc::F_WRLCK)
}

/// Gives a lease back.
fn end_lease(fd: RawFd) -> Result<(), Status> {
    set_lease(fd, libc::F_UNLCK)
}

fn set_lease(fd: RawFd, kind: i32) -> Result<(), Status> {
    // SAFETY: touches no memory.
    if unsafe { libc::fcntl(fd, libc::F_SETLEASE, kind) } < 0 {
        Err(last_errno())
    } else {
        Ok(())
    }
}

/// Writes the kernel's release (`uname(2)`), such as `6.18.0-generic`, as far as `out` has room. Answers the bytes written.
pub fn kernel_release(out: &mut [u8]) -> Result<usize, Status> {
    let mut name = MaybeUninit::<libc::utsname>::zeroed();
    // SAFETY: `name` has room for what the kernel writes.
    if unsafe { libc::uname(name.as_mut_ptr()) } < 0 {
        return Err(last_errno());
    }
    // SAFETY: zeroed, then filled by the call; plain bytes.
    let name = unsafe { name.assume_init() };
    let text = name
        .release
        .iter()
        .map(|&byte| byte as u8)
        .take_while(|&byte| byte != 0);
    Ok(out
        .iter_mut()
        .zip(text)
        .map(|(place, byte)| *place = byte)
        .count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::files::tests::temporary;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

    #[test]
    fn a_file_is_described_as_the_standard_library_does() {
        let (handle, file) = temporary(0);
        let fd = file.descriptor();
        // SAFETY: touches no memory.
        assert_eq!(unsafe { libc::ftruncate(fd, 12345) }, 0);
        let values = super::file(fd).unwrap();
        let expected = std::fs::metadata(format!("/proc/self/fd/{fd}")).unwrap();
        assert_eq!(values[0], 12345.0);
        assert_eq!(values[1], expected.blksize() as f64);
        assert_eq!(values[6], f64::from(libc::major(expected.dev())));
        assert_eq!(values[7], f64::from(libc::minor(expected.dev())));
        assert_eq!(values[9], f64::from(expected.mode()));
        assert_eq!(values[10] as i32 & libc::O_ACCMODE, libc::O_RDWR);
        let micros = expected.mtime() as f64 * 1e6 + (expected.mtime_nsec() / 1000) as f64;
        assert_eq!(values[11], micros);
        assert_eq!(values[12], expected.ino() as f64);
        assert_eq!(values[13], 0.0);
        assert_eq!(values[14], expected.blocks() as f64);
        if values[5] as u32 & 1 != 0 {
            assert!(
                (values[2] as u32).is_power_of_two() && (values[3] as u32).is_power_of_two(),
                "{values:?}"
            );
        } else {
            assert_eq!((values[2], values[3]), (0.0, 0.0));
        }
        if values[5] as u32 & 2 != 0 {
            assert!((values[4] as u32).is_power_of_two(), "{values:?}");
        }
        crate::engine::files::close(handle).unwrap();
    }

    #[test]
    fn cached_pages_counts_what_was_written_through_the_cache() {
        let (handle, file) = temporary(0);
        let fd = file.descriptor();
        let bytes = [1u8; 3 * 4096];
        // SAFETY: the bytes outlive the call.
        let written = unsafe { libc::pwrite(fd, bytes.as_ptr().cast(), bytes.len(), 0) };
        assert_eq!(written, bytes.len() as isize);
        match cached_pages(fd, 0, 0) {
            Ok(pages) => assert_eq!(pages[0], 3.0),
            Err(status) => assert_eq!(status, -libc::ENOSYS),
        }
        if let Ok(pages) = cached_pages(fd, 4096, 4096) {
            assert_eq!(pages[0], 1.0);
        }
        crate::engine::files::close(handle).unwrap();
    }

    #[test]
    fn uncached_reads_is_refused_for_what_cannot_read() {
        let (handle, file) = temporary(0);
        assert!(uncached_reads(file.descriptor()).is_ok());
        assert_eq!(uncached_reads(-1), Err(-libc::EBADF));
        crate::engine::files::close(handle).unwrap();
    }

    #[test]
    fn a_lock_is_refused_to_another_opening() {
        let (handle, file) = temporary(0);
        let other = std::fs::File::open(format!("/proc/self/fd/{}", file.descriptor())).unwrap();
        let other = other.as_raw_fd();
        lock(file.descriptor(), true).unwrap();
        lock(file.descriptor(), true).unwrap();
        assert_eq!(lock(other, true), Err(-libc::EWOULDBLOCK));
        assert_eq!(lock(other, false), Err(-libc::EWOULDBLOCK));
        lock(file.descriptor(), false).unwrap();
        lock(other, false).unwrap();
        assert_eq!(lock(other, true), Err(-libc::EWOULDBLOCK));
        crate::engine::files::close(handle).unwrap();
    }

    #[test]
    fn who_opens_a_file_under_a_lease_does_not_end_its_holder() {
        let (handle, file) = temporary(0);
        let fd = file.descriptor();
        for _ in 0..2 {
            assert_eq!(is_sole_opener(fd), Ok(true));
            take_lease(fd).unwrap();
            let mut options = std::fs::OpenOptions::new();
            options.read(true).custom_flags(libc::O_NONBLOCK);
            let error = options.open(format!("/proc/self/fd/{fd}")).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EWOULDBLOCK));
            end_lease(fd).unwrap();
        }
        let _other = std::fs::File::open(format!("/proc/self/fd/{fd}")).unwrap();
        assert_eq!(is_sole_opener(fd), Ok(false));
        crate::engine::files::close(handle).unwrap();
    }

    #[test]
    fn kernel_release_fits_itself_to_the_room() {
        let expected = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        let expected = expected.trim_end().as_bytes();
        let mut out = [0u8; 65];
        let length = kernel_release(&mut out).unwrap();
        assert_eq!(&out[..length], expected);
        assert_eq!(kernel_release(&mut out[..3]), Ok(3));
        assert_eq!(kernel_release(&mut []), Ok(0));
    }
}

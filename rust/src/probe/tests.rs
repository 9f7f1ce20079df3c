use super::*;
use crate::engine::files::tests::temporary;
use crate::testing::refuse;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

#[test]
fn file_agrees_with_fstat_where_a_filter_refuses_statx() {
    std::thread::spawn(|| {
        let (handle, file) = temporary(0);
        let fd = file.descriptor();
        std::fs::write(format!("/proc/self/fd/{fd}"), [7; 9000]).unwrap();
        let mut expected = super::file(fd, true).unwrap();
        let identity = super::identity(fd).unwrap();
        refuse(
            &[libc::SYS_statx, SYS_CACHESTAT, libc::SYS_preadv2],
            libc::EPERM,
        );
        // The alignment of direct I/O is unknown then.
        expected[2..6].fill(0.0);
        assert_eq!(super::file(fd, true), Ok(expected));
        assert_eq!(super::identity(fd), Ok(identity));
        assert_eq!(cached_pages(fd, 0, 0), Err(Errno(libc::ENOSYS)));
        assert_eq!(uncached_reads(fd), Ok(false));
        assert_eq!(super::file(-1, true), Err(Errno(libc::EBADF)));
        crate::engine::files::close(handle).unwrap();
    })
    .join()
    .unwrap();
}

#[test]
fn file_agrees_with_the_standard_library() {
    let (handle, file) = temporary(0);
    let fd = file.descriptor();
    // SAFETY: the call accesses no memory.
    assert_eq!(unsafe { libc::ftruncate(fd, 12345) }, 0);
    let values = super::file(fd, true).unwrap();
    let expected = std::fs::metadata(format!("/proc/self/fd/{fd}")).unwrap();
    assert_eq!(values[0], 12345.0);
    assert_eq!(values[1], expected.blksize() as f64);
    assert_eq!(values[6], f64::from(libc::major(expected.dev())));
    assert_eq!(values[7], f64::from(libc::minor(expected.dev())));
    assert_eq!(values[9], f64::from(expected.mode()));
    assert_eq!(values[10] as i32 & libc::O_ACCMODE, libc::O_RDWR);
    let micros = expected.mtime() as f64 * 1e6 + (expected.mtime_nsec() / 1000) as f64;
    assert_eq!(values[11], expected.ino() as f64);
    assert_eq!(values[12], 0.0);
    assert_eq!(values[13], expected.blocks() as f64);
    assert_eq!(values[15], micros);
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
        Err(errno) => assert_eq!(errno, Errno(libc::ENOSYS)),
    }
    if let Ok(pages) = cached_pages(fd, 4096, 4096) {
        assert_eq!(pages[0], 1.0);
    }
    crate::engine::files::close(handle).unwrap();
}

#[test]
fn uncached_reads_fails_for_a_descriptor_without_reading() {
    let (handle, file) = temporary(0);
    assert!(uncached_reads(file.descriptor()).is_ok());
    assert_eq!(uncached_reads(-1), Err(Errno(libc::EBADF)));
    crate::engine::files::close(handle).unwrap();
}

#[test]
fn lock_is_refused_to_another_open_file() {
    let (handle, file) = temporary(0);
    let other = std::fs::File::open(format!("/proc/self/fd/{}", file.descriptor())).unwrap();
    let other = other.as_raw_fd();
    lock(file.descriptor(), true).unwrap();
    lock(file.descriptor(), true).unwrap();
    assert_eq!(lock(other, true), Err(Errno(libc::EWOULDBLOCK)));
    assert_eq!(lock(other, false), Err(Errno(libc::EWOULDBLOCK)));
    lock(file.descriptor(), false).unwrap();
    lock(other, false).unwrap();
    assert_eq!(lock(other, true), Err(Errno(libc::EWOULDBLOCK)));
    crate::engine::files::close(handle).unwrap();
}

#[test]
fn is_sole_opener_survives_another_opener() {
    let (handle, file) = temporary(0);
    let fd = file.descriptor();
    for _ in 0..2 {
        assert_eq!(is_sole_opener(fd), Ok(true));
        set_lease(fd, libc::F_WRLCK).unwrap();
        let mut options = std::fs::OpenOptions::new();
        options.read(true).custom_flags(libc::O_NONBLOCK);
        let error = options.open(format!("/proc/self/fd/{fd}")).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EWOULDBLOCK));
        set_lease(fd, libc::F_UNLCK).unwrap();
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

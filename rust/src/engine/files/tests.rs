use super::*;
use crate::status::NO_SUCH_HANDLE;
use std::os::fd::IntoRawFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::AtomicU64;

/// Adopts a file without a name, and closes the descriptor from which it was adopted.
pub fn temporary(flags: i32) -> (u32, Arc<File>) {
    let directory =
        std::ffi::CString::new(std::env::temp_dir().into_os_string().into_encoded_bytes()).unwrap();
    // SAFETY: the path is a C string that outlives the call.
    let fd = unsafe {
        libc::open(
            directory.as_ptr(),
            libc::O_TMPFILE | libc::O_RDWR | libc::O_CLOEXEC | flags,
            0o600,
        )
    };
    assert!(fd >= 0, "{}", std::io::Error::last_os_error());
    let handle = adopt(fd).unwrap();
    // SAFETY: opened above, and not used after this.
    unsafe { libc::close(fd) };
    (handle, get(handle).unwrap())
}

fn is_open(fd: RawFd) -> bool {
    // SAFETY: the call only queries a number.
    unsafe { libc::fcntl(fd, libc::F_GETFD) >= 0 }
}

#[test]
fn adopt_duplicates_the_descriptor_with_close_on_exec() {
    let (read, write) = UnixStream::pair().unwrap();
    let handle = adopt(read.as_raw_fd()).unwrap();
    let file = get(handle).unwrap();
    assert_ne!(file.descriptor(), read.as_raw_fd());
    // SAFETY: the call queries a descriptor that `file` keeps open.
    let flags = unsafe { libc::fcntl(file.descriptor(), libc::F_GETFD) };
    assert_eq!(flags, libc::FD_CLOEXEC);
    drop((read, write));
    assert!(is_open(file.descriptor()));
    close(handle).unwrap();
}

/// Opens a named file with `count` descriptors of their own, like a runtime, and removes its name.
fn opened(count: usize) -> Vec<std::fs::File> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("basalt-files-{}-{number}", std::process::id()));
    let mut options = std::fs::File::options();
    let files = (0..count)
        .map(|_| {
            options
                .read(true)
                .write(true)
                .create(true)
                .truncate(true)
                .open(&path)
                .unwrap()
        })
        .collect();
    std::fs::remove_file(path).unwrap();
    files
}

fn find_at(file: &std::fs::File, position: u64) -> Result<RawFd, Errno> {
    use std::os::unix::fs::MetadataExt;
    let metadata = file.metadata().unwrap();
    find(metadata.dev() as f64, metadata.ino() as f64, position)
}

fn seek(mut file: &std::fs::File, position: u64) {
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(position)).unwrap();
}

#[test]
fn find_needs_file_and_position() {
    let (files, other) = (opened(20), opened(1));
    for (i, file) in files.iter().chain(&other).enumerate() {
        seek(file, 1000 + i as u64);
    }
    seek(&other[0], 1007);
    for (i, file) in files.iter().enumerate() {
        assert_eq!(find_at(file, 1000 + i as u64), Ok(file.as_raw_fd()));
    }
    assert_eq!(find_at(&files[0], 999), Err(Errno(libc::ENOENT)));
    assert_eq!(find_at(&other[0], 1006), Err(Errno(libc::ENOENT)));
}

#[test]
fn adopt_at_refuses_another_position() {
    let files = opened(2);
    seek(&files[0], 5);
    let fd = files[0].as_raw_fd();
    let (socket, _other) = UnixStream::pair().unwrap();
    assert_eq!(
        adopt_at(socket.as_raw_fd(), 5, false),
        Err(Errno(libc::ESPIPE).into())
    );
    assert_eq!(
        adopt_at(files[1].as_raw_fd(), 5, false),
        Err(Errno(libc::ENOENT).into())
    );
    assert_eq!(adopt_at(fd, 6, false), Err(Errno(libc::ENOENT).into()));
    assert_eq!(adopt_at(-1, 5, false), Err(Errno(libc::EBADF).into()));
    let handle = adopt_at(fd, 5, false).unwrap();
    let adopted = get(handle).unwrap();
    assert_ne!(adopted.descriptor(), fd);
    assert_eq!(probe::identity(adopted.descriptor()), probe::identity(fd));
    let flags = probe::descriptor_flags(adopted.descriptor()).unwrap();
    assert_eq!(
        flags & (libc::O_NONBLOCK | libc::O_DIRECT),
        libc::O_NONBLOCK
    );
    assert!(adopted.alignment.is_none());
    close(handle).unwrap();
}

#[test]
fn adopt_at_makes_a_descriptor_direct_as_open_does() {
    let files = opened(1);
    let fd = files[0].as_raw_fd();
    // The same file by the path of its descriptor, where the flag is passed to open(2).
    let path = std::ffi::CString::new(format!("/proc/self/fd/{fd}")).unwrap();
    // SAFETY: the path is a C string that outlives the call.
    let direct = unsafe {
        libc::open(
            path.as_ptr(),
            libc::O_RDWR | libc::O_DIRECT | libc::O_CLOEXEC,
        )
    };
    if direct < 0 {
        assert_eq!(adopt_at(fd, 0, true), Err(Errno(libc::EINVAL).into()));
        return;
    }
    // SAFETY: opened above, and nothing else knows it.
    drop(unsafe { OwnedFd::from_raw_fd(direct) });
    let handle = adopt_at(fd, 0, true).unwrap();
    assert!(get(handle).unwrap().alignment.is_some());
    close(handle).unwrap();
    let (read, _write) = std::io::pipe().unwrap();
    assert_eq!(probe::position(read.as_raw_fd()), Err(Errno(libc::ESPIPE)));
}

#[test]
fn find_works_while_other_threads_open_and_close() {
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    drop(opened(8));
                }
            });
        }
        for round in 0..300 {
            let files = opened(2);
            seek(&files[1], 1 << 27 | round);
            let fd = find_at(&files[1], 1 << 27 | round).unwrap();
            assert_eq!(fd, files[1].as_raw_fd());
            close(adopt_at(fd, 1 << 27 | round, false).unwrap()).unwrap();
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn close_removes_the_handle_and_leaves_the_descriptor_to_its_users() {
    let (read, mut write) = UnixStream::pair().unwrap();
    let fd = write.as_raw_fd();
    let handle = adopt(fd).unwrap();
    assert!(i32::try_from(handle).is_ok_and(|handle| handle > 0));
    let file = get(handle).unwrap();
    close(handle).unwrap();
    assert_eq!(get(handle).err(), Some(NO_SUCH_HANDLE));
    assert_eq!(close(handle), Err(NO_SUCH_HANDLE));
    std::io::Write::write_all(&mut write, b"x").unwrap();
    drop(write);
    // The duplicate is now the only writing end, and its reader sees the end once it is closed.
    let reader = std::thread::spawn(move || std::io::read_to_string(read).unwrap());
    drop(file);
    assert_eq!(reader.join().unwrap(), "x");
}

#[test]
fn get_and_adopt_refuse_bad_numbers() {
    for handle in [0, 0xffff, 1 << 16 | 0xffff, u32::MAX] {
        assert_eq!(get(handle).err(), Some(NO_SUCH_HANDLE));
    }
    assert_eq!(adopt(-1), Err(Errno(libc::EBADF).into()));
    assert_eq!(adopt(i32::MAX), Err(Errno(libc::EBADF).into()));
}

#[test]
fn end_of_a_thread_closes_its_files_only() {
    let (read, write) = UnixStream::pair().unwrap();
    let kept = adopt(read.as_raw_fd()).unwrap();
    let fd = write.into_raw_fd();
    let handle = std::thread::spawn(move || adopt(fd).unwrap())
        .join()
        .unwrap();
    assert_eq!(get(handle).err(), Some(NO_SUCH_HANDLE));
    // SAFETY: it is ours from `into_raw_fd`, and not used after this.
    unsafe { libc::close(fd) };
    // No writing end is left; otherwise this would wait for ever.
    assert_eq!(std::io::read_to_string(read).unwrap(), "");
    assert!(get(kept).is_ok());
    close(kept).unwrap();
}

#[test]
fn a_lock_ends_with_its_file_while_something_else_refers_to_the_open_file() {
    let (handle, file) = temporary(0);
    file.lock(true).unwrap();
    // A duplicate refers to the same open file, as a ring does for a while.
    let duplicate = file.fd.try_clone().unwrap();
    let path = format!("/proc/self/fd/{}", duplicate.as_raw_fd());
    let other = std::fs::File::open(path).unwrap();
    let takes = || probe::lock(other.as_raw_fd(), true);
    assert_eq!(takes(), Err(Errno(libc::EWOULDBLOCK)));
    assert_eq!(probe::is_locked(other.as_raw_fd()), Ok(true));
    close(handle).unwrap();
    assert_eq!(
        takes(),
        Err(Errno(libc::EWOULDBLOCK)),
        "an operation has it"
    );
    drop(file);
    assert_eq!(probe::is_locked(other.as_raw_fd()), Ok(false));
    takes().unwrap();
}

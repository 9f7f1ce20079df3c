//! The process around the library: forked children, and the signal of the file size limit.
//!
//! A child made by `fork(2)` has the memory but none of the threads: locks may stay locked and
//! nothing completes.

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::status::Errno;

/// Set in a child, by the handler, before anything else of ours can run there.
static FORKED: AtomicBool = AtomicBool::new(false);

extern "C" fn in_child() {
    // Relaxed: the child has one thread, and starting another one orders this store before it.
    FORKED.store(true, Ordering::Relaxed);
}

extern "C" fn ignore(_: c_int) {}

/// Refuses to go on in a forked child, with `-EOWNERDEAD`; elsewhere prepares the process.
///
/// Every function that takes a lock of the engine or of a handle table calls this first.
pub fn check() -> Result<(), Errno> {
    static PREPARED: Once = Once::new();
    if forked() {
        return Err(Errno(libc::EOWNERDEAD));
    }
    PREPARED.call_once(|| {
        // SAFETY: the handler only stores to an atomic, and its code stays mapped: the library is
        // linked with nodelete. A failure (no memory for the entry) leaves forked children
        // unrecognised, nothing else.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        survive_file_size_limit();
    });
    Ok(())
}

/// Returns whether this process is a forked child.
pub fn forked() -> bool {
    FORKED.load(Ordering::Relaxed)
}

/// Returns a soft limit of the process (`getrlimit(2)`).
pub fn limit(resource: libc::__rlimit_resource_t) -> u64 {
    let mut limit = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: `limit` has room for what the kernel writes. It stays as it is if the call fails.
    unsafe { libc::getrlimit(resource, &raw mut limit) };
    limit.rlim_cur
}

/// Lets a write beyond `RLIMIT_FSIZE` fail with `EFBIG`, instead of ending the process by
/// `SIGXFSZ`.
///
/// The handler does nothing. Programs that the process starts do not inherit it, as they would
/// inherit an ignored signal. A handler of the program's own stays.
fn survive_file_size_limit() {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: `action` has room for what the kernel writes, and zeros are valid values of its
    // fields. The handler does nothing, and its code stays mapped as above.
    unsafe {
        if libc::sigaction(libc::SIGXFSZ, std::ptr::null(), action.as_mut_ptr()) != 0 {
            return;
        }
        let action = action.assume_init_mut();
        if action.sa_sigaction == libc::SIG_DFL {
            action.sa_sigaction = ignore as extern "C" fn(c_int) as usize;
            action.sa_flags = libc::SA_RESTART;
            libc::sigaction(libc::SIGXFSZ, action, std::ptr::null_mut());
        }
    }
}

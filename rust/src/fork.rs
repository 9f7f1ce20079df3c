//! A child made by `fork(2)` has the memory but none of the threads: locks may stay locked and nothing completes.

use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::status::Status;

/// Set in a child, by the handler, before anything else of ours can run there.
static FORKED: AtomicBool = AtomicBool::new(false);

extern "C" fn in_child() {
    // Relaxed: the child has one thread, and each thread that it starts later sees what came before its start.
    FORKED.store(true, Ordering::Relaxed);
}

/// Refuses to go on in a forked child, with `-EOWNERDEAD`; elsewhere sees to it that a later child is recognised.
///
/// Every function that takes a lock of the engine or of the files comes through here first.
pub fn check() -> Result<(), Status> {
    static HANDLER: Once = Once::new();
    if forked() {
        return Err(-libc::EOWNERDEAD);
    }
    HANDLER.call_once(|| {
        // SAFETY: the handler only stores to an atomic, and its code stays mapped: the library is linked with nodelete.
        // A failure (no memory for the entry) leaves forked children unrecognised, nothing else.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
    Ok(())
}

/// Whether this process is a forked child.
pub fn forked() -> bool {
    FORKED.load(Ordering::Relaxed)
}

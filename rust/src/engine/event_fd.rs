//! The event that wakes a thread that waits for a ring's completions.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use crate::status::{Errno, checked};

/// An `eventfd(2)`, which an armed ring signals with each completion.
pub struct EventFd {
    fd: OwnedFd,
}

impl EventFd {
    /// Creates an event that is not signalled.
    pub fn new() -> Result<EventFd, Errno> {
        // SAFETY: the call accesses no memory.
        let fd =
            checked(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })? as RawFd;
        // SAFETY: the kernel has just made this descriptor for us, and nothing else knows it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(EventFd { fd })
    }

    /// Returns the descriptor, which is valid as long as this is borrowed.
    pub fn descriptor(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Ends the wait under way, or the next one.
    pub fn signal(&self) {
        let one = 1u64;
        // SAFETY: the call reads 8 bytes of a local. It fails only when the counter is full, and
        // then the event is already signalled.
        unsafe { libc::write(self.fd.as_raw_fd(), (&raw const one).cast(), 8) };
    }

    /// Waits until it is signalled or until the timeout, and resets it. A POSIX signal ends the
    /// wait, too.
    pub fn wait(&self, timeout: Duration) {
        let mut poll = libc::pollfd {
            fd: self.fd.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        let timeout = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        let mut count = 0u64;
        // SAFETY: the calls use one structure, and write 8 bytes of a local; both outlive the
        // calls.
        unsafe {
            libc::poll(&raw mut poll, 1, timeout);
            libc::read(self.fd.as_raw_fd(), (&raw mut count).cast(), 8);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Instant;

    #[test]
    fn signal_before_or_during_a_wait_ends_it_once() {
        let event = Arc::new(EventFd::new().unwrap());
        event.signal();
        event.signal();
        event.wait(Duration::MAX);
        let begin = Instant::now();
        event.wait(Duration::from_millis(20));
        assert!(
            begin.elapsed() >= Duration::from_millis(20),
            "it was silenced"
        );
        let waiter = {
            let event = event.clone();
            std::thread::spawn(move || event.wait(Duration::MAX))
        };
        event.signal();
        waiter.join().unwrap();
    }
}

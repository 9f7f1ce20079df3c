//! Operations on files: what one is, running it in place, and keeping many in flight.
//!
//! | file | its job |
//! |---|---|
//! | `entry` | the words of an entry and of a completion; what a valid operation is |
//! | `files` | adopted descriptors by handle |
//! | `plain` | runs one operation on the calling thread |
//! | `queue` | jobs between the submitters and our threads |
//! | `threads` | our threads |
//! | `port` | completions of one isolate |
//! | `ports` | the ports by number; submission |
//! | `fork` | keeps a forked child from waiting for threads that it does not have |
//! | `sync` | mutexes and condition variables, loom's in its tests |

pub mod entry;
pub mod files;
mod fork;
pub mod plain;
pub mod port;
pub mod ports;
mod queue;
mod sync;
mod threads;

pub use fork::check as check_fork;
pub use threads::MAX_THREADS;

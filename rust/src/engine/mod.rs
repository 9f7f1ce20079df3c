//! Operations on files: running one in place, and keeping many pending.
//!
//! | file | its job |
//! |---|---|
//! | `entry` | the words of an entry and of a completion; what a valid operation is |
//! | `files` | adopted descriptors by handle |
//! | `progress` | what each result of the kernel means for an operation |
//! | `plain` | runs one operation on the calling thread |
//! | `sealing` | seals a block before it is written, on one of our threads |
//! | `uring` | operations in a ring shared with the kernel |
//! | `event_fd` | wakes the thread that waits for a ring |
//! | `job_queue` | jobs between the submitters and our threads |
//! | `threads` | our threads |
//! | `completion_queue` | completions of one isolate, from our threads |
//! | `backend` | runs an isolate's operations: a ring, threads, or the calling thread |
//! | `backends` | the backends by number |
//! | `sync` | mutexes and condition variables, loom's in its tests |

mod backend;
pub mod backends;
mod completion_queue;
pub mod entry;
mod event_fd;
pub mod files;
mod job_queue;
pub mod plain;
mod progress;
mod sealing;
mod sync;
mod threads;
mod uring;

pub use backend::Kind;
pub use backends::OpenBackends;
pub use files::OpenFiles;

//! Operations on files: running one in place, and keeping many pending.
//!
//! An operation arrives as twelve words that JavaScript wrote. [`entry::decode`] checks them on the
//! thread that owns the block, and takes what the operation needs: the file, and a loan of the
//! memory. The operation owns both from then on. Closing the file, releasing the block or ending
//! the thread does not take them away.
//! ```text
//!             decode                begin                   last result
//! entry words ------> Operation --------------> pending ------------------> completion words
//!        |                                      |     ^
//!        | refused                      result  v     | next call
//!        +-------> completed            of a call, classified by `progress`
//!                  with the reason
//! ```
//!
//! A backend is one of three ways to get from "begin" to the last result:
//!
//! - A ring: the kernel runs the calls. One thread submits and collects, and a thread that waits
//!   beside it polls an event.
//! - Our threads: a job queue feeds up to 16 of them, and completions go to the queue of the
//!   isolate that began the operation. Other threads wait for the same queue.
//! - In place: the operation has ended when "begin" returns. It needs nothing of the system, and
//!   replaces the others where they are refused.
//!
//! All three follow the same rules:
//!
//! 1. Only `progress` decides what a result of the kernel means: a short transfer continues, a
//!    refused flag is replaced by a sync, and a busy device is tried again. Therefore each backend
//!    writes the same bytes.
//! 2. An operation that was begun is completed once. Its loan and its file are released first, so
//!    that the block can be reused and the descriptor is closed when JavaScript sees the
//!    completion.
//! 3. No memory is released while the kernel may write to it. A ring that ends cancels and waits,
//!    and leaks what it cannot wait for. A thread of ours holds its operation until its call
//!    returns.
//! 4. A failed sync is never repeated, because the kernel may have forgotten what it could not
//!    write. The caller gets the error.
//! 5. A forked child has the memory but neither the threads nor the ring, so it is refused.
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
//! | `backend` | runs an isolate's operations in one of the three ways |
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

//! Exports for descriptors: adopting, closing, locking and questions about what they can do.

use super::{Buffer, exports, view};
use crate::engine::entry::MAX_POSITION;
use crate::engine::files;
use crate::probe;
use crate::status::{BAD_ARGUMENT, Status};

exports! {
    /// Duplicates a descriptor, which stays the caller's, and answers the handle of the duplicate.
    /// It is closed with the thread that adopted it at the latest.
    fn basalt_file_adopt(fd: i32) {
        files::adopt(fd).map_or_else(|status| status, |handle| handle as Status)
    }

    /// Looks for the descriptor of a file by `st_dev`, `st_ino` and the position that it stands at. Answers its number, which is a hint, or `-ENOENT`.
    fn basalt_file_find(device: f64, inode: f64, position: f64) {
        let Some(position) = whole(position) else { return BAD_ARGUMENT };
        files::find(device, inode, position).unwrap_or_else(|status| status)
    }

    /// Adopts a descriptor that stands at a position, or answers `-ENOENT`; it has `O_NONBLOCK` then and, with `direct` (1), `O_DIRECT`, or the answer is `-EINVAL`.
    fn basalt_file_adopt_at(fd: i32, position: f64, direct: u32) {
        let Some(position) = whole(position) else { return BAD_ARGUMENT };
        files::adopt_at(fd, position, direct != 0).map_or_else(|status| status, |handle| handle as Status)
    }

    /// Ends a handle; the descriptor is closed after its operations in flight.
    fn basalt_file_close(file: u32) {
        code(files::close(file))
    }

    /// What is known of a file, see `probe::file`: f64 values, as many as fit. Answers how many.
    fn basalt_file_probe(file: u32, out: Buffer, out_count: u32) {
        let count = probe::FILE_VALUES.min(out_count as usize);
        // SAFETY: the caller passes a view of at least that many numbers and waits.
        let Some(out) = (unsafe { view::<f64>(out, count) }) else { return BAD_ARGUMENT };
        let values = files::get(file).and_then(|file| probe::file(file.descriptor()));
        values.map_or_else(|status| status, |values| {
            out.copy_from_slice(&values[..count]);
            count as Status
        })
    }

    /// How many bytes an unprivileged user can still allocate on the filesystem of a file, -1 if it
    /// does not count them. `out`: f64[1].
    fn basalt_file_free_bytes(file: u32, out: Buffer) {
        // SAFETY: the caller passes a view of one number and waits.
        let Some(out) = (unsafe { view::<f64>(out, 1) }) else { return BAD_ARGUMENT };
        let free = files::get(file).and_then(|file| probe::free_bytes(file.descriptor()));
        code(free.map(|free| out[0] = free.map_or(-1.0, |bytes| bytes as f64)))
    }

    /// Pages in the page cache of a range (a length of 0: to the end). `out`: f64[5], see `probe::cached_pages`.
    fn basalt_file_cachestat(file: u32, position: f64, length: f64, out: Buffer) {
        // SAFETY: the caller passes a view of 5 numbers and waits.
        let out = unsafe { view::<f64>(out, probe::CACHE_VALUES) };
        let (Some(out), Some(position), Some(length)) = (out, whole(position), whole(length)) else {
            return BAD_ARGUMENT;
        };
        let pages = files::get(file).and_then(|file| probe::cached_pages(file.descriptor(), position, length));
        code(pages.map(|pages| out.copy_from_slice(&pages)))
    }

    /// Drops the clean pages of a file from a position on from the page cache, as far as the kernel does.
    fn basalt_file_drop_cached(file: u32, position: f64) {
        let Some(position) = whole(position) else { return BAD_ARGUMENT };
        code(files::get(file).and_then(|file| probe::drop_cached(file.descriptor(), position)))
    }

    /// Whether reads may say `RWF_DONTCACHE`: 1 or 0.
    fn basalt_file_probe_uncached(file: u32) {
        let answer = files::get(file).and_then(|file| probe::uncached_reads(file.descriptor()));
        answer.map_or_else(|status| status, Status::from)
    }

    /// Takes the file's lock, exclusive (1) or shared (0), without waiting: 0, or `-EWOULDBLOCK` while another has it.
    fn basalt_file_lock(file: u32, exclusive: u32) {
        code(files::get(file).and_then(|file| probe::lock(file.descriptor(), exclusive != 0)))
    }

    /// Whether nobody else has the file open: 1 or 0.
    fn basalt_file_is_sole_opener(file: u32) {
        let answer = files::get(file).and_then(|file| probe::is_sole_opener(file.descriptor()));
        answer.map_or_else(|status| status, Status::from)
    }

    /// Writes the kernel's release as text; answers the bytes written.
    fn basalt_kernel_release(out: Buffer, out_length: u32) {
        // SAFETY: the caller passes a view of `out_length` bytes and waits.
        let Some(out) = (unsafe { view::<u8>(out, out_length as usize) }) else { return BAD_ARGUMENT };
        probe::kernel_release(out).map_or_else(|status| status, |length| length as Status)
    }
}

/// A number that is a position or a length.
fn whole(value: f64) -> Option<u64> {
    let number = value as u64;
    (number as f64 == value && number <= MAX_POSITION).then_some(number)
}

fn code(result: Result<(), Status>) -> Status {
    result.err().unwrap_or(0)
}

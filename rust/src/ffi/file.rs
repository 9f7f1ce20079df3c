//! Exports for descriptors: adopting, closing, locking and questions about what they can do.

use std::sync::atomic::Ordering;

use super::{Write, exports};
use crate::codec::whole;
use crate::engine::entry::{DSYNC, MAX_POSITION, SYNC};
use crate::engine::files;
use crate::probe::{self, CACHE_VALUES, FILE_VALUES, KNOWN_VALUE};
use crate::status::{BAD_ARGUMENT, Status};

/// A bit of the mask at [`KNOWN_VALUE`].
const DURABLE_FLAG_REFUSED: f64 = 4.0;

exports! {
    /// Duplicates a descriptor, which stays the caller's, and returns the handle of the duplicate.
    /// It is closed with the thread that adopted it at the latest.
    safe fn basalt_file_adopt(fd: i32) {
        files::adopt(fd)
    }

    /// Searches the descriptor of a file by `st_dev`, `st_ino` and its position. Returns its
    /// number, which is a hint, or `-ENOENT`.
    safe fn basalt_file_find(device: f64, inode: f64, position: f64) {
        Ok(files::find(device, inode, offset(position)?)? as u32)
    }

    /// Adopts a descriptor that stands at a position, or returns `-ENOENT`. It gets `O_NONBLOCK`
    /// and, with `direct` (1), `O_DIRECT`; `-EINVAL` tells that its filesystem refuses.
    safe fn basalt_file_adopt_at(fd: i32, position: f64, direct: u32) {
        files::adopt_at(fd, offset(position)?, direct != 0)
    }

    /// Closes a handle; the descriptor is closed after its pending operations.
    safe fn basalt_file_close(file: u32) {
        files::close(file)
    }

    /// Describes a file by the values of `probe::file`, as many as fit, and returns their number.
    /// The time of modification is asked for only where it fits.
    ///
    /// 4 in the mask of known alignments says that the flag of a durable write of this file was
    /// refused, so that it was written and then synced.
    unsafe fn basalt_file_probe(
        file: u32,
        out: Write[f64; FILE_VALUES.min(out_count as usize)], out_count: u32,
    ) {
        let file = files::get(file)?;
        let mut values = probe::file(file.descriptor(), out.len() == FILE_VALUES)?;
        if file.refused_flags.load(Ordering::Relaxed) & (DSYNC | SYNC) != 0 {
            values[KNOWN_VALUE] += DURABLE_FLAG_REFUSED;
        }
        out.copy_from_slice(&values[..out.len()]);
        Ok(out.len())
    }

    /// Tells how many bytes an unprivileged user can still allocate on the filesystem of a file,
    /// -1 if it does not count them.
    unsafe fn basalt_file_free_bytes(file: u32, out: Write[f64; 1]) {
        let free = probe::free_bytes(files::get(file)?.descriptor())?;
        out[0] = free.map_or(-1.0, |bytes| bytes as f64);
        Ok(())
    }

    /// Counts the pages of a range in the page cache (a length of 0: to the end), see
    /// `probe::cached_pages`.
    unsafe fn basalt_file_cachestat(
        file: u32, position: f64, length: f64,
        out: Write[f64; CACHE_VALUES],
    ) {
        let (position, length) = (offset(position)?, offset(length)?);
        let file = files::get(file)?;
        out.copy_from_slice(&probe::cached_pages(file.descriptor(), position, length)?);
        Ok(())
    }

    /// Drops the clean pages of a file from a position to its end from the page cache, as far as
    /// the kernel does.
    safe fn basalt_file_drop_cached(file: u32, position: f64) {
        let position = offset(position)?;
        Ok(probe::drop_cached(files::get(file)?.descriptor(), position)?)
    }

    /// Returns 1 if reads can use `RWF_DONTCACHE`, else 0.
    safe fn basalt_file_probe_uncached(file: u32) {
        Ok(probe::uncached_reads(files::get(file)?.descriptor())?)
    }

    /// Takes the file's lock, exclusive (1) or shared (0), without waiting; returns `-EWOULDBLOCK`
    /// while another open file has it.
    safe fn basalt_file_lock(file: u32, exclusive: u32) {
        Ok(files::get(file)?.lock(exclusive != 0)?)
    }

    /// Returns 1 if an exclusive lock is held on the file, else 0; takes no lock.
    safe fn basalt_file_is_locked(file: u32) {
        Ok(probe::is_locked(files::get(file)?.descriptor())?)
    }

    /// Returns 1 if the file is open nowhere else, else 0.
    safe fn basalt_file_is_sole_opener(file: u32) {
        Ok(probe::is_sole_opener(files::get(file)?.descriptor())?)
    }

    /// Writes the kernel's release as text and returns the number of bytes.
    unsafe fn basalt_kernel_release(out: Write[u8; out_length], out_length: u32) {
        Ok(probe::kernel_release(out)?)
    }
}

/// Reads a position or a length.
fn offset(value: f64) -> Result<u64, Status> {
    whole(value, MAX_POSITION).ok_or(BAD_ARGUMENT)
}

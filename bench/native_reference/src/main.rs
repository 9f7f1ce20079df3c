//! Loops of plain system calls as a reference for Basalt. Each prints its result as a line of JSON.
//!
//! - `dsync FILE BLOCK_BYTES MS PERCENTILES` writes blocks in order over an existing file, each
//!   with `pwritev2(RWF_DSYNC)`, bypassing the page cache.
//! - `drop FILE` drops the pages of a file from the page cache.
//!
//! `PERCENTILES` are numbers separated by colons.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

mod memory;

use memory::Memory;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["dsync", file, block, ms, percentiles] => {
            let percentiles: Result<Vec<f64>, _> = percentiles.split(':').map(str::parse).collect();
            dsync(
                file,
                block.parse()?,
                Duration::from_millis(ms.parse()?),
                &percentiles?,
            )
        }
        ["drop", file] => drop_pages(file),
        _ => {
            Err("Usage: native_reference dsync FILE BLOCK_BYTES MS PERCENTILES | drop FILE".into())
        }
    }
}

fn dsync(path: &str, block: usize, time: Duration, percentiles: &[f64]) -> Result<(), Failure> {
    let file = OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_DIRECT)
        .open(path)?;
    let blocks = file.metadata()?.len() / block as u64;
    if blocks == 0 {
        return Err(format!("{path} is shorter than a block of {block} bytes").into());
    }
    let memory = Memory::touched(block)?;
    // The same precision and range as the histograms of the other sides.
    let mut nanoseconds = Histogram::<u64>::new_with_bounds(1, 600_000_000_000, 3)?;
    let cpu = cpu_seconds();
    let start = Instant::now();
    let (mut before, mut operations) = (start, 0u64);
    while before - start < time {
        write_durably(&file, &memory, operations % blocks * block as u64)?;
        let now = Instant::now();
        nanoseconds.record((now - before).as_nanos() as u64)?;
        (before, operations) = (now, operations + 1);
    }
    let values: Vec<String> = percentiles
        .iter()
        .map(|&percentile| {
            format!(
                "{:.3}",
                nanoseconds.value_at_percentile(percentile) as f64 / 1e3
            )
        })
        .collect();
    println!(
        "{{\"seconds\":{},\"operations\":{operations},\"bytes\":{},\"cpuSeconds\":{},\"percentiles\":[{}]}}",
        (before - start).as_secs_f64(),
        operations * block as u64,
        cpu_seconds() - cpu,
        values.join(",")
    );
    Ok(())
}

fn write_durably(file: &File, memory: &Memory, position: u64) -> io::Result<()> {
    let vector = libc::iovec {
        iov_base: memory.start(),
        iov_len: memory.len(),
    };
    let position = position as i64;
    // SAFETY: the vector describes memory that lives until the call returns.
    let written =
        unsafe { libc::pwritev2(file.as_raw_fd(), &vector, 1, position, libc::RWF_DSYNC) };
    match written {
        -1 => Err(io::Error::last_os_error()),
        written if written as usize == memory.len() => Ok(()),
        written => Err(io::Error::other(format!(
            "{written} bytes were written of {}",
            memory.len()
        ))),
    }
}

fn drop_pages(path: &str) -> Result<(), Failure> {
    let file = File::open(path)?;
    // Only clean pages are dropped.
    file.sync_data()?;
    // SAFETY: the call accesses no memory of this process.
    match unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) } {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code).into()),
    }
}

/// User and system time of this process.
fn cpu_seconds() -> f64 {
    // SAFETY: zeros are a valid `rusage`, and the call writes one.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

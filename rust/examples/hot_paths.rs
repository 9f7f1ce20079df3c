//! The native hot paths, each as often as it is told, for a tool that counts instructions: `hot_paths PATH REPEATS`.
//!
//! Nothing is timed. What a path needs is made first, and made the same way for any number of repeats, so that the difference
//! between two runs is the path alone.

use std::fs::File;
use std::hint::black_box;
use std::os::fd::AsRawFd;

use basalt::codec::legacy::{self as codec, Context, HEADER_BYTES, INDEX_ENTRY_BYTES};
use basalt::engine::entry::{self, Entry};
use basalt::engine::files;
use basalt::pool::{self, Settings};

const MESSAGES: usize = 100;
const PAYLOAD_BYTES: usize = 100;
const BLOCK_BYTES: u32 = 4096;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, repeats] = &arguments[..] else {
        panic!("Usage: hot_paths stamp|scan|pool|decode REPEATS");
    };
    let repeats: usize = repeats.parse().expect("a number of repeats");
    match path.as_str() {
        "stamp" => stamp(repeats),
        "scan" => scan(repeats),
        "pool" => acquire_and_release(repeats),
        "decode" => decode(repeats),
        other => panic!("no path is called '{other}'"),
    }
}

/// A run of messages, stamped.
struct Run {
    bytes: Vec<u8>,
    records: Vec<u32>,
    index: Vec<u8>,
    context: Context,
}

impl Run {
    fn new() -> Self {
        let records: Vec<u32> = (0..MESSAGES).flat_map(|_| [PAYLOAD_BYTES as u32, 0]).collect();
        let mut run = Self {
            bytes: vec![0x5a; MESSAGES * (HEADER_BYTES + PAYLOAD_BYTES)],
            records,
            index: vec![0; MESSAGES * INDEX_ENTRY_BYTES],
            context: Context {
                first_offset: 7,
                timestamp: 1_700_000_000_000_000,
                relative_offset: 7,
                position: 4096,
                seed: [3; 32],
            },
        };
        run.stamp();
        run
    }

    fn stamp(&mut self) {
        codec::stamp(&mut self.bytes, 0, &self.records, &mut self.index, &self.context)
            .expect("a run that fits");
    }
}

fn stamp(repeats: usize) {
    let mut run = Run::new();
    for _ in 0..repeats {
        run.stamp();
        black_box(&run.bytes);
    }
}

fn scan(repeats: usize) {
    let run = Run::new();
    let mut starts = vec![0; MESSAGES + 1];
    let mut lengths = vec![0; MESSAGES];
    for _ in 0..repeats {
        let outcome =
            codec::scan(black_box(&run.bytes), 0, 7, &mut starts, &mut lengths).expect("arrays that match");
        assert_eq!(outcome.count, MESSAGES);
    }
}

fn open_pool() -> u32 {
    let settings = Settings {
        enabled: true,
        limit_bytes: 1 << 26,
        bucket_capacity: 64,
    };
    let number = pool::open(settings).expect("a pool");
    // The first lease maps memory.
    let lease = pool::acquire(number, BLOCK_BYTES, false).expect("a block");
    pool::release(number, lease.slot, lease.generation).expect("its release");
    number
}

fn acquire_and_release(repeats: usize) {
    let number = open_pool();
    for _ in 0..repeats {
        let lease = black_box(pool::acquire(number, BLOCK_BYTES, false).expect("a block"));
        pool::release(number, lease.slot, lease.generation).expect("its release");
    }
}

fn decode(repeats: usize) {
    let number = open_pool();
    let lease = pool::acquire(number, BLOCK_BYTES, false).expect("a block");
    let program = File::open(std::env::current_exe().expect("a path")).expect("this program");
    let file = files::adopt(program.as_raw_fd()).expect("a handle");
    let read = 1;
    let words: Entry = [
        read,
        file,
        number,
        lease.slot,
        0,
        BLOCK_BYTES,
        8192,
        0,
        5,
        lease.generation,
        0,
        0,
    ];
    for _ in 0..repeats {
        // The loan ends with the operation.
        drop(black_box(entry::decode(black_box(&words)).expect("an operation")));
    }
}

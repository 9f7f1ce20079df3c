//! The native hot paths, each as often as it is told, for a tool that counts instructions:
//! `hot_paths PATH REPEATS`.
//!
//! Nothing is timed. What a path needs is made first, and made the same way for any number of
//! repeats, so that the difference between two runs is the path alone.

use std::fs::File;
use std::hint::black_box;
use std::os::fd::AsRawFd;

use basalt::codec::{
    self, BATCH_HEADER_BYTES, FRAME_HEADER_BYTES, Progress, RECORD_BATCH_START, RECORD_BYTES,
    Results,
};
use basalt::engine::entry::{self, Entry};
use basalt::engine::files;
use basalt::pool::{self, Settings};

const MESSAGES: usize = 100;
const PAYLOAD_BYTES: usize = 100;
const BLOCK_BYTES: u32 = 4096;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, repeats] = &arguments[..] else {
        panic!("Usage: hot_paths seal|scan|pool|decode REPEATS");
    };
    let repeats: usize = repeats.parse().expect("a number of repeats");
    match path.as_str() {
        "seal" => seal(repeats),
        "scan" => scan(repeats),
        "pool" => acquire_and_release(repeats),
        "decode" => decode(repeats),
        other => panic!("no path is called '{other}'"),
    }
}

/// Where the only batch ends.
const END: usize = BATCH_HEADER_BYTES + MESSAGES * (FRAME_HEADER_BYTES + PAYLOAD_BYTES);

/// A write block with a batch, sealed.
struct Block {
    bytes: Vec<u8>,
    run: codec::Run,
}

impl Block {
    fn new() -> Self {
        let mut bytes = vec![0x5a; END.next_multiple_of(RECORD_BYTES)];
        for i in (0..MESSAGES).rev() {
            let flags = if i == 0 { RECORD_BATCH_START } else { 0 };
            bytes.extend((PAYLOAD_BYTES as u32).to_le_bytes());
            bytes.extend(flags.to_le_bytes());
        }
        let run = codec::Run {
            start: 0,
            count: MESSAGES,
            base_offset: 7,
            base_timestamp: 1_700_000_000_000_000,
            partition_id: 0,
            seed: [3; 32],
        };
        let mut block = Self { bytes, run };
        block.seal();
        block
    }

    fn seal(&mut self) {
        assert_eq!(codec::seal(&mut self.bytes, &self.run), Some(END));
    }
}

fn seal(repeats: usize) {
    let mut block = Block::new();
    for _ in 0..repeats {
        block.seal();
        black_box(&block.bytes);
    }
}

fn scan(repeats: usize) {
    let block = Block::new();
    let [mut starts, mut lengths, mut batch_starts, mut batch_firsts] =
        [0; 4].map(|_| vec![0; MESSAGES]);
    let mut results = Results {
        starts: &mut starts,
        lengths: &mut lengths,
        batch_starts: &mut batch_starts,
        batch_firsts: &mut batch_firsts,
    };
    for _ in 0..repeats {
        let mut progress = Progress {
            end: 0,
            next_offset: 7,
            last_timestamp: 0,
            count: 0,
            batch_count: 0,
        };
        let bytes = black_box(&block.bytes[..END]);
        codec::scan(bytes, &mut progress, &mut results).expect("room for the results");
        assert_eq!(progress.count, MESSAGES);
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
        drop(black_box(
            entry::decode(black_box(&words)).expect("an operation"),
        ));
    }
}

//! Compares Basalt's pool with `iggy_common`'s `PooledBuffer` in one process, in alternating turns.
//! Usage: `pool_reference PATH_OF_LIBBASALT`.
//!
//! Basalt is called like from JavaScript, through the exports of the built library, so its figures
//! include that boundary. JavaScript freezes and splits Basalt's buffers with bookkeeping of its
//! own. Only the native calls are measured here, and splitting has none. `pool_bench.ts` measures
//! everything in JavaScript.
//!
//! Prints a line of JSON for each row: `{ "name", "ours_ns", "theirs_ns", "ratio", "min", "max" }`,
//! medians over the pairs.

use std::hint::black_box;
use std::time::Instant;

use iggy_common::{IggyByteSize, MemoryPool, MemoryPoolConfigOther, PooledBuffer};
use libloading::{Library, Symbol};

const PAIRS: usize = 9;
/// Number of alternating turns, whose median is one side of a pair. A turn usually ends before the
/// scheduler interferes.
const TURNS: usize = 31;
const FROZEN: u32 = 1;

type Open = unsafe extern "C" fn(u32, f64, u32) -> i32;
type LeaseAddress = unsafe extern "C" fn(*mut u32) -> i32;
type Acquire = unsafe extern "C" fn(u32, u32, u32) -> i32;
type Release = unsafe extern "C" fn(u32, u32, u32) -> i32;
type Count = unsafe extern "C" fn(u32, u32, i32) -> i32;

/// The exports of the pool, and a pool of 4 GiB.
struct Basalt<'a> {
    pool: u32,
    /// Where the library writes the description of this thread's last lease.
    described: *const [u32; 8],
    acquire: Symbol<'a, Acquire>,
    release: Symbol<'a, Release>,
    count: Symbol<'a, Count>,
}

impl<'a> Basalt<'a> {
    fn new(library: &'a Library) -> Self {
        // SAFETY: the types are those of the library's symbol table (`lib/native/symbols.ts`).
        unsafe {
            let open: Symbol<Open> = library.get(b"basalt_pool_open").expect("an export");
            let pool = open(1, f64::from(4u32) * f64::from(1u32 << 30), 8192);
            assert!(pool > 0, "no pool: {pool}");
            let lease_address: Symbol<LeaseAddress> = library
                .get(b"basalt_pool_lease_address")
                .expect("an export");
            let mut words = [0; 2];
            assert_eq!(lease_address(words.as_mut_ptr()), 0);
            let address = u64::from(words[1]) << 32 | u64::from(words[0]);
            Self {
                pool: pool as u32,
                described: std::ptr::with_exposed_provenance(address as usize),
                acquire: library.get(b"basalt_pool_acquire").expect("an export"),
                release: library.get(b"basalt_pool_release").expect("an export"),
                count: library.get(b"basalt_pool_count").expect("an export"),
            }
        }
    }

    fn acquire(&self, length: u32) {
        // SAFETY: the arguments are numbers, which the callee checks.
        let status = unsafe { (self.acquire)(self.pool, length, 0) };
        assert_eq!(status, 0);
    }

    /// Returns a word of the last lease's description.
    fn word(&self, index: usize) -> u32 {
        // SAFETY: the library wrote the description of this thread's lease there, and changes it
        // only during a call of this thread.
        unsafe { (*self.described)[index] }
    }

    /// Ends the last lease.
    fn release(&self) {
        // SAFETY: the arguments are numbers, which the callee checks.
        let status = unsafe { (self.release)(self.pool, self.word(0), self.word(1)) };
        assert_eq!(status, 0);
    }

    fn touch(&self) {
        let address = u64::from(self.word(5)) << 32 | u64::from(self.word(4));
        // SAFETY: the block is leased here, and has at least 8 bytes.
        unsafe { std::ptr::with_exposed_provenance_mut::<u64>(address as usize).write_volatile(7) };
    }

    fn frozen(&self, delta: i32) {
        // SAFETY: the arguments are numbers, which the callee checks.
        let status = unsafe { (self.count)(self.pool, FROZEN, delta) };
        assert_eq!(status, 0);
    }
}

/// Returns the nanoseconds of one call, averaged over many.
fn time(mut call: impl FnMut(), rounds: u32) -> f64 {
    let start = Instant::now();
    for _ in 0..rounds {
        call();
    }
    start.elapsed().as_nanos() as f64 / f64::from(rounds)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Runs ours and theirs in turn, and prints the row.
fn row(
    name: &str,
    ours_rounds: u32,
    theirs_rounds: u32,
    mut ours: impl FnMut(),
    mut theirs: impl FnMut(),
) {
    time(&mut ours, ours_rounds);
    time(&mut theirs, theirs_rounds);
    let (mut our, mut their, mut ratio) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..PAIRS {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            a.push(time(&mut ours, ours_rounds));
            b.push(time(&mut theirs, theirs_rounds));
        }
        let (a, b) = (median(&mut a), median(&mut b));
        our.push(a);
        their.push(b);
        ratio.push(a / b);
    }
    let middle = median(&mut ratio);
    println!(
        r#"{{"name":"{name}","ours_ns":{:.1},"theirs_ns":{:.1},"ratio":{middle:.5},"min":{:.5},"max":{:.5}}}"#,
        median(&mut our),
        median(&mut their),
        ratio[0],
        ratio[PAIRS - 1],
    );
}

fn main() {
    let path = std::env::args()
        .nth(1)
        .expect("Usage: pool_reference PATH_OF_LIBBASALT");
    // SAFETY: loading the library runs no code of its own.
    let library = unsafe { Library::new(path) }.expect("the library");
    let basalt = Basalt::new(&library);
    MemoryPool::init_pool(&MemoryPoolConfigOther {
        enabled: true,
        size: IggyByteSize::from(4u64 << 30),
        bucket_capacity: 8192,
    });

    for (name, bytes) in [("4 KiB", 4096u32), ("1 MiB", 1 << 20)] {
        row(
            &format!("acquire, drop, {name}"),
            5_000,
            5_000,
            || {
                basalt.acquire(black_box(bytes));
                basalt.release();
            },
            || {
                drop(black_box(PooledBuffer::with_capacity(black_box(
                    bytes as usize,
                ))))
            },
        );
    }
    row(
        "acquire, put, freeze, drop, 1 MiB",
        5_000,
        60,
        || {
            basalt.acquire(1 << 20);
            basalt.touch();
            basalt.frozen(1);
            basalt.frozen(-1);
            basalt.release();
        },
        || {
            let mut buffer = PooledBuffer::with_capacity(1 << 20);
            buffer.put_u64_le(7);
            drop(black_box(buffer.freeze()));
        },
    );
    let mut split: Vec<f64> = (0..PAIRS).map(|_| time_of_split(2_000)).collect();
    println!(
        r#"{{"name":"split at 4096, 1 MiB","ours_ns":null,"theirs_ns":{:.1},"ratio":null,"min":null,"max":null}}"#,
        median(&mut split),
    );
}

/// Returns the nanoseconds of splitting a full buffer.
fn time_of_split(rounds: u32) -> f64 {
    let mut nanos = 0;
    for _ in 0..rounds {
        let mut buffer = PooledBuffer::with_capacity(1 << 20);
        buffer.put_bytes(7, 1 << 20);
        let start = Instant::now();
        let head = black_box(buffer.split_to(4096));
        nanos += start.elapsed().as_nanos();
        drop((head, buffer));
    }
    nanos as f64 / f64::from(rounds)
}

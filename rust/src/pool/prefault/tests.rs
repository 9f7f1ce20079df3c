use super::*;
use std::ptr;
use std::time::{Duration, Instant};

const PAGE: usize = 4096;

fn resident(start: usize, bytes: usize) -> bool {
    let mut pages = vec![0_u8; bytes / PAGE];
    // SAFETY: the vector has a byte for each page, and the kernel only inspects the range.
    let status = unsafe {
        libc::mincore(
            ptr::with_exposed_provenance_mut(start),
            bytes,
            pages.as_mut_ptr(),
        )
    };
    status == 0 && pages.iter().all(|page| page & 1 == 1)
}

#[test]
fn start_populates_memory_and_cancel_stops_that() {
    let bytes = 4 * STEP_BYTES;
    let start = mapping::map(bytes, STEP_BYTES).unwrap();
    super::start(start, bytes);
    let deadline = Instant::now() + Duration::from_secs(60);
    while !resident(start, bytes) {
        assert!(Instant::now() < deadline, "nothing populates the memory");
        thread::sleep(Duration::from_millis(1));
    }
    // SAFETY: mapped above, and not used after this.
    unsafe { mapping::unmap(start, bytes) }.unwrap();

    // Whatever the thread has done by then, it does not access the range afterwards.
    for round in 0..50 {
        let start = mapping::map(bytes, STEP_BYTES).unwrap();
        super::start(start, bytes);
        if round % 2 == 0 {
            thread::yield_now();
        }
        let middle = start + STEP_BYTES;
        cancel(middle, STEP_BYTES);
        // SAFETY: it was mapped above, and is ours alone.
        unsafe { mapping::discard(middle, STEP_BYTES) };
        thread::sleep(Duration::from_millis(1));
        assert!(!resident(middle, PAGE));
        cancel(start, bytes);
        // SAFETY: mapped above, and not used after this.
        unsafe { mapping::unmap(start, bytes) }.unwrap();
    }
    assert!(
        lock(&RANGES)
            .iter()
            .all(|&(from, to)| to <= start || start + bytes <= from)
    );
}

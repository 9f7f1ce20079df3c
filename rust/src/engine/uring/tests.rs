use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use super::*;
use crate::engine::files;
use crate::pool;

#[test]
fn batch_leaves_its_slot_to_an_operation_that_is_still_pending() {
    let Ok(mut ring) = Ring::new() else { return };
    let settings = pool::Settings {
        enabled: true,
        limit_bytes: 1 << 22,
        bucket_capacity: 4,
    };
    let memory = pool::open(settings).unwrap();
    let lease = pool::acquire(memory, 4096, false).unwrap();
    let (read, mut write) = UnixStream::pair().unwrap();
    let socket = files::adopt(read.as_raw_fd()).unwrap();
    // As left by a batch whose wait failed: the kernel may still write to its memory.
    let slot = MAX_OPERATIONS + BATCH_DEPTH - 1;
    let [number, generation] = [lease.slot, lease.generation];
    let entry = [
        1, socket, memory, number, 0, 4096, 0, 0, 7, generation, 0, 0,
    ];
    assert_eq!(ring.launch(slot as u32, decode(&entry)), None);

    let (handle, _file) = files::tests::temporary(0);
    let entries: Vec<Entry> = (0..300)
        .map(|tag| [4, handle, 0, 0, 0, 0, 0, 0, tag, 0, 0, 0])
        .collect();
    let mut out = vec![[9; 4]; entries.len()];
    ring.batch(&entries, &mut out).unwrap();
    assert!((0..).zip(&out).all(|(tag, each)| *each == [tag, 0, 0, 0]));
    assert!(ring.pending[slot].is_some());

    write.write_all(b"x").unwrap();
    assert_eq!(ring.turn(&mut [[0; 4]], 1, None), Ok(0), "not the caller's");
    assert!(ring.pending[slot].is_none());
    drop(ring);
    pool::release(memory, number, generation).unwrap();
    pool::close(memory).unwrap();
    files::close(socket).unwrap();
    files::close(handle).unwrap();
}

use super::*;

const HUGE: usize = 2 << 20;

#[test]
fn map_is_aligned_and_zero_to_its_end() {
    for bytes in [4096, 12288, HUGE - 4096, HUGE, 3 * HUGE] {
        for align in [4096, HUGE] {
            for start in [
                map(bytes, align).unwrap(),
                map_within(bytes, align).unwrap(),
            ] {
                assert_eq!(start % align, 0);
                let memory = ptr::with_exposed_provenance_mut::<u8>(start);
                // SAFETY: it was just mapped, is `bytes` long, and is ours alone.
                let memory = unsafe { std::slice::from_raw_parts_mut(memory, bytes) };
                assert!(memory.iter().all(|&byte| byte == 0));
                memory.fill(1);
                // SAFETY: mapped above, and not used after this.
                unsafe { unmap(start, bytes) }.unwrap();
            }
        }
    }
}

#[test]
fn discard_leaves_zeros() {
    let start = map(8192, 4096).unwrap();
    let memory = ptr::with_exposed_provenance_mut::<u8>(start);
    // SAFETY: it was just mapped, is two pages long, and is ours alone. The access is volatile
    // because the kernel changes the memory in between.
    unsafe {
        memory.write_volatile(7);
        discard(start, 8192);
        assert_eq!(memory.read_volatile(), 0);
        unmap(start, 8192).unwrap();
    }
}

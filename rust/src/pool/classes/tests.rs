use super::*;

#[test]
fn class_of_is_the_smallest_that_fits() {
    assert_eq!(class_of(0), Some(0));
    for (class, &bytes) in CLASS_BYTES.iter().enumerate() {
        for length in [bytes - 1, bytes] {
            assert_eq!(class_of(length), Some(class), "{length}");
        }
        assert_eq!(
            class_of(bytes + 1),
            (class + 1 < CLASS_COUNT).then_some(class + 1),
            "{}",
            bytes + 1
        );
    }
    for bits in 0..30 {
        for length in [(1u32 << bits) - 1, 1 << bits, (1 << bits) + 1] {
            let naive = CLASS_BYTES.iter().position(|&bytes| bytes >= length);
            assert_eq!(class_of(length), naive, "{length}");
        }
    }
    assert_eq!(class_of(u32::MAX), None);
}

#[test]
fn classes_ascend_in_whole_pages() {
    assert!(CLASS_BYTES.windows(2).all(|pair| pair[0] < pair[1]));
    assert!(CLASS_BYTES.iter().all(|bytes| bytes % 4096 == 0));
    assert_eq!(MAX_BLOCK_BYTES, 536_870_912);
}

#[test]
fn arenas_hold_whole_blocks() {
    assert_eq!(blocks_in(ARENA_BYTES, 0), 512);
    assert_eq!(blocks_in(ARENA_BYTES, class_of(768 << 10).unwrap()), 2);
    assert_eq!(blocks_in(ARENA_BYTES, class_of(3 << 19).unwrap()), 1);
    assert_eq!(blocks_in(ARENA_BYTES, CLASS_COUNT - 1), 1);
}

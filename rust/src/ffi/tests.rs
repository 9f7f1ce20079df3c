use super::*;

exports! {
    /// Calculates a sum.
    unsafe fn basalt_test_sum(from: Read[u32; count], count: u32, to: Write[u32; 1]) {
        to[0] = from.iter().sum();
        Ok(from.len())
    }

    /// Panics.
    safe fn basalt_test_panic(at: u32) {
        let empty: &[u32] = std::hint::black_box(&[]);
        Ok(empty[at as usize])
    }
}

#[test]
fn exports_turns_a_panic_into_a_status() {
    assert_eq!(basalt_test_panic(3), PANIC.code());
}

#[test]
fn exports_gives_the_body_its_slices() {
    let (from, mut to) = ([1u32, 2, 3], [0u32]);
    // SAFETY: both are valid for their lengths, and do not overlap.
    let status = unsafe { basalt_test_sum(from.as_ptr().cast(), 3, to.as_mut_ptr().cast()) };
    assert_eq!((status, to), (3, [6]));
}

#[test]
fn exports_refuses_null_and_overlaps_with_a_written_range() {
    let mut words = [1u32; 4];
    let start: Write = words.as_mut_ptr().cast();
    let sum = |from: Read, count, to: Write| {
        // SAFETY: what is not null lies within `words`, and overlaps are refused before any access.
        unsafe { basalt_test_sum(from, count, to) }
    };
    assert_eq!(sum(std::ptr::null(), 1, start), BAD_ARGUMENT.code());
    assert_eq!(sum(start, 1, std::ptr::null_mut()), BAD_ARGUMENT.code());
    assert_eq!(sum(std::ptr::null(), 0, start), 0);
    assert_eq!(sum(start, 3, start.wrapping_add(8)), BAD_ARGUMENT.code());
    assert_eq!(sum(start, 2, start.wrapping_add(8)), 2);
    assert_eq!(sum(start.wrapping_add(4), 3, start), 3);
}

#[test]
fn signatures_have_the_kinds_of_the_symbol_table() {
    assert_eq!(
        SIGNATURES,
        "basalt_test_sum(buffer,u32,buffer,);basalt_test_panic(u32,);"
    );
}

#[test]
fn check_ranges_finds_every_overlap_with_a_written_range() {
    for lengths in 0..64usize {
        let lengths = [lengths & 3, lengths >> 2 & 3, lengths >> 4];
        for starts in 0..512usize {
            let starts = [starts & 7, starts >> 3 & 7, starts >> 6];
            for writes in 0..8 {
                let of = |i: usize| starts[i]..starts[i] + lengths[i];
                let overlap = |i, j| of(i).any(|byte| of(j).contains(&byte));
                let expected = [(0, 1), (0, 2), (1, 2)]
                    .iter()
                    .all(|&(i, j)| writes & (1 << i | 1 << j) == 0 || !overlap(i, j));
                let ranges = [0, 1, 2].map(|i| match writes >> i & 1 {
                    0 => Range::Read(starts[i], lengths[i]),
                    _ => Range::Write(starts[i], lengths[i]),
                });
                assert_eq!(
                    check_ranges(ranges).is_ok(),
                    expected,
                    "{starts:?} {lengths:?} {writes}"
                );
            }
        }
    }
}

#[test]
fn view_refuses_null_and_unaligned_addresses() {
    let mut words = [0u32; 4];
    let start: Write = words.as_mut_ptr().cast();
    // SAFETY: views that are null, unaligned or empty are not accessed. The others lie within
    // `words`, one at a time.
    unsafe {
        assert_eq!(view::<u32>(std::ptr::null(), 1), Err(BAD_ARGUMENT));
        assert_eq!(view_mut::<u32>(std::ptr::null_mut(), 1), Err(BAD_ARGUMENT));
        assert_eq!(view::<u32>(start.add(1), 1), Err(BAD_ARGUMENT));
        assert_eq!(view_mut::<u32>(start.add(1), 1), Err(BAD_ARGUMENT));
        assert_eq!(view::<u32>(std::ptr::null(), 0), Ok(&[][..]));
        assert_eq!(
            view_mut::<u32>(start.add(4), 3).map(|words| words.len()),
            Ok(3)
        );
        assert_eq!(view::<u32>(start.add(4), 3).map(|words| words.len()), Ok(3));
    }
}

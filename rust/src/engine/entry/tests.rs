use super::*;
use crate::status::NO_SUCH_HANDLE;

fn status(entry: Entry) -> Status {
    decode(&entry).err().expect("no entry here has a file")
}

#[test]
fn decode_refuses_unknown_opcodes_and_flags() {
    for opcode in [0, 8, 255] {
        assert_eq!(
            status([opcode, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            BAD_ARGUMENT
        );
    }
    for (opcode, flags) in [
        (1, DSYNC),
        (1, SYNC),
        (2, 8),
        (3, DSYNC),
        (4, SYNC),
        (5, DONTCACHE),
        (3, ZEROED),
        (6, 1),
        (7, DSYNC),
    ] {
        assert_eq!(
            status([opcode | flags << 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            BAD_ARGUMENT
        );
    }
    // Valid except for the file.
    for (opcode, flags) in [
        (1, DONTCACHE),
        (2, 7),
        (3, 0),
        (4, 0),
        (5, 0),
        (5, ZEROED),
        (6, 0),
        (7, 0),
    ] {
        assert_eq!(
            status([opcode | flags << 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            NO_SUCH_HANDLE
        );
    }
}

#[test]
fn decode_refuses_lengths_and_positions_out_of_bounds() {
    let high = 1 << 21; // 2^53
    assert_eq!(
        status([2, 0, 0, 0, 0, MAX_LENGTH, 0, 0, 0, 0, 0, 0]),
        NO_SUCH_HANDLE
    );
    assert_eq!(
        status([2, 0, 0, 0, 0, MAX_LENGTH + 1, 0, 0, 0, 0, 0, 0]),
        BAD_ARGUMENT
    );
    assert_eq!(
        status([2, 0, 0, 0, 0, 0, 0, high, 0, 0, 0, 0]),
        NO_SUCH_HANDLE
    );
    assert_eq!(
        status([2, 0, 0, 0, 0, 1, 0, high, 0, 0, 0, 0]),
        BAD_ARGUMENT
    );
    assert_eq!(
        status([6, 0, 0, 0, 0, 0, 1, high, 0, 0, 0, 0]),
        BAD_ARGUMENT
    );
    assert_eq!(
        status([7, 0, 0, 0, 0, MAX_LENGTH + 1, 0, 0, 0, 0, 0, 0]),
        BAD_ARGUMENT
    );
    assert_eq!(
        status([5, 0, 0, 0, 0, 0, 0, high - 1, 0, 0, 0, 1]),
        NO_SUCH_HANDLE
    );
    assert_eq!(
        status([5, 0, 0, 0, 0, 0, 0, high - 1, 0, 0, 1, 1]),
        BAD_ARGUMENT
    );
    assert_eq!(
        status([5, 0, 0, 0, 0, 0, 0, 0, 0, 0, u32::MAX, u32::MAX]),
        BAD_ARGUMENT
    );
}

#[test]
fn completion_has_the_status_as_a_signed_word() {
    let words = completion(
        7,
        Outcome {
            result: Err(Errno(libc::ENOSPC).into()),
            transferred: 4096,
        },
    );
    assert_eq!(words, [7, (-28i32) as u32, 4096, 0]);
}

//! The 28 sizes of blocks.

const KIB: u32 = 1024;
const MIB: u32 = 1024 * KIB;

/// Number of classes.
pub const CLASS_COUNT: usize = 28;

/// Bytes of a block of each class, ascending.
pub const CLASS_BYTES: [u32; CLASS_COUNT] = [
    4 * KIB,
    8 * KIB,
    16 * KIB,
    32 * KIB,
    64 * KIB,
    128 * KIB,
    256 * KIB,
    512 * KIB,
    768 * KIB,
    MIB,
    1536 * KIB,
    2 * MIB,
    4 * MIB,
    6 * MIB,
    8 * MIB,
    10 * MIB,
    12 * MIB,
    16 * MIB,
    24 * MIB,
    32 * MIB,
    48 * MIB,
    64 * MIB,
    96 * MIB,
    128 * MIB,
    192 * MIB,
    256 * MIB,
    384 * MIB,
    512 * MIB,
];

/// Bytes of the largest block.
pub const MAX_BLOCK_BYTES: u32 = CLASS_BYTES[CLASS_COUNT - 1];

/// Bytes and alignment of an arena: a huge page of x86-64, and of aarch64 with 4 KiB pages.
pub const ARENA_BYTES: u32 = 2 * MIB;

/// For lengths above `2^i`, up to `2^(i + 1)`: the first class that may fit.
const FIRST: [u8; 30] = {
    let mut first = [0; 30];
    let mut bits = 0;
    while bits < 30 {
        while first[bits] < CLASS_COUNT as u8 - 1 && CLASS_BYTES[first[bits] as usize] <= 1 << bits
        {
            first[bits] += 1;
        }
        bits += 1;
    }
    first
};

/// Returns the smallest class whose blocks hold `length` bytes; `None` above [`MAX_BLOCK_BYTES`].
pub fn class_of(length: u32) -> Option<usize> {
    if length > MAX_BLOCK_BYTES {
        return None;
    }
    let bits = (length.max(2) - 1).ilog2() as usize;
    let mut class = FIRST[bits] as usize;
    while CLASS_BYTES[class] < length {
        class += 1;
    }
    Some(class)
}

/// Returns how many blocks of a class `bytes` hold, at least 1: a larger block has a mapping of its
/// own.
pub fn blocks_in(bytes: u32, class: usize) -> u32 {
    (bytes / CLASS_BYTES[class]).max(1)
}

#[cfg(all(test, not(loom)))]
mod tests;

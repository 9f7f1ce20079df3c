//! The 28 sizes of blocks.

/// Number of classes.
pub const CLASS_COUNT: usize = 28;

/// KiB of a block of each class, ascending.
const CLASS_KIB: [u32; CLASS_COUNT] = [
    4, 8, 16, 32, 64, 128, 256, 512, 768, 1024, 1536, 2048, 4096, 6144, 8192, 10_240, 12_288,
    16_384, 24_576, 32_768, 49_152, 65_536, 98_304, 131_072, 196_608, 262_144, 393_216, 524_288,
];

/// Bytes of a block of each class, ascending.
pub const CLASS_BYTES: [u32; CLASS_COUNT] = {
    let mut bytes = CLASS_KIB;
    let mut class = 0;
    while class < CLASS_COUNT {
        bytes[class] *= 1024;
        class += 1;
    }
    bytes
};

/// Bytes of the largest block.
pub const MAX_BLOCK_BYTES: u32 = CLASS_BYTES[CLASS_COUNT - 1];

/// Bytes and alignment of an arena: a huge page of x86-64, and of aarch64 with 4 KiB pages.
pub const ARENA_BYTES: u32 = 2 << 20;

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

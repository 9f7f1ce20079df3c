//! The two checksums: that of a frame, and that of a batch over its header and its frames'
//! checksums.

use std::hash::Hasher;

use twox_hash::XxHash3_64;
use twox_hash::xxhash3_64::{DEFAULT_SECRET_LENGTH, RawHasher, SecretBuffer};

use super::layout::{BATCH_HEADER_BYTES, batch, frame};

/// Up to 56 frames are hashed in one go; more than that in pieces of this size.
const PIECE_BYTES: usize = 512;

/// Computes a frame's checksum.
///
/// Inlined into the loops that call it: saving and restoring registers is a tenth of the hash of a
/// short frame.
#[inline(always)]
pub(super) fn frame_checksum(whole: &[u8]) -> u64 {
    XxHash3_64::oneshot(&whole[frame::ID..])
}

/// Computes batch checksums without allocating memory, one after the other.
pub(super) struct BatchHash {
    piece: [u8; PIECE_BYTES],
    used: usize,
    /// The pieces before this one; `None` while everything fits one piece.
    stream: Option<RawHasher<&'static [u8; DEFAULT_SECRET_LENGTH]>>,
}

impl BatchHash {
    pub fn new() -> Self {
        Self {
            piece: [0; PIECE_BYTES],
            used: 0,
            stream: None,
        }
    }

    /// Starts the checksum of the batch with this header.
    pub fn start(&mut self, header: &[u8; BATCH_HEADER_BYTES], has_producer: bool) {
        self.used = 0;
        self.stream = None;
        self.push(&header[..batch::CHECKSUM]);
        self.push(&header[batch::MESSAGE_COUNT..batch::FLAGS]);
        if has_producer {
            self.push(&[1]);
            self.push(&header[batch::PRODUCER_ID..batch::EPOCH_END]);
            self.push(&header[batch::BASE_SEQUENCE..batch::RESERVED]);
        }
    }

    /// Adds the checksum of the next frame.
    #[inline]
    pub fn add_frame(&mut self, checksum: u64) {
        self.push(&checksum.to_le_bytes());
    }

    pub fn finish(&mut self) -> u64 {
        let rest = &self.piece[..self.used];
        match &mut self.stream {
            None => XxHash3_64::oneshot(rest),
            Some(stream) => {
                stream.write(rest);
                stream.finish()
            }
        }
    }

    #[inline]
    fn push(&mut self, bytes: &[u8]) {
        if self.used + bytes.len() > PIECE_BYTES {
            let stream = self
                .stream
                .get_or_insert_with(|| RawHasher::new(SecretBuffer::default()));
            stream.write(&self.piece[..self.used]);
            self.used = 0;
        }
        self.piece[self.used..self.used + bytes.len()].copy_from_slice(bytes);
        self.used += bytes.len();
    }
}

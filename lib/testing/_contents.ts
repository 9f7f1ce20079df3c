import { hashBytes, hashOf } from "./_state_hash.ts";

/**
 * The bytes of a file: a size, and blocks that are never changed in place, so that copies share
 * them.
 *
 * A block that is not in the map is a hole: it reads as zeros and takes no space.
 */
export class Contents {
  /** The unit that persists whole, in bytes. */
  readonly blockBytes: number;
  /** The blocks that take space, by number: each exactly `blockBytes` long. */
  readonly blocks: Map<number, Uint8Array>;
  /** Blocks that the device cannot read until they are written whole. */
  readonly #unreadable: Set<number>;
  /** The size in bytes. */
  size: number;

  /** Makes an empty file, or one with the given blocks. */
  constructor(
    blockBytes: number,
    blocks: Map<number, Uint8Array> = new Map(),
    size = 0,
    unreadable: Set<number> = new Set(),
  ) {
    this.blockBytes = blockBytes;
    this.blocks = blocks;
    this.size = size;
    this.#unreadable = unreadable;
  }

  /** Returns a copy that changes independently. */
  clone(): Contents {
    return new Contents(
      this.blockBytes,
      new Map(this.blocks),
      this.size,
      new Set(this.#unreadable),
    );
  }

  /** Returns the blocks within the size that cannot be read, in order. */
  unreadable(): number[] {
    return [...this.#unreadable].sort((a, b) => a - b);
  }

  /** Returns whether every block of a range can be read. */
  isReadable(position: number, length: number): boolean {
    if (this.#unreadable.size === 0) return true;
    const end = Math.min(position + length, this.size);
    return end <= position ||
      blocksOf(position, end - position, this.blockBytes)
        .every((block) => !this.#unreadable.has(block));
  }

  /** Makes a block unreadable until it is written whole. */
  spoil(block: number): void {
    this.#unreadable.add(block);
    this.blocks.set(block, zeros(this.blockBytes));
  }

  /** Copies bytes to a view; returns their number, which is smaller at the end of the file. */
  read(position: number, into: Uint8Array): number {
    const end = Math.min(position + into.length, this.size);
    if (end <= position) return 0;
    for (let at = position; at < end;) {
      const block = Math.floor(at / this.blockBytes);
      const start = at - block * this.blockBytes;
      const length = Math.min(this.blockBytes - start, end - at);
      const part = this.#bytesOf(block).subarray(start, start + length);
      into.set(part, at - position);
      at += length;
    }
    return end - position;
  }

  /** Returns a copy of all bytes. */
  bytes(): Uint8Array<ArrayBuffer> {
    const all = new Uint8Array(this.size);
    this.read(0, all);
    return all;
  }

  /**
   * Changes a part of one block, which may lie beyond the size; `bytes` must not be changed
   * afterwards.
   */
  patch(block: number, start: number, bytes: Uint8Array): void {
    if (bytes.length === this.blockBytes) {
      this.#unreadable.delete(block);
      this.blocks.set(block, bytes);
      return;
    }
    const merged = this.#bytesOf(block).slice();
    merged.set(bytes, start);
    this.blocks.set(block, merged);
  }

  /** Grows the file to a size, if it is smaller. */
  grow(size: number): void {
    this.size = Math.max(this.size, size);
  }

  /** Sets the size: bytes beyond it are removed, new ones are zeros. */
  truncate(size: number): void {
    for (const block of [...this.blocks.keys()]) {
      const start = block * this.blockBytes;
      if (start >= size) {
        this.#unreadable.delete(block);
        this.blocks.delete(block);
      } else if (start + this.blockBytes > size) {
        const kept = this.blocks.get(block)!.slice();
        kept.fill(0, size - start);
        this.blocks.set(block, kept);
      }
    }
    this.size = size;
  }

  /** Takes space for a range, and grows the file to its end. */
  allocate(position: number, length: number): void {
    for (const block of blocksOf(position, length, this.blockBytes)) {
      this.blocks.set(block, this.#bytesOf(block));
    }
    this.grow(position + length);
  }

  #bytesOf(block: number): Uint8Array {
    return this.blocks.get(block) ?? zeros(this.blockBytes);
  }

  /** Returns a hash of the size and the bytes; holes and blocks of zeros hash alike. */
  hash(): string {
    const parts: unknown[] = [this.size, this.unreadable().join()];
    const zero = hashBytes(zeros(this.blockBytes));
    for (const block of [...this.blocks.keys()].sort((a, b) => a - b)) {
      const digits = hashBytes(this.blocks.get(block)!);
      if (digits !== zero) parts.push(block, digits);
    }
    return hashOf(parts.join(" "));
  }
}

/** Yields the numbers of the blocks that a range touches. */
export function* blocksOf(
  position: number,
  length: number,
  blockBytes: number,
): Generator<number> {
  if (length === 0) return;
  const last = Math.floor((position + length - 1) / blockBytes);
  for (let block = Math.floor(position / blockBytes); block <= last; block++) {
    yield block;
  }
}

const zeroBlocks = new Map<number, Uint8Array>();

/** Returns the block of zeros that all files share. */
export function zeros(blockBytes: number): Uint8Array {
  let block = zeroBlocks.get(blockBytes);
  if (block === undefined) {
    zeroBlocks.set(blockBytes, block = new Uint8Array(blockBytes));
  }
  return block;
}

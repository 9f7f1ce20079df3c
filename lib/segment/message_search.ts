import type { Task } from "../base/mod.ts";
import { findMessage, HEADER_BYTES, messageOffsetAt } from "../codec/mod.ts";
import { acquire, type BufferPool } from "../pool/mod.ts";
import type { TaskFile } from "../storage/mod.ts";
import { BlockReader } from "./block_reader.ts";
import { MAX_OFFSET, roundDown, roundUp } from "./layout.ts";

/** What lies so much farther is not read on the way. */
const JUMP_BYTES = 2 * 1024 * 1024;

/** Where a message is. */
export interface MessagePlace {
  /** Where it begins in the `.log`, in bytes. */
  position: number;
  /** Its offset. */
  offset: number;
}

/** What a {@linkcode MessageSearch} looks for, and where. */
export interface MessageSearchOptions {
  /** The `.log`. */
  log: TaskFile;
  /** Where memory comes from. */
  pool: BufferPool;
  /** What is read from; it is at or before the first position asked for. */
  blocks: BlockReader;
  /** Messages with offsets from this one on count. */
  minOffset: number;
  /** The size of the `.log`, in bytes. */
  size: number;
  /** Where the last range ends. */
  to: number;
}

/** Looks for valid messages in damaged bytes, range behind range, each byte read once. */
export class MessageSearch {
  readonly #options: MessageSearchOptions;
  readonly #offsets: readonly [min: number, max: number];
  /** Where the last header that counts ends. */
  readonly #end: number;

  constructor(options: MessageSearchOptions) {
    const { minOffset, size, to } = options;
    this.#options = options;
    this.#offsets = [
      minOffset,
      Math.min(minOffset + Math.ceil(size / HEADER_BYTES), MAX_OFFSET),
    ];
    this.#end = Math.min(size, to + HEADER_BYTES - 1);
  }

  /** The first valid message that begins in `[from, to)`; it may end behind `to`. The next range must not lie before this one. */
  *first(from: number, to: number): Task<MessagePlace | undefined> {
    const { blocks } = this.#options;
    const end = Math.min(this.#end, to + HEADER_BYTES - 1);
    while (from + HEADER_BYTES <= end) {
      if (from - blocks.position > JUMP_BYTES) blocks.restart(from);
      const piece = yield* blocks.next(this.#end);
      using buffer = piece.buffer;
      const { position } = piece;
      const length = Math.min(piece.end - piece.start, end - position);
      const bytes = buffer.bytes.subarray(piece.start, piece.start + length);
      const found = from < position + length
        ? yield* this.#find(bytes, from - position, position)
        : undefined;
      // A header across the end is seen whole in the next piece.
      const rest = Math.max(from - position, length - HEADER_BYTES + 1);
      const keep = Math.min(piece.start + rest, piece.end);
      blocks.keep(piece, keep, HEADER_BYTES);
      if (found !== undefined || piece.last) return found;
      from = position + rest;
    }
    return undefined;
  }

  /** The first valid message in bytes that begin at `position` of the file, from `start` in them on. */
  *#find(
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    position: number,
  ): Task<MessagePlace | undefined> {
    for (let at = start;;) {
      const found = findMessage(bytes, at, ...this.#offsets);
      // Its header is here, but it ends behind: read it by itself.
      const { beyond } = found;
      let valid = found.position;
      if (
        beyond !== undefined &&
        (yield* this.#isMessage(position + beyond.position, beyond.length))
      ) valid = beyond.position;
      if (valid !== undefined) {
        const offset = messageOffsetAt(bytes, valid);
        return { position: position + valid, offset };
      }
      if (beyond === undefined) return undefined;
      at = beyond.position + 1;
    }
  }

  /** Whether a valid message of `length` bytes begins at `position`. */
  *#isMessage(position: number, length: number): Task<boolean> {
    const { log, pool, size } = this.#options;
    if (position + length > size) return false;
    const unit = log.capabilities.readOffsetAlignment;
    const start = roundDown(position, unit);
    const end = position - start + length;
    using buffer = yield* acquire(pool, roundUp(end, unit));
    const read = yield* log.read(buffer, start);
    const bytes = buffer.bytes.subarray(0, Math.min(read, end));
    if (bytes.length < end) return false;
    const at = position - start;
    return findMessage(bytes, at, ...this.#offsets).position === at;
  }
}

/** Whether a valid message with an offset above `offset` begins in `[from, to)` of a `.log`; it may end behind `to`. */
export function* hasMessageBehind(
  log: TaskFile,
  pool: BufferPool,
  from: number,
  to: number,
  offset: number,
): Task<boolean> {
  const found = yield* findMessageBehind(log, pool, from, to, offset + 1);
  return found !== undefined;
}

/** The first valid message with an offset of at least `minOffset` that begins in `[from, to)` of a `.log`; it may end behind `to`. */
export function* findMessageBehind(
  log: TaskFile,
  pool: BufferPool,
  from: number,
  to: number,
  minOffset: number,
): Task<MessagePlace | undefined> {
  const size = yield* log.size();
  const blocks = new BlockReader(log, pool, from);
  try {
    const options = { log, pool, blocks, minOffset, size, to };
    return yield* new MessageSearch(options).first(from, to);
  } finally {
    yield* blocks.close();
  }
}

import type { Task } from "../base/mod.ts";
import { HEADER_BYTES, MessageScan, STOP } from "../codec/mod.ts";
import type { BufferPool } from "../pool/mod.ts";
import type { TaskFile } from "../storage/mod.ts";
import {
  BlockReader,
  type BlockReaderOptions,
  type Piece,
} from "./block_reader.ts";
import { type CorruptionKind, CorruptSegment } from "./corrupt_segment.ts";
import { MessageBatch } from "./message_batch.ts";
import { PooledArrays } from "./pooled_arrays.ts";

/** Why a cursor gave no batch. */
export interface CursorStop {
  /**
   * - `"end"`: everything up to the bound was read.
   * - `"zeros"`: a header of zeros: nothing was written here yet.
   * - `"partial"`: the bound lies within a message.
   * - otherwise what is wrong with the message.
   */
  reason: "end" | "zeros" | "partial" | CorruptionKind;
  /** Where it begins in the file, in bytes. */
  position: number;
  /** The offset that the message there should have. */
  offset: number;
}

const REASONS: Readonly<Record<number, CursorStop["reason"]>> = {
  [STOP.END]: "end",
  [STOP.PARTIAL]: "partial",
  [STOP.ZEROS]: "zeros",
  [STOP.LENGTH]: "length",
  [STOP.RESERVED]: "reserved",
  [STOP.OFFSET]: "offset",
  [STOP.CHECKSUM]: "checksum",
};

/** What a stop means where the bytes up to the bound were written: anything but the end is damage. */
export function describeStop(
  { reason }: CursorStop,
): { kind: CorruptionKind; message: string } {
  const what: Record<CursorStop["reason"], string> = {
    end: "the data ends early",
    zeros: "zeros where a message should be",
    partial: "the last message is cut off",
    length: "a message states lengths above the maximum",
    reserved: "the reserved field is not 0",
    offset: "the message has another offset",
    checksum: "the checksum does not match",
    torn: "a torn write",
    index: "the index does not agree with the log",
    gap: "messages are missing",
    missing: "the file is missing",
  };
  const kind = reason === "end" || reason === "zeros" || reason === "partial"
    ? "torn"
    : reason;
  return { kind, message: what[reason] };
}

/** The error for a stop that should not be: anything but the end, where the bytes up to the bound were written. */
export function corruption(path: string, stop: CursorStop): CorruptSegment {
  const { position, offset } = stop;
  const { kind, message } = describeStop(stop);
  return new CorruptSegment(message, { path, position, offset, kind });
}

/** How a {@linkcode Cursor} reads. */
export interface CursorOptions extends BlockReaderOptions {
  /** Where a message is bad, whoever asks next goes on from there with {@linkcode Cursor.blocks}; otherwise it is read again. @default {false} */
  keepBad?: boolean;
}

/** Reads a `.log` message by message, in blocks, from a place where a message begins. End it with {@linkcode Cursor.close}. */
export class Cursor {
  /** What it reads from: the next piece begins with the next message. */
  readonly blocks: BlockReader;
  readonly #keepBad: boolean;
  readonly #arrays: PooledArrays;
  readonly #scan: MessageScan;
  /** Messages that the last block held. */
  #lastCount = 0;
  #position: number;
  #offset: number;

  /** @param position Where the message with `offset` begins, in bytes. */
  constructor(
    file: TaskFile,
    pool: BufferPool,
    position: number,
    offset: number,
    options: CursorOptions = {},
  ) {
    this.blocks = new BlockReader(file, pool, position, options);
    this.#keepBad = options.keepBad ?? false;
    this.#arrays = new PooledArrays(pool);
    this.#scan = new MessageScan(1, this.#arrays.allocate);
    // Each block gets arrays of its own: these are not needed.
    this.#arrays.drop();
    this.#position = position;
    this.#offset = offset;
  }

  /** Where the next message begins, in bytes. */
  get position(): number {
    return this.#position;
  }

  /** The offset of the next message. */
  get offset(): number {
    return this.#offset;
  }

  /** Reads the next messages, of those that end at or before `bound`, verified; or says why there are none. The batch is the caller's. */
  *next(bound: number): Task<MessageBatch | CursorStop> {
    const { blocks } = this;
    while (this.#position < bound) {
      const piece = yield* blocks.next(bound);
      try {
        const batch = this.#take(piece);
        if (batch !== undefined) return batch;
      } catch (error) {
        piece.buffer.drop();
        throw error;
      }
      piece.buffer.drop();
      const { stop } = this.#scan;
      // The rest of the message is in the next block, or was written since.
      const more = stop === STOP.PARTIAL &&
        (!piece.last || piece.bound < bound);
      if (!more) return this.#stop(REASONS[stop] ?? "end");
    }
    return this.#stop("end");
  }

  /** Gives memory back, and waits for the reads in flight; batches that were given stay. */
  *close(): Task<void> {
    this.#arrays.drop();
    yield* this.blocks.close();
  }

  /** The messages of a piece; `undefined` if there is none in it. */
  #take(piece: Piece): MessageBatch | undefined {
    const { buffer, start, end, position, last } = piece;
    const scan = this.#scan;
    const bytes = buffer.bytes.subarray(start, end);
    scan.renew(capacityFor(this.#lastCount, bytes.length));
    scan.run(bytes, 0, this.#offset);
    const { count } = scan;
    const firstOffset = this.#offset;
    this.#position += scan.end;
    this.#offset += count;
    const good = scan.stop === STOP.END || scan.stop === STOP.PARTIAL;
    if (good && !last || this.#keepBad) {
      this.blocks.keep(piece, start + scan.end, scan.neededBytes);
    } else this.blocks.restart(this.#position);
    if (count === 0) {
      this.#arrays.drop();
      return undefined;
    }
    this.#lastCount = count;
    const starts = scan.starts.subarray(0, count + 1);
    const lengths = scan.lengths.subarray(0, count);
    const arrays = this.#arrays.take();
    const parts = { buffer, start, end, position, firstOffset };
    return new MessageBatch({ ...parts, starts, lengths, arrays });
  }

  #stop(reason: CursorStop["reason"]): CursorStop {
    return { reason, position: this.#position, offset: this.#offset };
  }
}

/** Messages to make room for in a block of so many bytes: as many as in the one before and some more, for growing copies. */
function capacityFor(lastCount: number, bytes: number): number {
  const wanted = Math.max(1024, lastCount + (lastCount >> 3));
  return Math.min(wanted, Math.ceil(bytes / HEADER_BYTES) + 1);
}

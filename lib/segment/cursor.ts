import { MessageScan, STOP } from "../codec/mod.ts";
import type { BufferPool } from "../pool/mod.ts";
import { step, type StorageFile, type Twin } from "../storage/mod.ts";
import { type CorruptionKind, CorruptSegment } from "./corrupt_segment.ts";
import { roundDown, roundUp } from "./layout.ts";
import { MessageBatch } from "./message_batch.ts";

/** Bytes that one read asks for. */
export const READ_BLOCK_BYTES: number = 1024 * 1024;

/** Blocks grow to this for large messages, and above it only for one that is larger by itself. */
const MAX_BLOCK_BYTES = 8 * 1024 * 1024;

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

/** Reads a `.log` message by message, in blocks, from a place where a message begins. */
export class Cursor {
  readonly #file: StorageFile;
  readonly #pool: BufferPool;
  readonly #scan = new MessageScan();
  #blockBytes = READ_BLOCK_BYTES;
  #position: number;
  #offset: number;

  /** @param position Where the message with `offset` begins, in bytes. */
  constructor(
    file: StorageFile,
    pool: BufferPool,
    position: number,
    offset: number,
  ) {
    this.#file = file;
    this.#pool = pool;
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
  *next(bound: number): Twin<MessageBatch | CursorStop> {
    for (;;) {
      if (this.#position >= bound) return this.#stop("end");
      const unit = this.#file.capabilities.readOffsetAlignment;
      const start = roundDown(this.#position, unit);
      const length = Math.min(this.#blockBytes, roundUp(bound - start, unit));
      const buffer = yield* step(
        () => this.#pool.acquire(length),
        () => this.#pool.acquireSync(length),
      );
      try {
        const read = yield* step(
          () => this.#file.read(buffer, start, { length }),
          () => this.#file.readSync(buffer, start, { length }),
        );
        const valid = Math.min(read, bound - start);
        const scan = this.#scan;
        scan.run(
          buffer.bytes.subarray(0, valid),
          this.#position - start,
          this.#offset,
        );
        if (scan.count > 0) {
          const batch = new MessageBatch(
            buffer,
            valid,
            start,
            this.#offset,
            scan.starts.slice(0, scan.count + 1),
            scan.lengths.slice(0, scan.count),
          );
          this.#advance(start + scan.end, scan.count, scan.neededBytes);
          return batch;
        }
        // A message larger than the block: its header says how large, within the format's maximum.
        const needed = this.#position - start + scan.neededBytes;
        const more = scan.stop === STOP.PARTIAL && needed > length &&
          start + length < bound && read === length;
        if (!more) {
          buffer.drop();
          return this.#stop(REASONS[scan.stop] ?? "end");
        }
        this.#blockBytes = roundUp(needed, unit);
      } catch (error) {
        buffer.drop();
        throw error;
      }
      buffer.drop();
    }
  }

  #advance(position: number, count: number, neededBytes: number): void {
    this.#position = position;
    this.#offset += count;
    // The cut-off message at the end of a block is read again: where messages are large, larger blocks waste less.
    const wanted = Math.min(4 * neededBytes, MAX_BLOCK_BYTES);
    if (this.#blockBytes < wanted) {
      this.#blockBytes = roundUp(wanted, READ_BLOCK_BYTES);
    } else if (this.#blockBytes > MAX_BLOCK_BYTES) {
      this.#blockBytes = MAX_BLOCK_BYTES;
    }
  }

  #stop(reason: CursorStop["reason"]): CursorStop {
    return { reason, position: this.#position, offset: this.#offset };
  }
}

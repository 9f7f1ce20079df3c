import type { Task } from "../base/mod.ts";
import type { IndexEntry } from "../codec/mod.ts";
import type { BufferPool } from "../pool/mod.ts";
import { READ_AHEAD_BYTES } from "./block_reader.ts";
import { IndexLookup } from "./index_lookup.ts";
import { MessageBatch } from "./message_batch.ts";
import { corruption } from "./corrupt_segment_error.ts";
import { type ScanStop, SegmentScan } from "./segment_scan.ts";
import type { SegmentFiles } from "./segment_state.ts";

/** Where reading begins. */
export interface ReadStart {
  /** The first offset to read. @default {the first of the log} */
  from?: number;
  /** Skip messages appended before this time, in microseconds since the Unix epoch. @default {0} */
  since?: number;
}

/** What a {@linkcode SegmentPass} needs. */
export interface SegmentPassOptions extends SegmentFiles {
  /** Where blocks come from. */
  pool: BufferPool;
  /** The offset of the segment's first message. */
  firstOffset: number;
  /** Where to begin. */
  start: ReadStart;
  /** Bytes that may be read ahead. */
  readAheadBytes?: number | undefined;
  /** Ends the wait for memory. */
  signal?: AbortSignal | undefined;
  /**
   * Up to which byte the log may be read; asked before each read. `undefined`: up to its size,
   * whatever that holds.
   */
  bound: (() => number) | undefined;
  /** A position where a batch begins, or will, if one is known. */
  known?: KnownPlace | undefined;
}

/** Where a batch begins, as the writer of a segment knows. */
export interface KnownPlace {
  /** The offset of its first message. */
  offset: number;
  /** Where it begins in the `.log`, in bytes. */
  position: number;
}

/** Where a scan may begin. */
interface Candidate extends KnownPlace {
  /** What the index says of the batch there; `undefined` where there is no doubt. */
  entry: IndexEntry | undefined;
}

/**
 * Reads a segment once, in batches.
 *
 * With a bound, everything below it was written: anything but whole, valid batches is corruption.
 * Without one, the data ends where the valid batches end, and the stop there is returned for the
 * caller to classify.
 */
export class SegmentPass {
  readonly #options: SegmentPassOptions;
  #scan: SegmentScan | undefined;
  /** Where the scan began, until its first batch has proved that right. */
  #candidate: Candidate | undefined;

  constructor(options: SegmentPassOptions) {
    this.#options = options;
  }

  /**
   * The offset of the next message to read; `undefined` before the first call of {@linkcode
   * SegmentPass.next}.
   */
  get offset(): number | undefined {
    return this.#scan?.offset;
  }

  /**
   * Returns the next messages, which are the caller's; or why there are none.
   *
   * @throws {CorruptSegmentError} If the segment is damaged, as far as it is bounded.
   */
  *next(): Task<MessageBatch | ScanStop> {
    const { log, bound } = this.#options;
    this.#scan ??= this.#scanFrom(yield* this.#seek());
    for (;;) {
      const end = bound === undefined ? yield* log.size() : bound();
      const next = yield* this.#scan.next(end);
      if (!this.#isRight(next)) {
        if (next instanceof MessageBatch) next.drop();
        yield* this.#scan.close();
        this.#scan = this.#scanFrom(this.#beginning());
        continue;
      }
      if (!(next instanceof MessageBatch)) {
        // The file may also end before the bytes that it held.
        const isEarly = next.reason !== "end" || next.position < end;
        if (bound !== undefined && isEarly) throw corruption(log.path, next);
        return next;
      }
      this.#candidate = undefined;
      const wanted = this.#wanted(next);
      if (wanted !== undefined) return wanted;
    }
  }

  /** Gives memory back and waits for the reads in flight; batches that were returned stay valid. */
  *close(): Task<void> {
    if (this.#scan !== undefined) yield* this.#scan.close();
  }

  /**
   * Whether the index was right about the place where the scan began (`docs/format.md#index-seek`).
   */
  #isRight(next: MessageBatch | ScanStop): boolean {
    const entry = this.#candidate?.entry;
    if (entry === undefined) return true;
    return next instanceof MessageBatch &&
      next.batch(0).timestamp === entry.timestamp;
  }

  /**
   * Returns the messages that were asked for; `undefined`, and the batch dropped, if there are
   * none.
   */
  #wanted(batch: MessageBatch): MessageBatch | undefined {
    const { from = 0, since = 0 } = this.#options.start;
    let first = Math.max(0, from - batch.firstOffset);
    if (since > 0 && first < batch.count) {
      first = Math.max(first, batch.firstSince(since));
    }
    if (first === 0) return batch;
    if (first < batch.count) return batch.narrow(first, batch.count);
    batch.drop();
    return undefined;
  }

  #scanFrom(candidate: Candidate): SegmentScan {
    const { log, pool, readAheadBytes, signal } = this.#options;
    this.#candidate = candidate;
    return new SegmentScan(log, pool, candidate.position, candidate.offset, {
      signal,
      readAheadBytes: readAheadBytes ?? READ_AHEAD_BYTES,
      minTimestamp: candidate.entry?.timestamp ?? 0,
    });
  }

  #beginning(): Candidate {
    return { offset: this.#options.firstOffset, position: 0, entry: undefined };
  }

  /** Finds the last place before which nothing is wanted: the known one, or what the index says. */
  *#seek(): Task<Candidate> {
    const { index, pool, firstOffset, start, known } = this.#options;
    const { from = 0, since = 0 } = start;
    if (from <= firstOffset && since <= 0) return this.#beginning();
    if (known !== undefined && from >= known.offset) {
      const { offset, position } = known;
      return { offset, position, entry: undefined };
    }
    const end = this.#options.bound?.() ?? Infinity;
    using lookup = yield* IndexLookup.open(index, pool, firstOffset);
    const found = yield* lookup.findLast(({ offset, timestamp, position }) =>
      position < end && (offset <= from || timestamp < since)
    );
    // At the beginning there is nothing to prove.
    if (found === undefined || found.entry.position === 0) {
      return this.#beginning();
    }
    const { entry } = found;
    return { offset: entry.offset, position: entry.position, entry };
  }
}

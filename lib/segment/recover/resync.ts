import type { Task } from "../../base/mod.ts";
import {
  BATCH_HEADER_BYTES,
  batchCountAt,
  batchLengthAt,
} from "../../codec/mod.ts";
import { findBatchAfter, readAt } from "./batch_search.ts";
import { MAX_OFFSET } from "../layout.ts";
import { MessageBatch } from "../read/message_batch.ts";
import {
  type BatchPlace,
  type ScanStop,
  SegmentScan,
} from "../read/segment_scan.ts";
import type { SegmentFiles } from "../segment_state.ts";

/** What a {@linkcode Resync} reads. */
export interface ResyncOptions extends Omit<SegmentFiles, "index"> {
  /** The log is read up to this byte. */
  bound: number;
  /**
   * The largest offset that a message may have. It is needed for bytes that do not begin with
   * `firstOffset`.
   *
   * @default {the one that messages without payload would reach}
   */
  maxOffset?: number;
  /** The first batch to read. Default: the beginning of the segment. */
  start?: BatchPlace;
}

/**
 * Reads all valid batches of a segment, and goes on after bad ones.
 *
 * Each stop but the one at the end is a fault. The next call looks for a valid batch, first where
 * the header of the bad one says that it ends. So batches within its payloads are not mistaken for
 * the log's. Then it searches byte by byte. End it with {@linkcode Resync.close}.
 */
export class Resync {
  readonly #options: ResyncOptions;
  readonly #scan: SegmentScan;
  #stop: ScanStop | undefined;
  /** Position of the last batch that a search found; -1 before the first. */
  #searched = -1;

  constructor(options: ResyncOptions) {
    this.#options = options;
    const { log, pool, firstOffset, start } = options;
    const beginning = { position: 0, offset: firstOffset };
    this.#scan = new SegmentScan(log, pool, start ?? beginning);
  }

  /** Returns the next messages, which the caller must drop, or why there are none. */
  *next(): Task<MessageBatch | ScanStop> {
    const { bound } = this.#options;
    const stop = this.#stop;
    if (stop !== undefined) {
      this.#stop = undefined;
      const found = yield* this.#resume(stop);
      if (found !== undefined) return found;
      this.#stop = stop;
      return { reason: "end", position: bound, offset: stop.offset };
    }
    const next = yield* this.#scan.next(bound);
    if (next instanceof MessageBatch) return next;
    if (next.reason !== "end") this.#stop = next;
    // The file may have become shorter.
    else if (next.position < bound) return { ...next, position: bound };
    return next;
  }

  /** Gives memory back and waits for the reads in flight. Returned batches stay valid. */
  close(): Task<void> {
    return this.#scan.close();
  }

  /** Returns the first valid messages after a stop; `undefined` if there are none. */
  *#resume(stop: ScanStop): Task<MessageBatch | ScanStop | undefined> {
    const { log, pool, bound, maxOffset } = this.#options;
    const stated = yield* this.#statedEnd(stop);
    if (stated !== undefined) {
      const next = yield* this.#moveTo(stated);
      if (next instanceof MessageBatch) return next;
    }
    const { position, offset } = stop;
    // Each search begins after the last one, even if a read returns other bytes than before.
    const from = Math.max(position, this.#searched + 1);
    const range = { maxOffset, bound };
    const found = yield* findBatchAfter(log, pool, from, bound, offset, range);
    if (found === undefined) return undefined;
    this.#searched = found.position;
    return yield* this.#moveTo(found);
  }

  #moveTo(place: BatchPlace): Task<MessageBatch | ScanStop> {
    this.#scan.restart(place);
    this.#stop = undefined;
    return this.next();
  }

  /** Returns where the batch after a bad one begins, if the bad one has a valid header. */
  *#statedEnd(
    { reason, position, offset }: ScanStop,
  ): Task<BatchPlace | undefined> {
    if (!reason.endsWith("checksum")) return undefined;
    const { log, pool, bound } = this.#options;
    const next = yield* readAt(
      log,
      pool,
      position,
      BATCH_HEADER_BYTES,
      (bytes) => ({
        position: position + batchLengthAt(bytes, 0),
        offset: offset + batchCountAt(bytes, 0),
      }),
    );
    const isPossible = next !== undefined && next.position < bound &&
      next.offset <= MAX_OFFSET;
    return isPossible ? next : undefined;
  }
}

import type { Task } from "../../base/mod.ts";
import type { BatchSource, MessageBatch } from "../../segment/mod.ts";

/** What surrounds a {@linkcode CursorScan}. */
export interface CursorScanOptions {
  /** Ends the reading. */
  signal: AbortSignal;
  /** Opens a scan at the cursor's position, whose waits `signal` ends. */
  open(signal: AbortSignal): Task<BatchSource>;
  /** Called with the offset after each batch. */
  saw(nextOffset: number): void;
  /** Called at the end. */
  ended(): void;
}

/** Reads batches from the position of a cursor, and after a seek from its new position. */
export class CursorScan implements BatchSource {
  readonly #options: CursorScanOptions;
  #scan: BatchSource | undefined;
  /** Aborted by a seek, which ends the wait at the old position. */
  #moving = new AbortController();

  constructor(options: CursorScanOptions) {
    this.#options = options;
  }

  *next(): Task<MessageBatch | undefined> {
    const { signal, open, saw } = this.#options;
    for (;;) {
      if (this.#moving.signal.aborted) {
        this.#moving = new AbortController();
        yield* this.#closeScan();
      }
      const moved = this.#moving.signal;
      try {
        this.#scan ??= yield* open(AbortSignal.any([signal, moved]));
        const batch = yield* this.#scan.next();
        if (!moved.aborted) {
          if (batch !== undefined) saw(batch.nextOffset);
          return batch;
        }
        batch?.drop();
      } catch (error) {
        if (!moved.aborted || signal.aborted) throw error;
      }
    }
  }

  /** Continues from the cursor's new position. */
  move(): void {
    this.#moving.abort();
  }

  *close(): Task<void> {
    this.#options.ended();
    yield* this.#closeScan();
  }

  *#closeScan(): Task<void> {
    const scan = this.#scan;
    this.#scan = undefined;
    if (scan !== undefined) yield* scan.close();
  }
}

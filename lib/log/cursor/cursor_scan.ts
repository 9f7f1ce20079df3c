import type { Task } from "../../base/mod.ts";
import type { BatchSource, MessageBatch } from "../../segment/mod.ts";

/** What surrounds a {@linkcode CursorScan}. */
export interface CursorScanOptions {
  /** Ends the reading. */
  signal: AbortSignal;
  /** Begins to read at the cursor's position; waits end by `signal`. */
  open(signal: AbortSignal): Task<BatchSource>;
  /** Called with the offset after each batch that is handed out. */
  saw(nextOffset: number): void;
  /** Called at the end. */
  ended(): void;
}

/** One reading by a cursor: batches from its position and, after a seek, from its new position. */
export class CursorScan implements BatchSource {
  readonly #options: CursorScanOptions;
  #scan: BatchSource | undefined;
  /** Aborted when the cursor is moved, which ends the wait for more at the old position. */
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

  /** Goes on from the cursor's new position. */
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

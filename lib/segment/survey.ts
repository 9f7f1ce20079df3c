import type { Task } from "../base/mod.ts";
import type { BufferPool } from "../pool/mod.ts";
import type { TaskFile } from "../storage/mod.ts";
import { Cursor, type CursorStop } from "./cursor.ts";
import { type IndexLookup, isPlausible } from "./index_lookup.ts";
import { MessageBatch } from "./message_batch.ts";
import { findMessageBehind, type MessagePlace } from "./message_search.ts";

/** What the index knows of a place is tried for so many messages behind a bad one, before every byte is. */
const INDEX_HINTS = 8;

/** What a {@linkcode Survey} looks at. */
export interface SurveyOptions {
  /** The `.log`. */
  log: TaskFile;
  /** Where the index says that messages begin; `undefined` if there is none. */
  lookup: IndexLookup | undefined;
  /** Where blocks come from. */
  pool: BufferPool;
  /** The offset of the segment's first message. */
  baseOffset: number;
  /** Up to which byte the log is read. */
  bound: number;
}

/**
 * Reads all messages of a segment that can be read, and goes on behind those that cannot.
 *
 * End it with {@linkcode Survey.close}. Each stop but that at the end is a fault; the next call looks for the next valid message with an offset at or behind the missing one's.
 */
export class Survey {
  readonly #options: SurveyOptions;
  #cursor: Cursor;
  #stop: CursorStop | undefined;

  constructor(options: SurveyOptions) {
    this.#options = options;
    this.#cursor = this.#cursorAt({ position: 0, offset: options.baseOffset });
  }

  /** The next messages, verified: the batch is the caller's; or why there are none here. */
  *next(): Task<MessageBatch | CursorStop> {
    const { bound } = this.#options;
    const stop = this.#stop;
    if (stop !== undefined) {
      const found = yield* this.#resume(stop);
      if (found === undefined) {
        return { reason: "end", position: bound, offset: stop.offset };
      }
      this.#stop = undefined;
      if (found instanceof MessageBatch) return found;
    }
    const next = yield* this.#cursor.next(bound);
    if (!(next instanceof MessageBatch) && next.reason !== "end") {
      this.#stop = next;
    } else if (!(next instanceof MessageBatch) && next.position < bound) {
      // The file ends before the bytes that it had.
      return { ...next, position: bound };
    }
    return next;
  }

  /** The messages behind a stop, where the index is right; else where the next one is. */
  *#resume(stop: CursorStop): Task<MessageBatch | MessagePlace | undefined> {
    const { log, pool, lookup, baseOffset, bound } = this.#options;
    const missing = stop.offset - baseOffset;
    for (let i = missing; lookup && i < missing + INDEX_HINTS; i++) {
      const entry = yield* lookup.entry(i);
      if (entry === undefined || !isPlausible(entry, i)) continue;
      const { position } = entry;
      if (position <= stop.position || position >= bound) continue;
      const cursor = this.#cursorAt({ position, offset: baseOffset + i + 1 });
      let next: MessageBatch | CursorStop | undefined;
      try {
        next = yield* cursor.next(bound);
      } finally {
        if (!(next instanceof MessageBatch)) yield* cursor.close();
      }
      if (!(next instanceof MessageBatch)) continue;
      yield* this.#goOn(cursor);
      return next;
    }
    const found = yield* findMessageBehind(
      log,
      pool,
      stop.position,
      bound,
      stop.offset,
    );
    if (found !== undefined) yield* this.#goOn(this.#cursorAt(found));
    return found;
  }

  /** Gives memory back, and waits for the reads in flight; batches that were given stay. */
  *close(): Task<void> {
    yield* this.#cursor.close();
  }

  *#goOn(cursor: Cursor): Task<void> {
    yield* this.#cursor.close();
    this.#cursor = cursor;
  }

  #cursorAt({ position, offset }: MessagePlace): Cursor {
    const { log, pool } = this.#options;
    return new Cursor(log, pool, position, offset);
  }
}

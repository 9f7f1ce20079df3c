import type { TailOptions } from "../log/mod.ts";
import type { MessageBatch, ReadOptions } from "../segment/mod.ts";

/** A consumer's position in a log. */
export interface ShippingCursor extends AsyncDisposable {
  /** Messages below this offset were acknowledged; durable. */
  readonly position: number;
  /** Returns how many durable messages there are from the position. */
  lag(): Promise<{ messages: number }>;
  /** Remembers a position; within a second, unless it must be durable at once. */
  commit(offset: number, options?: { durable?: boolean }): Promise<void>;
}

/** What {@linkcode ship} needs of a log: `Log` and `LogReader` have it. */
export interface ShippableLog {
  /** The directory. */
  readonly path: string;
  /**
   * Messages below this offset are durable; `undefined` if another process writes the log, so that
   * only reading tells.
   */
  readonly durableOffset?: number;
  /** The log's identity, a UUID. */
  readonly identity: string | Promise<string>;
  /** Opens a cursor. */
  cursor(
    name: string,
    options: { from: "first" },
  ): Promise<ShippingCursor>;
  /** Reads what is in the files. */
  read(
    options: ReadOptions & { durable?: boolean },
  ): AsyncIterableIterator<MessageBatch>;
  /** Reads, and goes on with what is written later. */
  tail(options: TailOptions): AsyncIterableIterator<MessageBatch>;
}

import type { LogReadOptions, TailOptions } from "../log/mod.ts";
import type { MessageBatch } from "../segment/mod.ts";

/** A consumer's position in a log. */
export interface ShippingCursor extends AsyncDisposable {
  /** Messages below this offset were acknowledged; durable. */
  readonly position: number;
  /** Returns the number of durable messages from the position. */
  lag(): Promise<{ messages: number }>;
  /** Stores a position, durably at once or within a second. */
  commit(offset: number, options?: { durable?: boolean }): Promise<void>;
}

/** The part of a log that {@linkcode ship} needs: `Log` and `LogReader` have it. */
export interface ShippableLog {
  /** The directory. */
  readonly path: string;
  /** Messages below this offset are durable; `undefined` if another process writes the log. */
  readonly durableOffset?: number;
  /** The log's identity, a UUID. */
  readonly identity: string | Promise<string>;
  /** Opens a cursor. */
  cursor(name: string, options: { from: "first" }): Promise<ShippingCursor>;
  /** Reads the messages in the files. */
  read(options: LogReadOptions): AsyncIterableIterator<MessageBatch>;
  /** Reads the messages, and continues with new ones. */
  tail(options: TailOptions): AsyncIterableIterator<MessageBatch>;
}

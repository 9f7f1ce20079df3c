import type { MessageBatch } from "../segment/mod.ts";

/** The log that is shipped, as its destination sees it. */
export interface ShippedLog {
  /** Its identity, a UUID that is sent with every message. */
  readonly identity: string;
  /** Its directory. */
  readonly path: string;
  /** Warns the operator, for example of a retention that can empty the destination. */
  warn(text: string): void;
}

/**
 * A destination of {@linkcode ship}.
 *
 * If a method throws, it is retried after a delay, except for a {@linkcode ShippingError}, which
 * ends the shipping. Both must settle soon after the signal is aborted.
 *
 * @example A destination in memory
 * ```ts
 * import type { Sink } from "@basalt/io/ship";
 *
 * const stored: string[] = [];
 * const sink: Sink = {
 *   next: () => Promise.resolve(stored.length),
 *   send(batch) {
 *     for (let i = 0; i < batch.count; i++) stored.push(batch.text(i));
 *     return Promise.resolve();
 *   },
 * };
 * ```
 */
export interface Sink {
  /**
   * Returns the first offset that the destination does not have; 0 if it has nothing of the log.
   *
   * It is called at the start and after every error, and must reflect what is stored.
   *
   * @throws {ShippingError} If the destination is gone, or has another log.
   */
  next(signal: AbortSignal, log: ShippedLog): Promise<number>;
  /**
   * Stores a batch; resolves when the destination has it durably. Messages that are sent twice must
   * be stored once.
   *
   * The batch is valid until the promise settles. Batches come one at a time, in order, the first
   * one at the offset that `next` returned.
   *
   * @throws {ShippingError} If the destination refuses the messages for good.
   */
  send(
    batch: MessageBatch,
    signal: AbortSignal,
    log: ShippedLog,
  ): Promise<void>;
}

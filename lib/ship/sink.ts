import type { MessageBatch } from "../segment/mod.ts";

/** The log that is shipped, as its destination sees it. */
export interface ShippedLog {
  /** Its identity, a UUID: it goes with every message. */
  readonly identity: string;
  /** Its directory. */
  readonly path: string;
  /** Tells what the operator should know, such as a retention that can empty the destination. */
  warn(text: string): void;
}

/**
 * A destination of {@linkcode ship}.
 *
 * What either method throws is tried again after a while, except a {@linkcode ShippingError}, which
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
   * It is the destination's own truth, asked at the start and after every error.
   *
   * @throws {ShippingError} If the destination is gone, or has another log.
   */
  next(signal: AbortSignal, log: ShippedLog): Promise<number>;
  /**
   * Resolves when the destination has the batch durably. The same messages twice are stored once.
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

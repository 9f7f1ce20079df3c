import type { UserHeadersInit } from "../codec/mod.ts";

/** A message of a {@linkcode Source}. */
export interface SourceMessage {
  /** The payload. */
  payload: Uint8Array;
  /** The user headers, if there are any. */
  userHeaders?: UserHeadersInit;
  /** The offset in the log that the message was shipped from; left out for other messages. */
  offset?: number;
  /** The identity of that log. */
  log?: string;
  /** The position in the source, for a message without an offset. */
  sequence?: number;
}

/** Where pulling goes on. */
export interface ResumePoint {
  /** The offset that the next message gets. */
  nextOffset: number;
  /** The position of the last message, if that had no offset. */
  sequence: number | undefined;
}

/**
 * Where {@linkcode pull} takes messages from.
 *
 * @example A source in memory
 * ```ts
 * import type { Source } from "@basalt/io/ship";
 *
 * const texts = ["one", "two"];
 * const source: Source = {
 *   async *messages({ nextOffset }) {
 *     for (let offset = nextOffset; offset < texts.length; offset++) {
 *       yield { payload: new TextEncoder().encode(texts[offset]), offset };
 *     }
 *   },
 * };
 * ```
 */
export interface Source {
  /**
   * Gives the messages from a point, in order: up to the last one that there is now or, if told to
   * `follow`, also those that come later.
   *
   * A message that was there before the point must not be given; a missing one is found by the
   * caller.
   *
   * @throws {ShippingError} If the source is gone.
   */
  messages(
    from: ResumePoint,
    options: { follow: boolean; signal: AbortSignal },
  ): AsyncIterable<SourceMessage>;
}

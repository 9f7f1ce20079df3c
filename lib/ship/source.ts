import type { UserHeadersInit } from "../codec/mod.ts";

/** A message of a {@linkcode Source}. */
export interface SourceMessage {
  /** The payload. */
  payload: Uint8Array;
  /** The user headers, if there are any. */
  userHeaders?: UserHeadersInit;
  /** The offset in the log that the message was shipped from, if any. */
  offset?: number;
  /** The identity of that log. */
  log?: string;
  /** The position in the source, for a message without an offset. */
  sequence?: number;
}

/** The position from which pulling continues. */
export interface ResumePoint {
  /** The offset that the next message gets. */
  nextOffset: number;
  /** The position of the last message, if that had no offset. */
  sequence: number | undefined;
}

/**
 * A source of messages for {@linkcode pull}.
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
   * Returns the messages from a position in order, up to the last one that exists now or, with
   * `follow`, also later ones.
   *
   * Messages before the position must not be returned. The caller detects missing ones.
   *
   * @throws {ShippingError} If the source is gone.
   */
  messages(
    from: ResumePoint,
    options: { follow: boolean; signal: AbortSignal },
  ): AsyncIterable<SourceMessage>;
}

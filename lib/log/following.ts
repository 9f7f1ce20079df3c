import {
  BatchIterator,
  type BatchSource,
  type ReadOptions,
} from "../segment/mod.ts";

/** Options of a reader that follows a log. */
export interface FollowOptions extends ReadOptions {
  /** Ends the reading: the pending or the next call rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** Options of {@linkcode Log.tail}. */
export interface TailOptions extends FollowOptions {
  /**
   * Return messages only once they survive a power cut.
   * @default {false}
   */
  durable?: boolean;
}

/** Options of a stream of messages. */
export interface ReaderStreamOptions extends FollowOptions {
  /** Continue with new messages, as a tail does. Default: `false`. */
  follow?: boolean;
}

/** Options of {@linkcode Log.messages} and {@linkcode Log.stream}. */
export interface StreamOptions extends ReaderStreamOptions, TailOptions {}

/**
 * Makes an iterator that can be left at any time, which ends the waits of its source.
 *
 * @param make Makes the source, which ends its waits by the signal that it is given.
 * @param givesAway Whether batches are the consumer's to drop.
 */
export function leavable(
  make: (signal: AbortSignal) => BatchSource,
  signal: AbortSignal | undefined,
  givesAway = false,
): BatchIterator {
  const leaving = new AbortController();
  const either = signal === undefined
    ? leaving.signal
    : AbortSignal.any([leaving.signal, signal]);
  return new BatchIterator(make(either), { leaving, signal, givesAway });
}

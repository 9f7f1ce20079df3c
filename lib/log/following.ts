import {
  BatchIterator,
  type BatchSource,
  type ReadOptions,
} from "../segment/mod.ts";

/** What a reading that goes on with what is written later may be told. */
export interface FollowOptions extends ReadOptions {
  /** Ends the reading: what waits, or the next call, rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** What a tail of one's own log may be told. */
export interface TailOptions extends FollowOptions {
  /**
   * Give messages when they survive a power cut, not already when they are in the file.
   * @default {false}
   */
  durable?: boolean;
}

/** What a stream of another's log may be told. */
export interface ReaderStreamOptions extends FollowOptions {
  /** Go on with what is written later, as a tail does. @default {false} */
  follow?: boolean;
}

/** What a stream of one's own log may be told. */
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

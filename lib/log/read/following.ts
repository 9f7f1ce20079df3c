import {
  BatchIterator,
  type BatchSource,
  type ReadOptions,
} from "../../segment/mod.ts";

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

/** Makes a scan of a log. It follows the log only with a signal, which ends its waits. */
export type Scanner = (
  options: StreamOptions,
  signal?: AbortSignal,
) => BatchSource;

/**
 * Makes an iterator whose waits end when it is left.
 *
 * @param givesAway Whether the consumer drops the batches.
 */
export function leavable(
  scan: Scanner,
  options: StreamOptions,
  givesAway = false,
): BatchIterator {
  const { signal } = options;
  const leaving = new AbortController();
  const either = signal === undefined
    ? leaving.signal
    : AbortSignal.any([leaving.signal, signal]);
  return new BatchIterator(scan(options, either), {
    leaving,
    signal,
    givesAway,
  });
}

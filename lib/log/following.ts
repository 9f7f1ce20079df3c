import type { Task } from "../base/mod.ts";
import {
  type BatchPass,
  iterate,
  type MessageBatch,
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

const DONE = { done: true, value: undefined } as const;

/**
 * Batches as an asynchronous iterator that can be left at any time: leaving ends the wait for more,
 * and a batch that comes too late is dropped.
 *
 * @param make Makes the pass, which ends its waits by the signal that it is given.
 */
export function leavable(
  make: (signal: AbortSignal) => BatchPass,
  signal: AbortSignal | undefined,
): AsyncIterableIterator<MessageBatch> {
  const leaving = new AbortController();
  const either = signal === undefined
    ? leaving.signal
    : AbortSignal.any([leaving.signal, signal]);
  const pass = make(either);
  const inner = iterate({
    *next(): Task<MessageBatch | undefined> {
      either.throwIfAborted();
      return yield* pass.next();
    },
    close: () => pass.close(),
  });
  const { signal: left } = leaving;
  const leave = async (): Promise<typeof DONE> => {
    leaving.abort();
    await inner.return();
    return DONE;
  };
  return {
    async next() {
      try {
        const next = await inner.next();
        if (!left.aborted) return next;
        next.value?.drop();
      } catch (error) {
        if (error !== left.reason) throw error;
      }
      return DONE;
    },
    return: leave,
    async throw(reason) {
      await leave();
      throw reason;
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

/**
 * Batches as a stream that asks for one only when it is read from; cancelling it gives everything
 * back.
 */
export function streamOf(
  batches: AsyncIterableIterator<MessageBatch>,
): ReadableStream<MessageBatch> {
  return ReadableStream.from(batches);
}

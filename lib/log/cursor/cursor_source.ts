import type { Task } from "../../base/mod.ts";
import type { MessageBatch } from "../../segment/mod.ts";
import type { LogPlace } from "../meta.ts";

/** How far a cursor lags. */
export interface CursorLag {
  /** Durable messages that are not committed. */
  messages: number;
  /**
   * Their bytes, headers included. They are exact for later segments, and estimated for the one
   * that holds the position.
   */
  bytes: number;
}

/** A segment as a cursor counts it. */
export interface CountedSegment {
  /** The offset of its first message. */
  firstOffset: number;
  /** The offset after its last message. */
  nextOffset: number;
  /** Bytes of its messages. */
  byteLength: number;
}

/** The log of a cursor, as its writer or a reader of it knows it. */
export interface CursorSource {
  /** Where the log is. */
  readonly place: LogPlace;
  /** Follows the durable messages from an offset. */
  tail(
    from: number,
    signal: AbortSignal | undefined,
  ): AsyncIterableIterator<MessageBatch>;
  /** Reads the durable messages of now from an offset. */
  read(from: number): AsyncIterableIterator<MessageBatch>;
  /**
   * Returns the offset after the last message. The log has no offset above it, and messages below
   * it may not be durable yet.
   */
  end(): Task<number>;
  /** Returns an offset up to which messages are known to be durable, without asking the disk. */
  knownEnd(): number;
  /** Returns the offset after the last durable message. */
  durableEnd(): Task<number>;
  /** Returns the segments that hold messages from an offset on. */
  segments(from: number): Task<readonly CountedSegment[]>;
}

/** Returns how far an offset is behind the end of a log. */
export function* lagAt(source: CursorSource, offset: number): Task<CursorLag> {
  const end = yield* source.durableEnd();
  const messages = Math.max(0, end - offset);
  if (messages === 0) return { messages, bytes: 0 };
  let bytes = 0;
  for (const segment of yield* source.segments(offset)) {
    const { firstOffset, nextOffset, byteLength } = segment;
    const count = nextOffset - firstOffset;
    const left = Math.min(nextOffset, end) - Math.max(firstOffset, offset);
    if (left > 0) bytes += byteLength * left / count;
  }
  return { messages, bytes: Math.round(bytes) };
}

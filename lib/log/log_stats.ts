import type { HistogramSnapshot } from "../segment/mod.ts";
import type { OpeningReport } from "./opening.ts";
import type { RetentionStats } from "./retain/retainer.ts";

/** A cursor that a log has open. */
export interface OpenCursor {
  /** Its name. */
  name: string;
  /** The committed position. */
  position: number;
  /** Durable messages that are not committed. */
  lagMessages: number;
}

/** A log's figures at one moment. */
export interface LogStats {
  /** Messages appended since the log was opened. */
  appendedMessages: number;
  /** Their bytes, headers included. */
  appendedBytes: number;
  /** Bytes of messages that are in memory and not in the files. */
  pendingBytes: number;
  /** Flushes that were run. */
  flushes: number;
  /** Messages that flushes made durable. */
  flushedMessages: number;
  /**
   * How long flushes took, in microseconds, those that failed included: from gathering the messages
   * to their durability, if that was asked for.
   */
  flushMicros: HistogramSnapshot;
  /** How many messages a flush made durable, of those that made any: the size of the groups. */
  groupMessages: HistogramSnapshot;
  /** Flushes of a lone appender that were written on the program's own thread. */
  inPlaceFlushes: number;
  /** How many calls wait for a flush or for durability now: the depth of the queue. */
  waiting: number;
  /** How often messages were made durable: by a sync, or by a write that carries it. */
  syncs: number;
  /** Segments that were closed because the next message would have exceeded their size. */
  rolls: number;
  /** Segments that there are. */
  segments: number;
  /** Bytes after the data that are allocated and zeroed. */
  preparedBytes: number;
  /** Bytes of what was written last that are in memory for tails. */
  tailBytes: number;
  /**
   * How far the clock is behind the last timestamp of the log, in microseconds; 0 as long as the
   * clock only goes forward. A clock that jumped ahead, and was set right again, leaves it above 0:
   * until it has caught up, all messages get that last timestamp.
   */
  clockBehindMicros: number;
  /** The cursors that this log has open. */
  cursors: readonly OpenCursor[];
  /** What retention did. */
  retention: RetentionStats;
  /** What opening found and did. */
  opening: OpeningReport;
}

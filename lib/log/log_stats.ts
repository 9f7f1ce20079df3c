import type { HistogramSnapshot } from "../segment/mod.ts";
import type { OpeningReport } from "./open/opening.ts";
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

/** A snapshot of a log's figures. */
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
   * Durations of flushes in microseconds, failed ones included: from gathering the messages to
   * their durability, if requested.
   */
  flushMicros: HistogramSnapshot;
  /** Messages per flush, of the flushes that made any durable. */
  groupMessages: HistogramSnapshot;
  /** Flushes that were written on the program's own thread. */
  inPlaceFlushes: number;
  /** Calls that wait for a flush or for durability now. */
  waiting: number;
  /** How often messages were made durable, by a sync or by a durable write. */
  syncs: number;
  /** Segments that were closed because the next message would have exceeded their size. */
  rolls: number;
  /** Segments of the log. */
  segments: number;
  /** Bytes after the data that are allocated and zeroed. */
  preparedBytes: number;
  /** Bytes of the newest messages in memory for tails. */
  tailBytes: number;
  /**
   * How far the clock is behind the last timestamp of the log, in microseconds; 0 unless the clock
   * was set back. Until it has caught up, all messages get that last timestamp.
   */
  clockBehindMicros: number;
  /** The cursors that this log has open. */
  cursors: readonly OpenCursor[];
  /** What retention did. */
  retention: RetentionStats;
  /** What opening found and did. */
  opening: OpeningReport;
}

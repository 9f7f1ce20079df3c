/** Counters of a file since it was opened. Failed operations count as started. */
export interface FileStats {
  /** Reads started. */
  readonly reads: number;
  /** Writes started. */
  readonly writes: number;
  /** Syncs started, without durable writes. */
  readonly syncs: number;
  /** Truncations and allocations started. */
  readonly resizes: number;
  /** Bytes read. */
  readonly bytesRead: number;
  /** Bytes written, including those of failed writes. */
  readonly bytesWritten: number;
  /** Asynchronous operations that have not completed. */
  readonly inFlight: number;
  /** Operations that failed. */
  readonly errors: number;
}

/** The counters behind a {@linkcode FileStats}. */
export type FileCounters = { -readonly [name in keyof FileStats]: number };

/** Counters at zero. */
export function fileCounters(): FileCounters {
  return {
    reads: 0,
    writes: 0,
    syncs: 0,
    resizes: 0,
    bytesRead: 0,
    bytesWritten: 0,
    inFlight: 0,
    errors: 0,
  };
}

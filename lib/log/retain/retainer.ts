import type { Task } from "../../base/mod.ts";
import type { StorageTimer, TaskStorage } from "../../storage/mod.ts";
import { publish } from "../events.ts";
import { isRetainEmpty, type RetainOptions } from "./plan.ts";
import { Removals } from "./removals.ts";
import {
  type RetainedLog,
  Retention,
  type RetentionReport,
} from "./retention.ts";

/** How often a log is looked at, in milliseconds. */
const INTERVAL_MS = 60_000;
/** While a flush waits, retention is put off by this time, in milliseconds. */
const POSTPONE_MS = 10;
/** It is put off this often at most: a log under constant load must be cut all the same. */
const MAX_POSTPONED = 100;

/** What retention did since the log was opened. */
export interface RetentionStats {
  /** How often it ran. */
  runs: number;
  /** Segments that it removed. */
  removedSegments: number;
  /** Bytes of their messages. */
  removedBytes: number;
  /** Cursors that needed a removed segment, because the log was above `hardBytes`. */
  passedCursors: number;
  /** How often it failed, and removed nothing or not all. */
  failures: number;
  /** The error of the last run, if it failed. */
  failure: Error | undefined;
}

/** What a {@linkcode Retainer} does to a log. */
export interface RetainerOptions {
  /** Its clock and timers. */
  storage: TaskStorage;
  /** What to keep. */
  retain: RetainOptions;
  /** The age at which the segment that is written ends, in milliseconds; 0 for never. */
  rollMs: number;
  /** Whether a call waits for a flush now. */
  isFlushAwaited(): boolean;
  /** Whether the log takes no more changes. */
  isOver(): boolean;
  /** Ends the segment that is written if it is older than `rollMs`. */
  rollIfOld(): Promise<void>;
}

/** Runs retention after a roll and once a minute, and counts what it does. */
export class Retainer {
  readonly #options: RetainerOptions;
  readonly #path: string;
  readonly #retention: Retention;
  readonly #removals: Removals;
  readonly #stats: RetentionStats = {
    runs: 0,
    removedSegments: 0,
    removedBytes: 0,
    passedCursors: 0,
    failures: 0,
    failure: undefined,
  };
  #tick: StorageTimer | undefined;
  #soon: StorageTimer | undefined;
  #isStopped = false;

  constructor(log: RetainedLog, options: RetainerOptions) {
    this.#options = options;
    this.#path = log.place.dir;
    this.#retention = new Retention(log);
    this.#removals = new Removals(log.place.dir);
    if (!isRetainEmpty(options.retain) || options.rollMs > 0) this.#wait();
  }

  /** The figures of this moment. */
  get stats(): RetentionStats {
    return { ...this.#stats };
  }

  /** What runs, for the calls of a log: one at a time, beside flushes. */
  get removals(): Removals {
    return this.#removals;
  }

  /** Removes what the options name, counted. */
  *retain(options: RetainOptions): Task<RetentionReport> {
    const stats = this.#stats;
    stats.runs++;
    try {
      const report = yield* this.#retention.retain(options);
      stats.removedSegments += report.removedSegments;
      stats.removedBytes += report.removedBytes;
      stats.passedCursors += report.passedCursors.length;
      stats.failure = undefined;
      if (report.removedSegments > 0) this.#tell(report, undefined);
      for (const cursor of report.passedCursors) {
        publish("basalt:cursor", () => ({
          log: this.#path,
          cursor,
          action: "passed",
          position: undefined,
          error: undefined,
        }));
      }
      return report;
    } catch (error) {
      stats.failures++;
      stats.failure = error as Error;
      this.#tell(undefined, error as Error);
      throw error;
    }
  }

  #tell(report: RetentionReport | undefined, error: Error | undefined): void {
    publish("basalt:retain", () => ({ log: this.#path, report, error }));
  }

  /** Removes the segments of which every message lies below an offset. */
  truncateBefore(offset: number): Task<number> {
    return this.#retention.truncateBefore(offset);
  }

  /** A segment was sealed: looks soon. */
  rolled(): void {
    if (isRetainEmpty(this.#options.retain)) return;
    this.#look(0);
  }

  /** Waits for what is in flight; nothing starts after this. */
  stop(): Task<void> {
    this.#isStopped = true;
    this.#tick?.cancel();
    this.#soon?.cancel();
    return this.#removals.close();
  }

  #wait(): void {
    const { storage, rollMs } = this.#options;
    const delayMs = Math.min(INTERVAL_MS, rollMs || INTERVAL_MS);
    this.#tick = storage.after(delayMs, () => this.#onTick());
  }

  async #onTick(): Promise<void> {
    if (this.#isOver) return;
    try {
      await this.#options.rollIfOld();
    } catch {
      // Poison, or a full disk: the next append tells.
    }
    if (this.#isOver) return;
    if (!isRetainEmpty(this.#options.retain)) this.#look(0);
    this.#wait();
  }

  get #isOver(): boolean {
    return this.#isStopped || this.#options.isOver();
  }

  /** Retains in a turn of its own, while no flush waits. */
  #look(postponed: number): void {
    if (this.#isOver || this.#soon !== undefined) return;
    const { storage, isFlushAwaited, retain } = this.#options;
    const delayMs = postponed === 0 ? 0 : POSTPONE_MS;
    this.#soon = storage.after(delayMs, () => {
      this.#soon = undefined;
      if (this.#isOver) return;
      if (postponed < MAX_POSTPONED && isFlushAwaited()) {
        this.#look(postponed + 1);
        return;
      }
      this.#removals.run(() => this.retain(retain)).catch(() => {
        // It is counted.
      });
    });
  }
}

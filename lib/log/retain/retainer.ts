import { drive, type Task } from "../../base/mod.ts";
import type { StorageTimer } from "../../storage/mod.ts";
import { publish, publishCursor } from "../events.ts";
import type { CompleteLogOptions } from "../log_options.ts";
import { firstTimestampOf } from "../read/_log_scan.ts";
import type { OwnLog } from "../_own_log.ts";
import { isRetainEmpty, type RetainOptions } from "./plan.ts";
import { Removals } from "./_removals.ts";
import { Retention, type RetentionReport } from "./retention.ts";

/** Interval between two looks at a log, in milliseconds. */
const INTERVAL_MS = 60_000;
/** Delay of retention while a call waits for a flush, in milliseconds. */
const POSTPONE_MS = 10;
/** Most delays in a row, so that a log under constant load is cut, too. */
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

/** Runs retention after a roll and once a minute, and counts what it does. */
export class Retainer {
  /** Runs removals one at a time, beside flushes. */
  readonly removals: Removals;
  /** Removes segments, uncounted. */
  readonly retention: Retention;
  readonly #log: OwnLog;
  readonly #options: CompleteLogOptions;
  readonly #stats: RetentionStats = {
    runs: 0,
    removedSegments: 0,
    removedBytes: 0,
    passedCursors: 0,
    failures: 0,
    failure: undefined,
  };
  /** The append time of the first message of a segment, in microseconds. */
  #beganAt: { firstOffset: number; micros: number } | undefined;
  #tick: StorageTimer | undefined;
  #soon: StorageTimer | undefined;
  #isStopped = false;

  constructor(log: OwnLog, options: CompleteLogOptions) {
    this.#log = log;
    this.#options = options;
    this.retention = new Retention(log);
    this.removals = new Removals(log.place.dir);
    if (!isRetainEmpty(options.retain) || options.rollMs > 0) this.#wait();
  }

  /** A snapshot of the figures. */
  get stats(): RetentionStats {
    return { ...this.#stats };
  }

  /** Removes what the options name, and counts it. */
  *retain(options: RetainOptions): Task<RetentionReport> {
    const stats = this.#stats;
    stats.runs++;
    try {
      const report = yield* this.retention.retain(options);
      stats.removedSegments += report.removedSegments;
      stats.removedBytes += report.removedBytes;
      stats.passedCursors += report.passedCursors.length;
      stats.failure = undefined;
      if (report.removedSegments > 0) this.#tell(report, undefined);
      for (const cursor of report.passedCursors) {
        publishCursor(this.#log.place.dir, cursor, "passed");
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
    const log = this.#log.place.dir;
    publish("basalt:retain", () => ({ log, report, error }));
  }

  /** Runs retention soon. Called when a segment was sealed. */
  rolled(): void {
    if (!isRetainEmpty(this.#options.retain)) this.#look(0);
  }

  /** Stops retention, and waits for the removal in flight. */
  stop(): Task<void> {
    this.#isStopped = true;
    this.#tick?.cancel();
    this.#soon?.cancel();
    return this.removals.close();
  }

  #wait(): void {
    const { rollMs } = this.#options;
    const delayMs = Math.min(INTERVAL_MS, rollMs || INTERVAL_MS);
    const { storage } = this.#log.place;
    this.#tick = storage.after(delayMs, () => this.#onTick());
  }

  async #onTick(): Promise<void> {
    if (this.#isOver) return;
    try {
      await this.#rollIfOld();
    } catch {
      // The next append reports poison or a full disk.
    }
    if (this.#isOver) return;
    this.rolled();
    this.#wait();
  }

  /** Ends the active segment if its first message is older than `rollMs`. */
  async #rollIfOld(): Promise<void> {
    const { rollMs } = this.#options;
    const { appender, place } = this.#log;
    const { firstOffset, written } = appender.active;
    if (rollMs === 0 || written.position === 0) return;
    if (this.#beganAt?.firstOffset !== firstOffset) {
      const first = firstTimestampOf(place, firstOffset, written.position);
      this.#beganAt = { firstOffset, micros: (await drive(first)) ?? Infinity };
    }
    const ageMicros = place.storage.now() - this.#beganAt.micros;
    if (ageMicros < rollMs * 1000) return;
    await appender.commit.exclusively(() => appender.roll(firstOffset));
  }

  get #isOver(): boolean {
    const { isClosed, poison } = this.#log.appender;
    return this.#isStopped || isClosed || poison !== undefined;
  }

  /** Retains in a turn of its own, while no flush waits. */
  #look(postponed: number): void {
    if (this.#isOver || this.#soon !== undefined) return;
    const { appender, place } = this.#log;
    const delayMs = postponed === 0 ? 0 : POSTPONE_MS;
    this.#soon = place.storage.after(delayMs, () => {
      this.#soon = undefined;
      if (this.#isOver) return;
      if (postponed < MAX_POSTPONED && appender.commit.isAwaited) {
        this.#look(postponed + 1);
        return;
      }
      this.removals.run(() => this.retain(this.#options.retain)).catch(() => {
        // The failure is counted.
      });
    });
  }
}

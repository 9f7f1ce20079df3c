import { checkInteger, type Task } from "../../base/mod.ts";
import type { SealedSegment } from "../open/opening.ts";

/** Which segments a log may remove: those for which one of these conditions holds. */
export interface RetainOptions {
  /** The log is larger than this many bytes. Default: no limit. */
  bytes?: number;
  /** The last message of the segment is older than this, in milliseconds. Default: no limit. */
  ageMs?: number;
  /**
   * The log is larger than this many bytes. Then the segment is removed even if a cursor needs it,
   * and the next read of the cursor is an error. Default: no limit.
   */
  hardBytes?: number;
}

/** {@linkcode RetainOptions} for one call, with one more condition. */
export interface RetainNowOptions extends RetainOptions {
  /** Every message of the segment lies below this offset. Default: none. */
  before?: number;
}

/** The state of a log that decides what retention removes. */
export interface RetainFacts {
  /** All segments but the active one, in order. */
  sealed: readonly SealedSegment[];
  /** Bytes of messages in the active segment. */
  activeBytes: number;
  /** The positions of all cursors. */
  cursors: readonly { name: string; offset: number }[];
  /** The time, in microseconds since the Unix epoch. */
  now: number;
  /** Returns the append time of the last message of `sealed[i]`, in microseconds. */
  lastTimestamp(i: number): Task<number>;
}

/** The segments that retention removes. */
export interface RetainPlan {
  /** How many, from the first. */
  count: number;
  /** Their bytes. */
  bytes: number;
  /** The names of the cursors that still need one of them. */
  passed: string[];
}

/**
 * Decides which segments to remove: leading ones only, and none that a cursor needs, unless the log
 * is above `hardBytes`.
 *
 * A cursor below the first offset was passed before, so it keeps nothing.
 */
export function* planRetention(
  facts: RetainFacts,
  options: RetainNowOptions,
): Task<RetainPlan> {
  const { sealed, cursors, activeBytes } = facts;
  const { hardBytes = Infinity } = options;
  const first = sealed[0]?.firstOffset ?? 0;
  const passed = new Set<string>();
  let count = 0;
  let bytes = 0;
  let total = activeBytes;
  for (const { byteLength } of sealed) total += byteLength;
  for (const [i, segment] of sealed.entries()) {
    const needing = cursors.filter(({ offset }) =>
      offset >= first && offset < segment.nextOffset
    );
    const isRemoved = total > hardBytes ||
      needing.length === 0 && (yield* isUnwanted(facts, options, i, total));
    if (!isRemoved) break;
    for (const { name } of needing) passed.add(name);
    count++;
    bytes += segment.byteLength;
    total -= segment.byteLength;
  }
  return { count, bytes, passed: [...passed].sort() };
}

function* isUnwanted(
  facts: RetainFacts,
  { bytes = Infinity, ageMs, before = 0 }: RetainNowOptions,
  i: number,
  total: number,
): Task<boolean> {
  if (total > bytes || facts.sealed[i]!.nextOffset <= before) return true;
  if (ageMs === undefined) return false;
  // A time in the future keeps the segment until it has passed.
  return facts.now - (yield* facts.lastTimestamp(i)) > ageMs * 1000;
}

const NAMES = ["bytes", "ageMs", "hardBytes", "before"] as const;

/**
 * Checks the bounds of retention.
 *
 * @throws {TypeError} If a bound is not a number.
 * @throws {RangeError} If a bound is out of its range.
 */
export function checkRetain(action: string, options: RetainNowOptions): void {
  for (const name of NAMES) {
    const value = options[name];
    if (value !== undefined) checkInteger(action, name, value);
  }
}

/** Whether no bound is given. */
export function isRetainEmpty(options: RetainNowOptions): boolean {
  return NAMES.every((name) => options[name] === undefined);
}

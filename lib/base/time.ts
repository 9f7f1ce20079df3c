import { shown } from "./checks.ts";

/**
 * A time: microseconds since the Unix epoch (UTC), a `Date` or a `Temporal.Instant`.
 *
 * @example The same time in three ways
 * ```ts
 * import { Log, type Time } from "@basalt/io";
 * import { assertEquals } from "@std/assert";
 *
 * const dir = Deno.makeTempDirSync();
 * {
 *   using log = Log.openSync(dir);
 *   log.append("hello");
 *   log.flushSync();
 *   const text = "2024-01-01T00:00:00Z";
 *   const times: Time[] = [
 *     Date.parse(text) * 1000,
 *     new Date(text),
 *     Temporal.Instant.from(text),
 *   ];
 *   for (const since of times) {
 *     assertEquals([...log.readSync({ since })].length, 1);
 *   }
 * }
 * Deno.removeSync(dir, { recursive: true });
 * ```
 */
export type Time = number | Date | InstantLike;

/** What is used of a `Temporal.Instant`. */
export interface InstantLike {
  /** Nanoseconds since the Unix epoch. */
  readonly epochNanoseconds: bigint;
}

/**
 * Returns a time in whole microseconds.
 *
 * @param action What the time is for, such as `"read"`.
 * @param name The name of the argument.
 * @throws {TypeError} If it is no time.
 * @throws {RangeError} If it is not from the epoch to 2^53 - 1 microseconds after it.
 */
export function microsOf(action: string, name: string, time: Time): number {
  const micros = plainMicros(time);
  if (micros !== undefined && Number.isSafeInteger(micros) && micros >= 0) {
    return micros;
  }
  const message =
    `Cannot ${action} as '${name}' must be a Date, a Temporal.Instant or an integer of microseconds from 0 to ${Number.MAX_SAFE_INTEGER}: received `;
  if (micros === undefined) throw new TypeError(message + shown(time));
  throw new RangeError(message + textOf(time));
}

function plainMicros(time: Time): number | undefined {
  if (typeof time === "number") return time;
  if (time instanceof Date) return time.getTime() * 1000;
  const nanos: unknown = time?.epochNanoseconds;
  if (typeof nanos !== "bigint") return undefined;
  return nanos < 0n ? -1 : Number(nanos / 1000n);
}

function textOf(time: Time): string {
  const isValidDate = time instanceof Date && !Number.isNaN(time.getTime());
  return isValidDate ? time.toISOString() : String(time);
}

import { InvalidArgumentError } from "commander";

const BYTES: Readonly<Record<string, number>> = {
  "": 1,
  K: 1024,
  M: 1024 ** 2,
  G: 1024 ** 3,
  T: 1024 ** 4,
};

const MILLISECONDS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Parses a number of bytes, such as `10G`: units are powers of 1024. */
export function bytes(text: string): number {
  return amount(
    text,
    /^(\d+(?:\.\d+)?)([KMGT]?)(?:i?B)?$/i,
    (unit) => BYTES[unit.toUpperCase()],
    "Give bytes such as 500M or 10G.",
  );
}

/** Parses a duration, such as `7d`, to milliseconds. */
export function duration(text: string): number {
  return amount(
    text,
    /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/,
    (unit) => MILLISECONDS[unit],
    "Give a duration such as 90s, 30m, 12h or 7d.",
  );
}

function amount(
  text: string,
  pattern: RegExp,
  factorOf: (unit: string) => number | undefined,
  advice: string,
): number {
  const [, digits, unit] = pattern.exec(text) ?? [];
  const factor = factorOf(unit ?? "?");
  const value = Math.round(Number(digits) * (factor ?? NaN));
  if (Number.isSafeInteger(value)) return value;
  throw new InvalidArgumentError(advice);
}

/** Parses an option's value that counts something. */
export function wholeNumber(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new InvalidArgumentError(
    `Give an integer from 0 to ${Number.MAX_SAFE_INTEGER}.`,
  );
}

/** A date, with a time or without, to the nanosecond; and the zone that it names. */
const DATE =
  /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::[0-5]\d(?:\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?)?$/;
/**
 * Microseconds since the Unix epoch, from 2001 to 2286: no seconds, and no date without hyphens.
 */
const MICROSECONDS = /^\d{16}$/;

/** The forms that {@linkcode time} takes, for the help of an option. */
export const TIME_FORMS =
  "a date (2026-11-24), a date and time (2026-11-24T16:00, with Z or an offset; else local time), " +
  "a time ago (90s, 15m, 2h, 7d), now, or 16 digits of microseconds since the Unix epoch";

/**
 * Parses a time in one of the {@linkcode TIME_FORMS}; returns microseconds since the Unix epoch,
 * rounded up.
 */
export function time(text: string): number {
  const micros = microsOf(text);
  if (micros <= Number.MAX_SAFE_INTEGER) return Math.max(0, micros);
  throw new InvalidArgumentError("Give a time before the year 2255.");
}

function microsOf(text: string): number {
  if (text === "now") return micros(Temporal.Now.instant());
  if (MICROSECONDS.test(text)) return Number(text);
  if (/^\d+[smhd]$/.test(text)) {
    return micros(Temporal.Now.instant()) - duration(text) * 1000;
  }
  const date = DATE.exec(text);
  if (date !== null) {
    try {
      return micros(instantOf(text, date[1]));
    } catch (error) {
      // A day or hour that does not exist.
      if (!(error instanceof RangeError)) throw error;
    }
  }
  throw new InvalidArgumentError(`Give ${TIME_FORMS}.`);
}

function instantOf(text: string, zone: string | undefined): Temporal.Instant {
  return zone === undefined
    ? Temporal.PlainDateTime.from(text)
      .toZonedDateTime(Temporal.Now.timeZoneId()).toInstant()
    : Temporal.Instant.from(text);
}

function micros(instant: Temporal.Instant): number {
  return Number((instant.epochNanoseconds + 999n) / 1000n);
}

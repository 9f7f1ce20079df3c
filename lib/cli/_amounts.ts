import { InvalidArgumentError } from "commander";

/** Parses a number of bytes, such as `10G`: units are powers of 1024. */
export const bytes: (text: string) => number = amountParser(
  /^(\d+(?:\.\d+)?)([KMGT]?)(?:i?B)?$/i,
  { "": 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 },
  "Give bytes such as 500M or 10G.",
);

/** Parses a duration, such as `7d`, to milliseconds. */
export const duration: (text: string) => number = amountParser(
  /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/,
  { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 },
  "Give a duration such as 90s, 30m, 12h or 7d.",
);

function amountParser(
  pattern: RegExp,
  units: Readonly<Record<string, number>>,
  advice: string,
): (text: string) => number {
  return (text) => {
    const [, digits, unit = ""] = pattern.exec(text) ?? [];
    const value = Math.round(Number(digits) * units[unit.toLowerCase()]!);
    if (Number.isSafeInteger(value)) return value;
    throw new InvalidArgumentError(advice);
  };
}

/** Parses the value of an option that counts something. */
export function wholeNumber(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new InvalidArgumentError(
    `Give an integer from 0 to ${Number.MAX_SAFE_INTEGER}.`,
  );
}

/** A date, with or without a time to the nanosecond and a zone. */
const DATE =
  /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::[0-5]\d(?:\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?)?$/;
/**
 * Microseconds since the Unix epoch, from 2001 to 2286. Seconds have fewer digits, and so has a
 * date without hyphens.
 */
const MICROSECONDS = /^\d{16}$/;

/** The forms that {@linkcode time} takes, for the help of an option. */
export const TIME_FORMS =
  "a date (2026-11-24), a date and time (2026-11-24T16:00; local time unless Z or an offset follows), " +
  "an age (90s, 15m, 2h, 7d), now, or microseconds since the Unix epoch (16 digits)";

/**
 * Parses a time in one of the {@linkcode TIME_FORMS} to microseconds since the Unix epoch, rounded
 * up.
 */
export function time(text: string): number {
  const micros = microsOf(text);
  if (micros <= Number.MAX_SAFE_INTEGER) return Math.max(0, micros);
  throw new InvalidArgumentError("Give a time before the year 2255.");
}

function microsOf(text: string): number {
  const now = () => micros(Temporal.Now.instant());
  if (text === "now") return now();
  if (MICROSECONDS.test(text)) return Number(text);
  if (/^\d+[smhd]$/.test(text)) return now() - duration(text) * 1000;
  const date = DATE.exec(text);
  if (date !== null) {
    try {
      return micros(instantOf(text, date[1]));
    } catch (error) {
      // The day or the hour does not exist.
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

import { Command, InvalidArgumentError } from "commander";
import type { Console } from "./console.ts";

/** Makes a command for one run. A file of `commands/` exports one, and `commands.ts` lists it. */
export type MakeCommand = (console: Console) => Command;

/**
 * Makes a command.
 *
 * @param help The end of its help. The lines are wrapped to the terminal, except those that are
 *   indented by two spaces: command lines.
 */
export function command(
  name: string,
  description: string,
  help: string,
): Command {
  const made = new Command(name).description(description);
  return made.addHelpText("after", () => {
    const columns = made.configureOutput().getOutHelpWidth!();
    return help.replace(/(?<=\S)\n(?=\S)/g, " ").replace(
      /^( {6})?\S.*$/gm,
      (line, indent = "") =>
        made.createHelp().boxWrap(line, columns - indent.length)
          .replaceAll("\n", `\n${indent}`),
    );
  });
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
const DURATION = /^(\d+)([smhd])$/;
const UNIT_SECONDS: Readonly<Record<string, number>> = {
  s: 1,
  m: 60,
  h: 60 * 60,
  d: 24 * 60 * 60,
};
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
  const [, count, unit] = DURATION.exec(text) ?? [];
  if (unit !== undefined) {
    const agoMicros = Number(count) * UNIT_SECONDS[unit]! * 1e6;
    return micros(Temporal.Now.instant()) - agoMicros;
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

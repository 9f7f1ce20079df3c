import { Command, InvalidArgumentError, Option } from "commander";
import type { Console } from "./console.ts";

/** Makes a command for one run. A file of `commands/` exports one, and `commands.ts` lists it. */
export type MakeCommand = (console: Console) => Command;

/** What the help of a command shows below its options. */
export interface Teaching {
  /** Command lines, each with what it does. */
  examples: readonly (readonly [line: string, what: string])[];
  /** Paragraphs: what else there is to know. */
  notes?: readonly string[];
}

/** Makes a command whose help has examples. */
export function command(
  name: string,
  description: string,
  teaching: Teaching,
): Command {
  const { examples, notes = [] } = teaching;
  const lines = examples.map(([line, what]) => `  ${line}\n      ${what}`);
  const text = [
    ...notes.flatMap((note) => ["", note]),
    "",
    "Examples:",
    ...lines,
  ].join("\n");
  return new Command(name).description(description).addHelpText("after", text);
}

/** The option that every command has. */
export function jsonOption(what: string): Option {
  return new Option("--json", what);
}

/** Parses an option's value that counts something. */
export function wholeNumber(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new InvalidArgumentError(
    `Give an integer from 0 to ${Number.MAX_SAFE_INTEGER}.`,
  );
}

/** Parses a time: digits are microseconds since the Unix epoch, anything else a date as `Date` reads it. */
export function time(text: string): number {
  if (/^\d+$/.test(text)) return wholeNumber(text);
  const ms = Date.parse(text);
  if (ms >= 0) return ms * 1000;
  throw new InvalidArgumentError(
    "Give a date such as 2026-11-24T16:00:00Z, or microseconds since the Unix epoch.",
  );
}

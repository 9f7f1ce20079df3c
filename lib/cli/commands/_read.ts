import { type Command, Option } from "commander";
import type { Message } from "../../codec/mod.ts";
import {
  type Cursor,
  inspectLog,
  LogReader,
  salvageLog,
} from "../../log/mod.ts";
import type { MessageBatch } from "../../segment/mod.ts";
import { time, TIME_FORMS, wholeNumber } from "../_amounts.ts";
import { command, type MakeCommand } from "../_command.ts";
import type { Console } from "../_console.ts";
import { Interrupted, Interruption } from "../_interruption.ts";
import { cutToWidth, formatTime } from "../_terminal.ts";

/** Characters of a payload that a line shows. */
const PREVIEW = 80;
/** In a narrower terminal a message takes two lines. */
const MIN_LINE_COLUMNS = 60;
/** Decodes a payload, and fails if it is not text. */
const TEXT = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const PREVIEW_TEXT = new TextDecoder();

/** The options of `read` and `tail`. */
interface Options {
  /** The first offset. */
  from?: number;
  /** The earliest append time, in microseconds since the Unix epoch. */
  since?: number;
  /** The name of the cursor at which to start. */
  cursor?: string;
  /** Whether to commit to the cursor. */
  commit?: true;
  /** Upper bound of the number of messages. */
  count?: number;
  /** Whether to print payloads alone. */
  raw?: true;
  /** Whether to print lines of JSON. */
  json?: true;
  /** Whether `read` continues after damage. */
  skipDamaged?: true;
  /** Whether `tail` prints only messages that survive a power cut. */
  durable?: true;
}

const READ_HELP = `
With --json each message is one line. "text" holds a payload that is UTF-8, "base64" any other.
Times are microseconds since the Unix epoch.

Reading stops at the end of the data, or at a damaged message with exit code 1. With
--skip-damaged it continues, and standard error says what was left out.

Instead of the directory, FILE.log or FILE.cut prints the valid messages of one file. A .cut file
holds what recovery or repair took out of the log.

Examples:
  basalt read data/log --count 10
      the first ten messages: offset, time, size, beginning
  basalt read data/log --raw > copy
      the bytes that were ingested
  basalt read data/log --cursor billing --commit --json
      continue where the last run stopped
  basalt read data/log --since 2026-11-24T16:00:00Z --json
      messages appended since then, for another program
  basalt read data/log --since 15m
      messages of the last 15 minutes
  basalt read data/log --skip-damaged --raw > rescued
      all valid messages of a damaged log
  basalt read data/log/00000000000000000000.4096.0.cut
      what was cut from a log`;

/** `basalt read`: prints messages of a log, also while it is being written. */
export const read: MakeCommand = (console) => {
  const made = command(
    "read",
    "Print the messages of a log, and verify each one first. Other processes may read and write meanwhile.",
    READ_HELP,
  ).argument("<dir>", "the log's directory, or a .log or .cut file in it");
  return printingOptions(made)
    .addOption(
      new Option(
        "--since <time>",
        `skip messages appended before this time: ${TIME_FORMS}`,
      ).argParser(time),
    )
    .addOption(
      new Option(
        "--cursor <name>",
        "start at this cursor, and print only messages that survive a power cut",
      ).conflicts(["since", "skipDamaged"]),
    )
    .option(
      "--skip-damaged",
      "continue after damage; the exit code is 1 if something was left out",
    )
    .action(async (path: string, options: Options) => {
      const { cursor: name, skipDamaged } = options;
      const reader = new LogReader(path);
      await using cursor = name === undefined
        ? undefined
        : await reader.cursor(name);
      const isOneFile = /\.(log|cut|index)$/.test(path) && isFile(path);
      const batches = cursor?.batches({ follow: false }) ??
        (skipDamaged || isOneFile
          ? salvage(path, options, console)
          : reader.read(options));
      await printAll(batches, options, cursor, console);
    });
};

const TAIL_HELP = `
It starts with the next message that is written, unless an option says otherwise. With --cursor it
prints only durable messages.

Examples:
  basalt tail data/log
      messages as they are written
  basalt tail data/log --from 0 --json
      all messages, then those that follow
  basalt tail data/log --cursor audit --commit
      continue where the last run stopped`;

/** `basalt tail`: prints messages of a log as they are written. */
export const tail: MakeCommand = (console) => {
  const made = command(
    "tail",
    "Print the messages of a log as another process writes them, until Ctrl-C or --count.",
    TAIL_HELP,
  ).argument("<dir>", "the log's directory");
  return printingOptions(made)
    .addOption(
      new Option(
        "--since <time>",
        `start with the first message appended since then: ${TIME_FORMS}`,
      ).argParser(time).conflicts("cursor"),
    )
    .addOption(
      new Option("--cursor <name>", "start at this cursor")
        .conflicts("durable"),
    )
    .option("--durable", "print only messages that survive a power cut")
    .action(async (dir: string, options: Options) => {
      const { cursor: name, since, durable = false } = options;
      using interruption = new Interruption();
      const { signal } = interruption;
      const reader = new LogReader(dir);
      await using cursor = name === undefined
        ? undefined
        : await reader.cursor(name);
      const start = async () =>
        since !== undefined
          ? { since }
          : { from: options.from ?? (await inspectLog(dir)).nextOffset };
      const batches = cursor?.batches({ signal }) ??
        reader.tail({ ...await start(), durable, signal });
      try {
        await printAll(batches, options, cursor, console);
      } catch (error) {
        if (error !== signal.reason) throw error;
        throw new Interrupted("Interrupted");
      }
    });
};

/** Adds the options that `read` and `tail` share. */
function printingOptions(made: Command): Command {
  return made
    .addOption(
      new Option("--from <offset>", "start with the message at this offset")
        .argParser(wholeNumber).conflicts(["since", "cursor"]),
    )
    .option("--commit", "commit what was printed to the cursor")
    .option("--count <n>", "stop after <n> messages", wholeNumber)
    .addOption(
      new Option("--raw", "print the payloads alone, without separators")
        .conflicts("json"),
    )
    .option("--json", "print a JSON object for each message");
}

/** Reads valid messages, and reports what is left out. */
function salvage(
  path: string,
  options: Options,
  console: Console,
): AsyncIterableIterator<MessageBatch> {
  return salvageLog(path, {
    ...options,
    onSkipped({ path, position, byteLength, message }) {
      console.exitCode = 1;
      console.flush();
      const bytes = byteLength === 0
        ? ""
        : ` and ${byteLength} bytes from there`;
      console.error(
        `skipped ${path}: byte ${position}${bytes}: ${message}`,
      );
    },
  });
}

/** Prints batches up to a count, commits them if asked to, and drops them. */
async function printAll(
  batches: AsyncIterableIterator<MessageBatch>,
  { raw, json, commit, count = Infinity }: Options,
  cursor: Cursor | undefined,
  console: Console,
): Promise<void> {
  const print = raw ? printRaw : json ? printJson : printLine;
  let left = count;
  if (left === 0) return;
  for await (using batch of batches) {
    const printed = Math.min(batch.count, left);
    for (let i = 0; i < printed; i++) print(batch, i, console);
    // Show these before the next call, which may fail or wait.
    console.flush();
    if (commit) await cursor?.commit(batch.firstOffset + printed);
    left -= printed;
    if (left === 0) return;
  }
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

function printRaw(batch: MessageBatch, i: number, console: Console): void {
  console.write(batch.payload(i));
}

function printJson(batch: MessageBatch, i: number, console: Console): void {
  const message = batch.message(i);
  const { offset, timestamp, id, userHeaders, payload } = message;
  console.json({
    offset,
    timestamp,
    originTimestamp: originTimestamp(message),
    id,
    userHeaders,
    ...asText(payload),
  });
}

/** Returns the producer's time; `null` if it is a number that JSON cannot hold. */
function originTimestamp(message: Message): number | null {
  try {
    return message.originTimestamp;
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

function asText(payload: Uint8Array): { text: string } | { base64: string } {
  try {
    return { text: TEXT.decode(payload) };
  } catch {
    return { base64: payload.toBase64() };
  }
}

function printLine(batch: MessageBatch, i: number, console: Console): void {
  const payload = batch.payload(i);
  // Escaped, because a payload must not reach the terminal as a control sequence.
  const text = JSON.stringify(
    PREVIEW_TEXT.decode(payload.subarray(0, PREVIEW)),
  ).replace(
    /[\x7f-\x9f]/g,
    (character) => `\\u00${character.charCodeAt(0).toString(16)}`,
  );
  const more = payload.length > PREVIEW ? "…" : "";
  const time = formatTime(batch.timestamp(i));
  const head = `${batch.offset(i)}  ${time}  ${payload.length}`;
  const line = `${head}  ${text}${more}`;
  const { columns } = console;
  if (columns === undefined) console.line(line);
  else if (columns >= MIN_LINE_COLUMNS) console.line(cutToWidth(line, columns));
  else {
    console.line(cutToWidth(head, columns));
    console.line(cutToWidth(`  ${text}${more}`, columns));
  }
}

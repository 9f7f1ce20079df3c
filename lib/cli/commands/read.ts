import { type Command, Option } from "commander";
import type { Message } from "../../codec/mod.ts";
import {
  type Cursor,
  type LogFault,
  LogReader,
  salvageLog,
} from "../../log/mod.ts";
import type { MessageBatch } from "../../segment/mod.ts";
import { time, TIME_FORMS, wholeNumber } from "../amounts.ts";
import { command } from "../command.ts";
import type { Console } from "../console.ts";
import { formatTime } from "../terminal.ts";

/** Characters of a payload that a line shows. */
const PREVIEW = 80;
/** A payload as text, where it is text. */
const TEXT = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const PREVIEW_TEXT = new TextDecoder();

/** The options that `read` and `tail` share. */
export interface PrintingFlags {
  /** The first offset. */
  from?: number;
  /** The earliest append time, in microseconds since the Unix epoch. */
  since?: number;
  /** The cursor where to begin. */
  cursor?: string;
  /** Commit to it. */
  commit?: true;
  /** Upper bound of the number of messages. */
  count?: number;
  /** Payloads alone. */
  raw?: true;
  /** Lines of JSON. */
  json?: true;
}

interface Options extends PrintingFlags {
  skipDamaged?: true;
}

const HELP = `
With --json a line for each message: "text" holds the payload if it is UTF-8, else "base64"
does; times are microseconds since the Unix epoch.

It ends where the data ends. A damaged message ends it with exit code 1, after all before it;
with --skip-damaged it goes on, and standard error says what was left out.

FILE.log or FILE.cut, instead of a directory, prints what is whole in that file of a log: a .cut
file holds what recovery or repair took out of the log.

Examples:
  basalt read data/log --count 10
      the first ten messages: offset, time, bytes, beginning
  basalt read data/log --raw > copy
      the bytes that were ingested
  basalt read data/log --cursor billing --commit --json
      what no such reading has printed before
  basalt read data/log --since 2026-11-24T16:00:00Z --json
      what was appended since then, for another program
  basalt read data/log --skip-damaged --raw > rescued
      all that is whole in a damaged log
  basalt read data/log/00000000000000000000.4096.0.cut
      what was cut from a log
  basalt read data/log --since 15m
      the messages of the last 15 minutes`;

/** `basalt read`: messages of a log, also of one that is being written. */
export function read(console: Console): Command {
  const made = command(
    "read",
    "Print the messages of a log, each verified first. Any number may read while another process writes.",
    HELP,
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
        "begin where this cursor is; print only what survives a power cut",
      ).conflicts(["since", "skipDamaged"]),
    )
    .option(
      "--skip-damaged",
      "go on after what is damaged; exit code 1 if something was left out",
    )
    .action((dir: string, options: Options) => readLog(dir, options, console));
}

/** Adds the options that `read` and `tail` share. */
export function printingOptions(made: Command): Command {
  return made
    .addOption(
      new Option("--from <offset>", "begin with the message at this offset")
        .argParser(wholeNumber).conflicts(["since", "cursor"]),
    )
    .option("--commit", "commit what was printed to the cursor")
    .option("--count <n>", "end after <n> messages", wholeNumber)
    .addOption(
      new Option("--raw", "payloads alone, one after the other, byte by byte")
        .conflicts("json"),
    )
    .option("--json", "a JSON object for each message");
}

async function readLog(
  path: string,
  { raw, json, skipDamaged, cursor: name, commit, ...options }: Options,
  console: Console,
): Promise<void> {
  const reader = new LogReader(path);
  await using cursor = name === undefined
    ? undefined
    : await reader.cursor(name);
  const batches = cursor?.batches({ follow: false }) ??
    (skipDamaged || /\.(log|cut|index)$/.test(path) && isFile(path)
      ? salvageLog(path, {
        ...options,
        onSkipped: (fault) => {
          console.exitCode = 1;
          console.flush();
          console.error(inWords(fault));
        },
      })
      : reader.read(options));
  const print = printerOf({ raw, json });
  const { count } = options;
  await printAll(batches, { print, count, cursor: commit && cursor }, console);
}

/** How to print batches. */
export interface PrintOptions {
  /** Prints a message. */
  print: Printer;
  /** Upper bound of the number of messages; all if left out. */
  count: number | undefined;
  /** To which what was printed is committed. */
  cursor: Cursor | undefined;
}

/** Prints batches up to a count, and drops them. */
export async function printAll(
  batches: AsyncIterableIterator<MessageBatch>,
  { print, count = Infinity, cursor }: PrintOptions,
  console: Console,
): Promise<void> {
  let left = count;
  if (left === 0) return;
  for await (using batch of batches) {
    const printed = Math.min(batch.count, left);
    for (let i = 0; i < printed; i++) print(batch, i, console);
    // What was read is shown before what comes next may fail, or wait.
    console.flush();
    await cursor?.commit(batch.firstOffset + printed);
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

function inWords({ path, position, byteLength, message }: LogFault): string {
  const bytes = byteLength === 0 ? "" : ` and ${byteLength} bytes from there`;
  return `skipped ${path}: byte ${position}${bytes}: ${message}`;
}

/** Prints a message of a batch. */
export type Printer = (
  batch: MessageBatch,
  i: number,
  console: Console,
) => void;

/** Returns what prints messages as the options say. */
export function printerOf(
  { raw, json }: { raw?: true | undefined; json?: true | undefined },
): Printer {
  return raw ? printRaw : json ? printJson : printLine;
}

function printRaw(batch: MessageBatch, i: number, console: Console): void {
  console.write(batch.payload(i));
}

function printJson(batch: MessageBatch, i: number, console: Console): void {
  const message = batch.message(i);
  const { offset, timestamp, id, payload } = message;
  console.json({
    offset,
    timestamp,
    originTimestamp: originTimestamp(message),
    id,
    userHeaders: message.userHeaders,
    ...asText(payload),
  });
}

/** Any 64-bit number that the producer chose: `null` where JSON cannot hold it. */
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
  // Escaped: what a message holds must not reach the terminal as a control sequence.
  const text = JSON.stringify(
    PREVIEW_TEXT.decode(payload.subarray(0, PREVIEW)),
  ).replace(/[\x7f-\x9f]/g, escaped);
  const more = payload.length > PREVIEW ? "…" : "";
  console.line(
    `${batch.offset(i)}  ${
      formatTime(batch.timestamp(i))
    }  ${payload.length}  ${text}${more}`,
  );
}

function escaped(character: string): string {
  return `\\u00${character.charCodeAt(0).toString(16)}`;
}

import { delay } from "../../base/mod.ts";
import { MAX_PAYLOAD_BYTES } from "../../codec/mod.ts";
import { Log } from "../../log/mod.ts";
import { NoSpaceError } from "../../storage/mod.ts";
import { wholeNumber } from "../_amounts.ts";
import { command, type MakeCommand } from "../_command.ts";
import type { Console } from "../_console.ts";
import { Interrupted, Interruption } from "../_interruption.ts";
import { LineSkipper, ResumeError } from "../_line_skipper.ts";
import {
  appendLines,
  type Lines,
  LineSplitter,
  LineTooLongError,
  NEWLINE,
  readLines,
} from "../_lines.ts";
import { formatBytes, formatCount } from "../_terminal.ts";

/** How long a line of a stream waits for more before it is made durable, in milliseconds. */
const FLUSH_MS = 100;

/** How long to wait before a full disk is tried again, in milliseconds. */
const FULL_DISK_MS = 500;

interface Options {
  into: string;
  null?: true;
  resume?: number;
  json?: true;
}

/** Where lines come from. */
interface Source {
  /** Its name in errors and progress. */
  name: string;
  /** Its size in bytes; `undefined` for a stream, which may never end. */
  size: number | undefined;
  read(bytes: Uint8Array): Promise<number | null>;
  close(): void;
}

const HELP = `
The log is created if it does not exist. All messages that the report counts survive a power cut.

A line longer than ${
  MAX_PAYLOAD_BYTES.toLocaleString("en")
} bytes is refused, and its number is given. A file is checked before anything
is appended. In a stream (standard input or a pipe) the lines before it are appended, and the report
counts them.

Ctrl-C ends the command in order: the lines that were read are made durable, and the log is closed.
An incomplete last line is dropped. The report says so, and which --resume continues without
duplicates.

If the disk is full, a stream waits for room, and a file ends with exit code 1.

Examples:
  basalt ingest access.log --into data/log
      a message for each line
  tail -F access.log | basalt ingest - --into data/log
      lines as they come, durable within a fraction of a second
  basalt ingest access.log --into data/log --resume 0
      continue an interrupted ingest into a new log
  find . -print0 | basalt ingest - --null --into data/names
      names that may contain newlines`;

/** `basalt ingest`: appends lines to a log as messages. */
export const ingest: MakeCommand = (console) =>
  command(
    "ingest",
    "Append every line of a file or of standard input to a log. A message is a line with its terminator.",
    HELP,
  )
    .argument("<file>", "the file, or - for standard input")
    .requiredOption("--into <dir>", "the log's directory")
    .option("--null", "lines end with a NUL byte instead of a newline")
    .option(
      "--resume <offset>",
      "skip the lines that the log already holds, the first one at this offset",
      wholeNumber,
    )
    .option("--json", "report as JSON")
    .action(async (file: string, options: Options) => {
      refuseOwnFile(file, options.into, console);
      const terminator = options.null ? 0 : NEWLINE;
      const source = file === "-"
        ? standardInput(console)
        : openSource(file, terminator);
      using interruption = new Interruption();
      const { signal } = interruption;
      try {
        const log = await Log.open(options.into);
        const splitter = new LineSplitter(terminator);
        await new Ingestion(
          { log, source, splitter, interruption, signal, console, options },
        ).run();
      } finally {
        // After Ctrl-C a read is still in flight.
        if (!signal.aborted) source.close();
      }
    });

/**
 * Refuses a file in the log's directory, by whatever name: what is appended would be read again.
 *
 * @throws {Deno.errors.InvalidData} If the file is one.
 */
function refuseOwnFile(file: string, into: string, console: Console): void {
  const isStream = file === "-";
  let isOwn: boolean;
  try {
    const found = isStream
      ? console.streams.inputFile?.()
      : Deno.statSync(file);
    isOwn = [...Deno.readDirSync(into)].some(({ name }) => {
      const { dev, ino } = Deno.lstatSync(`${into}/${name}`);
      return dev === found?.dev && ino === found.ino;
    });
  } catch {
    // The directory does not exist yet, or opening says what is wrong.
    return;
  }
  if (!isOwn) return;
  const name = isStream ? "standard input" : `'${file}'`;
  throw new Deno.errors.InvalidData(
    `Cannot ingest ${name} into '${into}': it is a file in the log's directory`,
  );
}

/** What an {@linkcode Ingestion} works with. */
interface IngestionParts {
  readonly log: Log;
  readonly source: Source;
  readonly splitter: LineSplitter;
  readonly interruption: Interruption;
  readonly signal: AbortSignal;
  readonly console: Console;
  readonly options: Options;
}

/** Appends the lines of a source to a log, and reports. */
class Ingestion {
  readonly #parts: IngestionParts;
  /** The offset of the first line that is appended. */
  readonly #first: number;
  /** Bytes of the lines that were appended. */
  #bytes = 0;
  /** The durable offset when the disk was full; `undefined` if it is not. */
  #fullAt: number | undefined;

  constructor(parts: IngestionParts) {
    this.#parts = parts;
    this.#first = parts.log.nextOffset;
  }

  /** Appends everything, closes the log, and reports what it holds then. */
  async run(): Promise<void> {
    const { log, source: { name }, splitter, signal, console } = this.#parts;
    const { into: path, resume = this.#first, json } = this.#parts.options;
    const advice =
      `. To continue, run the same command with --resume ${resume}`;
    try {
      try {
        await this.#appendAll();
      } finally {
        // Also after a failure: the lines before it are whole.
        await log.close();
      }
    } catch (error) {
      if (error instanceof ResumeError) throw error;
      const { message } = error as Error;
      const where = error instanceof LineTooLongError ? `'${name}': ` : "";
      const durable = this.#describe(log.durableOffset, "of");
      throw new Error(`${where}${message}. ${durable}${advice}`, {
        cause: error,
      });
    }
    const [firstOffset, bytes] = [this.#first, this.#bytes];
    const text = this.#describe(
      log.nextOffset,
      `of ${formatBytes(bytes)} from`,
    );
    if (signal.aborted) {
      const { restBytes } = splitter;
      const dropped = restBytes === 0
        ? ""
        : `; ${formatBytes(restBytes)} of an incomplete line dropped`;
      throw new Interrupted(`Interrupted: ${text}${dropped}${advice}`);
    }
    const messages = log.nextOffset - firstOffset;
    if (json) console.json({ messages, bytes, firstOffset, path });
    else console.text(text);
  }

  #describe(end: number, from: string): string {
    const { source: { name }, options: { into } } = this.#parts;
    const count = formatCount(end - this.#first, "message");
    return `${count} ${from} '${name}' durable in '${into}', from offset ${this.#first}`;
  }

  /** Appends until the end or Ctrl-C. */
  async #appendAll(): Promise<void> {
    const { log, source, splitter, interruption, options } = this.#parts;
    const { resume = log.nextOffset } = options;
    const skipper = new LineSkipper(log, resume, source.name);
    const isStream = source.size === undefined;
    using timers = new DisposableStack();
    if (isStream) {
      const timer = setInterval(() => this.#flushWaiting(), FLUSH_MS);
      timers.defer(() => clearInterval(timer));
    }
    for (;;) {
      const read = await interruption.orElse(source.read(splitter.room()));
      if (read === undefined) break;
      const lines = read === null ? splitter.rest() : splitter.push(read);
      for (const part of lines) {
        const rest = await skipper.skip(part);
        if (rest !== undefined) await this.#append(rest);
      }
      if (read !== null) continue;
      skipper.finish();
      break;
    }
    // Closing would not wait for a full disk.
    if (isStream) await this.#whenRoom(() => log.flush());
  }

  async #append(lines: Lines): Promise<void> {
    const { log, source: { name, size }, console } = this.#parts;
    await this.#whenRoom(() => appendLines(log, lines));
    this.#bytes += lines.bytes.length;
    console.progress.show(() => {
      const of = size === undefined ? "" : ` of ${formatBytes(size)}`;
      return `appending ${formatBytes(this.#bytes)}${of} from '${name}'`;
    });
  }

  /** Makes lines of a stream durable while it waits for more. */
  #flushWaiting(): void {
    const { log } = this.#parts;
    if (log.durableOffset === log.nextOffset) return;
    log.flush().then(
      () => this.#reportRoom(),
      // The next append or closing fails for any other reason.
      (error) => error instanceof NoSpaceError && this.#reportFull(error),
    );
  }

  /** Repeats work on a full disk for a stream, whose lines may not be available again. */
  async #whenRoom(work: () => Promise<void>): Promise<void> {
    const { source, signal } = this.#parts;
    for (;;) {
      try {
        await work();
        return this.#reportRoom();
      } catch (error) {
        const waits = error instanceof NoSpaceError &&
          error.code !== "EFBIG" && source.size === undefined &&
          !signal.aborted;
        if (!waits) throw error;
        this.#reportFull(error);
      }
      await delay(FULL_DISK_MS, signal);
    }
  }

  #reportFull({ message }: NoSpaceError): void {
    if (this.#fullAt !== undefined) return;
    const { log, console } = this.#parts;
    this.#fullAt = log.durableOffset;
    console.error(
      `${message}. Waiting for room; Ctrl-C ends, and drops what is not durable`,
    );
  }

  /** Reports room once something has become durable: memory takes lines before that. */
  #reportRoom(): void {
    const { log, console } = this.#parts;
    if (this.#fullAt === undefined) return;
    if (this.#fullAt === log.durableOffset) return;
    this.#fullAt = undefined;
    console.error("There is room again");
  }
}

function standardInput({ streams: { input } }: Console): Source {
  return {
    name: "standard input",
    size: undefined,
    read: (bytes) => input.read(bytes),
    close() {},
  };
}

/**
 * Opens a file. A regular one is first searched for a line that is too long for a message.
 *
 * @throws {LineTooLongError} If there is one.
 */
function openSource(path: string, terminator: number): Source {
  const { isDirectory, isFile, size } = Deno.statSync(path);
  if (isDirectory) {
    throw new Deno.errors.IsADirectory(
      `Cannot ingest '${path}': it is a directory; give a file, or - for standard input`,
    );
  }
  if (isFile && size > MAX_PAYLOAD_BYTES) {
    using file = Deno.openSync(path);
    try {
      for (const _ of readLines(file, terminator)); // checks their lengths
    } catch (error) {
      if (!(error instanceof LineTooLongError)) throw error;
      throw new Error(`'${path}': ${error.message}. Nothing was appended`, {
        cause: error,
      });
    }
  }
  const file = Deno.openSync(path);
  return {
    name: path,
    size: isFile ? size : undefined,
    read: (bytes) => file.read(bytes),
    close: () => file.close(),
  };
}

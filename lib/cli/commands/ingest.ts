import type { Command } from "commander";
import { delay } from "../../base/mod.ts";
import { MAX_PAYLOAD_BYTES } from "../../codec/mod.ts";
import { Log } from "../../log/mod.ts";
import { NoSpaceError } from "../../storage/mod.ts";
import { wholeNumber } from "../amounts.ts";
import { command } from "../command.ts";
import type { Console } from "../console.ts";
import { Interrupted, Interruption } from "../interruption.ts";
import { LineSkipper, ResumeError } from "../line_skipper.ts";
import {
  appendLines,
  type Lines,
  LineSplitter,
  LineTooLongError,
  NEWLINE,
  readLines,
} from "../lines.ts";
import { formatBytes, formatCount } from "../terminal.ts";

/**
 * How long a line of a stream waits for more of them before it is made durable, in milliseconds.
 */
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
  /** How errors and progress call it. */
  name: string;
  /** Its size in bytes; `undefined` for a stream, which may go on for ever. */
  size: number | undefined;
  read(bytes: Uint8Array): Promise<number | null>;
  close(): void;
}

const HELP = `
The log is created if it does not exist. What is reported as appended survives a power cut.

A line above ${MAX_PAYLOAD_BYTES} bytes is refused with its number: in a file before anything is
appended, in a stream (standard input, a pipe) when it comes: the lines before it are in the log
then, and the last line of the report says how many they are.

Ctrl-C ends in order: the lines that were read so far are made durable, and the log is closed.
Half a line is dropped, and the report says so. The report ends with what --resume needs to go
on without duplicates.

While the disk is full, standard input waits; a file ends with exit code 1.

Examples:
  basalt ingest access.log --into data/log
      a message for each line
  tail -F access.log | basalt ingest - --into data/log
      lines as they come, durable within a fraction of a second
  basalt ingest access.log --into data/log --resume 0
      go on where an ingest into a new log was interrupted
  find . -print0 | basalt ingest - --null --into data/names
      names that may hold newlines`;

/** `basalt ingest`: lines become messages. */
export function ingest(console: Console): Command {
  return command(
    "ingest",
    "Append every line of a file, or of standard input, to a log: a line with its terminator is a message.",
    HELP,
  )
    .argument("<file>", "the file, or - for standard input")
    .requiredOption("--into <dir>", "the log's directory")
    .option("--null", "lines end with a NUL byte, not with a newline")
    .option(
      "--resume <offset>",
      "skip the lines that the log holds already, the first of them at this offset",
      wholeNumber,
    )
    .option("--json", "report as JSON")
    .action((file: string, options: Options) =>
      ingestFile(file, options, console)
    );
}

async function ingestFile(
  file: string,
  options: Options,
  console: Console,
): Promise<void> {
  refuseOwnFile(file, options.into, console);
  const terminator = options.null ? 0 : NEWLINE;
  const source = file === "-"
    ? standardInput(console)
    : openSource(file, terminator);
  using interruption = new Interruption();
  try {
    const log = await Log.open(options.into);
    await new Ingestion(log, source, interruption, console).run(options);
  } finally {
    if (!interruption.signal.aborted) source.close();
  }
}

/**
 * Refuses a file of the log itself, or in its directory: what is appended would be read again.
 *
 * @throws {Deno.errors.InvalidData} If it is one.
 */
function refuseOwnFile(file: string, into: string, console: Console): void {
  let isOwn: boolean;
  try {
    const found = file === "-"
      ? console.streams.inputFile?.()
      : Deno.statSync(file);
    isOwn = found !== undefined && hasFile(into, found);
  } catch {
    // There is no such directory yet, or opening says what is wrong.
    return;
  }
  if (!isOwn) return;
  const name = file === "-" ? "standard input" : `'${file}'`;
  throw new Deno.errors.InvalidData(
    `Cannot ingest ${name} into '${into}': it is a file in the log's directory`,
  );
}

/** Whether a directory holds a file, by whatever name. */
function hasFile(
  dir: string,
  file: { dev: number; ino: number | null },
): boolean {
  return [...Deno.readDirSync(dir)].some(({ name }) => {
    const { dev, ino } = Deno.lstatSync(`${dir}/${name}`);
    return dev === file.dev && ino === file.ino;
  });
}

/** Appends a source's lines to a log, and reports. */
class Ingestion {
  readonly #log: Log;
  readonly #source: Source;
  readonly #interruption: Interruption;
  readonly #console: Console;
  /** The offset that the first line got. */
  readonly #first: number;
  /** Bytes of lines that were appended. */
  #bytes = 0;
  /** The durable offset when the disk was full; `undefined` if it is not. */
  #fullAt: number | undefined;

  constructor(
    log: Log,
    source: Source,
    interruption: Interruption,
    console: Console,
  ) {
    this.#log = log;
    this.#source = source;
    this.#interruption = interruption;
    this.#console = console;
    this.#first = log.nextOffset;
  }

  /** Appends everything, closes the log, and says what it holds then. */
  async run({ into, null: isNull, resume, json }: Options): Promise<void> {
    const log = this.#log;
    const splitter = new LineSplitter(isNull ? 0 : NEWLINE);
    const name = this.#source.name;
    try {
      try {
        const skipper = resume === undefined
          ? undefined
          : await LineSkipper.open(log, resume, name);
        await this.#appendAll(splitter, skipper);
        await this.#settle();
      } finally {
        // Also what came before a failure: it was read, and it is whole.
        await log.close();
      }
    } catch (error) {
      if (error instanceof ResumeError) throw error;
      const { message } = error as Error;
      const text = error instanceof LineTooLongError
        ? `'${name}': ${message}`
        : message;
      throw new Error(
        `${text}. ${this.#durable(log.durableOffset, into)}${
          resumption(resume ?? this.#first)
        }`,
        { cause: error },
      );
    }
    const text = this.#durable(log.nextOffset, into, this.#bytes);
    if (this.#interruption.signal.aborted) {
      const rest = splitter.restBytes;
      const dropped = rest === 0
        ? ""
        : `; ${formatBytes(rest)} of a line without its end dropped`;
      throw new Interrupted(
        `Interrupted: ${text}${dropped}${resumption(resume ?? this.#first)}`,
      );
    }
    if (json) {
      this.#console.json({
        messages: log.nextOffset - this.#first,
        bytes: this.#bytes,
        firstOffset: this.#first,
        path: into,
      });
    } else this.#console.line(text);
  }

  #durable(end: number, into: string, bytes?: number): string {
    const first = this.#first;
    const count = formatCount(end - first, "message");
    const of = bytes === undefined ? "of" : `of ${formatBytes(bytes)} from`;
    return `${count} ${of} '${this.#source.name}' durable in '${into}', from offset ${first}`;
  }

  /** Appends until the end or the interruption. */
  async #appendAll(
    splitter: LineSplitter,
    skipper: LineSkipper | undefined,
  ): Promise<void> {
    const source = this.#source;
    using timers = new DisposableStack();
    if (source.size === undefined) {
      const timer = setInterval(() => this.#flushWaiting(), FLUSH_MS);
      timers.defer(() => clearInterval(timer));
    }
    for (;;) {
      const read = await this.#interruption.orElse(
        source.read(splitter.room()),
      );
      if (read === undefined) return;
      const lines = read === null ? splitter.rest() : splitter.push(read);
      for (const part of lines) {
        const rest = skipper === undefined ? part : skipper.skip(part);
        if (rest !== undefined) await this.#append(rest);
      }
      if (read !== null) continue;
      skipper?.finish();
      return;
    }
  }

  async #append(lines: Lines): Promise<void> {
    await this.#whenRoom(() => appendLines(this.#log, lines));
    this.#bytes += lines.bytes.length;
    this.#console.progress(() => progress(this.#bytes, this.#source));
  }

  /** Makes the rest of a stream durable before closing, which does not wait for a full disk. */
  async #settle(): Promise<void> {
    if (this.#source.size !== undefined) return;
    await this.#whenRoom(() => this.#log.flush());
  }

  /** Makes lines of a stream durable while it waits for more. */
  #flushWaiting(): void {
    if (this.#log.durableOffset === this.#log.nextOffset) return;
    this.#log.flush().then(
      () => this.#sayRoom(),
      // Another failure comes back from the next append, or from closing.
      (error) => error instanceof NoSpaceError && this.#sayFull(error),
    );
  }

  /** Waits for room on a full disk with the lines of a stream, which may not be had again. */
  async #whenRoom(work: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        await work();
        return this.#sayRoom();
      } catch (error) {
        const waits = error instanceof NoSpaceError &&
          error.code !== "EFBIG" && this.#source.size === undefined &&
          !this.#interruption.signal.aborted;
        if (!waits) throw error;
        this.#sayFull(error);
      }
      await delay(FULL_DISK_MS, this.#interruption.signal);
    }
  }

  #sayFull({ message }: NoSpaceError): void {
    if (this.#fullAt !== undefined) return;
    this.#fullAt = this.#log.durableOffset;
    this.#console.error(
      `${message}. Waiting for room; Ctrl-C ends, and drops what is not durable`,
    );
  }

  /** Tells that there is room, when something became durable: memory may take lines before. */
  #sayRoom(): void {
    if (this.#fullAt === undefined) return;
    if (this.#log.durableOffset === this.#fullAt) return;
    this.#fullAt = undefined;
    this.#console.error("There is room again");
  }
}

/** How to go on after an ingest that was cut short. */
function resumption(offset: number): string {
  return `. To go on: the same command with --resume ${offset}`;
}

function progress(bytes: number, { name, size }: Source): string {
  const of = size === undefined ? "" : ` of ${formatBytes(size)}`;
  return `appending ${formatBytes(bytes)}${of} from '${name}'`;
}

function standardInput(console: Console): Source {
  const { input } = console.streams;
  return {
    name: "standard input",
    size: undefined,
    read: (bytes) => input.read(bytes),
    close: () => {},
  };
}

/**
 * Opens a file; a regular one is searched for a line that no message can hold.
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
      for (const _ of readLines(file, terminator)) {
        /* its length is checked */
      }
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

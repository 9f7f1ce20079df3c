import type { Command } from "commander";
import { MAX_PAYLOAD_BYTES } from "../../codec/mod.ts";
import { Log } from "../../log/mod.ts";
import { command, jsonOption } from "../command.ts";
import type { Console } from "../console.ts";
import { Interrupted, Interruption } from "../interruption.ts";
import {
  appendLines,
  LineSplitter,
  LineTooLongError,
  NEWLINE,
  readLines,
} from "../lines.ts";
import { formatBytes, formatCount } from "../terminal.ts";

/** How long a line of a stream waits for more of them before it is made durable, in milliseconds. */
const FLUSH_MS = 100;

interface Options {
  into: string;
  null?: true;
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

/** `basalt ingest`: lines become messages. */
export function ingest(console: Console): Command {
  return command(
    "ingest",
    "Append every line of a file, or of standard input, to a log: a line with its terminator is a message.",
    {
      notes: [
        "The log is made if there is none. What is reported as appended survives a power cut.",
        `A line above ${MAX_PAYLOAD_BYTES} bytes is refused with its number: in a file before anything is\nappended, in a stream (standard input, a pipe) when it comes: the lines before it are\nin the log then, and the last line of the report says how many they are.`,
        "Ctrl-C ends in order: what was read so far is made durable, and the log is closed.",
      ],
      examples: [
        ["basalt ingest access.log --into data/log", "a message for each line"],
        [
          "tail -F access.log | basalt ingest - --into data/log",
          "lines as they come, durable within a fraction of a second",
        ],
        [
          "find . -print0 | basalt ingest - --null --into data/names",
          "names that may hold newlines",
        ],
      ],
    },
  )
    .argument("<file>", "the file, or - for standard input")
    .requiredOption("--into <dir>", "the log's directory")
    .option("--null", "lines end with a NUL byte, not with a newline")
    .addOption(jsonOption("report as JSON"))
    .action((file: string, options: Options) =>
      ingestFile(file, options, console)
    );
}

async function ingestFile(
  file: string,
  options: Options,
  console: Console,
): Promise<void> {
  const terminator = options.null ? 0 : NEWLINE;
  const source = file === "-"
    ? standardInput(console)
    : openSource(file, terminator);
  using interruption = new Interruption();
  let log: Log | undefined;
  let first = 0;
  let bytes: number;
  try {
    log = await Log.open(options.into);
    first = log.nextOffset;
    try {
      bytes = await appendAll(log, source, terminator, interruption, console);
    } finally {
      // Also what came before a failure: it was read, and it is whole.
      await log.close();
    }
  } catch (error) {
    if (log === undefined) throw error;
    const count = log.durableOffset - first;
    throw new Error(
      `${
        error instanceof LineTooLongError
          ? `'${source.name}': ${error.message}`
          : (error as Error).message
      }. ${
        formatCount(count, "message")
      } of '${source.name}' durable in '${options.into}', from offset ${first} on`,
      { cause: error },
    );
  } finally {
    if (!interruption.signal.aborted) source.close();
  }
  const messages = log.nextOffset - first;
  const result = { messages, bytes, firstOffset: first, path: options.into };
  const text = `${formatCount(messages, "message")} of ${
    formatBytes(bytes)
  } from '${source.name}' durable in '${options.into}', from offset ${first} on`;
  if (interruption.signal.aborted) {
    throw new Interrupted(`Interrupted: ${text}`);
  }
  if (options.json) console.json(result);
  else console.line(text);
}

/** Appends until the end or the interruption; answers the bytes appended. */
async function appendAll(
  log: Log,
  source: Source,
  terminator: number,
  interruption: Interruption,
  console: Console,
): Promise<number> {
  const splitter = new LineSplitter(terminator);
  let bytes = 0;
  using _ = source.size === undefined ? new LiveFlush(log) : undefined;
  for (;;) {
    const read = await interruption.orElse(source.read(splitter.room()));
    if (read === undefined) return bytes;
    const lines = read === null ? splitter.rest() : splitter.push(read);
    for (const part of lines) {
      await appendLines(log, part);
      bytes += part.bytes.length;
      console.progress(() => progress(bytes, source));
    }
    if (read === null) return bytes;
  }
}

/** Makes lines of a stream durable while it waits for more. */
class LiveFlush implements Disposable {
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(log: Log) {
    this.#timer = setInterval(() => {
      // A failure comes back from the next append, or from closing.
      if (log.durableOffset < log.nextOffset) log.flush().catch(() => {});
    }, FLUSH_MS);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
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

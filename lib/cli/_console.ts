import { DescriptorWriter, nodeModule } from "../native/mod.ts";
import {
  type ByteSink,
  Progress,
  retryDelayMs,
  terminalColumns,
  wrap,
  writeAll,
  writeSome,
} from "./_terminal.ts";

/** The streams of a command: those of the process, or those of a test. */
export interface Streams {
  /** Standard input. */
  readonly input: Pick<typeof Deno.stdin, "read">;
  /** Identifies the file that standard input reads, if it reads one. */
  inputFile?(): { dev: number; ino: number } | undefined;
  /** Standard output, without a buffer of its own. */
  readonly output: ByteSink;
  /** Standard error. */
  readonly errors: ByteSink;
  /** Whether standard error is a terminal. It then shows progress. */
  readonly interactive: boolean;
  /** Returns the columns of the terminal; `undefined` if they are not known. */
  columns?(): number | undefined;
  /** Whether standard output is a terminal. Text and tables then fit its columns. Default: `false`. */
  readonly outputIsTerminal?: boolean;
}

/** Returns the process's own streams. */
export function processStreams(): Streams & Disposable {
  const { state } = Deno.permissions.querySync({ name: "ffi" });
  const writer = state === "granted" && Deno.build.os === "linux"
    ? new DescriptorWriter(1)
    : undefined;
  return {
    input: { read: readInput },
    inputFile: standardInputFile,
    output: writer ?? Deno.stdout,
    errors: Deno.stderr,
    interactive: Deno.stderr.isTerminal(),
    columns: terminalColumns,
    outputIsTerminal: Deno.stdout.isTerminal(),
    [Symbol.dispose]: () => writer?.[Symbol.dispose](),
  };
}

function standardInputFile(): { dev: number; ino: number } | undefined {
  try {
    const found = nodeModule("node:fs").fstatSync(0);
    return found.isFile() ? found : undefined;
  } catch {
    return undefined;
  }
}

/** Reads standard input, which another program may have made non-blocking. */
async function readInput(bytes: Uint8Array): Promise<number | null> {
  for (let tries = 0;; tries++) {
    try {
      return await Deno.stdin.read(bytes);
    } catch (error) {
      if (!(error instanceof Deno.errors.WouldBlock)) throw error;
      const delayMs = retryDelayMs(tries);
      await new Promise((resolve) => setTimeout(resolve, delayMs));
    }
  }
}

/** Output is written in pieces of this size: a system call for each message would cost more. */
const BUFFER_BYTES = 256 * 1024;
const ENCODER = new TextEncoder();

/** Writes the results, progress and errors of one run, and holds its exit code. */
export class Console {
  /** The streams. */
  readonly streams: Streams;
  /** The exit code of the process. */
  exitCode = 0;

  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  #fill = 0;
  /** A line on a terminal that says what is being done. */
  readonly progress: Progress;

  constructor(streams: Streams) {
    this.streams = streams;
    const { errors, interactive, columns = () => undefined } = streams;
    this.progress = new Progress(errors, interactive, columns);
  }

  /** The columns of standard output, if it is a terminal and they are known. */
  get columns(): number | undefined {
    const { outputIsTerminal, columns } = this.streams;
    return outputIsTerminal ? columns?.() : undefined;
  }

  /** Writes bytes to standard output; they go out with {@linkcode Console.flush} at the latest. */
  write(bytes: Uint8Array): void {
    if (this.#fill + bytes.length > BUFFER_BYTES) this.flush();
    if (bytes.length > BUFFER_BYTES) {
      return writeAll(this.streams.output, bytes);
    }
    this.#buffer.set(bytes, this.#fill);
    this.#fill += bytes.length;
  }

  /** Writes a line to standard output. */
  line(text: string): void {
    this.write(ENCODER.encode(`${text}\n`));
  }

  /** Writes a line in words, broken to fit the terminal; all lines but the first are indented. */
  text(text: string, indent?: string): void {
    this.line(wrap(text, this.columns, indent));
  }

  /** Writes a value as JSON in one line. */
  json(value: unknown): void {
    this.line(JSON.stringify(value, replaced));
  }

  /** Writes out what was gathered. After a failure it keeps the rest. */
  flush(): void {
    this.progress.end();
    const end = this.#fill;
    let at = 0;
    try {
      while (at < end) {
        at += writeSome(this.streams.output, this.#buffer.subarray(at, end));
      }
    } finally {
      this.#buffer.copyWithin(0, at, end);
      this.#fill = end - at;
    }
  }

  /**
   * Writes a line to standard error, broken to fit the terminal. If standard error is closed, only
   * the exit code tells of the error.
   */
  error(text: string): void {
    const { interactive, columns } = this.streams;
    this.errorLine(wrap(text, interactive ? columns?.() : undefined));
  }

  /** Writes a line to standard error as it is. */
  errorLine(text: string): void {
    this.progress.end();
    try {
      writeAll(this.streams.errors, ENCODER.encode(`${text}\n`));
    } catch {
      // There is no other place to report it.
    }
  }
}

/** Replaces values that JSON has no form for: 64-bit integers, bytes and errors. */
function replaced(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return String(value);
  if (value instanceof Uint8Array) return value.toBase64();
  if (value instanceof Error) {
    return { ...value, name: value.name, message: value.message };
  }
  return value;
}

import { DescriptorWriter, nodeModule } from "../native/mod.ts";
import {
  type ByteSink,
  Progress,
  retryDelayMs,
  terminalColumns,
  writeAll,
  writeSome,
} from "./terminal.ts";

/** The streams of a command: those of the process, or those of a test. */
export interface Streams {
  /** Standard input. */
  readonly input: Pick<typeof Deno.stdin, "read">;
  /** Identifies the file that is standard input, if it is one. */
  inputFile?(): { dev: number; ino: number } | undefined;
  /** Standard output: bytes go out at once. */
  readonly output: ByteSink;
  /** Standard error. */
  readonly errors: ByteSink;
  /** Whether standard error is a terminal: progress is shown there. */
  readonly interactive: boolean;
  /** The columns of that terminal; `undefined` where they are not known. Default: `80`. */
  columns?(): number | undefined;
  /** Whether standard output is a terminal: tables fit its columns. Default: `false`. */
  readonly outputIsTerminal?: boolean;
}

/** The process's own streams. */
export class ProcessStreams implements Streams, Disposable {
  readonly input: Streams["input"] = { read: readInput };
  readonly output: ByteSink & Partial<Disposable>;
  readonly errors: ByteSink = Deno.stderr;
  readonly interactive: boolean = Deno.stderr.isTerminal();
  readonly columns = terminalColumns;
  readonly outputIsTerminal: boolean = Deno.stdout.isTerminal();
  readonly inputFile = standardInputFile;

  constructor() {
    const { state } = Deno.permissions.querySync({ name: "ffi" });
    this.output = state === "granted" && Deno.build.os === "linux"
      ? new DescriptorWriter(1)
      : Deno.stdout;
  }

  [Symbol.dispose](): void {
    if (this.output !== Deno.stdout) this.output[Symbol.dispose]?.();
  }
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

/**
 * Bytes that are gathered before they are written: a system call for each message would take longer
 * than the message.
 */
const BUFFER_BYTES = 256 * 1024;
const ENCODER = new TextEncoder();

/** The terminal of one run: results, progress, errors, and the exit code. */
export class Console {
  /** The streams. */
  readonly streams: Streams;
  /** What the process ends with. */
  exitCode = 0;

  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  #fill = 0;
  readonly #progress: Progress;

  constructor(streams: Streams) {
    this.streams = streams;
    const { errors, interactive, columns = () => undefined } = streams;
    this.#progress = new Progress(errors, interactive, columns);
  }

  /** The columns of standard output, if it is a terminal that tells them. */
  get columns(): number | undefined {
    const { outputIsTerminal, columns } = this.streams;
    return outputIsTerminal ? columns?.() : undefined;
  }

  /** Writes bytes to standard output; they go out with {@linkcode Console.flush} at the latest. */
  write(bytes: Uint8Array): void {
    if (this.#fill + bytes.length > BUFFER_BYTES) this.flush();
    if (bytes.length > BUFFER_BYTES) return writeAll(this.#output, bytes);
    this.#buffer.set(bytes, this.#fill);
    this.#fill += bytes.length;
  }

  /** Writes a line of text to standard output. */
  line(text: string): void {
    this.write(ENCODER.encode(`${text}\n`));
  }

  /** Writes a value as JSON in one line. */
  json(value: unknown): void {
    this.line(JSON.stringify(value, replaced));
  }

  /** Writes out what was gathered. What a failure left is kept. */
  flush(): void {
    this.endProgress();
    const end = this.#fill;
    let at = 0;
    try {
      while (at < end) {
        at += writeSome(this.#output, this.#buffer.subarray(at, end));
      }
    } finally {
      this.#buffer.copyWithin(0, at, end);
      this.#fill = end - at;
    }
  }

  /** Writes a line of text to standard error; where that is gone, the exit code says it alone. */
  error(text: string): void {
    this.endProgress();
    try {
      writeAll(this.streams.errors, ENCODER.encode(`${text}\n`));
    } catch {
      // There is no other place to tell it.
    }
  }

  /** Shows progress, not too often, and only on a terminal. */
  progress(text: () => string): void {
    this.#progress.show(text);
  }

  /** Clears the progress line. */
  endProgress(): void {
    this.#progress.end();
  }

  get #output(): Streams["output"] {
    return this.streams.output;
  }
}

/** What JSON has no form of: 64-bit integers as text, bytes as base64, errors as objects. */
function replaced(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return String(value);
  if (value instanceof Uint8Array) return value.toBase64();
  if (value instanceof Error) {
    return { ...value, name: value.name, message: value.message };
  }
  return value;
}

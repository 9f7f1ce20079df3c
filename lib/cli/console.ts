import { type ByteSink, Progress, writeAll } from "./terminal.ts";

/** What a command reads and writes: the process's own streams, or a test's. */
export interface Streams {
  /** Standard input. */
  readonly input: Pick<typeof Deno.stdin, "read">;
  /** Standard output: bytes go out at once. */
  readonly output: ByteSink;
  /** Standard error. */
  readonly errors: ByteSink;
  /** Whether somebody watches standard error: progress is for them. */
  readonly interactive: boolean;
}

/** The process's own streams. */
export function processStreams(): Streams {
  return {
    input: Deno.stdin,
    output: Deno.stdout,
    errors: Deno.stderr,
    interactive: Deno.stderr.isTerminal(),
  };
}

/** Bytes that are gathered before they are written: a system call for each message would take longer than the message. */
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
    this.#progress = new Progress(streams.errors, streams.interactive);
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

  /** Writes out what was gathered. */
  flush(): void {
    this.endProgress();
    const length = this.#fill;
    this.#fill = 0;
    writeAll(this.#output, this.#buffer.subarray(0, length));
  }

  /** Writes a line of text to standard error. */
  error(text: string): void {
    this.endProgress();
    writeAll(this.streams.errors, ENCODER.encode(`${text}\n`));
  }

  /** Shows what is being done, not too often, and only where somebody watches. */
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

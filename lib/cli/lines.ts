import { MAX_PAYLOAD_BYTES } from "../codec/mod.ts";
import type { Log } from "../log/mod.ts";
import { BackpressureError } from "../segment/mod.ts";

/** The byte that ends a line of text. */
export const NEWLINE = 0x0a;
/** Bytes of lines that are handed out, and appended, at a time. */
const BATCH_BYTES = 1024 * 1024;
const CHUNK_BYTES = 4 * 1024 * 1024;
/**
 * The end of a line is looked for byte by byte so far, and by `indexOf` from there on, which is
 * dear to begin with.
 */
const NEAR_BYTES = 64;

/** A line is longer than a message may be. */
export class LineTooLongError extends RangeError {
  /** `"LineTooLongError"`. */
  override readonly name: string = "LineTooLongError";
  /** The line's number, from 1. */
  readonly line: number;

  /** Makes the error; `bytes` is what is known of the line's length. */
  constructor(line: number, bytes: number) {
    super(
      `Line ${line} has ${bytes} bytes or more: a message holds at most ${MAX_PAYLOAD_BYTES}`,
    );
    this.line = line;
  }
}

/** Lines, each with its terminator, back to back. */
export interface Lines {
  /** Their bytes: a view that is valid until more is read. */
  bytes: Uint8Array<ArrayBuffer>;
  /** The length of each in bytes, its terminator included; as valid as they are. */
  lengths: Uint32Array<ArrayBuffer>;
}

/**
 * Cuts bytes into lines: what is read goes into {@linkcode LineSplitter.room}, and the lines that
 * it completes lie in views that are valid until the next call of that.
 */
export class LineSplitter {
  readonly #terminator: number;
  #bytes = new Uint8Array(CHUNK_BYTES);
  /** Where the first line that was not handed out begins, and where the bytes end. */
  #start = 0;
  #end = 0;
  #line = 1;
  /** The lengths of the lines that are handed out next. */
  #lengths = new Uint32Array(4096);

  constructor(terminator: number = NEWLINE) {
    this.#terminator = terminator;
  }

  /** Where the next bytes go; never empty. */
  room(): Uint8Array<ArrayBuffer> {
    this.#bytes.copyWithin(0, this.#start, this.#end);
    this.#end -= this.#start;
    this.#start = 0;
    if (this.#end === this.#bytes.length) {
      const larger = new Uint8Array(2 * this.#bytes.length);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    return this.#bytes.subarray(this.#end);
  }

  /**
   * The lines that `count` more bytes complete, about {@linkcode BATCH_BYTES} at a time.
   *
   * @throws {LineTooLongError} At the first one that is longer than a message may be, after those
   *   before it; also when its end is not there yet.
   */
  *push(count: number): Generator<Lines> {
    let from = this.#end;
    this.#end += count;
    let lines = 0;
    let begin = this.#start;
    for (;;) {
      const at = this.#find(from);
      const whole = at < this.#end;
      const end = whole ? at + 1 : this.#end;
      const tooLong = end - begin > MAX_PAYLOAD_BYTES;
      if (!whole || tooLong || begin - this.#start >= BATCH_BYTES) {
        if (lines > 0) yield this.#take(begin, lines);
        lines = 0;
      }
      if (tooLong) throw new LineTooLongError(this.#line, end - begin);
      if (!whole) return;
      this.#measured(lines++, end - begin);
      begin = from = end;
    }
  }

  /** The bytes of the last line, where its terminator did not come yet. */
  get restBytes(): number {
    return this.#end - this.#start;
  }

  /** The last line, where it has no terminator. */
  *rest(): Generator<Lines> {
    const length = this.#end - this.#start;
    if (length === 0) return;
    this.#measured(0, length);
    yield this.#take(this.#end, 1);
  }

  /** Where the next terminator is; the end of the bytes if there is none. */
  #find(from: number): number {
    const bytes = this.#bytes;
    const near = Math.min(this.#end, from + NEAR_BYTES);
    for (let at = from; at < near; at++) {
      if (bytes[at] === this.#terminator) return at;
    }
    const at = bytes.indexOf(this.#terminator, near);
    return at < 0 ? this.#end : Math.min(at, this.#end);
  }

  #measured(number: number, length: number): void {
    if (number === this.#lengths.length) {
      const larger = new Uint32Array(2 * number);
      larger.set(this.#lengths);
      this.#lengths = larger;
    }
    this.#lengths[number] = length;
  }

  #take(end: number, lines: number): Lines {
    const bytes = this.#bytes.subarray(this.#start, end);
    this.#start = end;
    this.#line += lines;
    return { bytes, lengths: this.#lengths.subarray(0, lines) };
  }
}

/**
 * The lines of a file, about {@linkcode BATCH_BYTES} at a time; the last one may have no
 * terminator.
 *
 * @throws {LineTooLongError} If a line is longer than a message may be.
 */
export function* readLines(
  file: Deno.FsFile,
  terminator: number = NEWLINE,
): Generator<Lines> {
  const splitter = new LineSplitter(terminator);
  for (;;) {
    const read = file.readSync(splitter.room());
    if (read === null) break;
    yield* splitter.push(read);
  }
  yield* splitter.rest();
}

/**
 * Appends lines, waiting for room in memory where there is none; what was appended before is
 * written meanwhile.
 */
export async function appendLines(log: Log, lines: Lines): Promise<void> {
  await log.ready();
  for (;;) {
    try {
      log.appendBatch(lines);
      return;
    } catch (error) {
      if (!(error instanceof BackpressureError)) throw error;
    }
    await log.ready();
  }
}

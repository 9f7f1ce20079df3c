import { MAX_PAYLOAD_BYTES } from "../codec/mod.ts";
import type { Log } from "../log/mod.ts";
import { Backpressure } from "../segment/mod.ts";

/** The byte that ends a line of text. */
export const NEWLINE = 0x0a;
/** Bytes of lines that are handed out, and appended, at a time. */
const BATCH_BYTES = 1024 * 1024;
const CHUNK_BYTES = 4 * 1024 * 1024;

/** A line is longer than a message may be. */
export class LineTooLong extends RangeError {
  /** `"LineTooLong"`. */
  override readonly name: string = "LineTooLong";
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
  /** The length of each in bytes, its terminator included. */
  lengths: number[];
}

/**
 * Cuts bytes into lines: what is read goes into {@linkcode LineSplitter.room}, and the lines that it completes lie in views that are valid until the next call of that.
 */
export class LineSplitter {
  readonly #terminator: number;
  #bytes = new Uint8Array(CHUNK_BYTES);
  /** Where the first line that was not handed out begins, and where the bytes end. */
  #start = 0;
  #end = 0;
  #line = 1;

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
   * @throws {LineTooLong} At the first one that is longer than a message may be, after those before it; also when its end is not there yet.
   */
  *push(count: number): Generator<Lines> {
    let from = this.#end;
    this.#end += count;
    let lengths: number[] = [];
    let begin = this.#start;
    for (;;) {
      const at = this.#bytes.indexOf(this.#terminator, from);
      const whole = at >= 0 && at < this.#end;
      const end = whole ? at + 1 : this.#end;
      const tooLong = end - begin > MAX_PAYLOAD_BYTES;
      if (!whole || tooLong || begin - this.#start >= BATCH_BYTES) {
        if (lengths.length > 0) yield this.#take(begin, lengths);
        lengths = [];
      }
      if (tooLong) throw new LineTooLong(this.#line, end - begin);
      if (!whole) return;
      lengths.push(end - begin);
      begin = from = end;
    }
  }

  /** The last line, where it has no terminator. */
  *rest(): Generator<Lines> {
    const length = this.#end - this.#start;
    if (length > 0) yield this.#take(this.#end, [length]);
  }

  #take(end: number, lengths: number[]): Lines {
    const bytes = this.#bytes.subarray(this.#start, end);
    this.#start = end;
    this.#line += lengths.length;
    return { bytes, lengths };
  }
}

/**
 * The lines of a file, about {@linkcode BATCH_BYTES} at a time; the last one may have no terminator.
 *
 * @throws {LineTooLong} If a line is longer than a message may be.
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

/** Appends lines, waiting for room in memory where there is none. */
export async function appendLines(log: Log, lines: Lines): Promise<void> {
  for (;;) {
    try {
      log.appendBatch(lines);
      return;
    } catch (error) {
      if (!(error instanceof Backpressure)) throw error;
    }
    await log.ready();
  }
}

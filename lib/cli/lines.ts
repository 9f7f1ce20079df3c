import { MAX_PAYLOAD_BYTES } from "../codec/mod.ts";

/** The byte that ends a line of text. */
export const NEWLINE = 0x0a;
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

/**
 * Cuts bytes into lines, each with its terminator: what is read goes into {@linkcode LineSplitter.room}, and the lines that it completes are views, valid until the next call of that.
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
   * The lines that `count` more bytes complete.
   *
   * @throws {LineTooLong} At the first one that is longer than a message may be; also when its end is not there yet.
   */
  *push(count: number): Generator<Uint8Array<ArrayBuffer>> {
    let from = this.#end;
    this.#end += count;
    for (;;) {
      const at = this.#bytes.indexOf(this.#terminator, from);
      if (at < 0 || at >= this.#end) break;
      yield this.#take(at + 1);
      from = at + 1;
    }
    this.#check(this.#end - this.#start);
  }

  /** The last line, where it has no terminator. */
  *rest(): Generator<Uint8Array<ArrayBuffer>> {
    if (this.#start < this.#end) yield this.#take(this.#end);
  }

  #take(end: number): Uint8Array<ArrayBuffer> {
    this.#check(end - this.#start);
    const line = this.#bytes.subarray(this.#start, end);
    this.#start = end;
    this.#line++;
    return line;
  }

  #check(bytes: number): void {
    if (bytes > MAX_PAYLOAD_BYTES) throw new LineTooLong(this.#line, bytes);
  }
}

/**
 * The lines of a file, each with its terminator, as views that are valid until the next step; the last one may have none.
 *
 * @throws {LineTooLong} If a line is longer than a message may be.
 */
export function* readLines(
  file: Deno.FsFile,
  terminator: number = NEWLINE,
): Generator<Uint8Array<ArrayBuffer>> {
  const splitter = new LineSplitter(terminator);
  for (;;) {
    const read = file.readSync(splitter.room());
    if (read === null) break;
    yield* splitter.push(read);
  }
  yield* splitter.rest();
}

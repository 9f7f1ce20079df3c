import type { Log } from "../log/mod.ts";
import type { Lines } from "./lines.ts";

/** The lines of a source are not those that the log holds. */
export class ResumeError extends Error {
  /** `"ResumeError"`. */
  override readonly name: string = "ResumeError";
}

/** Skips the lines that a log holds already. */
export class LineSkipper {
  readonly #source: string;
  /** The offset that the first line of the source got. */
  readonly #offset: number;
  readonly #count: number;
  /** The last line in the log; `undefined` if it holds none. */
  readonly #last: Uint8Array | undefined;
  #skipped = 0;

  private constructor(
    source: string,
    offset: number,
    count: number,
    last: Uint8Array | undefined,
  ) {
    this.#source = source;
    this.#offset = offset;
    this.#count = count;
    this.#last = last;
  }

  /**
   * Prepares to skip the lines that have offsets from this one.
   *
   * @throws {ResumeError} If the log ends before it.
   */
  static async open(
    log: Log,
    offset: number,
    source: string,
  ): Promise<LineSkipper> {
    const { firstOffset, nextOffset, path } = log;
    if (offset > nextOffset) {
      throw new ResumeError(
        `Cannot resume at offset ${offset}: '${path}' ends before ${nextOffset}`,
      );
    }
    let last: Uint8Array | undefined;
    if (nextOffset > Math.max(offset, firstOffset)) {
      for await (using batch of log.read({ from: nextOffset - 1 })) {
        last = batch.payload(batch.count - 1).slice();
      }
    }
    return new LineSkipper(source, offset, nextOffset - offset, last);
  }

  /**
   * Returns the lines that the log does not hold; `undefined` if there are none.
   *
   * @throws {ResumeError} If the last one that it holds is another.
   */
  skip({ bytes, lengths }: Lines): Lines | undefined {
    const left = this.#count - this.#skipped;
    if (left === 0) return { bytes, lengths };
    const skipped = Math.min(left, lengths.length);
    const start = sum(lengths.subarray(0, skipped - 1));
    const end = start + lengths[skipped - 1]!;
    this.#skipped += skipped;
    if (this.#skipped === this.#count) {
      this.#compare(bytes.subarray(start, end));
    }
    if (skipped === lengths.length) return undefined;
    return { bytes: bytes.subarray(end), lengths: lengths.subarray(skipped) };
  }

  /** Called at the end of the source, which must have as many lines as the log. */
  finish(): void {
    if (this.#skipped < this.#count) this.#refuse("has no such line");
  }

  #compare(line: Uint8Array): void {
    const last = this.#last;
    const isSame = last === undefined || last.length === line.length &&
        line.every((byte, i) => byte === last[i]);
    if (!isSame) this.#refuse("has another line there");
  }

  #refuse(reason: string): never {
    const message = this.#offset + this.#count - 1;
    throw new ResumeError(
      `Cannot resume at offset ${this.#offset}: message ${message} of the log would be line ${this.#count} of '${this.#source}', which ${reason}`,
    );
  }
}

function sum(lengths: Uint32Array): number {
  return lengths.reduce((total, each) => total + each, 0);
}

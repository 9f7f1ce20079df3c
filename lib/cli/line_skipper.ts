import { sameBytes } from "../base/mod.ts";
import type { Log } from "../log/mod.ts";
import type { Lines } from "./lines.ts";

/** Reports that the lines of a source are not those that the log holds. */
export class ResumeError extends Error {
  /** `"ResumeError"`. */
  override readonly name: string = "ResumeError";
}

/** Skips the lines that a log already holds. */
export class LineSkipper {
  readonly #source: string;
  /** The offset of the first line. */
  readonly #offset: number;
  /** Number of lines that the log holds. */
  readonly #count: number;
  /** The last one of them; `undefined` if the log holds none. */
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
      for await (const message of log.messages({ from: nextOffset - 1 })) {
        last = message.payload.slice();
      }
    }
    return new LineSkipper(source, offset, nextOffset - offset, last);
  }

  /**
   * Returns the lines that the log does not hold; `undefined` if it holds all of them.
   *
   * @throws {ResumeError} If the last line that the log holds is another.
   */
  skip({ bytes, lengths }: Lines): Lines | undefined {
    const left = this.#count - this.#skipped;
    if (left === 0) return { bytes, lengths };
    const skipped = lengths.subarray(0, left);
    const end = skipped.reduce((total, each) => total + each, 0);
    this.#skipped += skipped.length;
    if (this.#skipped === this.#count) {
      const line = bytes.subarray(end - skipped.at(-1)!, end);
      const isSame = this.#last === undefined || sameBytes(this.#last, line);
      if (!isSame) this.#refuse("has another line there");
    }
    if (skipped.length === lengths.length) return undefined;
    return { bytes: bytes.subarray(end), lengths: lengths.subarray(left) };
  }

  /** Checks at the end of the source that it had as many lines as the log. */
  finish(): void {
    if (this.#skipped < this.#count) this.#refuse("has no such line");
  }

  #refuse(reason: string): never {
    const message = this.#offset + this.#count - 1;
    throw new ResumeError(
      `Cannot resume at offset ${this.#offset}: message ${message} of the log would be line ${this.#count} of '${this.#source}', which ${reason}`,
    );
  }
}

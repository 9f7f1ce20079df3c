import { sameBytes } from "../base/mod.ts";
import type { Log } from "../log/mod.ts";
import type { Lines } from "./_lines.ts";

/** Reports that the lines of a source are not those that the log holds. */
export class ResumeError extends Error {
  /** `"ResumeError"`. */
  override readonly name: string = "ResumeError";
}

/** Skips the lines that a log already holds. */
export class LineSkipper {
  readonly #log: Log;
  /** The offset of the first line. */
  readonly #offset: number;
  readonly #source: string;
  /** Number of lines still to be skipped. */
  #left: number;

  /**
   * Prepares to skip the lines that have offsets from this one.
   *
   * @throws {ResumeError} If the log ends before it.
   */
  constructor(log: Log, offset: number, source: string) {
    const { nextOffset, path } = log;
    if (offset > nextOffset) {
      throw new ResumeError(
        `Cannot resume at offset ${offset}: '${path}' ends before ${nextOffset}`,
      );
    }
    this.#log = log;
    this.#offset = offset;
    this.#source = source;
    this.#left = nextOffset - offset;
  }

  /**
   * Returns the lines that the log does not hold; `undefined` if it holds all of them.
   *
   * @throws {ResumeError} If the last line that the log holds is another.
   */
  async skip({ bytes, lengths }: Lines): Promise<Lines | undefined> {
    const left = this.#left;
    if (left === 0) return { bytes, lengths };
    const skipped = lengths.subarray(0, left);
    const end = skipped.reduce((total, each) => total + each, 0);
    this.#left -= skipped.length;
    if (this.#left === 0) {
      await this.#compare(bytes.subarray(end - skipped.at(-1)!, end));
    }
    if (skipped.length === lengths.length) return undefined;
    return { bytes: bytes.subarray(end), lengths: lengths.subarray(left) };
  }

  /** Checks at the end of the source that it had as many lines as the log. */
  finish(): void {
    if (this.#left > 0) this.#refuse("has no such line");
  }

  /** Compares a line with the last message of the log, unless retention has removed that. */
  async #compare(line: Uint8Array): Promise<void> {
    const { firstOffset, nextOffset } = this.#log;
    if (firstOffset === nextOffset) return;
    for await (const last of this.#log.messages({ from: nextOffset - 1 })) {
      if (!sameBytes(last.payload, line)) {
        this.#refuse("has another line there");
      }
    }
  }

  #refuse(reason: string): never {
    const offset = this.#offset;
    const message = this.#log.nextOffset - 1;
    const line = message - offset + 1;
    throw new ResumeError(
      `Cannot resume at offset ${offset}: message ${message} of the log would be line ${line} of '${this.#source}', which ${reason}`,
    );
  }
}

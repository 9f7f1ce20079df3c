/**
 * Reports that the platform, the library or the kernel lacks something.
 *
 * @example Fields
 * ```ts
 * import { UnsupportedError } from "@basalt/io";
 * import { assertEquals } from "@std/assert";
 *
 * const error = new UnsupportedError("Cannot open the library", {
 *   found: "windows",
 *   needed: "linux",
 * });
 * assertEquals(error.found, "windows");
 * ```
 */
export class UnsupportedError extends Error {
  /** `"UnsupportedError"`. */
  override readonly name: string = "UnsupportedError";
  /** What was found here. */
  readonly found: string;
  /** What is needed. */
  readonly needed: string;
  /** Each place that was tried, with the reason why it failed; empty if there was no choice. */
  readonly tried: readonly string[];

  /** Makes the error; the fields also end the message. */
  constructor(
    message: string,
    fields:
      & Pick<UnsupportedError, "found" | "needed">
      & Partial<Pick<UnsupportedError, "tried" | "cause">>,
  ) {
    const { found, needed, tried = [], cause } = fields;
    const places = tried.map((each) => `\n  tried ${each}`).join("");
    super(
      `${message}: found ${found}, needed ${needed}${places}`,
      cause === undefined ? undefined : { cause },
    );
    this.found = found;
    this.needed = needed;
    this.tried = tried;
  }
}

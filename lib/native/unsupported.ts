/**
 * The platform, the library or the kernel cannot do what was asked.
 *
 * @example Telling it apart
 * ```ts
 * import { Unsupported } from "@basalt/io";
 * import { assertEquals } from "@std/assert";
 *
 * const error = new Unsupported("Cannot open the library", { found: "windows", needed: "linux" });
 * assertEquals(error.found, "windows");
 * ```
 */
export class Unsupported extends Error {
  /** `"Unsupported"`. */
  override readonly name: string = "Unsupported";
  /** What was found here. */
  readonly found: string;
  /** What would be needed. */
  readonly needed: string;

  /** Makes the error; `found` and `needed` also end the message. */
  constructor(
    message: string,
    options: { found: string; needed: string; cause?: unknown },
  ) {
    super(
      `${message}: found ${options.found}, needed ${options.needed}`,
      options.cause === undefined ? undefined : { cause: options.cause },
    );
    this.found = options.found;
    this.needed = options.needed;
  }
}

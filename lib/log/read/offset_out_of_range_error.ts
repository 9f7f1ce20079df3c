/**
 * Reports that the log does not hold an offset: it was removed, or does not exist yet.
 *
 * @example Reading beyond the end
 * ```ts
 * import { Log, OffsetOutOfRangeError } from "@basalt/io";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const dir = Deno.makeTempDirSync();
 * {
 *   await using log = await Log.open(dir);
 *   await log.appendDurable("the only one");
 *   const error = await assertRejects(
 *     () => Array.fromAsync(log.read({ from: 7 })),
 *     OffsetOutOfRangeError,
 *   ) as OffsetOutOfRangeError;
 *   assertEquals([error.firstOffset, error.nextOffset], [0, 1]);
 * }
 * Deno.removeSync(dir, { recursive: true });
 * ```
 */
export class OffsetOutOfRangeError extends RangeError {
  /** `"OffsetOutOfRangeError"`. */
  override readonly name: string = "OffsetOutOfRangeError";
  /** The directory of the log. */
  readonly path: string;
  /** The requested offset. */
  readonly offset: number;
  /** The offset of the first message of the log. */
  readonly firstOffset: number;
  /** The offset that the next message gets; `undefined` for a reader, which does not know it. */
  readonly nextOffset: number | undefined;

  /** Makes the error; the fields are in the message. */
  constructor(
    path: string,
    offset: number,
    firstOffset: number,
    nextOffset?: number,
    action = "read from",
  ) {
    super(
      `Cannot ${action} offset ${offset}: log '${path}' holds offsets from ${firstOffset}${
        nextOffset === undefined ? "" : ` up to, not including, ${nextOffset}`
      }`,
    );
    this.path = path;
    this.offset = offset;
    this.firstOffset = firstOffset;
    this.nextOffset = nextOffset;
  }
}

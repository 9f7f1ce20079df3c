/**
 * Why shipping or pulling ends.
 *
 * - `"fenced"`: another shipper writes to the destination.
 * - `"gone"`: the destination does not exist, or its connection was closed.
 * - `"too large"`: a message exceeds what the destination takes.
 * - `"other log"`: the destination holds another log, or messages that are not from a log.
 * - `"empty"`: the destination has nothing, although messages were shipped before.
 * - `"gap"`: messages in between are missing.
 * - `"ahead"`: the destination has messages that the log does not have.
 * - `"unfit"`: the destination cannot hold a log as it is configured.
 */
export type ShippingErrorReason =
  | "fenced"
  | "gone"
  | "too large"
  | "other log"
  | "empty"
  | "gap"
  | "ahead"
  | "unfit";

/**
 * Reports that shipping or pulling cannot continue: a retry would not help.
 *
 * @example A destination that was deleted
 * ```ts
 * import { Log } from "@basalt/io";
 * import { ship, ShippingError } from "@basalt/io/ship";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const dir = Deno.makeTempDirSync();
 * {
 *   await using log = await Log.open(dir);
 *   const shipping = ship(log, {
 *     next: () => Promise.reject(new ShippingError("gone", "There is no such table")),
 *     send: () => Promise.resolve(),
 *   }, { cursor: "table" });
 *   const error = await assertRejects(() => shipping.done, ShippingError) as ShippingError;
 *   assertEquals(error.reason, "gone");
 * }
 * Deno.removeSync(dir, { recursive: true });
 * ```
 */
export class ShippingError extends Error {
  /** `"ShippingError"`. */
  override readonly name: string = "ShippingError";
  /** Why. */
  readonly reason: ShippingErrorReason;

  /** Makes the error. */
  constructor(
    reason: ShippingErrorReason,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.reason = reason;
  }
}

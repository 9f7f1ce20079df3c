/**
 * Reports that a message would not get the expected offset, because another call has appended one.
 * Nothing was appended.
 *
 * @example Two writers of one account
 * ```ts
 * import { Log, OffsetConflictError } from "@basalt/io";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * const dir = Deno.makeTempDirSync();
 * {
 *   await using log = await Log.open(dir);
 *   const seen = log.nextOffset;
 *   log.append("deposit 5", { expect: seen });
 *   const error = assertThrows(
 *     () => log.append("withdraw 5", { expect: seen }),
 *     OffsetConflictError,
 *   ) as OffsetConflictError;
 *   assertEquals([error.expected, error.nextOffset], [0, 1]);
 * }
 * Deno.removeSync(dir, { recursive: true });
 * ```
 */
export class OffsetConflictError extends Error {
  /** `"OffsetConflictError"`. */
  override readonly name: string = "OffsetConflictError";
  /** The offset that the caller expected. */
  readonly expected: number;
  /** The offset that the next message gets. */
  readonly nextOffset: number;

  /** Makes the error. */
  constructor(expected: number, nextOffset: number) {
    super(
      `Cannot append as the message was to get offset ${expected}: the next one is ${nextOffset}`,
    );
    this.expected = expected;
    this.nextOffset = nextOffset;
  }
}

/**
 * Refuses an append that expects another offset than the next one.
 *
 * @throws {OffsetConflictError} If so.
 * @throws {RangeError} If the expected value is not an offset.
 */
export function checkExpected(
  expected: number | undefined,
  nextOffset: number,
): void {
  if (expected === undefined || expected === nextOffset) return;
  if (Number.isSafeInteger(expected) && expected >= 0) {
    throw new OffsetConflictError(expected, nextOffset);
  }
  throw new RangeError(
    `Cannot append as 'expect' must be an offset, an integer from 0: received ${expected}`,
  );
}

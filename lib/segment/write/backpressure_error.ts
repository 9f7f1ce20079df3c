import type { PoolLimitError } from "../../pool/mod.ts";

/**
 * Reports that memory has no room for a message. Nothing was appended. Wait for `ready()` and try
 * again.
 *
 * @example Appending faster than the disk takes it
 * ```ts
 * import { BackpressureError, Log } from "@basalt/io";
 * import { assertEquals } from "@std/assert";
 *
 * const dir = Deno.makeTempDirSync();
 * {
 *   await using log = await Log.open(dir, { bufferBytes: 64 * 1024 });
 *   for (let i = 0; i < 100;) {
 *     try {
 *       log.append(new Uint8Array(10_000));
 *       i++;
 *     } catch (error) {
 *       if (!(error instanceof BackpressureError)) throw error;
 *       await log.ready();
 *     }
 *   }
 *   assertEquals(log.nextOffset, 100);
 * }
 * Deno.removeSync(dir, { recursive: true });
 * ```
 */
export class BackpressureError extends Error {
  /** `"BackpressureError"`. */
  override readonly name: string = "BackpressureError";
  /** Bytes of the messages to append, or of the block that the pool refused. */
  readonly requestedBytes: number;
  /** Bytes of messages that wait in memory to be written. */
  readonly pendingBytes: number;
  /** The value of the option `bufferBytes`. */
  readonly bufferBytes: number;
  /** The error of the pool, if it refused a block although `bufferBytes` left room. */
  declare readonly cause?: PoolLimitError | undefined;

  /** Makes the error; the fields are in the message. */
  constructor(
    fields: Pick<
      BackpressureError,
      "requestedBytes" | "pendingBytes" | "bufferBytes" | "cause"
    >,
  ) {
    const { requestedBytes, pendingBytes, bufferBytes, cause } = fields;
    const why = cause?.message ??
      `${pendingBytes} bytes wait to be written, with ${requestedBytes} more they would exceed 'bufferBytes', ${bufferBytes}`;
    super(
      `Cannot append now, wait for ready(): ${why}`,
      cause === undefined ? undefined : { cause },
    );
    this.requestedBytes = requestedBytes;
    this.pendingBytes = pendingBytes;
    this.bufferBytes = bufferBytes;
  }
}

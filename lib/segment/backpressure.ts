/**
 * There is no room in memory for the message; nothing was appended. Wait for `ready()` and try again.
 *
 * @example Appending faster than the disk takes it
 * ```ts
 * import { Backpressure, Log } from "@basalt/io";
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
 *       if (!(error instanceof Backpressure)) throw error;
 *       await log.ready();
 *     }
 *   }
 *   assertEquals(log.nextOffset, 100);
 * }
 * Deno.removeSync(dir, { recursive: true });
 * ```
 */
export class Backpressure extends Error {
  /** `"Backpressure"`. */
  override readonly name: string = "Backpressure";

  /** Makes the error; `reason` says what is full. */
  constructor(reason: string, options?: { cause?: unknown }) {
    super(`Cannot append now, wait for ready(): ${reason}`, options);
  }
}

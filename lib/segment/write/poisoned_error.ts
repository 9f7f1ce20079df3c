/**
 * Reports that a write or sync of the log failed. Only opening the log again shows which messages
 * from the durable offset are on the disk.
 *
 * The failed operation is never repeated: after a failed `fsync(2)` Linux may drop the data and
 * report success the next time (Rebello et al., "Can Applications Recover from fsync Failures?",
 * ATC 2020).
 *
 * @example A disk that fails
 * ```ts
 * import { Log, PoisonedError } from "@basalt/io";
 * import { SimulatedDisk } from "@basalt/io/testing";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const storage = new SimulatedDisk({ seed: 1 });
 * const log = await Log.open("/log", { storage });
 * await log.appendDurable("kept");
 * storage.onOperation(({ kind }) =>
 *   kind === "write" ? { error: "EIO" } : undefined
 * );
 * const error = await assertRejects(() => log.appendDurable("lost?"), PoisonedError);
 * assertEquals((error as PoisonedError).durableOffset, 1);
 * await log.close().catch(() => {});
 * ```
 */
export class PoisonedError extends Error {
  /** `"PoisonedError"`. */
  override readonly name: string = "PoisonedError";
  /**
   * The log's directory, or the `.log` of a single segment.
   *
   * The file whose write or sync failed is in the `cause`.
   */
  readonly path: string;
  /**
   * Messages below this offset are durable; later ones may or may not be there after opening again.
   */
  readonly durableOffset: number;

  /** Makes the error; `cause` is the error of the system. */
  constructor(path: string, durableOffset: number, cause: unknown) {
    const why = cause instanceof Error ? cause.message : String(cause);
    super(
      `Log '${path}' takes no more messages after a failed write or sync: messages below offset ${durableOffset} are durable, open it again to learn of the others: ${why}`,
      { cause },
    );
    this.path = path;
    this.durableOffset = durableOffset;
  }
}

/** The rule that a program broke while an operation was in flight. */
export type MisuseReason = "changed" | "overlap";

const WORDS: Record<MisuseReason, string> = {
  changed: "its memory changed while it was in flight",
  overlap: "another write in flight has bytes of the same range",
};

/**
 * Reports a read or a write in manual mode that broke a rule while it was in flight. The program is
 * wrong.
 *
 * @example Memory that changed in flight
 * ```ts
 * import { BufferPool } from "@basalt/io";
 * import { SimulatedDisk, SimulatedMisuseError } from "@basalt/io/testing";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * using pool = new BufferPool();
 * const disk = new SimulatedDisk({ manual: true });
 * const file = disk.openSync("/a", { write: true, createNew: true });
 * using frozen = pool.acquireSync(4096, { zeroed: true }).freeze();
 * const writing = file.write(frozen, 0);
 * frozen.bytes[0] = 1; // a frozen buffer must not be written to
 * disk.completeAll();
 * const misuse = await assertRejects(() => writing, SimulatedMisuseError);
 * assertEquals((misuse as SimulatedMisuseError).reason, "changed");
 * file.closeSync();
 * ```
 */
export class SimulatedMisuseError extends Error {
  /** `"SimulatedMisuseError"`. */
  override readonly name: string = "SimulatedMisuseError";
  /** The file. */
  readonly path!: string;
  /** The first byte of the transfer in the file. */
  readonly position!: number;
  /** Bytes of the transfer. */
  readonly length!: number;
  /** Which rule was broken. */
  readonly reason!: MisuseReason;

  /** Makes the error. */
  constructor(
    kind: "read" | "write",
    fields: Omit<SimulatedMisuseError, keyof Error>,
  ) {
    const { path, position, length, reason } = fields;
    super(
      `Cannot ${kind} '${path}' at ${position}+${length}: ${WORDS[reason]}`,
    );
    Object.assign(this, fields);
  }
}

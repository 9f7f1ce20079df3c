/** A part of an operation that a power cut may keep or lose: one independent choice. */
export interface UnsyncedUnit {
  /**
   * - `"block"`: the part of a write that lies in one block.
   * - `"size"`: the file's growth by a write.
   * - `"truncate"`, `"preallocate"`: that operation, whole.
   * - `"create"`, `"remove"`, `"rename"`: a change of names.
   */
  readonly kind:
    | "block"
    | "size"
    | "truncate"
    | "preallocate"
    | "create"
    | "remove"
    | "rename";
  /** The file, by a name that it has or had; of a rename the old name. */
  readonly path: string;
  /** The new name of a rename. */
  readonly to?: string;
  /** The first byte of a block's part, or of what was allocated. */
  readonly position?: number;
  /** The bytes of a block's part or of what was allocated; the new size otherwise. */
  readonly length?: number;
  /** Whether its operation had not completed. */
  readonly inFlight: boolean;
}

/**
 * Which unsynced units a power cut keeps.
 *
 * - `"none"`, `"all"`: nothing, everything.
 * - `"random"`: each independently, by the disk's seed.
 * - a `bigint`: unit *i* if bit *i* is set.
 * - a set: the units whose numbers are in it.
 * - a function: the units for which it returns `true`.
 *
 * Units are numbered as in `SimulatedDisk.unsyncedUnits()`.
 */
export type CrashChoice =
  | "none"
  | "all"
  | "random"
  | bigint
  | ReadonlySet<number>
  | ((unit: UnsyncedUnit, number: number) => boolean);

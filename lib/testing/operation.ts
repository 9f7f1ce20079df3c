import type { Durability } from "../storage/mod.ts";

/** What the disk is asked to do. A blocking call has the kind of the asynchronous one. */
export type OperationKind =
  | "open"
  | "read"
  | "write"
  | "sync"
  | "truncate"
  | "preallocate"
  | "size"
  | "rename"
  | "remove"
  | "list"
  | "makeDirectory"
  | "syncDirectory"
  | "lock";

/** What an operation is about, as far as its kind has it. */
export interface OperationDetails {
  /** The new name of a rename. */
  readonly to?: string;
  /** The first byte. */
  readonly position?: number;
  /** Bytes; the new size of a truncate. */
  readonly length?: number;
  /** Of a write or a sync. */
  readonly durability?: Durability;
}

/** One call of the disk, as a hook sees it before it is carried out. */
export interface Operation extends OperationDetails {
  /** What is to be done. */
  readonly kind: OperationKind;
  /** The file or directory; of a rename the old name. */
  readonly path: string;
  /** How manieth operation of the disk it is, from 1. */
  readonly number: number;
  /** How manieth of its kind it is, from 1. */
  readonly numberOfKind: number;
  /** Whether it is the blocking version. */
  readonly blocking: boolean;
}

/** What became of an operation. */
export interface TracedOperation extends Operation {
  /** When it began, in microseconds of the disk's clock. */
  readonly beganMicros: number;
  /**
   * How manieth to complete it was, from 1; `undefined` while it is in flight, and for ever if the
   * disk crashed.
   */
  completion: number | undefined;
  /** `"done"`, or the code or name of the error. */
  outcome: string | undefined;
}

/** What goes wrong with an operation; several together where that makes sense. */
export interface Fault {
  /**
   * The kernel's name of the error that it fails with, such as `"EIO"`.
   *
   * As by a file of the disk, a read, write, truncate or preallocate is repeated after `EINTR`, and
   * after `EAGAIN` 100 times, a millisecond apart; each time is an operation of its own. A sync
   * never is.
   *
   * After a failed sync what was unsynced may or may not survive a power cut, whatever later syncs
   * say (as on Linux); the same goes for the bytes of a write that failed with `EIO`.
   */
  error?: string;
  /**
   * The power fails during the operation: it throws `SimulatedCrashError`, and the disk refuses
   * everything after. What it was changing is among the unsynced units.
   */
  crash?: boolean;
  /**
   * Of a read or a write: a transfer of so many bytes, and no error. What is left is asked for in a
   * further operation, as by a file of the disk; a write of 0 bytes is `EIO`, a read of 0 bytes the
   * end of the file.
   */
  shortBytes?: number;
  /**
   * Of a read or a write: this bit of what was transferred is wrong, and nobody says so; bit 0 is
   * the lowest of the first byte.
   */
  flipBit?: number;
  /** Of a write: where in the file its bytes end up instead, and nobody says so. In bytes. */
  misdirectTo?: number;
  /** How much longer it takes, in milliseconds of the disk's clock. */
  latencyMs?: number;
}

/** Called before each operation; what it returns goes wrong. */
export type OperationHook = (operation: Operation) => Fault | undefined | void;

/** One fault of several: of each kind the first, a crash if any, all latencies. */
export function mergedFault(faults: readonly Fault[]): Fault {
  const merged: Fault = {};
  let latencyMs = 0;
  for (const fault of faults) {
    Object.assign(merged, { ...fault, ...merged });
    latencyMs += fault.latencyMs ?? 0;
    if (fault.crash) merged.crash = true;
  }
  if (latencyMs > 0) merged.latencyMs = latencyMs;
  return merged;
}

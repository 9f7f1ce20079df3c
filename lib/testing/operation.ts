import type { Durability } from "../storage/mod.ts";

/** The kinds of operations. A blocking call has the kind of the asynchronous one. */
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

/** Details of an operation; each kind has some of them. */
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

/** One call of the disk, as a hook sees it before it runs. */
export interface Operation extends OperationDetails {
  /** The kind of the operation. */
  readonly kind: OperationKind;
  /** The file or directory; of a rename the old name. */
  readonly path: string;
  /** Ordinal of this operation on the disk, counted from 1. */
  readonly number: number;
  /** Ordinal among the operations of its kind, counted from 1. */
  readonly numberOfKind: number;
  /** Whether it is the sync version. */
  readonly blocking: boolean;
}

/** An operation and its outcome. */
export interface TracedOperation extends Operation {
  /** When it began, in microseconds of the disk's clock. */
  readonly beganMicros: number;
  /**
   * Ordinal of its completion, counted from 1; `undefined` while it is in flight, and after a
   * crash.
   */
  completion: number | undefined;
  /** `"done"`, or the code or name of the error. */
  outcome: string | undefined;
}

/** A fault of an operation; several may be combined. */
export interface Fault {
  /**
   * The kernel's name of the error that it fails with, such as `"EIO"`.
   *
   * As with a real file, a read, write, truncate or preallocate is repeated after `EINTR`, and
   * after `EAGAIN` 100 times, 1 ms apart. Each attempt is an operation. A sync is never repeated.
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
   * Of a read or a write: transfer this many bytes, without an error. A further operation transfers
   * the rest, as with a real file. A write of 0 bytes is `EIO`, a read of 0 bytes the end of the
   * file.
   */
  shortBytes?: number;
  /**
   * Of a read or a write: flip this bit of the bytes silently; bit 0 is the lowest of the first
   * byte.
   */
  flipBit?: number;
  /** Of a write: the position in bytes at which the bytes silently end up instead. */
  misdirectTo?: number;
  /** Additional latency, in milliseconds of the disk's clock. */
  latencyMs?: number;
}

/** Called before each operation; injects the fault that it returns. */
export type OperationHook = (operation: Operation) => Fault | undefined | void;

/** Merges faults: the first of each kind, a crash if there is one, the sum of the latencies. */
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

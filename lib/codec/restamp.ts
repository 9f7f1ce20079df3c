import { checkInteger } from "../base/mod.ts";
import { checked, native } from "../native/mod.ts";
import { checkBytes } from "./_checks.ts";

/** How to restamp batches. */
export interface RestampOptions {
  /**
   * Keep producer sections, which Iggy 0.9 refuses (`docs/format.md#iggy-producer`). Default:
   * `false`.
   */
  keepsProducers?: boolean;
}

/**
 * Writes a partition, and batch checksums that fit it, into valid batches that lie back to back
 * from `start` to the end of the bytes. Frames stay as they are.
 *
 * @returns The number of batches whose producer section was removed.
 * @throws {RangeError} If a number is out of its range.
 * @throws {Error} If the bytes are not batches; those before the first other place were restamped.
 */
export function restamp(
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  partitionId: number,
  options: RestampOptions = {},
): number {
  const task = "restamp batches";
  checkBytes(task, "bytes.length", bytes, start);
  checkInteger(task, "partitionId", partitionId);
  const status = native().basalt_restamp(
    bytes,
    bytes.length,
    start,
    partitionId,
    options.keepsProducers === true ? 1 : 0,
  );
  return checked(status, "basalt_restamp");
}

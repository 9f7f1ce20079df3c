import { checkInteger } from "../base/mod.ts";
import { checked, native } from "../native/mod.ts";
import { checkBytes } from "./_checks.ts";

/**
 * Writes a partition, and batch checksums that fit it, into valid batches that lie back to back
 * from `start` to the end of the bytes. Frames stay as they are.
 *
 * @param options `keepsProducers`: whether to keep producer sections, which Iggy 0.9 refuses
 * (`docs/format.md#iggy-producer`).
 * @returns The number of batches whose producer section was removed.
 * @throws {RangeError} If a number is out of its range.
 * @throws {Error} If the bytes are not batches; those before the first other place were restamped.
 */
export function restamp(
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  partitionId: number,
  { keepsProducers = false }: { keepsProducers?: boolean } = {},
): number {
  const task = "restamp batches";
  checkBytes(task, "bytes.length", bytes, start);
  checkInteger(task, "partitionId", partitionId);
  const status = native().basalt_restamp(
    bytes,
    bytes.length,
    start,
    partitionId,
    keepsProducers ? 1 : 0,
  );
  return checked(status, "basalt_restamp");
}

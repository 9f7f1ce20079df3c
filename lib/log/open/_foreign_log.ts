import type { Task } from "../../base/mod.ts";
import { describeStop, MessageBatch, SegmentScan } from "../../segment/mod.ts";
import type { LogPlace } from "../record/meta.ts";
import { segmentPath } from "../names.ts";
import { readStart } from "../record/_record_file.ts";

/** Bytes at the start of a `.log` that show its format. */
const LOOK_BYTES = 64;

/**
 * Refuses a directory whose first `.log` is not one of Basalt's, because it starts with neither a
 * valid batch nor zeros.
 *
 * `docs/format.md#open-refuse-foreign`
 *
 * @param firstOffset The first segment, which has a `.log`.
 * @throws {Deno.errors.InvalidData} If it is not; the error describes the first bytes.
 */
export function* refuseForeignLog(
  { storage, dir, pool }: LogPlace,
  firstOffset: number,
): Task<void> {
  const path = segmentPath(dir, firstOffset, "log");
  const log = yield* storage.open(path);
  const start = { position: 0, offset: firstOffset };
  const scan = new SegmentScan(log, pool, start, { readAheadBytes: 0 });
  try {
    const first = yield* scan.next(yield* log.size());
    if (first instanceof MessageBatch) return first.drop();
    if (first.reason === "zeros" || first.reason === "end") return;
    const start = yield* readStart(log, pool, LOOK_BYTES);
    throw new Deno.errors.InvalidData(
      `No log of Basalt's in '${dir}': '${path}' starts with ${
        describeStart(start, firstOffset)
      }, where a batch (${describeStop(first.reason)}) or zeros must be`,
    );
  } finally {
    yield* scan.close();
    yield* log.close();
  }
}

/** Describes the first bytes of a `.log`. */
function describeStart(bytes: Uint8Array, firstOffset: number): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const offset = BigInt(firstOffset);
  if (
    bytes.length >= 17 && view.getBigUint64(0) === offset && bytes[16] === 2
  ) {
    return "a record batch of Kafka";
  }
  const isMessage = bytes.length === LOOK_BYTES &&
    view.getBigUint64(24, true) === offset &&
    view.getBigUint64(56, true) === 0n;
  if (isMessage) return "a message in the format of Iggy up to 0.8";
  return `the bytes ${bytes.subarray(0, 16).toHex()}`;
}

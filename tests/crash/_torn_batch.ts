/** Takes the whole messages of a torn batch, which breaks a rule of recovery. */
import {
  BATCH_HEADER_BYTES,
  batchBaseOffsetAt,
  batchCountAt,
  BatchScan,
  batchTimestampAt,
  FRAME_HEADER_BYTES,
  framePayloadLengthAt,
} from "../../lib/codec/mod.ts";
import type { SimulatedDisk } from "@basalt/io/testing";
import { xxh3 } from "../codec/_xxh3.ts";
import { makeBatch } from "../segment/_made_segment.ts";

/**
 * Writes the whole messages of the first torn batch of a `.log` in its place, as a batch of their
 * own.
 */
export function takeTornBatch(disk: SimulatedDisk, path: string): void {
  const bytes = disk.peek(path);
  const firstOffset = Number(path.slice(path.lastIndexOf("/") + 1, -4));
  const scan = new BatchScan(256);
  scan.run(bytes, 0, firstOffset);
  const { end, stop } = scan;
  if (stop === "end" || stop === "zeros") return;
  if (end + BATCH_HEADER_BYTES > bytes.length) return;
  const payloads = wholePayloads(bytes, end);
  if (payloads.length === 0) return;
  const offset = batchBaseOffsetAt(bytes, end);
  const timestamp = batchTimestampAt(bytes, end);
  disk.poke(path, end, makeBatch(offset, timestamp, payloads));
}

/** Returns the payloads of the leading frames of a batch whose checksums are right. */
function wholePayloads(bytes: Uint8Array, batchStart: number): Uint8Array[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const payloads: Uint8Array[] = [];
  let at = batchStart + BATCH_HEADER_BYTES;
  for (let left = batchCountAt(bytes, batchStart); left > 0; left--) {
    if (at + FRAME_HEADER_BYTES > bytes.length) break;
    const end = at + FRAME_HEADER_BYTES + framePayloadLengthAt(bytes, at);
    if (end > bytes.length) break;
    const checksum = view.getBigUint64(at, true);
    if (checksum !== xxh3(bytes.subarray(at + 8, end))) break;
    payloads.push(bytes.slice(at + FRAME_HEADER_BYTES, end));
    at = end;
  }
  return payloads;
}

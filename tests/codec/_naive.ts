/**
 * A writer and a parser of batches as plain as the tables of the format (`docs/format.md`). The
 * codec is compared with them.
 */
import { xxh3 } from "./_xxh3.ts";

/** The fields of a message. */
export interface PlainFrame {
  id: Uint8Array;
  timestampDelta: number;
  payload: Uint8Array;
  headers: Uint8Array;
}

/** The fields of a batch. */
export interface PlainBatch {
  partition: bigint;
  baseOffset: bigint;
  baseTimestamp: bigint;
  origin: bigint;
  producer?: { id: bigint; epoch: number; sequence: number };
  frames: PlainFrame[];
}

/** A time near that of the format's vectors, in microseconds. */
export const TIME = 1_700_000_000_000_000;

/** Encodes a frame. */
export function writtenFrame(
  frame: PlainFrame,
  index: number,
): Uint8Array<ArrayBuffer> {
  const { payload, headers } = frame;
  const bytes = new Uint8Array(48 + payload.length + headers.length);
  const view = new DataView(bytes.buffer);
  bytes.set(frame.id, 8);
  view.setUint32(24, index, true);
  view.setUint32(28, frame.timestampDelta, true);
  view.setUint32(32, headers.length, true);
  view.setUint32(36, payload.length, true);
  bytes.set(payload, 48);
  bytes.set(headers, 48 + payload.length);
  view.setBigUint64(0, xxh3(bytes.subarray(8)), true);
  return bytes;
}

/** Encodes a batch. */
export function writtenBatch(batch: PlainBatch): Uint8Array<ArrayBuffer> {
  const frames = batch.frames.map(writtenFrame);
  const bytes = joined([new Uint8Array(256), ...frames]);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, batch.partition, true);
  view.setBigUint64(8, batch.baseOffset, true);
  view.setBigUint64(16, batch.baseTimestamp, true);
  view.setBigUint64(24, batch.origin, true);
  view.setBigUint64(32, BigInt(bytes.length), true);
  view.setUint32(48, frames.length, true);
  if (batch.producer !== undefined) {
    view.setUint8(52, 1);
    view.setBigUint64(56, batch.producer.id, true);
    view.setUint16(64, batch.producer.epoch, true);
    view.setUint32(68, batch.producer.sequence, true);
  }
  view.setBigUint64(40, batchChecksum(bytes), true);
  return bytes;
}

/** Computes the checksum of a whole batch that its frames fill. */
export function batchChecksum(bytes: Uint8Array): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const parts = [bytes.subarray(0, 40), bytes.subarray(48, 52)];
  if (bytes[52] === 1) {
    parts.push(Uint8Array.of(1), bytes.subarray(56, 66));
    parts.push(bytes.subarray(68, 72));
  }
  for (let at = 256; at < bytes.length;) {
    parts.push(bytes.subarray(at, at + 8));
    at += 48 + view.getUint32(at + 32, true) + view.getUint32(at + 36, true);
  }
  return xxh3(joined(parts));
}

/**
 * Parses the batch at the start of `bytes`, with its length. Returns `undefined` if it is not whole
 * and valid.
 */
export function parsedBatch(
  bytes: Uint8Array,
): PlainBatch & { length: number } | undefined {
  if (bytes.length < 256) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isZero = (from: number, to: number) =>
    bytes.subarray(from, to).every((byte) => byte === 0);
  const length = Number(view.getBigUint64(32, true));
  const count = view.getUint32(48, true);
  const flags = bytes[52]!;
  const producer = {
    id: view.getBigUint64(56, true),
    epoch: view.getUint16(64, true),
    sequence: view.getUint32(68, true),
  };
  if (length < 304 || length > bytes.length || count === 0) return undefined;
  if (!isZero(53, 56) || !isZero(66, 68) || !isZero(72, 256) || flags > 1) {
    return undefined;
  }
  if (flags === 0 && !isZero(52, 72)) return undefined;
  if (
    producer.id >= 2n ** 63n || producer.epoch >= 2 ** 15 ||
    producer.sequence >= 2 ** 31
  ) {
    return undefined;
  }
  const frames: PlainFrame[] = [];
  let at = 256;
  while (frames.length < count) {
    if (at + 48 > length) return undefined;
    const headersLength = view.getUint32(at + 32, true);
    const payloadLength = view.getUint32(at + 36, true);
    const end = at + 48 + payloadLength + headersLength;
    if (headersLength > 100_000 || payloadLength > 64_000_000) return undefined;
    if (end > length || !isZero(at + 40, at + 48)) return undefined;
    if (view.getUint32(at + 24, true) !== frames.length) return undefined;
    if (view.getBigUint64(at, true) !== xxh3(bytes.subarray(at + 8, end))) {
      return undefined;
    }
    frames.push({
      id: bytes.slice(at + 8, at + 24),
      timestampDelta: view.getUint32(at + 28, true),
      payload: bytes.slice(at + 48, at + 48 + payloadLength),
      headers: bytes.slice(at + 48 + payloadLength, end),
    });
    at = end;
  }
  if (at !== length) return undefined;
  if (
    batchChecksum(bytes.subarray(0, length)) !== view.getBigUint64(40, true)
  ) {
    return undefined;
  }
  return {
    partition: view.getBigUint64(0, true),
    baseOffset: view.getBigUint64(8, true),
    baseTimestamp: view.getBigUint64(16, true),
    origin: view.getBigUint64(24, true),
    ...(flags === 1 ? { producer } : {}),
    frames,
    length,
  };
}

/** Returns a batch with the given payloads. */
export function batchOf(
  baseOffset: number,
  payloads: readonly Uint8Array[],
  baseTimestamp = TIME,
): Uint8Array<ArrayBuffer> {
  return writtenBatch({
    partition: 0n,
    baseOffset: BigInt(baseOffset),
    baseTimestamp: BigInt(baseTimestamp),
    origin: BigInt(TIME - 1),
    frames: payloads.map((payload, i) => ({
      id: new Uint8Array(16).fill(i + 1),
      timestampDelta: i,
      payload,
      headers: new Uint8Array(0),
    })),
  });
}

/** Concatenates the parts. */
export function joined(
  parts: readonly Uint8Array[],
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(
    parts.reduce((sum, part) => sum + part.length, 0),
  );
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Returns `length` bytes of 0, 1, …, 250, 0, …: the payload of the format's vectors. */
export function counting(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => i % 251);
}

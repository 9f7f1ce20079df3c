/** A writer and a parser as plain as the tables of the format. The codec is compared with them. */
import { joined } from "../_naive.ts";
import { xxh3 } from "../_xxh3.ts";

export { counting, joined } from "../_naive.ts";

/** The fields of a message. */
export interface Plain {
  id: Uint8Array;
  offset: bigint;
  timestamp: bigint;
  origin: bigint;
  payload: Uint8Array;
  headers: Uint8Array;
}

/** A time near that of the format's vectors, in microseconds. */
export const TIME = 1_700_000_000_000_000;

/** Encodes a message. */
export function written(message: Plain): Uint8Array<ArrayBuffer> {
  const { payload, headers } = message;
  const bytes = new Uint8Array(64 + payload.length + headers.length);
  const view = new DataView(bytes.buffer);
  bytes.set(message.id, 8);
  view.setBigUint64(24, message.offset, true);
  view.setBigUint64(32, message.timestamp, true);
  view.setBigUint64(40, message.origin, true);
  view.setUint32(48, headers.length, true);
  view.setUint32(52, payload.length, true);
  bytes.set(payload, 64);
  bytes.set(headers, 64 + payload.length);
  view.setBigUint64(0, xxh3(bytes.subarray(8)), true);
  return bytes;
}

/** Parses the message at the start of `bytes`. Returns `undefined` if it is not whole and valid. */
export function parsed(bytes: Uint8Array): Plain | undefined {
  const message = fieldsAt(bytes);
  if (message === undefined) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = 64 + message.payload.length + message.headers.length;
  if (view.getBigUint64(56, true) !== 0n) return undefined;
  return view.getBigUint64(0, true) === xxh3(bytes.subarray(8, end))
    ? message
    : undefined;
}

/** The fields of the message at the start of `bytes`; `undefined` if it is not whole. */
export function fieldsAt(bytes: Uint8Array): Plain | undefined {
  if (bytes.length < 64) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headers = view.getUint32(48, true);
  const payload = view.getUint32(52, true);
  const end = 64 + payload + headers;
  if (headers > 100_000 || payload > 64_000_000 || end > bytes.length) {
    return undefined;
  }
  return {
    id: bytes.slice(8, 24),
    offset: view.getBigUint64(24, true),
    timestamp: view.getBigUint64(32, true),
    origin: view.getBigUint64(40, true),
    payload: bytes.slice(64, 64 + payload),
    headers: bytes.slice(64 + payload, end),
  };
}

/** Encodes messages with the given payloads and offsets from `firstOffset`. */
export function run(
  firstOffset: number,
  payloads: readonly Uint8Array[],
): Uint8Array<ArrayBuffer> {
  return joined(payloads.map((payload, i) =>
    written({
      id: new Uint8Array(16).fill(i + 1),
      offset: BigInt(firstOffset + i),
      timestamp: BigInt(TIME),
      origin: BigInt(TIME - 1),
      payload,
      headers: new Uint8Array(0),
    })
  ));
}

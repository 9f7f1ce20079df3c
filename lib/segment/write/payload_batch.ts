import {
  BATCH_HEADER_BYTES,
  FRAME_HEADER_BYTES,
  MAX_BATCH_BYTES,
  MAX_PAYLOAD_BYTES,
} from "../../codec/mod.ts";
import { checkAttached, checkPayload } from "./prepared_message.ts";
import type { WriteBlock } from "./write_block.ts";

/** Payloads that lie back to back in one buffer: the cheapest form of a batch. */
export interface FlatPayloads {
  /** The payloads' bytes, without anything between them. */
  bytes: Uint8Array;
  /** The length of each payload in bytes, in order; together they are the length of `bytes`. */
  lengths: Uint32Array | readonly number[];
}

/** Payloads that were checked and are appended as one batch. */
export interface PayloadBatch {
  /** Messages. */
  readonly count: number;
  /** Bytes of their frames. */
  readonly frameBytes: number;
  /** Adds all of them to the block's open batch, for which there must be room. */
  addTo(block: WriteBlock): void;
}

/**
 * Makes the batch of payloads that have `byteLength` bytes.
 *
 * @throws {RangeError} If they are too many for a batch.
 */
function batchOf(
  count: number,
  byteLength: number,
  addTo: (block: WriteBlock) => void,
): PayloadBatch {
  const frameBytes = byteLength + FRAME_HEADER_BYTES * count;
  const bytes = BATCH_HEADER_BYTES + frameBytes;
  if (bytes <= MAX_BATCH_BYTES) return { count, frameBytes, addTo };
  throw new RangeError(
    `Cannot append batch as it must be at most ${MAX_BATCH_BYTES} bytes, headers included: ` +
      `${count} messages are ${bytes}; append several batches`,
  );
}

/** Makes the batch of payloads that lie back to back. */
function joinedBatch(
  bytes: Uint8Array<ArrayBuffer>,
  lengths: Uint32Array<ArrayBuffer>,
  byteLength: number,
): PayloadBatch {
  const { length: count } = lengths;
  return batchOf(count, byteLength, (block) => block.addFlat(bytes, lengths));
}

const ENCODER = new TextEncoder();
/** Text of a batch is encoded through memory that stays, if it is not more than this. */
const SCRATCH_BYTES = 1024 * 1024;
/** More text than this (in units of UTF-16) is encoded string by string. */
const MAX_RUN_UNITS = 16 * 1024 * 1024;
/** So many strings at most are joined and encoded by one call. */
const JOINED_TEXTS = 1024;
let kept: Uint8Array<ArrayBuffer> | undefined;
const keptLengths = new Uint32Array(JOINED_TEXTS);

/**
 * Checks payloads, and encodes those that are text.
 *
 * @throws {RangeError} If there are none, one is too long, or lengths do not agree with the bytes.
 * @throws {TypeError} If something is of a wrong kind.
 */
export function payloadBatch(
  payloads: readonly (Uint8Array | string)[] | FlatPayloads,
): PayloadBatch {
  if (payloads === null || typeof payloads !== "object") {
    throw new TypeError(
      `Cannot append batch as 'payloads' must be an array or { bytes, lengths }: received ${
        payloads === null ? "null" : typeof payloads
      }`,
    );
  }
  return "lengths" in payloads ? flatBatch(payloads) : listBatch(payloads);
}

function listBatch(payloads: readonly (Uint8Array | string)[]): PayloadBatch {
  const count = payloads.length;
  checkCount(count);
  let total = 0;
  let texts = 0;
  for (const payload of payloads) {
    if (typeof payload === "string") texts++;
    else if (
      !(payload instanceof Uint8Array) || payload.length === 0 ||
      payload.length > MAX_PAYLOAD_BYTES
    ) checkPayload(payload);
    total += payload.length;
  }
  if (texts === 0) {
    const arrays = payloads as readonly Uint8Array[];
    return batchOf(count, total, (block) => block.addPayloads(arrays));
  }
  if (texts === count && total <= MAX_RUN_UNITS) {
    const strings = payloads as readonly string[];
    return asciiBatch(strings, total) ?? textBatch(strings, total);
  }
  return listBatch(
    payloads.map((each) =>
      typeof each === "string" ? ENCODER.encode(each) : each
    ),
  );
}

/**
 * Makes the batch of strings of ASCII, of which each unit is a byte; `undefined` if there are
 * others.
 */
function asciiBatch(
  texts: readonly string[],
  units: number,
): PayloadBatch | undefined {
  const bytes = scratchOf(units);
  const lengths = lengthsOf(texts.length);
  for (let i = 0, end = 0; i < texts.length;) {
    // 16 ns a string of 100 units, `join` 22, encoding each by itself 105.
    let joined = "";
    const most = Math.min(i + JOINED_TEXTS, texts.length);
    for (; i < most; i++) {
      const text = texts[i]!;
      joined += text;
      lengths[i] = text.length;
    }
    const { length } = joined;
    const place = new Uint8Array(bytes.buffer, end, length);
    // All of it is read only where no unit takes more than its byte.
    if (ENCODER.encodeInto(joined, place).read < length) return undefined;
    end += length;
  }
  return joinedBatch(bytes, lengths, units);
}

/** Makes the batch of strings encoded one by one: joined, halves of a surrogate pair would meet. */
function textBatch(texts: readonly string[], units: number): PayloadBatch {
  // No unit of UTF-16 becomes more than 3 bytes.
  const bytes = scratchOf(3 * units);
  const lengths = lengthsOf(texts.length);
  let end = 0;
  for (let i = 0; i < texts.length; i++) {
    const text = texts[i]!;
    const place = new Uint8Array(bytes.buffer, end, 3 * text.length);
    end += lengths[i] = ENCODER.encodeInto(text, place).written;
  }
  return joinedBatch(bytes, lengths, end);
}

/** Returns room for lengths: a lasting array reaches native code faster than a new one. */
function lengthsOf(count: number): Uint32Array<ArrayBuffer> {
  if (count > keptLengths.length) return new Uint32Array(count);
  return keptLengths.subarray(0, count);
}

function scratchOf(bytes: number): Uint8Array<ArrayBuffer> {
  if (bytes > SCRATCH_BYTES) return new Uint8Array(bytes);
  return kept ??= new Uint8Array(SCRATCH_BYTES);
}

function flatBatch({ bytes, lengths }: FlatPayloads): PayloadBatch {
  if (!(bytes instanceof Uint8Array)) {
    throw new TypeError(
      `Cannot append batch as 'bytes' must be a Uint8Array: received ${typeof bytes}`,
    );
  }
  if (!(lengths instanceof Uint32Array || Array.isArray(lengths))) {
    throw new TypeError(
      `Cannot append batch as 'lengths' must be a Uint32Array or an array: received ${typeof lengths}`,
    );
  }
  if (bytes.length === 0) checkAttached("bytes", bytes);
  checkCount(lengths.length);
  // A copy: what was checked must be what is used, and another thread could write to theirs.
  const checked = lengthsOf(lengths.length);
  checked.set(lengths);
  let total = 0;
  for (let i = 0; i < checked.length; i++) {
    const length = lengths[i]!;
    total += checked[i]!;
    // An array can have numbers that the copy cannot hold.
    if (checked[i] === length && length <= MAX_PAYLOAD_BYTES) continue;
    throw new RangeError(
      `Cannot append batch as 'lengths[${i}]' must be an integer from 0 to ${MAX_PAYLOAD_BYTES}: received ${length}`,
    );
  }
  if (total !== bytes.length) {
    throw new RangeError(
      `Cannot append batch as 'lengths' must add up to the ${bytes.length} bytes of 'bytes': received ${total}`,
    );
  }
  // Native code takes no view of shared memory.
  const source = bytes.buffer instanceof ArrayBuffer
    ? bytes as Uint8Array<ArrayBuffer>
    : new Uint8Array(bytes);
  return joinedBatch(source, checked, total);
}

function checkCount(count: number): void {
  if (count === 0) throw new RangeError("Cannot append a batch of no messages");
}

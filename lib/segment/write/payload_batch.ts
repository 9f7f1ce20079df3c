import {
  BATCH_HEADER_BYTES,
  FRAME_HEADER_BYTES,
  MAX_BATCH_BYTES,
  MAX_PAYLOAD_BYTES,
} from "../../codec/mod.ts";
import { encodeAscii } from "./ascii_texts.ts";
import {
  checkAttached,
  checkPayload,
  plainMessage,
} from "./prepared_message.ts";
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

/** Makes the batch of payloads that have `byteLength` bytes. */
function batchOf(
  count: number,
  byteLength: number,
  addTo: (block: WriteBlock) => void,
): PayloadBatch {
  const frameBytes = byteLength + FRAME_HEADER_BYTES * count;
  return { count, frameBytes, addTo };
}

/** Makes the batch of payloads in buffers of their own. */
function separateBatch(
  payloads: readonly Uint8Array[],
  byteLength: number,
): PayloadBatch {
  return batchOf(payloads.length, byteLength, (block) => {
    for (const payload of payloads) {
      // An empty payload is for `addPrepared`: `add` takes an empty view for a detached one.
      if (payload.length === 0 || block.add(payload) < 0) {
        block.addPrepared(plainMessage(payload));
      }
    }
  });
}

/** Makes the batch of payloads that lie back to back. */
function joinedBatch(
  bytes: Uint8Array<ArrayBuffer>,
  lengths: Uint32Array<ArrayBuffer>,
  byteLength: number,
): PayloadBatch {
  return batchOf(lengths.length, byteLength, (block) => {
    block.addFlat(bytes, lengths);
  });
}

const ENCODER = new TextEncoder();
/** Text of a batch is encoded through memory that stays, if it is not more than this. */
const SCRATCH_BYTES = 1024 * 1024;
/** More text than this (in units of UTF-16) is encoded string by string. */
const MAX_RUN_UNITS = 16 * 1024 * 1024;
/** So many strings at most are joined and encoded by one call. */
const JOINED_TEXTS = 1024;
let kept: Uint8Array<ArrayBuffer> | undefined;

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
  return checkSize(
    "lengths" in payloads ? flatBatch(payloads) : listBatch(payloads),
  );
}

function listBatch(payloads: readonly (Uint8Array | string)[]): PayloadBatch {
  const count = payloads.length;
  checkCount(count);
  const lengths = new Uint32Array(count);
  let total = 0;
  let texts = 0;
  for (let i = 0; i < count; i++) {
    const payload = payloads[i]!;
    if (typeof payload === "string") texts++;
    else if (
      !(payload instanceof Uint8Array) || payload.length === 0 ||
      payload.length > MAX_PAYLOAD_BYTES
    ) checkPayload(payload);
    total += lengths[i] = payload.length;
  }
  if (texts === 0) {
    return separateBatch(payloads as readonly Uint8Array[], total);
  }
  if (texts === count && total <= MAX_RUN_UNITS) {
    const strings = payloads as readonly string[];
    return asciiBatch(strings, lengths, total) ??
      textBatch(strings, lengths, total);
  }
  return listBatch(
    payloads.map((each) =>
      typeof each === "string" ? ENCODER.encode(each) : each
    ),
  );
}

/**
 * Strings of ASCII, encoded many by one call: each unit is a byte. `undefined` if others are among
 * them.
 */
function asciiBatch(
  texts: readonly string[],
  lengths: Uint32Array<ArrayBuffer>,
  units: number,
): PayloadBatch | undefined {
  const scratch = scratchOf(units);
  for (let first = 0, end = 0; first < texts.length;) {
    const behind = Math.min(first + JOINED_TEXTS, texts.length);
    const own = lengths.subarray(first, behind);
    const count = encodeAscii(texts, first, own, scratch.subarray(end));
    if (count === 0) return undefined;
    for (; first < behind; first++) end += lengths[first]!;
  }
  return joinedBatch(scratch, lengths, units);
}

/** Strings encoded one by one: joined, halves of a surrogate pair would meet. */
function textBatch(
  texts: readonly string[],
  lengths: Uint32Array<ArrayBuffer>,
  units: number,
): PayloadBatch {
  // No unit of UTF-16 becomes more than 3 bytes.
  const scratch = scratchOf(3 * units);
  let end = 0;
  for (let i = 0; i < texts.length; i++) {
    const text = texts[i]!;
    const place = new Uint8Array(scratch.buffer, end, 3 * text.length);
    const { written } = ENCODER.encodeInto(text, place);
    lengths[i] = written;
    end += written;
  }
  return joinedBatch(scratch, lengths, end);
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
  const checked = new Uint32Array(lengths);
  // In an array there can be numbers that the copy cannot hold.
  if (bytes.length > MAX_PAYLOAD_BYTES || Array.isArray(lengths)) {
    checkLengths(checked, lengths);
  }
  let total = 0;
  for (let i = 0; i < checked.length; i++) total += checked[i]!;
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

function checkLengths(
  checked: Uint32Array,
  given: Uint32Array | readonly number[],
): void {
  for (let i = 0; i < checked.length; i++) {
    const length = checked[i]!;
    if (length <= MAX_PAYLOAD_BYTES && length === given[i]) continue;
    throw new RangeError(
      `Cannot append batch as 'lengths[${i}]' must be an integer from 0 to ${MAX_PAYLOAD_BYTES}: received ${
        given[i]
      }`,
    );
  }
}

function checkCount(count: number): void {
  if (count > 0) return;
  throw new RangeError("Cannot append a batch of no messages");
}

/**
 * Refuses a batch that is too long to be one.
 *
 * @throws {RangeError} If so.
 */
function checkSize(batch: PayloadBatch): PayloadBatch {
  const bytes = BATCH_HEADER_BYTES + batch.frameBytes;
  if (bytes <= MAX_BATCH_BYTES) return batch;
  throw new RangeError(
    `Cannot append batch as it must be at most ${MAX_BATCH_BYTES} bytes, headers included: ` +
      `${batch.count} messages are ${bytes}; append several batches`,
  );
}

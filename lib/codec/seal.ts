import { checkInteger } from "../base/mod.ts";
import { checked, native, STATUS } from "../native/mod.ts";
import { MAX_UINT32 } from "./_checks.ts";
import {
  BATCH_HEADER_BYTES,
  FRAME_HEADER_BYTES,
  MAX_BATCH_BYTES,
  MAX_PAYLOAD_BYTES,
  MAX_USER_HEADERS_BYTES,
} from "./header.ts";

/**
 * Bytes of a record. Record `i` of a write block is the two words at byte `bytes.length -
 * RECORD_BYTES * (i + 1)`: the length of the payload, and the length of the user headers with
 * flags.
 */
export const RECORD_BYTES = 8;
/**
 * Flag in a record's second word: the id's 16 bytes are already in the frame header. A zero id
 * counts as not given.
 */
export const RECORD_ID_GIVEN = 0x8000_0000;
/** Flag in a record's second word: the producer's time is already in the frame header. */
export const RECORD_ORIGIN_GIVEN = 0x4000_0000;
/**
 * Flag in a record's second word: the message begins a batch, and room for a batch header lies
 * before its frame.
 */
export const RECORD_BATCH_START = 0x2000_0000;

/** A write block whose messages are laid out, and what to seal them with. */
export interface SealRun {
  /**
   * The whole block: frames from `start` up, records from the end down. For each message, the
   * payload and the encoded user headers lie 48 bytes after the start of its frame, and 256 bytes
   * of room lie before the first frame of a batch. The length is a multiple of 8, and it begins at
   * a multiple of 8 in its buffer.
   */
  bytes: Uint8Array<ArrayBuffer>;
  /** Where the first batch begins in `bytes`. */
  start: number;
  /** Number of messages. The first one's record has the flag `RECORD_BATCH_START`. */
  count: number;
  /** Offset of the first message. */
  baseOffset: number;
  /** Append time of all batches in the block, in microseconds since the Unix epoch. */
  baseTimestamp: number;
  /** 32 random bytes, new for each run: the ids that are not given are drawn from them. */
  seed: Uint8Array;
  /** Partition that the batches belong to. Defaults to 0. */
  partitionId?: number;
}

/** Bytes of the context of a native call that seals: five numbers, its result, the seed. */
export const SEAL_CONTEXT_BYTES = 80;
const END = 5;
const SEED = 48;

// The native call reads and writes it before it returns, so one is enough.
const context = new Uint8Array(SEAL_CONTEXT_BYTES);
const contextNumbers = new Float64Array(context.buffer);

/**
 * Writes what a block is sealed with at a multiple of 8 in the buffer of `bytes`, for a thread of
 * the library that seals it later. The run's `bytes` are not part of it.
 */
export function putSealContext(
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  run: Omit<SealRun, "bytes">,
): void {
  const numbers = new Float64Array(bytes.buffer, bytes.byteOffset + start, 5);
  putNumbers(numbers, run);
  bytes.set(run.seed, start + SEED);
}

function putNumbers(numbers: Float64Array, run: Omit<SealRun, "bytes">): void {
  numbers[0] = run.start;
  numbers[1] = run.count;
  numbers[2] = run.baseOffset;
  numbers[3] = run.baseTimestamp;
  numbers[4] = run.partitionId ?? 0;
}

/**
 * Writes the frame headers and batch headers of all messages in a write block, in one native call.
 * Messages without an id get a random UUID v4, those without a producer's time get `baseTimestamp`.
 *
 * @returns Where the last batch ends in the bytes.
 * @throws {RangeError} If a number is out of its range, a length is above its maximum, frames reach
 * into the records, or the producers' times of a batch span more than a u32 of microseconds.
 * Nothing was written then.
 */
export function seal(run: SealRun): number {
  const { bytes, seed } = run;
  // Native code cannot know how long a view is.
  if (
    bytes.length > MAX_UINT32 || bytes.byteOffset % RECORD_BYTES !== 0 ||
    seed.length !== 32
  ) {
    throw explained(run);
  }
  putNumbers(contextNumbers, run);
  context.set(seed, SEED);
  const status = native().basalt_seal(bytes, bytes.length, context);
  if (status === STATUS.BAD_ARGUMENT) throw explained(run);
  checked(status, "basalt_seal");
  return contextNumbers[END]!;
}

/** Returns the error for a run that was refused: the first thing that is wrong with it. */
function explained(run: SealRun): Error {
  try {
    checkNumbers(run);
    checkRecords(run);
  } catch (error) {
    return error as Error;
  }
  return new RangeError("Cannot seal block as its memory is not usable");
}

function fail(name: string, must: string, received: unknown): never {
  throw new RangeError(
    `Cannot seal block as '${name}' must ${must}: received ${received}`,
  );
}

function checkNumbers(run: SealRun): void {
  const { bytes, start, count, baseOffset, partitionId = 0 } = run;
  const { length, byteOffset } = bytes;
  const task = "seal block";
  if (length > MAX_UINT32 || length % RECORD_BYTES !== 0) {
    fail("bytes", `have a multiple of 8 bytes below 2^32`, length);
  }
  if (byteOffset % RECORD_BYTES !== 0) {
    fail("bytes", "begin at a multiple of 8 in their buffer", byteOffset);
  }
  if (run.seed.length !== 32) fail("seed", "have 32 bytes", run.seed.length);
  checkInteger(task, "start", start, 0, MAX_UINT32);
  checkInteger(task, "count", count, 0, MAX_UINT32);
  checkInteger(task, "baseOffset", baseOffset);
  checkInteger(task, "baseTimestamp", run.baseTimestamp);
  checkInteger(task, "partitionId", partitionId);
  if (baseOffset > Number.MAX_SAFE_INTEGER - count + 1) {
    fail("baseOffset", `leave room for ${count} offsets`, baseOffset);
  }
  if (start + RECORD_BYTES * count > length) {
    fail("count", `leave room for the records in ${length} bytes`, count);
  }
}

function checkRecords(run: SealRun): void {
  const { bytes, count } = run;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const recordsStart = bytes.length - RECORD_BYTES * count;
  let end = run.start;
  let batchStart = end;
  let earliest = 0;
  let latest = 0;
  for (let i = 0; i < count; i++) {
    const at = bytes.length - RECORD_BYTES * (i + 1);
    const payload = view.getUint32(at, true);
    const word = view.getUint32(at + 4, true);
    const isStart = (word & RECORD_BATCH_START) !== 0;
    const headers = word & 0x1fff_ffff;
    if (i === 0 && !isStart) {
      fail("bytes", "have a first record that begins a batch", word);
    }
    if (payload > MAX_PAYLOAD_BYTES) {
      const must =
        `give record ${i} at most ${MAX_PAYLOAD_BYTES} payload bytes`;
      fail("bytes", must, payload);
    }
    if (headers > MAX_USER_HEADERS_BYTES) {
      const must =
        `give record ${i} at most ${MAX_USER_HEADERS_BYTES} bytes of user headers`;
      fail("bytes", must, headers);
    }
    if (isStart) {
      batchStart = end;
      end += BATCH_HEADER_BYTES;
    }
    const frame = end;
    end += FRAME_HEADER_BYTES + payload + headers;
    if (end > recordsStart) {
      fail(
        "bytes",
        `have room for frame ${i} before the records`,
        recordsStart,
      );
    }
    if (end - batchStart > MAX_BATCH_BYTES) {
      const must = `hold batches of at most ${MAX_BATCH_BYTES} bytes`;
      fail("bytes", must, end - batchStart);
    }
    const time = (word & RECORD_ORIGIN_GIVEN) !== 0
      ? Number(view.getBigUint64(frame + 40, true))
      : run.baseTimestamp;
    earliest = isStart ? time : Math.min(earliest, time);
    latest = isStart ? time : Math.max(latest, time);
    if (latest - earliest > MAX_UINT32) {
      const must = `hold batches that span at most ${MAX_UINT32} microseconds`;
      fail("bytes", must, latest - earliest);
    }
  }
}

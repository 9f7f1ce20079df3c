import { checked, native, STATUS } from "../native/mod.ts";
import { MAX_UINT32 } from "./_checks.ts";

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

const END = 5;
const SEED = 48;
const SEED_BYTES = 32;
/** Bytes of the context of a native call that seals: five numbers, its result, the seed. */
export const SEAL_CONTEXT_BYTES: number = SEED + SEED_BYTES;

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
  const isUsable = bytes.length <= MAX_UINT32 &&
    bytes.byteOffset % RECORD_BYTES === 0 && seed.length === SEED_BYTES;
  let status: number = STATUS.BAD_ARGUMENT;
  if (isUsable) {
    putNumbers(contextNumbers, run);
    context.set(seed, SEED);
    status = native().basalt_seal(bytes, bytes.length, context);
  }
  if (status === STATUS.BAD_ARGUMENT) throw refused(run);
  checked(status, "basalt_seal");
  return contextNumbers[END]!;
}

function refused(run: SealRun): RangeError {
  const { start, count, baseOffset, baseTimestamp, partitionId = 0 } = run;
  const { bytes, seed } = run;
  return new RangeError(
    `Cannot seal ${count} messages from ${start} in a block of ${bytes.length} bytes that begins at ${bytes.byteOffset} in its buffer, as they do not fit before their records, a record or their times are out of range, or one of these is: offset ${baseOffset}, time ${baseTimestamp}, partition ${partitionId}, ${seed.length} bytes of seed`,
  );
}

import { checked, native, STATUS } from "../../native/mod.ts";
import {
  HEADER_BYTES,
  MAX_PAYLOAD_BYTES,
  MAX_USER_HEADERS_BYTES,
} from "./header.ts";
import { INDEX_ENTRY_BYTES } from "./index_entry.ts";

/** Flag in a record's second word: the id's 16 bytes are already in the header's place. A zero id counts as not given. */
export const RECORD_ID_GIVEN = 0x8000_0000;
/** Flag in a record's second word: the origin timestamp is already in the header's place. */
export const RECORD_ORIGIN_GIVEN = 0x4000_0000;

/** Messages that lie back to back and wait for their headers, and what to stamp them with. */
export interface StampRun {
  /** Holds the run: for each message, 64 bytes of room for its header, its payload, its encoded user headers. */
  bytes: Uint8Array<ArrayBuffer>;
  /** Where the run starts in `bytes`. */
  start: number;
  /** Two words a message: the payload's length; the user headers' length with the flags `RECORD_ID_GIVEN` and `RECORD_ORIGIN_GIVEN`. */
  records: Uint32Array<ArrayBuffer>;
  /** How many messages. */
  count: number;
  /** Receives an entry of 16 bytes for each message. */
  index: Uint8Array<ArrayBuffer>;
  /** The first message's offset in the partition. */
  firstOffset: number;
  /** The time of all of them, in microseconds since the Unix epoch. */
  timestamp: number;
  /** The number of the first one's index entry in its segment. */
  relativeOffset: number;
  /** Where the run starts in the segment's log, in bytes. */
  position: number;
  /** 32 random bytes, new for each run: the ids that are not given are drawn from them. */
  seed: Uint8Array;
}

// The native call reads it before it returns, so one is enough.
const context = new Float64Array(8);
const contextBytes = new Uint8Array(context.buffer);

/**
 * Writes the headers with their checksums, and the index entries, of a run of messages, in one native call. Messages
 * without an id get a random UUID v4, those without an origin timestamp get the run's.
 *
 * @throws {RangeError} If a number is out of its range, a length is above its maximum, or the run does not fit `bytes`,
 * `records`, `index` or a position below 2^32. Nothing was written then.
 */
export function stamp(run: StampRun): void {
  const { bytes, records, index, count } = run;
  // Native code cannot know how long a view is, nor does it refuse fractions.
  if (
    !(isUint32(count) && isUint32(run.start) && records.length >= 2 * count &&
      bytes.length <= MAX_UINT32 && index.length <= MAX_UINT32 &&
      run.seed.length === 32)
  ) {
    throw explained(run);
  }
  context[0] = run.firstOffset;
  context[1] = run.timestamp;
  context[2] = run.relativeOffset;
  context[3] = run.position;
  contextBytes.set(run.seed, 32);
  const status = native().basalt_legacy_stamp(
    bytes,
    bytes.length,
    run.start,
    records,
    count,
    index,
    index.length,
    contextBytes,
  );
  if (status === STATUS.BAD_ARGUMENT) throw explained(run);
  checked(status, "basalt_legacy_stamp");
}

const MAX_UINT32 = 0xffff_ffff;

function isUint32(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= MAX_UINT32;
}

/** The error for a run that was refused: the first thing that is wrong with it. */
function explained(run: StampRun): RangeError {
  const { bytes, start, records, count, index, seed } = run;
  const error = (name: string, must: string, received: unknown) =>
    new RangeError(
      `Cannot stamp run as '${name}' must ${must}: received ${received}`,
    );
  const limits: [name: keyof StampRun, max: number][] = [
    ["start", MAX_UINT32],
    ["count", MAX_UINT32],
    ["firstOffset", Number.MAX_SAFE_INTEGER],
    ["timestamp", Number.MAX_SAFE_INTEGER],
    ["relativeOffset", MAX_UINT32],
    ["position", MAX_UINT32],
  ];
  for (const [name, max] of limits) {
    const value = run[name] as number;
    if (!Number.isSafeInteger(value) || value < 0 || value > max) {
      return error(name, `be an integer from 0 to ${max}`, value);
    }
  }
  if (bytes.length > MAX_UINT32) {
    return error("bytes", `have at most ${MAX_UINT32} bytes`, bytes.length);
  }
  if (seed.length !== 32) return error("seed", "have 32 bytes", seed.length);
  if (records.length < 2 * count) {
    const must = `have ${2 * count} words for ${count} records`;
    return error("records", must, records.length);
  }
  if (index.length < INDEX_ENTRY_BYTES * count || index.length > MAX_UINT32) {
    const must = `have ${INDEX_ENTRY_BYTES * count} bytes for ${count} entries`;
    return error("index", must, index.length);
  }
  let length = 0;
  for (let i = 0; i < count; i++) {
    const payload = records[2 * i]!;
    const headers = records[2 * i + 1]! % RECORD_ORIGIN_GIVEN;
    if (payload > MAX_PAYLOAD_BYTES) {
      const must =
        `give record ${i} at most ${MAX_PAYLOAD_BYTES} payload bytes`;
      return error("records", must, payload);
    }
    if (headers > MAX_USER_HEADERS_BYTES) {
      const must =
        `give record ${i} at most ${MAX_USER_HEADERS_BYTES} bytes of user headers`;
      return error("records", must, headers);
    }
    length += HEADER_BYTES + payload + headers;
  }
  if (start + length > bytes.length) {
    const must = `reach to ${start + length}, where the run ends`;
    return error("bytes", must, bytes.length);
  }
  if (run.position + length > MAX_UINT32) {
    const must = `be at most ${
      MAX_UINT32 - length
    }, so that the run ends below 2^32`;
    return error("position", must, run.position);
  }
  if (run.firstOffset > Number.MAX_SAFE_INTEGER - count + 1) {
    const must = `leave room for ${count} offsets below 2^53`;
    return error("firstOffset", must, run.firstOffset);
  }
  if (run.relativeOffset + count - 1 > MAX_UINT32) {
    const must = `leave room for ${count} entries below 2^32`;
    return error("relativeOffset", must, run.relativeOffset);
  }
  return new RangeError(
    "Cannot stamp run as 'bytes', 'records' and 'index' must not share memory",
  );
}

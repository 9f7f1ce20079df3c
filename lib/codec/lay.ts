import { checked, native, STATUS } from "../native/mod.ts";

/** Payloads that lie back to back, and where in a write block their frames are to be laid out. */
export interface LayRun {
  /** Holds the payloads. */
  source: Uint8Array<ArrayBuffer>;
  /** Where the first of them lies in `source`. */
  sourceStart: number;
  /** Lengths of the payloads. */
  lengths: Uint32Array<ArrayBuffer>;
  /** Number of the first in `lengths`. */
  first: number;
  /** The whole block, as `seal` takes it. */
  bytes: Uint8Array<ArrayBuffer>;
  /**
   * Where the first frame starts in `bytes`: after the room for a batch header if it begins a
   * batch.
   */
  start: number;
  /** Upper bound of the end of the last frame; it never reaches into the records. */
  end: number;
  /** Number of records that the block has already. */
  recordCount: number;
}

/** What {@linkcode layPayloads} did. */
export interface Laid {
  /** Number of payloads that were copied: as many as fit. */
  count: number;
  /** Where the next payload lies in the source. */
  sourceEnd: number;
  /** Where the next frame starts in the bytes. */
  end: number;
}

// The native call reads and writes it before it returns, so one is enough.
const context = new Uint32Array(8);
const SOURCE_END = 5;
const FRAMES_END = 6;

/**
 * Copies payloads to their places in a write block, each after 48 bytes of room for its frame
 * header, and writes their records without flags, in one native call: as many as fit before `end`
 * and the records.
 *
 * @throws {RangeError} If a number is out of its range, or a payload is above its maximum or ends
 * after the source. Nothing was written then.
 */
export function layPayloads(run: LayRun): Laid {
  const { source, lengths, bytes } = run;
  const numbers = [
    run.sourceStart,
    run.first,
    run.start,
    run.end,
    run.recordCount,
    source.length,
    lengths.length,
    bytes.length,
  ];
  // Native code cannot know how long a view is, and words hold no other numbers.
  const inRange = numbers.every((number) => number === number >>> 0);
  let status: number = STATUS.BAD_ARGUMENT;
  if (inRange) {
    context.set(numbers.slice(0, 5));
    status = native().basalt_lay(
      source,
      source.length,
      lengths,
      lengths.length,
      bytes,
      bytes.length,
      context,
    );
  }
  if (status === STATUS.BAD_ARGUMENT) {
    throw new RangeError(
      `Cannot lay out payloads: ${lengths.length} lengths from number ${run.first} do not fit ${source.length} bytes from ${run.sourceStart}, or 'start' ${run.start}, 'end' ${run.end} and ${run.recordCount} records the ${bytes.length} bytes they go to`,
    );
  }
  const count = checked(status, "basalt_lay");
  return { count, sourceEnd: context[SOURCE_END]!, end: context[FRAMES_END]! };
}

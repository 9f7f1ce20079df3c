import { checked, native, STATUS } from "../../native/mod.ts";

/** Payloads that lie back to back, and where messages of them are to be laid out. */
export interface SpreadRun {
  /** Holds the payloads. */
  source: Uint8Array<ArrayBuffer>;
  /** Where the first of them lies in `source`. */
  sourceStart: number;
  /** The payloads' lengths. */
  lengths: Uint32Array<ArrayBuffer>;
  /** The number of the first in `lengths`. */
  first: number;
  /** Receives the payloads, each behind 64 bytes of room for its header. */
  bytes: Uint8Array<ArrayBuffer>;
  /** Where the first message starts in `bytes`. */
  start: number;
  /** Where the last one must end at the latest. */
  end: number;
  /** Receives two words a message, as `stamp` wants them. */
  records: Uint32Array<ArrayBuffer>;
  /** How many messages `records` has already. */
  recordCount: number;
}

/** What {@linkcode spread} did. */
export interface Spread {
  /** Payloads that were copied: as many as fit. */
  count: number;
  /** Where the next one lies in the source. */
  sourceEnd: number;
  /** Where the next message starts in the bytes. */
  end: number;
}

// Native code writes it before the call returns, so one is enough.
const context = new Uint32Array(8);
const MAX_UINT32 = 0xffff_ffff;

/**
 * Copies payloads to their places as messages, in one native call: as many as fit before `end`, and as `records` has room for.
 *
 * @throws {RangeError} If a position or length lies outside its view, or a payload is above its maximum. What lies behind `start` in `bytes` is undefined then.
 */
export function spread(run: SpreadRun): Spread {
  const { source, lengths, bytes, end, records } = run;
  context[0] = run.sourceStart;
  context[1] = run.first;
  context[2] = run.start;
  context[3] = 2 * run.recordCount;
  const inRange = source.length <= MAX_UINT32 && end <= bytes.length &&
    end <= MAX_UINT32;
  const status = inRange
    ? native().basalt_legacy_spread(
      source,
      source.length,
      lengths,
      lengths.length,
      bytes,
      end,
      records,
      records.length,
      context,
    )
    : STATUS.BAD_ARGUMENT;
  if (status === STATUS.BAD_ARGUMENT) {
    throw new RangeError(
      `Cannot spread payloads: ${lengths.length} lengths from number ${run.first} do not fit ${source.length} bytes from ${run.sourceStart}, or 'start' ${run.start} and 'end' ${end} the ${bytes.length} bytes they go to`,
    );
  }
  const count = checked(status, "basalt_legacy_spread");
  return { count, sourceEnd: context[4]!, end: context[5]! };
}

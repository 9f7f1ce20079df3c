import { describeStop, type StopReason } from "../codec/mod.ts";
import { GATHER_STOP, type GatherStop } from "../codec/legacy/mod.ts";
import {
  CorruptSegmentError,
  type FaultKind,
  faultKindOf,
} from "../segment/mod.ts";

/** The kind of a {@linkcode CorruptSegmentError}, and the same in words. */
export type Damage = readonly [kind: FaultKind, text: string];

const MESSAGE_DAMAGE: Readonly<Partial<Record<GatherStop, Damage>>> = {
  [GATHER_STOP.PARTIAL]: ["torn", "the last message is cut off"],
  [GATHER_STOP.ZEROS]: ["torn", "zeros where a message should be"],
  [GATHER_STOP.LENGTH]: ["length", "a length is above its maximum"],
  [GATHER_STOP.RESERVED]: ["reserved", "the reserved field is not 0"],
  [GATHER_STOP.OFFSET]: ["offset", "the message has another offset"],
  [GATHER_STOP.CHECKSUM]: [
    "frame checksum",
    "the checksum of the message does not match",
  ],
  [GATHER_STOP.TIMESTAMP]: [
    "timestamp",
    "the message is older than the one before it, which a log must not have",
  ],
};

/** Describes where a scan of batches stopped. */
export function batchDamage(stop: StopReason): Damage {
  return [faultKindOf(stop), describeStop(stop)];
}

/** Describes where a scan of messages with a header each stopped. */
export function messageDamage(stop: GatherStop): Damage {
  return MESSAGE_DAMAGE[stop] ?? ["torn", "the data ends early"];
}

/** Makes the error for a damaged segment, with what the caller can do about it. */
export function corrupt(
  [kind, text]: Damage,
  place: { path: string; position: number; offset: number },
  advice?: string,
): CorruptSegmentError {
  const message = advice === undefined ? text : `${text}: ${advice}`;
  return new CorruptSegmentError(message, { ...place, kind });
}

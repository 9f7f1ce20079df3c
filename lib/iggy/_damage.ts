import { describeStop, type StopReason } from "../codec/mod.ts";
import {
  CorruptSegmentError,
  type FaultKind,
  faultKindOf,
} from "../segment/mod.ts";

/** The kind of a {@linkcode CorruptSegmentError}, and the same in words. */
export type Damage = readonly [kind: FaultKind, text: string];

/** What is wrong with a message with a header of its own, in words. */
const MESSAGE_TEXTS: Readonly<Partial<Record<StopReason, string>>> = {
  partial: "the last message is cut off",
  zeros: "zeros where a message should be",
  length: "a length is above its maximum",
  reserved: "the reserved field is not 0",
  offset: "the message has another offset",
  "frame checksum": "the checksum of the message does not match",
  timestamp:
    "the message is older than the one before it, which a log must not have",
};

/** Describes where a scan of batches stopped. */
export function batchDamage(stop: StopReason): Damage {
  return [faultKindOf(stop), describeStop(stop)];
}

/** Describes where a scan of messages with a header each stopped. */
export function messageDamage(stop: StopReason): Damage {
  return [faultKindOf(stop), MESSAGE_TEXTS[stop] ?? describeStop(stop)];
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

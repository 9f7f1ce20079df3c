import type { Task } from "../../base/mod.ts";
import { IndexLookup } from "./index_lookup.ts";
import type { CheckedStart } from "./read_options.ts";
import type { BatchPlace, ScanStart } from "./segment_scan.ts";
import type { SegmentFiles } from "../segment_state.ts";

/**
 * Finds the last known place in a segment before which nothing is wanted.
 *
 * @param options `bound`: index entries at or after this position do not count; `hint`: a place that
 * the writer of the segment knows.
 */
export function* seek(
  segment: Omit<SegmentFiles, "log">,
  { from = 0, since = 0 }: CheckedStart,
  { bound = Infinity, hint }: {
    bound?: number | undefined;
    hint?: BatchPlace | undefined;
  },
): Task<ScanStart> {
  const { firstOffset } = segment;
  const beginning = { offset: firstOffset, position: 0 };
  if (from <= firstOffset && since <= 0) return beginning;
  if (hint !== undefined && from >= hint.offset) return hint;
  using lookup = yield* IndexLookup.open(segment);
  const found = yield* lookup.findLast(({ offset, timestamp, position }) =>
    position < bound && (offset <= from || timestamp < since)
  );
  // The beginning needs no proof.
  if (found === undefined || found.entry.position === 0) return beginning;
  const { offset, position, timestamp } = found.entry;
  return { offset, position, claim: { timestamp, firstOffset } };
}

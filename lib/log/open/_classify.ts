/**
 * Classifies the files of a log's segments for opening, reading, verification, repair and
 * inspection, as `docs/format.md#unpaired-and-odd-files` defines.
 *
 * @module
 */
import { CorruptSegmentError } from "../../segment/mod.ts";
import type { ListedSegment, Listing } from "./directory.ts";
import { segmentPath } from "../names.ts";

/** The meaning of the files of a segment that is not below the first offset. */
export type SegmentClass =
  /** A segment of the log. Opening writes a missing `.index` again. */
  | "segment"
  /**
   * An unpaired empty `.index` at the end of a log that was not closed: a crash interrupted the
   * creation of the segment.
   */
  | "begun"
  /** Any other unpaired `.index`: the messages of its `.log` are missing. */
  | "lost";

/** A segment's files and their meaning. */
export interface ClassifiedSegment extends ListedSegment {
  /** Their meaning. */
  class: SegmentClass;
}

/** The segments of a directory by their meaning. */
export interface ClassifiedSegments {
  /** Where the log starts: the offset in `meta`, or that of the oldest `.log`. */
  start: number;
  /** Segments wholly below that offset, which an interrupted removal left. */
  below: ListedSegment[];
  /** The others, in order. */
  kept: ClassifiedSegment[];
  /** Segments that can be read one after the other: those of `kept` before the first fault. */
  readable: ListedSegment[];
  /** What is missing according to the names, in order. */
  faults: CorruptSegmentError[];
}

/**
 * Classifies the segments of a listing.
 *
 * @param firstOffset The first offset in `meta`; `undefined` without one: then the log starts with
 *   its first `.log`.
 */
export function classifySegments(
  dir: string,
  { segments, hasMeta, hasOwner }: Listing,
  firstOffset: number | undefined,
): ClassifiedSegments {
  const oldest = segments.find((each) => each.log) ?? segments[0];
  const start = firstOffset ?? oldest?.firstOffset ?? 0;
  // The segment that holds the first offset is the last one with a log that starts at or below it.
  const holder = segments.findLastIndex((each) =>
    each.log && each.firstOffset <= start
  );
  // A log that was closed is complete: `meta` and the owner file come after the first segment.
  const isUnfinished = hasOwner || !hasMeta;
  const below: ListedSegment[] = [];
  const kept: ClassifiedSegment[] = [];
  for (const [i, each] of segments.entries()) {
    const isBelow = i < holder || each.firstOffset < start && i !== holder;
    const isLast = i === segments.length - 1;
    if (isBelow) below.push(each);
    else kept.push({ ...each, class: classOf(each, isLast && isUnfinished) });
  }
  const faults: CorruptSegmentError[] = [];
  const report = (
    kind: "missing" | "gap",
    path: string,
    offset: number,
    found: string,
  ) => {
    const where = { path, position: 0, offset, kind };
    faults.push(new CorruptSegmentError(found, where));
  };
  const first = kept[0]?.firstOffset ?? start;
  const firstPath = segmentPath(dir, first, "log");
  if (kept.length === 0 && (hasMeta || hasOwner)) {
    report("missing", firstPath, start, "no segment of the log is there");
  } else if (first > start) {
    const found = `messages ${start} to ${first - 1} are missing before it`;
    report("gap", firstPath, start, found);
  }
  const readable: ListedSegment[] = [];
  for (const each of kept) {
    if (each.class === "lost") {
      const path = segmentPath(dir, each.firstOffset, "index");
      report("missing", path, each.firstOffset, "its '.log' is missing");
    } else if (each.class === "segment" && faults.length === 0) {
      readable.push(each);
    }
  }
  return { start, below, kept, readable, faults };
}

function classOf(
  { log, indexBytes }: ListedSegment,
  mayBeBegun: boolean,
): SegmentClass {
  if (log) return "segment";
  return mayBeBegun && indexBytes === 0 ? "begun" : "lost";
}

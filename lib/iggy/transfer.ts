import type { Task } from "../base/mod.ts";
import { join, segmentName, TEMPORARY_SUFFIX } from "../log/mod.ts";
import type { Carrying, OffsetRange } from "./carried_cursors.ts";
import { refuseServed, refuseUnclosed, withLock } from "./checks.ts";
import { Conversion, holdsOthers } from "./conversion.ts";
import type { BatchSource } from "./convert_batches.ts";
import { corrupt } from "./damage.ts";
import {
  listDirectory,
  type ListedSegment,
  type Listing,
} from "./directory.ts";
import { fileSize, type Place } from "./files.ts";
import type { TransferOptions } from "./options.ts";
import { Counts, type TransferReport } from "./report.ts";

/** What is to be copied, and where. */
export interface Transfer {
  /** The directory that is read. */
  from: string;
  /** The directory that gets the copy. */
  to: string;
  /** What the report says of the source and the partition. */
  about: Pick<
    TransferReport,
    "format" | "partition" | "leaves" | "consumerOffsets"
  >;
  /** The partition among the two. */
  partitionPath: string;
  /** Segments of the source, in their order. */
  segments: readonly ListedSegment[];
  /** What the caller asked for. */
  options: TransferOptions;
  /** Cut a torn tail. */
  cutsTornTail: boolean;
  /** Whether the segments of the target have the names of those of the source. */
  keepsNames: boolean;
  /** Finds out what becomes of consumers and cursors, when the messages are known. */
  carry(range: OffsetRange, target: Listing): Task<Carrying>;
  /** Converts a segment; returns the append time of its last batch. */
  convert(conversion: Conversion, source: BatchSource): Task<number>;
}

/**
 * Converts all segments under temporary names, and gives them their names when all of them are
 * durable.
 *
 * First all indexes get their names, then consumers and cursors are written, then the logs get
 * their names, in their order: after a crash a log's directory has indexes without their logs,
 * which `Log.open` refuses, and a server finds the first messages. The same call completes it.
 * After a failure the temporary files are removed.
 */
export function* runTransfer(
  place: Place,
  transfer: Transfer,
): Task<TransferReport> {
  const { to, options } = transfer;
  if (options.dryRun === true) return yield* convertAll(place, transfer);
  yield* place.storage.makeDirectory(to);
  return yield* withLock(place, to, () => convertAll(place, transfer));
}

function* convertAll(place: Place, transfer: Transfer): Task<TransferReport> {
  const { to, segments, options, partitionPath } = transfer;
  const isDry = options.dryRun === true;
  const target = yield* listDirectory(place.storage, to);
  const isServed = partitionPath === to;
  yield* refuseUnclosed(place, to, target);
  yield* refuseServed(place, partitionPath);
  const existing = yield* fillings(place, to, target);
  if (transfer.keepsNames) refuseOthers(to, existing, namesOf(segments));
  const conversion = new Conversion({
    place,
    to,
    existing: target.names,
    isDry,
    isLog: isServed,
    cutsTornTail: transfer.cutsTornTail,
    onProgress: yield* progressOf(place, transfer),
  }, new Counts(segments[0]!.firstOffset));
  try {
    if (!isDry) {
      for (const name of target.temporary) {
        yield* place.storage.remove(join(to, name));
      }
    }
    yield* convertSegments(transfer, conversion);
    const made = new Map(conversion.files.map((file) => [file.name, file]));
    refuseOthers(to, existing, new Set(made.keys()));
    if (target.hasMeta && conversion.files.some((file) => !file.wasThere)) {
      throw new Deno.errors.AlreadyExists(
        `Cannot copy to '${to}': it is a log with other messages: only into an empty partition or directory`,
      );
    }
    const replaces = [...existing.keys()].filter((name) =>
      made.get(name)?.wasThere !== true
    );
    const { nextOffset } = conversion.counts;
    const range = { firstOffset: segments[0]!.firstOffset, nextOffset };
    const carrying = yield* transfer.carry(range, target);
    if (!isDry) {
      yield* refuseServed(place, partitionPath);
      yield* install(place, to, conversion, { replaces, carrying });
    }
    return {
      isDone: !isDry,
      from: transfer.from,
      to,
      firstOffset: range.firstOffset,
      ...conversion.counts,
      segments: conversion.segments,
      files: isDry ? [] : conversion.files,
      replaces,
      cursors: carrying.cursors,
      ...transfer.about,
    };
  } catch (error) {
    yield* conversion.undo();
    throw error;
  }
}

function* convertSegments(
  { segments, convert }: Transfer,
  conversion: Conversion,
): Task<void> {
  let minTimestamp = 0;
  for (const [i, segment] of segments.entries()) {
    const { nextOffset } = conversion.counts;
    if (segment.firstOffset !== nextOffset) {
      throw corrupt(
        ["gap", `the segment before it ends before offset ${nextOffset}`],
        { path: segment.logPath, position: 0, offset: nextOffset },
      );
    }
    const isLast = i === segments.length - 1;
    const source = { segment, isLast, minTimestamp };
    minTimestamp = yield* convert(conversion, source);
  }
}

/**
 * Gives the files their names: indexes first, then logs in their order, each durable before the
 * next. Consumers and cursors are there before the logs.
 */
function* install(
  place: Place,
  to: string,
  { files }: Conversion,
  { replaces, carrying }: { replaces: readonly string[]; carrying: Carrying },
): Task<void> {
  const { storage } = place;
  const missing = files.filter((file) => !file.wasThere);
  for (const { name, wasThere } of files) {
    if (wasThere) yield* storage.remove(join(to, name + TEMPORARY_SUFFIX));
  }
  yield* storage.syncDirectory(to);
  for (const name of replaces) {
    const isReplaced = missing.some((file) => file.name === name);
    if (!isReplaced) yield* storage.remove(join(to, name));
  }
  const rename = (name: string) =>
    storage.rename(join(to, name + TEMPORARY_SUFFIX), join(to, name));
  for (const { name } of missing) {
    if (name.endsWith(".index")) yield* rename(name);
  }
  yield* storage.syncDirectory(to);
  yield* carrying.install();
  for (const { name } of missing) {
    if (!name.endsWith(".log")) continue;
    yield* rename(name);
    yield* storage.syncDirectory(to);
  }
}

/** Returns the sizes of the segment files that are there. */
function* fillings(
  place: Place,
  dir: string,
  { names }: Listing,
): Task<Map<string, number>> {
  const sizes = new Map<string, number>();
  for (const name of names) {
    sizes.set(name, yield* fileSize(place, join(dir, name)));
  }
  return sizes;
}

/** Refuses files with bytes whose names the copy does not have. */
function refuseOthers(
  to: string,
  existing: ReadonlyMap<string, number>,
  names: ReadonlySet<string>,
): void {
  for (const [name, size] of existing) {
    if (size > 0 && !names.has(name)) throw holdsOthers(to, name, size);
  }
}

function namesOf(segments: readonly ListedSegment[]): Set<string> {
  return new Set(segments.flatMap(({ firstOffset }) => {
    const name = segmentName(firstOffset);
    return [`${name}.log`, `${name}.index`];
  }));
}

function* progressOf(
  place: Place,
  { segments, options: { onProgress } }: Transfer,
): Task<((bytes: number) => void) | undefined> {
  if (onProgress === undefined) return undefined;
  let [bytes, totalBytes] = [0, 0];
  for (const { logPath } of segments) {
    totalBytes += yield* fileSize(place, logPath);
  }
  return (more) => onProgress({ bytes: bytes += more, totalBytes });
}

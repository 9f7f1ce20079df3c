import type { Task } from "../base/mod.ts";
import { join, segmentName, TEMPORARY_SUFFIX } from "../log/mod.ts";
import { refuseServed, refuseUnclosed, withLock } from "./_checks.ts";
import { Conversion, holdsOthers, type Transfer } from "./_conversion.ts";
import { corrupt } from "./_damage.ts";
import {
  listDirectory,
  type ListedSegment,
  type Listing,
} from "./_directory.ts";
import { fileSize, type Place } from "./_files.ts";
import type { TransferReport } from "./report.ts";

/**
 * Converts all segments under temporary names, and gives them their names when all of them are
 * durable.
 *
 * First all indexes get their names. Then cursors or consumer offsets are written. Last, the logs
 * get their names, in their order. So after a crash a log's directory has indexes without their
 * logs, which `Log.open` refuses, and a server finds the first messages. The same call completes
 * the copy. After a failure the temporary files are removed.
 */
export function* runTransfer(transfer: Transfer): Task<TransferReport> {
  const { place, subject: { to }, options } = transfer;
  if (options.dryRun) return yield* convertAll(transfer);
  yield* place.storage.makeDirectory(to);
  return yield* withLock(place, to, () => convertAll(transfer));
}

function* convertAll(transfer: Transfer): Task<TransferReport> {
  const { place, subject, isExport, options, segments } = transfer;
  const { from, to, format } = subject;
  const partition = isExport ? to : from;
  const target = yield* listDirectory(place.storage, to);
  yield* refuseUnclosed(place, to, target);
  yield* refuseServed(place, partition);
  const existing = yield* sizesOf(place, to, target);
  const keepsNames = !isExport || format === "0.9";
  if (keepsNames) refuseOthers(to, existing, namesOf(segments));
  const progress = yield* progressOf(transfer);
  const conversion = new Conversion(transfer, target.names, progress);
  const { report } = conversion;
  try {
    if (!options.dryRun) {
      for (const name of target.temporary) {
        yield* place.storage.remove(join(to, name));
      }
    }
    yield* convertSegments(transfer, conversion);
    const made = new Map(conversion.files.map((file) => [file.name, file]));
    refuseOthers(to, existing, made);
    if (target.hasMeta && conversion.files.some((file) => !file.wasThere)) {
      throw new Deno.errors.AlreadyExists(
        `Cannot copy to '${to}': it is a log with other messages; give an empty partition or directory`,
      );
    }
    report.replaces = [...existing.keys()].filter((name) =>
      made.get(name)?.wasThere !== true
    );
    report.cursors = yield* transfer.carry(report, target);
    if (options.dryRun) return report;
    yield* refuseServed(place, partition);
    report.files = conversion.files;
    yield* install(transfer, report);
    report.isDone = true;
    return report;
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
    const { nextOffset } = conversion.report;
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
 * next. Cursors or consumer offsets are written before the logs.
 */
function* install(
  { place: { storage }, putCursor }: Transfer,
  { to, files, replaces, cursors }: TransferReport,
): Task<void> {
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
  for (const cursor of cursors) {
    if (!cursor.wasThere) yield* putCursor(cursor);
  }
  for (const { name } of missing) {
    if (!name.endsWith(".log")) continue;
    yield* rename(name);
    yield* storage.syncDirectory(to);
  }
}

/** Returns the sizes of the existing segment files. */
function* sizesOf(
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

/** Refuses files that have bytes, and names that the copy does not have. */
function refuseOthers(
  to: string,
  existing: ReadonlyMap<string, number>,
  names: { has(name: string): boolean },
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
  { place, segments, options: { onProgress } }: Transfer,
): Task<((bytes: number) => void) | undefined> {
  if (onProgress === undefined) return undefined;
  let [bytes, totalBytes] = [0, 0];
  for (const { logPath } of segments) {
    totalBytes += yield* fileSize(place, logPath);
  }
  return (more) => onProgress({ bytes: bytes += more, totalBytes });
}

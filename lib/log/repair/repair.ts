import { drive, driveSync, type Task } from "../../base/mod.ts";
import {
  IndexCheck,
  isZero,
  MessageBatch,
  Resync,
  type ScanStop,
  type SegmentFiles,
} from "../../segment/mod.ts";
import { LockedError } from "../../storage/mod.ts";
import { type ClassifiedSegment, classifySegments } from "../open/_classify.ts";
import { type LogContents, readContents } from "./_contents.ts";
import {
  metaPath,
  openPair,
  ownerPath,
  refuseOddNames,
  removeFiles,
} from "../open/directory.ts";
import { type LogReaderOptions, placeOf } from "../log_options.ts";
import { createMeta, type LogPlace, makeIdentity } from "../record/meta.ts";
import { freeCutPath, keepCut, replaceIndex } from "../open/_mend_segment.ts";
import { segmentPath } from "../names.ts";
import { refuseMoved } from "../open/_locks.ts";
import { closeOpened, type OpenedLog, openLog } from "../open/opening.ts";
import { type OwnerRecord, readOwner } from "../record/owner_file.ts";
import {
  RepairChoiceError,
  type RepairKeep,
  RepairOutdatedError,
  type RepairPlan,
  type RepairStep,
} from "./repair_plan.ts";
import { closeSegment, readSegment } from "../open/_segment_files.ts";
import {
  inMemory,
  isRecoverable,
  vouchedOffset,
} from "../open/_try_recovery.ts";

/** How to repair a log. */
export interface RepairOptions extends LogReaderOptions {
  /**
   * Called for every block of messages that was read, with its bytes. A repair reads the log twice,
   * because it plans again under the lock.
   */
  onRead?: (bytes: number) => void;
}

/** How to plan a repair. */
export interface RepairPlanOptions extends RepairOptions {
  /**
   * Which segments to keep where they do not connect; the others leave the log.
   *
   * @default {undefined: the error `RepairChoiceError` states the cost of each choice}
   */
  keep?: RepairKeep;
}

/**
 * Plans the repair of a log: what {@linkcode repairLog} will do, and what the log will lose. The
 * repair runs with all changes in memory, so nothing is changed.
 *
 * A repaired log has its first segment and those that follow without a gap, up to the first damaged
 * message. The rest is cut and kept beside the log. Every message is read. No lock is taken.
 *
 * @throws {LockedError} If a writer has the log open, or opened it meanwhile.
 * @throws {RepairChoiceError} If segments do not connect, and `keep` does not say which to keep.
 * @throws {Deno.errors.NotFound} If there is no log in the directory.
 *
 * @example Repairing a damaged log
 * ```ts
 * import { Log, planRepair, repairLog, verifyLog } from "@basalt/io";
 * import { assertEquals } from "@std/assert";
 *
 * const dir = Deno.makeTempDirSync();
 * {
 *   await using log = await Log.open(dir);
 *   for (const text of ["one", "two", "three"]) log.appendBatch([text]);
 * }
 * const path = `${dir}/00000000000000000000.log`;
 * const bytes = Deno.readFileSync(path);
 * bytes.set([0], 307 + 256 + 48); // the first byte of "two"
 * Deno.writeFileSync(path, bytes);
 *
 * const plan = await planRepair(dir);
 * assertEquals([plan.lostMessages, plan.nextOffset], [1, 1]); // "three" is lost, "two" is damaged
 * await repairLog(dir, plan);
 * assertEquals(await Array.fromAsync(verifyLog(dir)), []);
 * Deno.removeSync(dir, { recursive: true });
 * ```
 */
export function planRepair(
  path: string | URL,
  options: RepairPlanOptions = {},
): Promise<RepairPlan> {
  return drive(planningBesideWriters(repairPlace(path, options), options.keep));
}

/** Sync version of {@linkcode planRepair}. */
export function planRepairSync(
  path: string | URL,
  options: RepairPlanOptions = {},
): RepairPlan {
  const place = repairPlace(path, options);
  return driveSync(planningBesideWriters(place, options.keep));
}

/**
 * Repairs a log as planned, under its lock, and leaves it closed. Bytes that leave the log are
 * first kept beside it, durably.
 *
 * After an interruption, plan and repair again: nothing more is lost than the plan said.
 *
 * @param plan The result of {@linkcode planRepair}.
 * @returns What was done.
 * @throws {RepairOutdatedError} If the log has changed since the plan was made.
 * @throws {LockedError} If a writer has the log open.
 * @throws {Deno.errors.BadResource} If the directory was moved or replaced meanwhile.
 *
 * @example A sound log stays as it is
 * ```ts
 * import { Log, planRepair, repairLog } from "@basalt/io";
 * import { assertEquals } from "@std/assert";
 *
 * const dir = Deno.makeTempDirSync();
 * {
 *   await using log = await Log.open(dir);
 *   log.append("hello");
 * }
 * const done = await repairLog(dir, await planRepair(dir));
 * assertEquals([done.lostMessages, done.nextOffset], [0, 1]);
 * Deno.removeSync(dir, { recursive: true });
 * ```
 */
export function repairLog(
  path: string | URL,
  plan: RepairPlan,
  options: RepairOptions = {},
): Promise<RepairPlan> {
  return drive(repairing(repairPlace(path, options), plan));
}

/** Sync version of {@linkcode repairLog}. */
export function repairLogSync(
  path: string | URL,
  plan: RepairPlan,
  options: RepairOptions = {},
): RepairPlan {
  return driveSync(repairing(repairPlace(path, options), plan));
}

/** Where a repair works. */
interface RepairPlace extends LogPlace {
  onRead: (bytes: number) => void;
}

function repairPlace(path: string | URL, options: RepairOptions): RepairPlace {
  const { onRead = () => {} } = options;
  return { ...placeOf("repair log", path, options), onRead };
}

/** Plans, and refuses the plan where a writer had the log open before it was complete. */
function* planningBesideWriters(
  place: RepairPlace,
  keep: RepairKeep | undefined,
): Task<RepairPlan> {
  yield* refuseWriter(place);
  try {
    return yield* planning(place, keep);
  } finally {
    // A log that changes while it is read shows faults that it does not have.
    yield* refuseWriter(place);
  }
}

function* refuseWriter(place: RepairPlace): Task<void> {
  if (place.storage.isLocked(place.dir)) throw yield* lockedError(place);
}

function* lockedError(place: RepairPlace): Task<LockedError> {
  return new LockedError(place.dir, yield* readOwner(place.dir, place));
}

function* planning(
  place: RepairPlace,
  keep: RepairKeep | undefined,
): Task<RepairPlan> {
  const inMind = (keep: RepairKeep): Task<RepairPlan> =>
    new Repair({ ...place, ...inMemory(place) }, keep).run();
  const plan = yield* inMind(keep ?? "oldest");
  const isChoice = keep === undefined &&
    plan.steps.some((each) => each.action === "setAside" && each.messages > 0);
  if (!isChoice) return plan;
  throw new RepairChoiceError(place.dir, plan, yield* inMind("newest"));
}

function* repairing(place: RepairPlace, plan: RepairPlan): Task<RepairPlan> {
  const lock = place.storage.lock(place.dir);
  if (lock === undefined) throw yield* lockedError(place);
  try {
    const now = yield* planning(place, plan.keep);
    if (JSON.stringify(now) !== JSON.stringify(plan)) {
      throw new RepairOutdatedError(place.dir, now);
    }
    refuseMoved(lock, place.dir, "repair log");
    return now.needed ? yield* new Repair(place, plan.keep).run() : now;
  } finally {
    lock.release();
  }
}

/*
 * A repaired log consists of valid batches only: the longest run of connected segments from its
 * first one, up to the first bad batch.
 *
 *   refuse odd names; replace a damaged `meta`, or one whose first segments are missing
 *   scan every segment
 *   with keep "newest": set aside the segments before the last run, and raise the first offset
 *   for each segment that starts where the run ends:
 *     if it is the last one, and recovery would accept it and cut the first bad batch: leave it to
 *       opening
 *     else: keep the bytes from the first bad batch, cut them, write a wrong index again; the run
 *       ends with the cut
 *   set aside every segment after the run
 *   if the run does not end where recovery would end it: remove the owner file, because the log now
 *     ends like a closed one
 *   open the log and close it: opening does the rest
 */

/** One repair. */
class Repair {
  readonly #place: RepairPlace;
  readonly #steps: RepairStep[] = [];
  #owner: OwnerRecord | "invalid" | undefined;
  #identity = "";
  /**
   * Whether the owner file must be removed before opening, because the end of the log that it
   * describes has changed.
   */
  #isEndChanged = false;
  readonly #keep: RepairKeep;

  constructor(place: RepairPlace, keep: RepairKeep) {
    this.#place = place;
    this.#keep = keep;
  }

  /** Repairs everything. */
  *run(): Task<RepairPlan> {
    const { storage, dir } = this.#place;
    const contents = yield* readContents(this.#place);
    const { listing, metaError, ownerError } = contents;
    refuseOddNames(dir, listing);
    this.#owner = contents.owner;
    // The owner file of another log is refused by opening.
    if (contents.owner === undefined && ownerError) throw ownerError;
    if (metaError instanceof Deno.errors.NotSupported) throw metaError;
    const start = yield* this.#start(contents);
    const { kept } = classifySegments(dir, listing, start);
    const all: Scanned[] = [];
    for (const each of kept) all.push(yield* this.#scan(each));
    const run = this.#keep === "newest" ? yield* this.#newest(all) : all;
    const left = yield* this.#segments(run);
    const isLog = listing.hasMeta || listing.hasOwner;
    if (left === 0 && isLog) yield* this.#createSegment(start);
    if (this.#isEndChanged && listing.hasOwner) {
      yield* removeFiles(storage, [ownerPath(dir)]);
      yield* storage.syncDirectory(dir);
    }
    const opened = yield* openLog(this.#place);
    yield* closeOpened(opened, true);
    const { recovered, removed } = opened.report;
    const needed = this.#steps.length > 0 || recovered.length > 0 ||
      removed.length > 0 || listing.hasOwner ||
      kept.some((each) => !each.log || !each.index);
    return this.#plan(opened, needed);
  }

  #plan(
    { sealed, firstOffset, state, report }: OpenedLog,
    needed: boolean,
  ): RepairPlan {
    const steps = this.#steps;
    let [lostMessages, lostBytes] = [0, 0];
    for (const each of steps) {
      // Prepared space is no loss.
      if (!("kept" in each) || each.kept === undefined) continue;
      lostMessages += each.messages;
      lostBytes += each.byteLength;
    }
    return {
      path: this.#place.dir,
      keep: this.#keep,
      needed,
      steps,
      lostMessages,
      lostBytes,
      opening: report,
      firstOffset: sealed[0]?.firstOffset ?? firstOffset,
      nextOffset: state.nextOffset,
    };
  }

  /**
   * Replaces a `meta` that is damaged or whose first offset is below the oldest segment; returns
   * where the log starts.
   */
  *#start({ meta, metaError, segments }: LogContents): Task<number> {
    const { start, kept } = segments;
    const oldest = kept.find((each) => each.log)?.firstOffset ?? start;
    const owner = typeof this.#owner === "object" ? this.#owner : undefined;
    this.#identity = meta?.identity ?? owner?.identity ??
      makeIdentity(this.#place.storage);
    const isRight = metaError === undefined &&
      (meta === undefined || oldest <= start);
    if (isRight) return start;
    return yield* this.#replaceMeta(Math.max(oldest, start));
  }

  *#replaceMeta(firstOffset: number): Task<number> {
    const path = metaPath(this.#place.dir);
    yield* createMeta(this.#place, { identity: this.#identity, firstOffset });
    this.#steps.push({ action: "replaceMeta", path, firstOffset });
    return firstOffset;
  }

  /**
   * Sets aside the segments before the newest run; returns the run and the segments after it.
   */
  *#newest(segments: readonly Scanned[]): Task<readonly Scanned[]> {
    const first = newestRun(segments);
    if (first === 0) return segments;
    // Before `meta` is raised, because opening removes whole segments below the first offset.
    for (const each of segments.slice(0, first)) yield* this.#takeOut(each);
    yield* this.#replaceMeta(segments[first]!.firstOffset);
    return segments.slice(first);
  }

  /** Creates an empty segment for a log that has none. Opening makes its names durable. */
  *#createSegment(firstOffset: number): Task<void> {
    const { dir } = this.#place;
    const segment = { firstOffset, log: false, index: false };
    yield* closeSegment(yield* openPair(this.#place, segment));
    this.#isEndChanged = true;
    const path = segmentPath(dir, firstOffset, "log");
    this.#steps.push({ action: "createSegment", path, firstOffset });
  }

  /**
   * Follows the run from segment to segment, and sets aside the others. Returns how many stay.
   */
  *#segments(segments: readonly Scanned[]): Task<number> {
    let left = 0;
    /** Where the next segment must start; `undefined` once the run has ended. */
    let expected: number | undefined =
      (segments.find((each) => each.log) ?? segments[0])?.firstOffset;
    for (const segment of segments) {
      const isLast = segment === segments.at(-1);
      const isNext = expected === segment.firstOffset;
      if (isNext && isLast && (yield* this.#isLeft(segment))) left++;
      else if (isNext && segment.log) {
        if (isLast) this.#isEndChanged = true;
        yield* this.#mend(segment);
        // Nothing follows a cut segment, even if the next one happens to start there.
        expected = segment.stop ? undefined : segment.nextOffset;
        left++;
      } else {
        this.#isEndChanged = true;
        yield* this.#takeOut(segment);
      }
    }
    return left;
  }

  /** Whether opening recovers the last segment, or completes its interrupted creation. */
  *#isLeft(segment: Scanned): Task<boolean> {
    const { class: meaning, firstOffset, stop } = segment;
    if (meaning === "lost") return false;
    // Without an owner file, the creation held no durable messages.
    if (this.#owner === undefined) return meaning === "begun";
    if (this.#isEndChanged) return false;
    const durableOffset = vouchedOffset(this.#owner);
    return yield* isRecoverable(
      this.#place,
      firstOffset,
      durableOffset,
      stop,
    );
  }

  /** Cuts a segment at its first bad batch, if any, and writes a wrong index again. */
  *#mend(segment: Scanned): Task<void> {
    const { storage, dir } = this.#place;
    const { firstOffset, stop, isIndexWrong } = segment;
    if (stop !== undefined) {
      this.#isEndChanged = true;
      yield* this.#cut(segment, stop);
    }
    if (stop !== undefined || isIndexWrong) {
      yield* replaceIndex(this.#place, firstOffset);
      yield* storage.syncDirectory(dir);
    }
    if (!segment.index || !isIndexWrong) return;
    const path = segmentPath(dir, firstOffset, "index");
    this.#steps.push({ action: "rebuildIndex", path });
  }

  /** Cuts a segment at its first bad batch, and keeps the bytes, unless they are prepared zeros. */
  *#cut(segment: Scanned, { reason, position }: ScanStop): Task<void> {
    const place = this.#place;
    const { bytes, messages } = segment;
    const files = yield* openPair(place, segment);
    const { log, index, firstOffset, pool } = files;
    let kept: string | undefined;
    try {
      // Prepared space is no loss.
      const isRoom = reason === "zeros" && messages === 0 &&
        (yield* isZero(log, pool, position, bytes));
      if (!isRoom) {
        kept = yield* keepCut(place, firstOffset, log, position, bytes);
      }
      // The index first, because it must not describe bytes that the log has lost
      // (docs/format.md#index-cut-first).
      yield* index.truncate(0);
      yield* index.sync("full");
      yield* log.truncate(position);
      yield* log.sync("full");
    } finally {
      yield* closeSegment(files);
    }
    const { path } = log;
    const byteLength = bytes - position;
    this.#steps.push({
      action: "cut",
      path,
      position,
      byteLength,
      messages,
      kept,
    });
  }

  /** Renames a segment's files, so that they leave the log. */
  *#takeOut(segment: Scanned): Task<void> {
    const { storage, dir } = this.#place;
    const { firstOffset, nextOffset } = segment;
    const messages = nextOffset - firstOffset + segment.messages;
    // The log first: an unpaired index is refused, an unpaired log would count as a segment.
    for (const kind of ["log", "index"] as const) {
      if (!segment[kind]) continue;
      const file = yield* storage.open(segmentPath(dir, firstOffset, kind));
      const byteLength = yield* file.size();
      yield* file.sync("full");
      yield* file.close();
      const what = kind === "log" ? 0 : kind;
      const kept = yield* freeCutPath(this.#place, firstOffset, what);
      yield* storage.rename(file.path, kept);
      yield* storage.syncDirectory(dir);
      this.#steps.push({
        action: "setAside",
        path: file.path,
        byteLength,
        messages: kind === "log" ? messages : 0,
        kept,
      });
    }
  }

  /** Scans a whole segment, also after its first bad batch. */
  *#scan(segment: ClassifiedSegment): Task<Scanned> {
    const { firstOffset, log, index } = segment;
    const scanned: Scanned = {
      ...segment,
      stop: undefined,
      nextOffset: firstOffset,
      messages: 0,
      bytes: 0,
      isIndexWrong: !index,
    };
    if (log) {
      const scan = (files: SegmentFiles) => this.#scanFiles(files, scanned);
      yield* readSegment(this.#place, firstOffset, scan);
    }
    return scanned;
  }

  *#scanFiles(files: SegmentFiles, scanned: Scanned): Task<void> {
    const { log, index, pool } = files;
    const bound = scanned.bytes = yield* log.size();
    using check = yield* IndexCheck.open(index, pool, { isOpen: false });
    const resync = new Resync({ ...files, bound });
    let end = 0;
    try {
      for (;;) {
        const next = yield* resync.next();
        if (next instanceof MessageBatch) {
          using batch = next;
          this.#place.onRead(batch.endPosition - batch.batch(0).position);
          if (scanned.stop !== undefined) scanned.messages += batch.count;
          else {
            scanned.nextOffset = batch.nextOffset;
            end = batch.endPosition;
            const wrong = yield* check.compare(batch);
            scanned.isIndexWrong ||= wrong.length > 0;
          }
        } else if (next.reason === "end") break;
        else scanned.stop ??= next;
      }
    } finally {
      yield* resync.close();
    }
    if (scanned.stop !== undefined) return;
    const wrong = yield* check.rest(end);
    scanned.isIndexWrong ||= wrong.length > 0;
  }
}

/** A segment, and the result of a scan of all of it. */
interface Scanned extends ClassifiedSegment {
  /** The first bad batch, if any. */
  stop: ScanStop | undefined;
  /** The offset after the last message before it. */
  nextOffset: number;
  /** Number of valid messages after it. */
  messages: number;
  /** Bytes of the `.log`. */
  bytes: number;
  /** Whether the index is missing or has an entry that names no batch before the bad one. */
  isIndexWrong: boolean;
}

/** Returns the index of the first segment of the newest run that holds a message. */
function newestRun(segments: readonly Scanned[]): number {
  let first = segments.findLastIndex(({ firstOffset, nextOffset }) =>
    nextOffset > firstOffset
  );
  for (; first > 0; first--) {
    const { stop, nextOffset } = segments[first - 1]!;
    if (stop || nextOffset !== segments[first]!.firstOffset) break;
  }
  return Math.max(0, first);
}

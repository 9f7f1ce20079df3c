import { drive, driveSync, type Task } from "../base/mod.ts";
import { INDEX_ENTRY_BYTES } from "../codec/mod.ts";
import type { BufferPool } from "../pool/mod.ts";
import {
  type CursorStop,
  IndexCheck,
  IndexLookup,
  isZero,
  MessageBatch,
  Survey,
} from "../segment/mod.ts";
import {
  Locked,
  OverlayStorage,
  pathString,
  type TaskFile,
  TaskStorage,
} from "../storage/mod.ts";
import {
  listDirectory,
  type ListedSegment,
  type Listing,
  refuseNoLog,
  removeFile,
  syncDirectory,
} from "./directory.ts";
import { isWriteOnly } from "./inspect.ts";
import { freePath, keepCut } from "./keep_cut.ts";
import { completeOptions, type LogReaderOptions } from "./log_options.ts";
import { join, segmentName } from "./names.ts";
import { openLog } from "./opening.ts";
import {
  RepairOutdated,
  type RepairPlan,
  type RepairStep,
} from "./repair_plan.ts";
import { replaceIndex } from "./replace_index.ts";
import { closeFile, closeSegment, sizeOf } from "./segment_files.ts";
import { readMark, removeMark } from "./writer_mark.ts";

/** How to repair a log. */
export interface RepairOptions extends LogReaderOptions {
  /** Called for every block of messages that was read, with its bytes. Repairing reads the log twice: it plans again, under the lock. */
  onRead?: (bytes: number) => void;
}

/**
 * Tells what {@linkcode repairLog} would do to a log, and what the log would lose: the repair is run, with all changes kept in memory. Nothing is changed.
 *
 * A log is what its first segment and those that follow without a gap hold, up to the first bad message. What is behind that is cut, and kept beside the log. Every message is read.
 *
 * @throws {Locked} If a writer has the log open.
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
 *   for (const text of ["one", "two", "three"]) log.append(text);
 * }
 * const path = `${dir}/00000000000000000000.log`;
 * const bytes = Deno.readFileSync(path);
 * bytes.set([0], 67 + 64); // the first byte of "two"
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
  options: RepairOptions = {},
): Promise<RepairPlan> {
  return drive(exclusively(path, options, planning));
}

/** The blocking version of {@linkcode planRepair}. */
export function planRepairSync(
  path: string | URL,
  options: RepairOptions = {},
): RepairPlan {
  return driveSync(exclusively(path, options, planning));
}

/**
 * Does what a plan says, under the log's lock, and leaves the log closed. What leaves the log is kept beside it, durably, before anything is cut.
 *
 * When it is interrupted, nothing more is lost than was told: plan and repair again.
 *
 * @param plan What {@linkcode planRepair} told.
 * @returns What was done.
 * @throws {RepairOutdated} If the log is not any more what the plan was made for.
 * @throws {Locked} If a writer has the log open.
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
  return drive(repairing(path, plan, options));
}

/** The blocking version of {@linkcode repairLog}. */
export function repairLogSync(
  path: string | URL,
  plan: RepairPlan,
  options: RepairOptions = {},
): RepairPlan {
  return driveSync(repairing(path, plan, options));
}

/** Where a repair works. */
interface Place {
  storage: TaskStorage;
  dir: string;
  pool: BufferPool;
  onRead: (bytes: number) => void;
}

/** Runs something under the log's lock. */
function* exclusively<T>(
  path: string | URL,
  options: RepairOptions,
  task: (place: Place) => Task<T>,
): Task<T> {
  const dir = pathString("repair log", path);
  const { storage, pool } = completeOptions(options);
  const lock = storage.lock(dir);
  if (lock === undefined) {
    throw new Locked(dir, yield* readMark(storage, dir, pool));
  }
  try {
    const { onRead = () => {} } = options;
    return yield* task({ storage, dir, pool, onRead });
  } finally {
    lock.release();
  }
}

function planning(place: Place): Task<RepairPlan> {
  const tried = new OverlayStorage(place.storage.storage, isWriteOnly);
  return new Repair({ ...place, storage: new TaskStorage(tried) }).run();
}

function repairing(
  path: string | URL,
  plan: RepairPlan,
  options: RepairOptions,
): Task<RepairPlan> {
  return exclusively(path, options, function* (place): Task<RepairPlan> {
    const now = yield* planning(place);
    if (JSON.stringify(now) !== JSON.stringify(plan)) {
      throw new RepairOutdated(place.dir, now);
    }
    return now.needed ? yield* new Repair(place).run() : now;
  });
}

/** One repair. */
class Repair {
  readonly #place: Place;
  readonly #steps: RepairStep[] = [];

  constructor(place: Place) {
    this.#place = place;
  }

  /** Repairs everything. */
  *run(): Task<RepairPlan> {
    const { storage, dir, pool } = this.#place;
    const listing = yield* listDirectory(storage, dir);
    refuseNoLog(dir, listing);
    // What a writer, or a repair, was making when it ended; opening would remove it too.
    for (const name of listing.temporary) {
      yield* removeFile(storage, join(dir, name));
    }
    yield* this.#segments(listing);
    const opened = yield* openLog(
      dir,
      completeOptions({ storage: storage.storage, pool }),
    );
    yield* closeSegment(opened.files);
    const { state, sealed, report } = opened;
    // Without room for the index, the next writer goes on where this ends.
    if (state.missingEntries.length === 0) yield* removeMark(storage, dir);
    const steps = this.#steps;
    let [lostMessages, lostBytes] = [0, 0];
    for (const each of steps) {
      if (each.action === "rebuildIndex") continue;
      lostMessages += each.messages;
      lostBytes += each.byteLength;
    }
    return {
      path: dir,
      needed: steps.length > 0 || report.recovered.length > 0 ||
        listing.marked || listing.temporary.length > 0 ||
        listing.segments.some((each) => !each.log || !each.index),
      steps,
      lostMessages,
      lostBytes,
      opening: report,
      firstOffset: sealed[0]?.firstOffset ?? opened.firstOffset,
      nextOffset: opened.firstOffset + state.count,
    };
  }

  /** Follows the log from segment to segment; what does not follow leaves it. */
  *#segments({ segments, marked }: Listing): Task<void> {
    const first = segments.find((each) => each.log)?.firstOffset ?? Infinity;
    let expected: number | undefined;
    for (const segment of segments) {
      const { firstOffset } = segment;
      const last = segment === segments.at(-1);
      const follows = (expected ?? firstOffset) === firstOffset;
      if (!segment.log) {
        // Opening removes what a truncation left, and completes a segment that was being made.
        const left = firstOffset < first && first !== Infinity;
        const size = yield* this.#sizeOf(segment, "index");
        if (!left && !(follows && last && size === 0)) {
          yield* this.#setAside(segment, 0);
        }
      } else if (follows) {
        expected = yield* this.#segment(segment, last, marked);
      } else {
        yield* this.#setAside(segment, yield* this.#count(segment));
      }
    }
  }

  /** Makes a segment whole; answers the offset behind it. */
  *#segment(
    segment: ListedSegment,
    last: boolean,
    marked: boolean,
  ): Task<number> {
    const { storage, dir, pool } = this.#place;
    const { firstOffset } = segment;
    const log = yield* this.#open(segment, "log", { write: true });
    const index = segment.index
      ? yield* this.#open(segment, "index")
      : undefined;
    let found: Surveyed;
    let trimmed = false;
    try {
      found = yield* survey(
        this.#place,
        log,
        index,
        firstOffset,
        last && marked,
      );
      const { stop, bytes, messages } = found;
      if (stop !== undefined) {
        const { position } = stop;
        // Nothing but what was prepared ahead: it is no loss, and opening cuts it by itself.
        trimmed = last && messages === 0 &&
          (yield* isZero(log, pool, position, bytes));
        if (!trimmed) {
          const kept = yield* keepCut(
            storage,
            dir,
            firstOffset,
            log,
            pool,
            position,
            bytes,
          );
          this.#steps.push({
            action: "cut",
            path: log.path,
            position,
            byteLength: bytes - position,
            messages,
            kept,
          });
        }
        if (!trimmed || found.wrongIndex) {
          yield* log.truncate(position);
          yield* log.sync("full");
        }
      }
    } finally {
      yield* closeFile(log);
      if (index !== undefined) yield* closeFile(index);
    }
    const { nextOffset, wrongIndex, indexBytes } = found;
    const expected = (nextOffset - firstOffset) * INDEX_ENTRY_BYTES;
    // Of a log that was left open, opening goes on where the index ends.
    const open = last && (marked || trimmed);
    if (wrongIndex || indexBytes !== expected && !open) {
      yield* replaceIndex(storage, dir, firstOffset, pool, () => {});
      this.#steps.push({
        action: "rebuildIndex",
        path: this.#path(segment, "index"),
      });
    }
    return nextOffset;
  }

  /** Gives a segment's files other names. */
  *#setAside(segment: ListedSegment, messages: number): Task<void> {
    const { storage, dir } = this.#place;
    const name = segmentName(segment.firstOffset);
    // The log first: an index without one is refused, not taken for a whole segment.
    for (const kind of ["log", "index"] as const) {
      if (!segment[kind]) continue;
      const file = yield* this.#open(segment, kind);
      const byteLength = yield* sizeOf(file);
      yield* file.sync("full");
      yield* closeFile(file);
      const wanted = kind === "log" ? `${name}.cut` : `${name}.index.cut`;
      const kept = yield* freePath(storage, dir, wanted);
      yield* storage.rename(file.path, kept);
      yield* syncDirectory(storage, dir);
      this.#steps.push({
        action: "setAside",
        path: file.path,
        byteLength,
        messages: kind === "log" ? messages : 0,
        kept,
      });
    }
  }

  /** The valid messages of a segment. */
  *#count(segment: ListedSegment): Task<number> {
    const { firstOffset } = segment;
    const log = yield* this.#open(segment, "log");
    try {
      const found = yield* survey(
        this.#place,
        log,
        undefined,
        firstOffset,
        false,
      );
      return found.nextOffset - firstOffset + found.messages;
    } finally {
      yield* closeFile(log);
    }
  }

  *#sizeOf(segment: ListedSegment, kind: "log" | "index"): Task<number> {
    const file = yield* this.#open(segment, kind);
    try {
      return yield* sizeOf(file);
    } finally {
      yield* closeFile(file);
    }
  }

  #path({ firstOffset }: ListedSegment, kind: "log" | "index"): string {
    return join(this.#place.dir, `${segmentName(firstOffset)}.${kind}`);
  }

  *#open(
    segment: ListedSegment,
    kind: "log" | "index",
    options: { write?: boolean } = {},
  ): Task<TaskFile> {
    const { storage } = this.#place;
    const path = this.#path(segment, kind);
    return yield* storage.open(path, options);
  }
}

/** What a walk over a whole segment found. */
interface Surveyed {
  /** The first bad place; `undefined` if there is none. */
  stop: CursorStop | undefined;
  /** The offset behind the last message before it. */
  nextOffset: number;
  /** Valid messages behind it. */
  messages: number;
  /** Bytes of the log. */
  bytes: number;
  /** Bytes of the index; 0 without one. */
  indexBytes: number;
  /** Whether an entry of a message before the bad place is wrong, or there is no index. */
  wrongIndex: boolean;
}

function* survey(
  { pool, onRead }: Place,
  log: TaskFile,
  index: TaskFile | undefined,
  baseOffset: number,
  sparse: boolean,
): Task<Surveyed> {
  const bytes = yield* sizeOf(log);
  const indexBytes = index === undefined ? 0 : yield* sizeOf(index);
  using lookup = index && new IndexLookup(index, pool);
  using check = index &&
    new IndexCheck(index, pool, baseOffset, indexBytes, sparse);
  const walk = new Survey({ log, lookup, pool, baseOffset, bound: bytes });
  const found: Surveyed = {
    stop: undefined,
    nextOffset: baseOffset,
    messages: 0,
    bytes,
    indexBytes,
    wrongIndex: index === undefined,
  };
  try {
    for (;;) {
      const next = yield* walk.next();
      if (next instanceof MessageBatch) {
        using batch = next;
        onRead(batch.byteLength);
        if (found.stop !== undefined) found.messages += batch.count;
        else {
          found.nextOffset = batch.nextOffset;
          const wrong = check ? yield* check.compare(batch) : [];
          found.wrongIndex ||= wrong.length > 0;
        }
      } else if (next.reason === "end") return found;
      else found.stop ??= next;
    }
  } finally {
    yield* walk.close();
  }
}

import { runAll, type Task } from "../../base/mod.ts";
import {
  CorruptSegmentError,
  emptyState,
  IndexWriter,
  readSealedEnd,
  type RebuiltIndex,
  recoverSegment,
  type RecoveryReport,
  type SealedEnd,
  sealedState,
  type SegmentFiles,
  type SegmentState,
  verifySealed,
} from "../../segment/mod.ts";
import { NoSpaceError, type StorageLock } from "../../storage/mod.ts";
import { classifySegments } from "./_classify.ts";
import {
  filesOf,
  listDirectory,
  type ListedSegment,
  metaPath,
  openPair,
  ownerPath,
  refuseOddNames,
  removeFiles,
} from "./directory.ts";
import { refuseForeignLog } from "./_foreign_log.ts";
import { refuseMoved } from "./_locks.ts";
import {
  type LogMeta,
  type LogPlace,
  makeIdentity,
  type MetaRecord,
  openMeta,
  prepareMeta,
  readMeta,
} from "../record/meta.ts";
import { keepCut, replaceIndex } from "./_mend_segment.ts";
import { join, segmentPath, TEMPORARY_SUFFIX } from "../names.ts";
import {
  type OwnerFile,
  type OwnerRecord,
  prepareOwnerFile,
  readOwnerFile,
} from "../record/owner_file.ts";
import { closeSegment, readSegment } from "./_segment_files.ts";
import { nameFile } from "../record/_temporary_file.ts";
import { tryRecovery, vouchedOffset } from "./_try_recovery.ts";

/*
 * Opening looks first and changes last, so that an opening that is refused has changed nothing:
 *
 *   list the directory; refuse odd names
 *   read `meta` and the owner file; refuse damaged ones, and those of another log
 *   tell segments below the first offset from the others; refuse unpaired files that no crash
 *     explains
 *   without `meta`: refuse a log that is not Basalt's
 *   for each segment but the last: read its end; the next one must start there
 *   if there is no owner file: the last segment ends with its last batch, or is refused
 *   else: recover the last segment, which looks at everything before it cuts
 *   check that the path still leads to the locked directory
 *   -- from here on only a failing disk ends it --
 *   remove temporary files and what an interrupted removal left
 *   write lost and wrong indexes again; make the missing file of the last pair
 *   make `meta` if there is none, and the owner file; sync the directory once for all of these
 *     names
 *
 * The recovery of the last segment is the last look and the first change. Beside its cuts, the
 * owner file is written under its temporary name.
 */

/** A segment that is not written any more. */
export interface SealedSegment {
  /** The offset of its first message. */
  firstOffset: number;
  /** The offset of the message after its last. */
  nextOffset: number;
  /** The length of its `.log`, in bytes. */
  byteLength: number;
}

/** What opening a log found, and what it did. */
export interface OpeningReport {
  /** What recovery did, segment by segment; empty after a clean close. */
  recovered: readonly RecoveryReport[];
  /** The `.cut` files of bytes that recovery cut and that were not all zeros. */
  kept: readonly string[];
  /** Names of files that were removed: temporary ones, and what an interrupted removal left. */
  removed: readonly string[];
  /** Names in the directory that do not belong to the log; they are left alone. */
  foreign: readonly string[];
}

/** A log that was put in order, ready to be written. */
export interface OpenedLog {
  /** All segments but the last. */
  sealed: SealedSegment[];
  /** The files of the last one, open. */
  files: SegmentFiles;
  /** Writes its `.index`. */
  index: IndexWriter;
  /** Its first offset. */
  firstOffset: number;
  /** What its files hold. */
  state: SegmentState;
  /** The log's identity and first offset, open. */
  meta: LogMeta;
  /** The owner file of this process, open. */
  owner: OwnerFile;
  /** What was found and done. */
  report: OpeningReport;
}

/**
 * Puts a log's directory in order: the lock on it must be held. `docs/format.md#opening`
 *
 * @param lock The lock; left out where changes stay in memory.
 * @param naming Syncs that make the directory's own name durable; they run beside others.
 * @throws {Deno.errors.BadResource} If the path does not lead to the locked directory any more.
 * @throws {CorruptSegmentError} If more than a torn tail is damaged, or segments do not follow each
 * other.
 * @throws {Deno.errors.InvalidData} If the directory holds something else than a log, or a file of
 * another log.
 * @throws {Deno.errors.NotSupported} If a file is of a later version.
 * @throws {NoSpaceError} If there is no room to keep what would be cut.
 *
 * Whatever of these it throws, nothing has changed.
 */
export function openLog(
  place: LogPlace,
  lock?: StorageLock,
  naming: readonly Task<void>[] = [],
): Task<OpenedLog> {
  return new Opening(place, lock, naming).run();
}

/**
 * Closes the files of a log that was opened.
 *
 * @param isClean Whether to remove the owner file. If it stays, the next opening recovers the log.
 */
export function* closeOpened(
  { files, index, owner }: OpenedLog,
  isClean: boolean,
): Task<void> {
  index[Symbol.dispose]();
  yield* closeSegment(files);
  yield* (isClean ? owner.remove() : owner.close());
}

/** One opening. */
class Opening {
  readonly #place: LogPlace;
  readonly #lock: StorageLock | undefined;
  /** Syncs of the directory's own name that were not run yet. */
  readonly #naming: Task<void>[];
  readonly #report = {
    recovered: new Array<RecoveryReport>(),
    kept: new Array<string>(),
    removed: new Array<string>(),
    foreign: new Array<string>(),
  };
  /** Segments whose index is lost or wrong. */
  readonly #wrongIndexes = new Set<number>();
  #meta: MetaRecord | undefined;
  #owner: OwnerRecord | "invalid" | undefined;
  #identity = "";
  /** The files of the last segment, once they are open for writing. */
  #files: SegmentFiles | undefined;
  #index: IndexWriter | undefined;
  /** The owner file of this process, once it was written under its temporary name. */
  #prepared: OwnerFile | undefined;
  #below: ListedSegment[] = [];
  /** Where the log starts. */
  #start = 0;

  constructor(
    place: LogPlace,
    lock: StorageLock | undefined,
    naming: readonly Task<void>[],
  ) {
    this.#place = place;
    this.#lock = lock;
    this.#naming = [...naming];
  }

  *run(): Task<OpenedLog> {
    try {
      return yield* this.#open();
    } catch (error) {
      this.#index?.[Symbol.dispose]();
      if (this.#files !== undefined) yield* closeSegment(this.#files);
      if (this.#prepared !== undefined) yield* this.#prepared.close();
      throw error;
    }
  }

  *#open(): Task<OpenedLog> {
    const segments = yield* this.#look();
    const sealed: SealedSegment[] = [];
    let before: SealedEnd | undefined;
    for (let i = 0; i + 1 < segments.length; i++) {
      const segment = segments[i]!;
      before = yield* this.#end(segment);
      const { nextOffset, end: byteLength } = before;
      const next = segments[i + 1]!.firstOffset;
      if (nextOffset !== next) {
        const found = `the next segment begins at offset ${next}`;
        throw this.#gap(found, segment, before);
      }
      const { firstOffset } = segment;
      sealed.push({ firstOffset, nextOffset, byteLength });
    }
    const last = segments.at(-1)!;
    const state = this.#owner === undefined
      ? yield* this.#closedLast(last)
      : yield* this.#recoveredLast(last);
    // An empty segment goes on from the time of the one before it.
    state.lastTimestamp = Math.max(
      state.lastTimestamp,
      before?.lastTimestamp ?? 0,
    );
    for (const { firstOffset } of sealed) {
      if (this.#wrongIndexes.has(firstOffset)) {
        yield* this.#rebuildIfRoom(firstOffset);
      }
    }
    const files = this.#files!;
    const { pool } = this.#place;
    this.#index = yield* IndexWriter.open(files.index, pool, state.index);
    this.#refuseMoved();
    yield* this.#clean();
    const owned = yield* this.#own(segments[0]!.firstOffset, state.nextOffset);
    return {
      sealed,
      files,
      index: this.#index,
      firstOffset: last.firstOffset,
      state,
      ...owned,
      report: this.#report,
    };
  }

  /** What the owner file says that the last writer left. */
  get #before(): OwnerRecord | undefined {
    return typeof this.#owner === "object" ? this.#owner : undefined;
  }

  /** The log must not end below this offset. */
  get #vouched(): number {
    return Math.max(this.#start, vouchedOffset(this.#owner));
  }

  /** Called before changes: what was looked at must be the directory that is locked. */
  #refuseMoved(): void {
    if (this.#lock === undefined) return;
    refuseMoved(this.#lock, this.#place.dir, "open log");
  }

  /**
   * Reads the directory, `meta` and the owner file; returns the segments of the log, at least one.
   */
  *#look(): Task<ListedSegment[]> {
    const place = this.#place;
    const { storage, dir } = place;
    const listing = yield* listDirectory(storage, dir);
    refuseOddNames(dir, listing);
    if (listing.hasMeta) this.#meta = yield* readMeta(place);
    if (listing.hasOwner) this.#owner = yield* readOwnerFile(place);
    refuseOtherOwner(dir, this.#meta, this.#owner);
    this.#identity = this.#meta?.identity ?? this.#before?.identity ??
      makeIdentity(storage);
    this.#report.removed.push(...listing.temporary);
    this.#report.foreign.push(...listing.foreign);
    const { start, below, kept, faults: [fault] } = classifySegments(
      dir,
      listing,
      this.#meta?.firstOffset,
    );
    if (fault !== undefined) throw fault;
    this.#start = start;
    this.#below = below;
    const [oldest] = kept;
    if (oldest === undefined) {
      return [{ firstOffset: start, log: false, index: false }];
    }
    const isImported = this.#meta === undefined && oldest.log;
    if (isImported) yield* refuseForeignLog(place, oldest.firstOffset);
    return kept;
  }

  /** Returns the error for messages that are missing after a segment. */
  #gap(
    found: string,
    { firstOffset }: ListedSegment,
    { end, nextOffset }: SealedEnd,
  ): CorruptSegmentError {
    return new CorruptSegmentError(found, {
      path: segmentPath(this.#place.dir, firstOffset, "log"),
      position: end,
      offset: nextOffset,
      kind: "gap",
    });
  }

  /** Reads the end of a segment that must end with its last batch. */
  #end(
    { firstOffset, index }: ListedSegment,
    isSynced = true,
  ): Task<SealedEnd> {
    // The writer of a log without `meta` may not have synced it.
    const mustSync = !isSynced || this.#meta === undefined;
    const wrongIndexes = this.#wrongIndexes;
    return readSegment(this.#place, firstOffset, function* (files) {
      if (mustSync) {
        yield* runAll([files.log.sync("full"), files.index.sync("full")]);
      }
      const end = yield* readSealedEnd(files);
      if (!index || !end.isIndexRight) {
        // Writing it again reads everything, and must not find damage when files were changed.
        yield* verifySealed(files);
        wrongIndexes.add(firstOffset);
      }
      return end;
    });
  }

  /** Opens the last segment of a log that was closed, or of a new one. */
  *#closedLast(last: ListedSegment): Task<SegmentState> {
    const { firstOffset } = last;
    let { index } = last;
    if (last.log) this.#refuseShort(last, yield* this.#end(last, false));
    this.#refuseMoved();
    if (this.#wrongIndexes.has(firstOffset)) {
      index = (yield* this.#rebuildIfRoom(firstOffset)) || index;
    }
    this.#files = yield* openPair(this.#place, { ...last, index });
    return last.log || index
      ? yield* sealedState(this.#files)
      : emptyState(firstOffset);
  }

  /** A log that ends below its first offset has lost the segment that holds it. */
  #refuseShort(segment: ListedSegment, end: SealedEnd): void {
    if (end.nextOffset >= this.#start) return;
    const found = `the log starts at offset ${this.#start}, which is not there`;
    throw this.#gap(found, segment, end);
  }

  /** Recovers the last segment of a log that was not closed. */
  *#recoveredLast(last: ListedSegment): Task<SegmentState> {
    const place = this.#place;
    const { storage, dir } = place;
    const { firstOffset } = last;
    const [kept, naming] = [this.#report.kept, this.#naming];
    if (!last.log || !last.index) {
      // A file must be made before recovery looks: it tries in memory first whether it would
      // refuse.
      yield* tryRecovery(place, firstOffset, this.#vouched);
    }
    this.#refuseMoved();
    const files = this.#files = yield* openPair(place, last);
    const { state, report } = yield* recoverSegment({
      ...files,
      durableOffset: this.#vouched,
      // The owner file that says that the log must be recovered may not have a durable name yet.
      *begin(): Task<void> {
        yield* runAll([storage.syncDirectory(dir), ...naming.splice(0)]);
      },
      beforeChange: () => this.#refuseMoved(),
      *keep(from, to): Task<void> {
        const { log } = files;
        kept.push(yield* keepCut(place, firstOffset, log, from, to));
      },
      beside: (nextOffset) => this.#prepareOwner(nextOffset),
    });
    this.#report.recovered.push(report);
    return state;
  }

  /** Writes the index of a sealed segment again; returns whether there was room for it. */
  *#rebuildIfRoom(firstOffset: number): Task<boolean> {
    let rebuilt: RebuiltIndex;
    try {
      rebuilt = yield* replaceIndex(this.#place, firstOffset);
    } catch (error) {
      if (error instanceof NoSpaceError) return false;
      throw error;
    }
    this.#report.recovered.push({
      path: segmentPath(this.#place.dir, firstOffset, "log"),
      trustedPosition: 0,
      scannedBytes: rebuilt.end,
      end: rebuilt.end,
      cutBytes: 0,
      isKept: false,
      rebuiltEntries: rebuilt.entries,
    });
    return true;
  }

  /** Removes temporary files and what an interrupted removal left, without making that durable. */
  *#clean(): Task<void> {
    const { storage, dir } = this.#place;
    const below = this.#below.flatMap(filesOf);
    // What is removed because of `meta` must not be missed by an older `meta` after a power cut.
    if (below.length > 0 && this.#meta !== undefined) {
      yield* readMeta(this.#place, true);
    }
    const { removed } = this.#report;
    removed.push(...below);
    const paths = removed.map((name) => join(dir, name));
    // The one of the owner file was replaced.
    const prepared = this.#prepared && ownerPath(dir) + TEMPORARY_SUFFIX;
    yield* removeFiles(storage, paths.filter((path) => path !== prepared));
  }

  /** Writes the owner file of this process under its temporary name, durably. */
  *#prepareOwner(durableOffset: number): Task<void> {
    const generation = (this.#before?.generation ?? 0) + 1;
    const fields = { identity: this.#identity, generation, durableOffset };
    this.#prepared = yield* prepareOwnerFile(this.#place, fields);
  }

  /** Makes `meta` if there is none, and the owner file, durably. */
  *#own(
    firstOffset: number,
    durableOffset: number,
  ): Task<{ meta: LogMeta; owner: OwnerFile }> {
    const place = this.#place;
    const { storage, dir } = place;
    const preparing = this.#naming.splice(0);
    if (this.#prepared === undefined) {
      preparing.push(this.#prepareOwner(durableOffset));
    }
    let record = this.#meta;
    if (record === undefined) {
      const identity = { identity: this.#identity, firstOffset };
      preparing.push(
        function* (): Task<void> {
          record = yield* prepareMeta(place, identity);
        }(),
        // The names of segments come before that of `meta`: one without a segment has lost it.
        storage.syncDirectory(dir),
      );
    }
    yield* runAll(preparing);
    if (this.#meta === undefined) yield* nameFile(storage, metaPath(dir));
    const meta = yield* openMeta(place, record!);
    const owner = this.#prepared!;
    yield* owner.name();
    yield* storage.syncDirectory(dir);
    return { meta, owner };
  }
}

/** Refuses an owner file that names another log than `meta` does. */
export function refuseOtherOwner(
  dir: string,
  meta: MetaRecord | undefined,
  owner: OwnerRecord | "invalid" | undefined,
): void {
  if (meta === undefined || typeof owner !== "object") return;
  if (owner.identity === meta.identity) return;
  throw new Deno.errors.InvalidData(
    `Cannot open log '${dir}' as '${
      ownerPath(dir)
    }' is the owner file of another log: its identity is ${owner.identity}, that of '${
      metaPath(dir)
    }' is ${meta.identity}`,
  );
}

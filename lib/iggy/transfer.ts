import type { Task } from "../base/mod.ts";
import {
  join,
  listDirectory,
  type Listing,
  segmentName,
  syncDirectory,
  TEMPORARY_SUFFIX,
} from "../log/mod.ts";
import { copyRange, haveEqualBytes, type TaskStorage } from "../storage/mod.ts";
import { type Place, sizeOf, withFile } from "./files.ts";

/** A file that belongs to the log. */
export interface TransferredFile {
  /** Its name, the same in both directories. */
  name: string;
  /** Its size in bytes. */
  byteLength: number;
  /** Whether the target had it already: an earlier transfer was interrupted. */
  there: boolean;
}

/** What moves from one directory to another. */
export interface Transfer {
  /** Where the log is; it stays as it is. */
  from: string;
  /** Where it goes. */
  to: string;
  /** The offset of its first message. */
  firstOffset: number;
  /** The log's files. */
  files: TransferredFile[];
  /** Empty files in the target that give way: what a server makes for a new partition. */
  replaces: string[];
  /** Names in the source that are none of the log's, and stay behind. */
  leaves: string[];
  /** Names in the target that an interrupted transfer left unfinished. */
  unfinished: string[];
}

/**
 * Compares what is to be copied with what is there.
 *
 * @throws {Deno.errors.AlreadyExists} If the target holds messages that are not the log's.
 */
export function* planTransfer(
  place: Place,
  { from, to }: { from: string; to: string },
  source: Listing,
  target: Listing,
): Task<Transfer> {
  const files: TransferredFile[] = [];
  for (const name of fileNames(source)) {
    const byteLength = yield* withFile(place, join(from, name), {}, sizeOf);
    files.push({ name, byteLength, there: false });
  }
  const replaces: string[] = [];
  for (const name of fileNames(target)) {
    const path = join(to, name);
    const mine = files.find((file) => file.name === name);
    const size = yield* withFile(place, path, {}, sizeOf);
    if (mine !== undefined && mine.byteLength === size) {
      mine.there = yield* haveSameContent(place, join(from, name), path);
      if (mine.there) continue;
    }
    if (size > 0) {
      throw new Deno.errors.AlreadyExists(
        `Cannot copy '${from}' to '${to}': '${name}' there has ${size} bytes that are none of this log's: only into an empty directory or partition`,
      );
    }
    replaces.push(name);
  }
  return {
    from,
    to,
    firstOffset: source.segments[0]?.firstOffset ?? 0,
    files,
    replaces,
    leaves: source.foreign.filter((name) => name !== "offsets"),
    unfinished: target.temporary,
  };
}

function* haveSameContent(
  place: Place,
  a: string,
  b: string,
): Task<boolean> {
  return yield* withFile(
    place,
    a,
    {},
    (mine) =>
      withFile(
        place,
        b,
        {},
        (other) => haveEqualBytes(mine, other, place.pool),
      ),
  );
}

/**
 * Copies the files: under temporary names, then all indexes get their names, then the logs in their order.
 *
 * So whoever opens the target after a crash finds no log, or indexes whose logs are missing, which is `CorruptSegment`; a server finds the first messages only. Doing it again completes it.
 */
export function* runTransfer(place: Place, transfer: Transfer): Task<void> {
  const { storage, pool } = place;
  const { from, to, files, replaces, unfinished } = transfer;
  for (const name of unfinished) yield* remove(storage, join(to, name));
  const missing = files.filter((file) => !file.there);
  for (const { name, byteLength } of missing) {
    const copy = join(to, name + TEMPORARY_SUFFIX);
    yield* withFile(place, join(from, name), {}, (source) =>
      withFile(
        place,
        copy,
        { write: true, create: true },
        (target) => copyRange(source, target, pool, 0, byteLength),
      ));
  }
  yield* syncDirectory(storage, to);
  for (const name of replaces) {
    if (missing.some((file) => file.name === name)) continue;
    yield* remove(storage, join(to, name));
  }
  const [logs, indexes] = [".log", ".index"].map((kind) =>
    missing.filter(({ name }) => name.endsWith(kind))
  );
  for (const { name } of indexes!) yield* rename(storage, to, name);
  yield* syncDirectory(storage, to);
  for (const { name } of logs!) {
    yield* rename(storage, to, name);
    yield* syncDirectory(storage, to);
  }
}

/** Lists a log's directory; one that is missing is empty. */
export function* listIfMade(storage: TaskStorage, dir: string): Task<Listing> {
  try {
    return yield* listDirectory(storage, dir);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return { segments: [], temporary: [], marked: false, foreign: [] };
  }
}

/** The names of the segments' files, in the order of their offsets. */
export function fileNames(listing: Listing): string[] {
  return listing.segments.flatMap(({ firstOffset, log, index }) => [
    ...(index ? [`${segmentName(firstOffset)}.index`] : []),
    ...(log ? [`${segmentName(firstOffset)}.log`] : []),
  ]);
}

function* remove(storage: TaskStorage, path: string): Task<void> {
  yield* storage.remove(path);
}

function* rename(storage: TaskStorage, dir: string, name: string): Task<void> {
  const [from, to] = [join(dir, name + TEMPORARY_SUFFIX), join(dir, name)];
  yield* storage.rename(from, to);
}

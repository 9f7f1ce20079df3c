/**
 * Files of cursors in the directory `cursors` of a log (`docs/format.md#cursors`).
 *
 * @module
 */
import { shown, type Task } from "../../base/mod.ts";
import { acquire, type BufferPool, type PooledBuffer } from "../../pool/mod.ts";
import {
  LockedError,
  type LockOwner,
  type TaskFile,
} from "../../storage/mod.ts";
import { recordChecksum } from "../record/_checksum.ts";
import { refuseLink } from "../open/directory.ts";
import type { LogPlace } from "../record/meta.ts";
import { CURSORS_NAME, join, TEMPORARY_SUFFIX } from "../names.ts";
import { blockBytesOf, type RecordLayout } from "../record/_record_file.ts";
import { readIfThere, unlessGone } from "../open/_segment_files.ts";
import {
  makeSlots,
  readSlots,
  type Slot,
  SLOT_FIELDS,
  writeSlot,
} from "../record/_slots.ts";
import { prepareFile } from "../record/_temporary_file.ts";

const LAYOUT: RecordLayout<CursorRecord> = {
  magic: "BASALTCR",
  fields: {
    ...SLOT_FIELDS,
    offset: ["u64", 24],
    pid: ["u64", 32],
    since: ["u64", 40],
  },
  checksumAt: 48,
};

const MAX_NAME_BYTES = 255;

/**
 * How often to read a file in which no slot is valid. A slot that another process is writing may be
 * incomplete, and then the other one is valid.
 */
const READ_ATTEMPTS = 3;

/** The newest valid slot of a cursor's file, with the process that had the cursor open last. */
interface CursorRecord extends LockOwner, Slot {
  /** The offset of the first message that the cursor's owner has not committed. */
  offset: number;
}

/** Returns the directory of the cursors of a log. */
function cursorsPath(dir: string): string {
  return join(dir, CURSORS_NAME);
}

/** Returns the path of a cursor's file. */
function cursorPath(dir: string, name: string): string {
  return join(cursorsPath(dir), name);
}

/** Whether a text may be the name of a cursor. `docs/format.md#cursor-name` */
function isCursorName(name: string): boolean {
  return /^[A-Za-z0-9._-]+$/.test(name) && name.length <= MAX_NAME_BYTES &&
    name !== "." && name !== "..";
}

/**
 * Checks the name of a cursor.
 *
 * @throws {TypeError} If it is not one.
 */
export function checkCursorName(name: string): void {
  if (typeof name === "string" && isCursorName(name)) return;
  throw new TypeError(
    `Cannot use cursor as 'name' must be 1 to 255 of the characters A-Z, a-z, 0-9, '.', '_' and '-', and not '.' or '..': received ${
      shown(name)
    }`,
  );
}

/**
 * Reads a cursor's file; returns `undefined` if there is none, or if it is being created.
 *
 * @throws {Deno.errors.InvalidData} If it is damaged.
 * @throws {Deno.errors.NotSupported} If it is of another version.
 */
function* readCursor(
  { storage, dir, pool }: LogPlace,
  name: string,
): Task<CursorRecord | undefined> {
  const path = cursorPath(dir, name);
  refuseLink(storage, path);
  return yield* readIfThere(storage, path, (file) => readRecord(file, pool));
}

/** Reads an open file; returns `undefined` if it is empty, because it is new or a crash left it. */
function* readRecord(
  file: TaskFile,
  pool: BufferPool,
): Task<CursorRecord | undefined> {
  for (let attempt = 1;; attempt++) {
    const [newest] = yield* readSlots(file, pool, LAYOUT);
    if (newest !== undefined) return newest;
    if ((yield* file.size()) === 0) return undefined;
    if (attempt < READ_ATTEMPTS) continue;
    throw new Deno.errors.InvalidData(
      `Cannot use '${file.path}' as the file of a cursor: neither of its two slots is valid`,
    );
  }
}

/** A cursor, as stored in its file. */
export interface StoredCursor {
  /** Its name. */
  name: string;
  /** The offset of the first message that the cursor's owner has not committed. */
  offset: number;
  /** The process that has the cursor open, or had it open last. */
  owner: LockOwner;
}

/**
 * Reads the files of all cursors of a log, in the order of their names.
 *
 * @throws If a file cannot be read: the messages that its cursor needs are unknown then.
 */
export function* readCursors(place: LogPlace): Task<StoredCursor[]> {
  const { storage, dir } = place;
  const entries = yield* unlessGone(storage.listNow(cursorsPath(dir)));
  const cursors: StoredCursor[] = [];
  for (const { name } of entries ?? []) {
    if (!isCursorName(name)) continue;
    const record = yield* readCursor(place, name);
    if (record === undefined) continue;
    const { offset, pid, since } = record;
    cursors.push({ name, offset, owner: { pid, since } });
  }
  return cursors;
}

/** Whether a process has a cursor open now; `false` if there is none. */
export function* isCursorLocked(
  { storage, dir }: LogPlace,
  name: string,
): Task<boolean> {
  const path = cursorPath(dir, name);
  const isLocked = yield* readIfThere(storage, path, function* (file) {
    return !file.lock();
  });
  return isLocked ?? false;
}

/** Returns the error for a cursor that another owner has open. */
export function* cursorLocked(
  place: LogPlace,
  name: string,
): Task<LockedError> {
  const record = yield* readCursor(place, name);
  const owner = record && { pid: record.pid, since: record.since };
  return new LockedError(cursorPath(place.dir, name), owner);
}

/** Removes a cursor's file, durably; returns whether there was one. */
export function* removeCursor(
  { storage, dir }: LogPlace,
  name: string,
): Task<boolean> {
  try {
    yield* storage.removeNow(cursorPath(dir, name));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
  yield* storage.syncDirectory(cursorsPath(dir));
  return true;
}

/** The result of {@linkcode openCursorFile}. */
export interface OpenedCursor {
  /** The file, locked. */
  file: CursorFile;
  /** Whether it was created. */
  isNew: boolean;
}

/**
 * Opens the file of a cursor and takes its lock; returns `undefined` while another owner has it.
 *
 * `docs/format.md#cursor-create`
 *
 * @param first Returns the offset of a new cursor.
 */
export function* openCursorFile(
  place: LogPlace,
  name: string,
  first: () => Task<number>,
): Task<OpenedCursor | undefined> {
  const { storage, dir } = place;
  const path = cursorPath(dir, name);
  const owner = { pid: Deno.pid, since: storage.now() };
  let isNew = false;
  for (;;) {
    const file = yield* openOrMake(place, path);
    let opened: CursorFile | undefined;
    try {
      if (!file.lock()) return undefined;
      // It was deleted or replaced after it was opened: docs/format.md#cursor-lock
      if (!file.isNamed()) continue;
      const record = yield* readRecord(file, place.pool);
      const slotBytes = blockBytesOf(file);
      if (record === undefined) {
        const offset = yield* first();
        yield* replace(place, name, {
          offset,
          ...owner,
          sequence: 0,
          slotBytes,
        });
        isNew = true;
      } else if (record.slotBytes < slotBytes) {
        yield* replace(place, name, { ...record, slotBytes });
      } else {
        opened = yield* CursorFile.claim(place, name, file, record, owner);
        return { file: opened, isNew };
      }
    } finally {
      if (opened === undefined) yield* file.close();
    }
  }
}

/**
 * Creates a cursor at an offset, durably. An existing one stays as it is.
 *
 * @throws {LockedError} If another process has it open.
 */
export function* makeCursor(
  place: LogPlace,
  name: string,
  offset: number,
): Task<void> {
  const opened = yield* openCursorFile(place, name, function* () {
    return offset;
  });
  if (opened === undefined) throw yield* cursorLocked(place, name);
  yield* opened.file.close();
}

function* openOrMake(
  { storage, dir }: LogPlace,
  path: string,
): Task<TaskFile> {
  const options = { write: true, create: true };
  refuseLink(storage, path);
  const file = yield* unlessGone(storage.openNow(path, options));
  if (file !== undefined) return file;
  yield* storage.makeDirectory(cursorsPath(dir));
  return yield* storage.openNow(path, options);
}

/**
 * Replaces an empty file, or one with smaller slots, by a complete file, durably. The lock of the
 * old file must be held.
 */
function* replace(
  { storage, dir, pool }: LogPlace,
  name: string,
  record: CursorRecord,
): Task<void> {
  const hidden = join(cursorsPath(dir), `~${hashOf(name)}`);
  yield* prepareFile(storage, hidden, function* (file) {
    yield* makeSlots(file, pool, LAYOUT, record);
  });
  yield* storage.renameNow(hidden + TEMPORARY_SUFFIX, cursorPath(dir, name));
  yield* storage.syncDirectory(cursorsPath(dir));
}

/** Returns a short text for a name, because the name with a suffix might be too long. */
function hashOf(name: string): string {
  const bytes = new TextEncoder().encode(name);
  let hash = 0n;
  for (let at = 0; at < bytes.length; at += 64) {
    const piece = new Uint8Array(72);
    piece.set(bytes.subarray(at, at + 64));
    new DataView(piece.buffer).setBigUint64(64, hash, true);
    hash = recordChecksum(piece);
  }
  return hash.toString(16).padStart(16, "0");
}

/** Holds the file of a cursor, open and locked, and writes it. */
export class CursorFile {
  /** The cursor in words, for errors. */
  readonly #title: string;
  readonly #file: TaskFile;
  /** Memory for one slot, leased for the cursor's life, so that a commit never waits for it. */
  readonly #block: PooledBuffer;
  #record: CursorRecord;

  private constructor(
    title: string,
    file: TaskFile,
    block: PooledBuffer,
    record: CursorRecord,
  ) {
    this.#title = title;
    this.#file = file;
    this.#block = block;
    this.#record = record;
  }

  /** Takes an open, locked file, and writes the new owner into it. */
  static *claim(
    { dir, pool }: LogPlace,
    name: string,
    file: TaskFile,
    record: CursorRecord,
    owner: LockOwner,
  ): Task<CursorFile> {
    const { offset, slotBytes, pid, since } = record;
    const block = yield* acquire(pool, slotBytes, { zeroed: true });
    try {
      const own = { ...record, ...owner };
      const title = `cursor '${name}' of log '${dir}'`;
      const claimed = new CursorFile(title, file, block, own);
      const isOwn = pid === owner.pid && since === owner.since;
      if (!isOwn) yield* claimed.write(offset);
      return claimed;
    } catch (error) {
      block.drop();
      throw error;
    }
  }

  /** The durable position. */
  get offset(): number {
    return this.#record.offset;
  }

  /**
   * Refuses a deleted cursor.
   *
   * @throws {Deno.errors.BadResource} If the file has lost its name.
   */
  refuseDeleted(action: string): void {
    if (this.#file.isNamed()) return;
    throw new Deno.errors.BadResource(
      `Cannot ${action} as ${this.#title} was deleted`,
    );
  }

  /**
   * Writes an offset durably. After a failure the next attempt writes the same slot again.
   *
   * `docs/format.md#cursor-turns`
   */
  *write(offset: number): Task<void> {
    this.refuseDeleted("commit");
    const record = this.#record;
    const next = { ...record, offset, sequence: record.sequence + 1 };
    yield* writeSlot(this.#file, this.#block, LAYOUT, next);
    this.#record = next;
  }

  /** Closes the file, which releases its lock. */
  *close(): Task<void> {
    this.#block.drop();
    yield* this.#file.close();
  }
}

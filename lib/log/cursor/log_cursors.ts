import { drive, driveSync, type Task } from "../../base/mod.ts";
import { LockedError, type LockOwner } from "../../storage/mod.ts";
import { publish } from "../events.ts";
import { OffsetOutOfRangeError } from "../offset_out_of_range_error.ts";
import { Cursor, type CursorTarget } from "./cursor.ts";
import {
  checkCursorName,
  type CursorFile,
  cursorPath,
  isCursorLocked,
  openCursorFile,
  readCursor,
  readCursors,
  removeCursor,
} from "./cursor_file.ts";
import { checkTarget, firstOffsetOf, offsetOf } from "./cursor_position.ts";
import { type CursorLag, type CursorSource, lagAt } from "./cursor_source.ts";

/** How often the lock of another owner is tried, in milliseconds. */
const LOCK_POLL_MS = 20;
/** `cursorSync` tries it this often, 1 ms apart: a listing takes the lock for an instant. */
const LOCK_LOOKS = 3;

/** How to open a cursor. */
export interface CursorOptions {
  /**
   * Where a new cursor starts: an offset, the first message of the log, or the next one that
   * becomes durable. An existing cursor continues at its position. Default: `"first"`.
   */
  from?: CursorTarget;
  /** Whether reading continues with messages that become durable later. Default: `true`. */
  follow?: boolean;
  /**
   * How long to wait for another owner's lock, in milliseconds. The lock of a killed owner may last
   * until its last operation ends. Default: `2000`.
   */
  lockTimeoutMs?: number;
}

/** A cursor of a log. */
export interface CursorInfo {
  /** Its name. */
  name: string;
  /** The committed position. */
  position: number;
  /** How far it lags. */
  lag: CursorLag;
  /** Whether a process has it open now. */
  locked: boolean;
  /** The process that has it open, or had it open last. */
  owner: LockOwner;
}

/** The cursors of a log. */
export class LogCursors {
  readonly #source: CursorSource;
  readonly #open = new Set<Cursor>();

  constructor(source: CursorSource) {
    this.#source = source;
  }

  /** The cursors that are open here. */
  get open(): ReadonlySet<Cursor> {
    return this.#open;
  }

  /**
   * Opens a cursor, and creates it if it does not exist.
   *
   * @throws {LockedError} If another has it open, after `lockTimeoutMs`.
   */
  async cursor(name: string, options: CursorOptions = {}): Promise<Cursor> {
    check(name, options);
    const { lockTimeoutMs = 2000 } = options;
    const { storage } = this.#source.place;
    for (let waitedMs = 0;; waitedMs += LOCK_POLL_MS) {
      const cursor = await drive(this.#tryOpen(name, options));
      if (cursor !== undefined) return cursor;
      if (waitedMs >= lockTimeoutMs) throw await drive(this.#locked(name));
      await storage.storage.delay(LOCK_POLL_MS);
    }
  }

  /** Opens a cursor while the caller waits, but does not wait for another owner's lock. */
  cursorSync(name: string, options: CursorOptions = {}): Cursor {
    check(name, options);
    for (let look = 1;; look++) {
      const cursor = driveSync(this.#tryOpen(name, options));
      if (cursor !== undefined) return cursor;
      if (look === LOCK_LOOKS) throw driveSync(this.#locked(name));
      this.#source.place.storage.storage.delaySync(1);
    }
  }

  /** Lists all cursors, by name. */
  *list(): Task<CursorInfo[]> {
    const { place } = this.#source;
    const found: CursorInfo[] = [];
    for (const { name, offset, owner } of yield* readCursors(place)) {
      const lag = yield* lagAt(this.#source, offset);
      const locked = yield* isCursorLocked(place, name);
      found.push({ name, position: offset, lag, locked, owner });
    }
    return found;
  }

  /** Deletes a cursor, whoever has it open; returns whether there was one. */
  delete(name: string): Task<boolean> {
    checkCursorName(name);
    return this.#delete(name);
  }

  *#delete(name: string): Task<boolean> {
    const { place } = this.#source;
    const isThere = yield* removeCursor(place, name);
    if (!isThere) return false;
    publish("basalt:cursor", () => ({
      log: place.dir,
      cursor: name,
      action: "deleted",
      position: undefined,
      error: undefined,
    }));
    return true;
  }

  *#locked(name: string): Task<LockedError> {
    const { place } = this.#source;
    const record = yield* readCursor(place, name);
    return new LockedError(cursorPath(place.dir, name), record?.owner);
  }

  /** Opens a cursor; `undefined` while another has it. */
  *#tryOpen(name: string, options: CursorOptions): Task<Cursor | undefined> {
    const { from = "first", follow = true } = options;
    const source = this.#source;
    const opened = yield* openCursorFile(
      source.place,
      name,
      () => offsetOf(source, from),
    );
    if (opened === undefined) return undefined;
    const { file, isNew } = opened;
    try {
      if (isNew) yield* this.#checkNew(name, file, from);
    } catch (error) {
      yield* file.close();
      throw error;
    }
    const cursor = new Cursor(
      source,
      name,
      file,
      follow,
      (closed) => this.#open.delete(closed),
    );
    this.#open.add(cursor);
    return cursor;
  }

  /**
   * Looks, now that the file is durable and retention sees it, whether retention passed its offset
   * before.
   *
   * `docs/format.md#cursor-first`
   */
  *#checkNew(name: string, file: CursorFile, from: CursorTarget): Task<void> {
    const { place } = this.#source;
    for (;;) {
      const first = yield* firstOffsetOf(place);
      const { offset } = file;
      if (offset >= first) return;
      if (from === "first") {
        yield* file.write(first);
        continue;
      }
      yield* removeCursor(place, name);
      throw new OffsetOutOfRangeError(place.dir, offset, first);
    }
  }
}

function check(
  name: string,
  { from = "first", lockTimeoutMs = 0 }: CursorOptions,
): void {
  checkCursorName(name);
  checkTarget("open cursor", "from", from);
  if (Number.isSafeInteger(lockTimeoutMs) && lockTimeoutMs >= 0) return;
  throw new RangeError(
    `Cannot open cursor as 'lockTimeoutMs' must be an integer from 0: received ${lockTimeoutMs}`,
  );
}

import { checkInteger, type Task } from "../../base/mod.ts";
import type { LockOwner } from "../../storage/mod.ts";
import { publishCursor } from "../events.ts";
import { openLocked } from "../open/_locks.ts";
import { checkTarget, Cursor, type CursorTarget } from "./cursor.ts";
import {
  checkCursorName,
  cursorLocked,
  isCursorLocked,
  openCursorFile,
  readCursors,
  removeCursor,
} from "./cursor_file.ts";
import type { CursorLag, CursorSource } from "./cursor_source.ts";

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
  /** The cursors that are open here. */
  readonly opened: Set<Cursor> = new Set();
  readonly #source: CursorSource;

  constructor(source: CursorSource) {
    this.#source = source;
  }

  /**
   * Opens a cursor, and creates it if it does not exist.
   *
   * @param isBlocking Whether the caller blocks, so that it does not wait for the lock.
   * @throws {LockedError} If another owner has it open, after `lockTimeoutMs`.
   */
  *open(
    name: string,
    options: CursorOptions = {},
    isBlocking = false,
  ): Task<Cursor> {
    const { from = "first", lockTimeoutMs = 2000 } = options;
    checkCursorName(name);
    checkTarget("open cursor", "from", from);
    checkInteger("open cursor", "lockTimeoutMs", lockTimeoutMs);
    const { place } = this.#source;
    const cursor = yield* openLocked(
      place.storage,
      () => this.#tryOpen(name, options),
      isBlocking ? undefined : lockTimeoutMs,
    );
    if (cursor !== undefined) return cursor;
    throw yield* cursorLocked(place, name);
  }

  /** Lists all cursors by name. */
  *list(): Task<CursorInfo[]> {
    const { place } = this.#source;
    const found: CursorInfo[] = [];
    for (const { name, offset, owner } of yield* readCursors(place)) {
      const lag = yield* this.#source.lag(offset);
      const locked = yield* isCursorLocked(place, name);
      found.push({ name, position: offset, lag, locked, owner });
    }
    return found;
  }

  /** Deletes a cursor, even while it is open; returns whether it existed. */
  *delete(name: string): Task<boolean> {
    checkCursorName(name);
    const { place } = this.#source;
    if (!(yield* removeCursor(place, name))) return false;
    publishCursor(place.dir, name, "deleted");
    return true;
  }

  /** Opens a cursor; `undefined` while another owner has it. */
  *#tryOpen(
    name: string,
    { from = "first", follow = true }: CursorOptions,
  ): Task<Cursor | undefined> {
    const source = this.#source;
    const opened = yield* openCursorFile(
      source.place,
      name,
      () => source.offsetOf(from),
    );
    if (opened === undefined) return undefined;
    const { file, isNew } = opened;
    try {
      if (isNew) {
        const undo = () => removeCursor(source.place, name);
        yield* source.keepAboveFirst(file, from, undo);
      }
    } catch (error) {
      yield* file.close();
      throw error;
    }
    const cursor = new Cursor(
      source,
      name,
      file,
      follow,
      (closed) => this.opened.delete(closed),
    );
    this.opened.add(cursor);
    return cursor;
  }
}

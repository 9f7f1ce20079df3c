import type { Task } from "../../base/mod.ts";
import type { BatchSource } from "../../segment/mod.ts";
import { classifySegments } from "../open/_classify.ts";
import { listDirectory, type ListedSegment } from "../open/directory.ts";
import type { Scanner } from "../read/following.ts";
import { durableOffsetOf } from "../read/_foreign_writer.ts";
import { dataOf } from "../repair/inspect.ts";
import { type LogPlace, readMeta } from "../record/meta.ts";
import { segmentPath } from "../names.ts";
import { OffsetOutOfRangeError } from "../read/offset_out_of_range_error.ts";
import type { SealedSegment } from "../open/opening.ts";
import type { OwnLog } from "../_own_log.ts";
import { readSegment, sizeAt } from "../open/_segment_files.ts";
import type { CursorTarget } from "./cursor.ts";
import type { CursorFile } from "./cursor_file.ts";

/** How far a cursor lags. */
export interface CursorLag {
  /** Durable messages that are not committed. */
  messages: number;
  /**
   * Their bytes, headers included. They are exact for later segments, and estimated for the one
   * that holds the position.
   */
  bytes: number;
}

/** The log of a cursor, as its writer or a reader of it knows it. */
export abstract class CursorSource {
  /** Where the log is. */
  readonly place: LogPlace;
  readonly #scan: Scanner;

  constructor(place: LogPlace, scan: Scanner) {
    this.place = place;
    this.#scan = scan;
  }

  /** The durable offset, if it is known without reading files. */
  abstract readonly durableNow: number | undefined;

  /**
   * Returns the offset after the last message. The log has no offset above it, and messages below
   * it may not be durable yet.
   */
  abstract end(): Task<number>;

  /** Returns the offset after the last durable message. */
  abstract durableEnd(): Task<number>;

  /** Returns the segments with messages from an offset, each up to its last durable message. */
  abstract segments(from: number): Task<readonly SealedSegment[]>;

  /**
   * Scans the durable messages from an offset and, with `follow`, later ones.
   *
   * @param signal Ends the wait for later ones.
   */
  scan(from: number, signal: AbortSignal, follow: boolean): BatchSource {
    const options = { from, durable: true, follow };
    const end = follow ? undefined : this.durableNow;
    const count = end === undefined ? undefined : Math.max(0, end - from);
    return this.#scan(
      { ...options, ...count !== undefined && { count } },
      signal,
    );
  }

  /** Returns how far an offset lags behind the durable messages. */
  *lag(offset: number): Task<CursorLag> {
    const end = yield* this.durableEnd();
    const messages = Math.max(0, end - offset);
    if (messages === 0) return { messages, bytes: 0 };
    let bytes = 0;
    for (const segment of yield* this.segments(offset)) {
      const { firstOffset, nextOffset, byteLength } = segment;
      const count = nextOffset - firstOffset;
      const left = Math.min(nextOffset, end) - Math.max(firstOffset, offset);
      if (left > 0) bytes += byteLength * left / count;
    }
    return { messages, bytes: Math.round(bytes) };
  }

  /**
   * Reads the first offset of the log from `meta`.
   *
   * @throws {Deno.errors.NotSupported} If the log has no `meta` yet.
   */
  *firstOffset(): Task<number> {
    const meta = yield* readMeta(this.place);
    if (meta !== undefined) return meta.firstOffset;
    throw new Deno.errors.NotSupported(
      `Cannot use cursors of log '${this.place.dir}': it has no 'meta' yet, opening it for writing makes one`,
    );
  }

  /**
   * Resolves a target to an offset.
   *
   * @throws {OffsetOutOfRangeError} If it is not a durable offset of the log.
   */
  *offsetOf(target: CursorTarget): Task<number> {
    if (target === "next") return yield* this.durableEnd();
    const first = yield* this.firstOffset();
    if (target === "first") return first;
    const end = yield* this.durableEnd();
    if (target >= first && target <= end) return target;
    throw yield* this.outOfRange(target, end);
  }

  /**
   * Checks that retention did not pass the offset of a cursor's file before the file was durable.
   * Later retention sees the file. `docs/format.md#cursor-first`
   *
   * @param target What the offset was resolved from: `"first"` follows retention.
   * @param undo Undoes the change of the file before an error.
   * @throws {OffsetOutOfRangeError} If retention passed the offset.
   */
  *keepAboveFirst(
    file: CursorFile,
    target: CursorTarget,
    undo: () => Task<unknown>,
  ): Task<void> {
    for (;;) {
      const first = yield* this.firstOffset();
      const { offset } = file;
      if (offset >= first) return;
      if (target !== "first") {
        yield* undo();
        throw new OffsetOutOfRangeError(this.place.dir, offset, first);
      }
      yield* file.write(first);
    }
  }

  /** Returns the error for an offset that the log, which ends at `end`, does not hold. */
  *outOfRange(
    offset: number,
    end: number,
    action?: string,
  ): Task<OffsetOutOfRangeError> {
    const first = yield* this.firstOffset();
    const { dir } = this.place;
    return new OffsetOutOfRangeError(dir, offset, first, end, action);
  }
}

/** A log that this isolate writes, for cursors. It reads no file to know the log's end. */
export class OwnSource extends CursorSource {
  readonly #log: OwnLog;

  constructor(log: OwnLog, scan: Scanner) {
    super(log.place, scan);
    this.#log = log;
  }

  get durableNow(): number {
    return this.#log.appender.durableOffset;
  }

  end(): Task<number> {
    return this.durableEnd();
  }

  // deno-lint-ignore require-yield -- there is nothing to wait for
  *durableEnd(): Task<number> {
    return this.durableNow;
  }

  // deno-lint-ignore require-yield -- there is nothing to wait for
  *segments(): Task<readonly SealedSegment[]> {
    const { appender, sealed } = this.#log;
    const { firstOffset, durable } = appender.active;
    const { offset: nextOffset, position: byteLength } = durable;
    return [...sealed, { firstOffset, nextOffset, byteLength }];
  }
}

/** A log that another process may be writing, for cursors. It reads the log's files. */
export class ForeignSource extends CursorSource {
  readonly durableNow = undefined;

  *end(): Task<number> {
    const segments = yield* this.#listed();
    return (yield* this.#last(segments.at(-1))).nextOffset;
  }

  *durableEnd(): Task<number> {
    const published = yield* durableOffsetOf(this.place);
    // A log that was closed is durable to its end.
    if (published === Infinity) return yield* this.end();
    // Removed messages were durable.
    const meta = yield* readMeta(this.place);
    return Math.max(published, meta?.firstOffset ?? 0);
  }

  *segments(from: number): Task<readonly SealedSegment[]> {
    const listed = yield* this.#listed();
    const counted: SealedSegment[] = [];
    for (const [i, { firstOffset }] of listed.entries()) {
      const nextOffset = listed[i + 1]?.firstOffset;
      if (nextOffset === undefined) counted.push(yield* this.#last(listed[i]));
      else if (nextOffset > from) {
        const { storage, dir } = this.place;
        const path = segmentPath(dir, firstOffset, "log");
        const byteLength = (yield* sizeAt(storage, path)) ?? 0;
        counted.push({ firstOffset, nextOffset, byteLength });
      }
    }
    return counted;
  }

  *#listed(): Task<ListedSegment[]> {
    const { storage, dir } = this.place;
    const listing = yield* listDirectory(storage, dir);
    const meta = yield* readMeta(this.place);
    return classifySegments(dir, listing, meta?.firstOffset).readable;
  }

  /** Returns the last segment, up to its last whole batch. */
  *#last(segment: ListedSegment | undefined): Task<SealedSegment> {
    const { place } = this;
    const firstOffset = segment?.firstOffset ?? 0;
    if (segment === undefined) {
      return { firstOffset, nextOffset: firstOffset, byteLength: 0 };
    }
    const { nextOffset, dataBytes: byteLength } = yield* readSegment(
      place,
      firstOffset,
      dataOf,
    );
    return { firstOffset, nextOffset, byteLength };
  }
}

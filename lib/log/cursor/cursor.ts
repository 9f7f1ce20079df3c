import { checkInteger, drive, driveSync, type Task } from "../../base/mod.ts";
import {
  type BatchIterator,
  type BatchSource,
  InPlacePolicy,
  type Message,
  type MessageBatch,
} from "../../segment/mod.ts";
import type { StorageTimer } from "../../storage/mod.ts";
import { type CursorEvent, publishCursor } from "../events.ts";
import { leavable } from "../read/following.ts";
import { InFlight } from "../_in_flight.ts";
import { flushAtExit, forgetAtExit } from "../_open_logs.ts";
import type { CursorFile } from "./cursor_file.ts";
import { CursorScan } from "./_cursor_scan.ts";
import type { CursorLag, CursorSource } from "./cursor_source.ts";

/** Delay until a commit with `durable: false` is written, in milliseconds: within a second. */
const LAZY_MS = 500;

/** A position for a cursor: an offset, the first message, or the next one that becomes durable. */
export type CursorTarget = number | "first" | "next";

/**
 * Checks a position for a cursor.
 *
 * @throws {RangeError} If it is neither an offset nor `"first"` or `"next"`.
 */
export function checkTarget(
  action: string,
  name: string,
  target: CursorTarget,
): void {
  if (target === "first" || target === "next") return;
  if (Number.isSafeInteger(target) && target >= 0) return;
  throw new RangeError(
    `Cannot ${action} as '${name}' must be an integer from 0, "first" or "next": received ${
      typeof target === "string" ? JSON.stringify(target) : target
    }`,
  );
}

/** Options of {@linkcode Cursor.batches}. */
export interface CursorReadOptions {
  /**
   * Continue with messages that become durable later. Default: the option of the cursor, or `true`.
   */
  follow?: boolean;
  /** Ends the reading: the pending or the next call rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** Options of {@linkcode Cursor.messages}. */
export interface CursorMessageOptions extends CursorReadOptions {
  /**
   * Commit each message when the next one is requested; written within a second, and at close.
   * @default {false}
   */
  autoCommit?: boolean;
}

/** Options of {@linkcode Cursor.commit}. */
export interface CommitOptions {
  /**
   * Resolve when the position survives a power cut. With `false` it is written within a second, and
   * at close. Default: `true`.
   */
  durable?: boolean;
}

/** The calls that one write makes durable. */
interface Group extends PromiseWithResolvers<void> {
  /** The highest offset of the calls. */
  offset: number;
  /** Number of calls. */
  calls: number;
}

/**
 * Reads a log from where its consumer left off, and stores that position durably.
 *
 * Delivery is at least once: after a crash, messages that were not committed are returned again. A
 * cursor has one owner at a time, in any process; a log may have any number of cursors. A cursor
 * returns only durable messages, and costs a descriptor and a block of memory.
 *
 * @example A consumer that resumes
 * ```ts
 * import { Log } from "@basalt/io";
 * import { assertEquals } from "@std/assert";
 *
 * const dir = Deno.makeTempDirSync();
 * {
 *   await using log = await Log.open(dir);
 *   log.appendBatch(["one", "two"]);
 *   await log.flush();
 *   const seen: string[] = [];
 *   for (let run = 0; run < 2; run++) {
 *     await using cursor = await log.cursor("billing", { follow: false });
 *     for await (using batch of cursor) {
 *       for (const message of batch) seen.push(message.text());
 *       await cursor.commit(batch.nextOffset);
 *     }
 *   }
 *   assertEquals(seen, ["one", "two"]);
 * }
 * Deno.removeSync(dir, { recursive: true });
 * ```
 */
export class Cursor
  implements AsyncIterable<MessageBatch>, AsyncDisposable, Disposable {
  /** Its name. */
  readonly name: string;

  readonly #source: CursorSource;
  readonly #file: CursorFile;
  readonly #follow: boolean;
  readonly #onClosed: (cursor: Cursor) => void;
  readonly #inPlace: InPlacePolicy;
  /** The iterations of the cursor, by their scans. */
  readonly #readings = new Map<CursorScan, BatchIterator>();
  /** Number of seeks. */
  #moves = 0;
  /** The commits of the next write; `undefined` without one. */
  #group: Group | undefined;
  /** Seeks that come before the next write. */
  readonly #seeks: (() => Promise<void>)[] = [];
  /** The pending writes, as one promise that never rejects. */
  #running: Promise<void> | undefined;
  /** The write or seek in flight, which a caller that blocks finishes first. */
  readonly #inFlight = new InFlight();
  /** Number of calls that the last write resolved. */
  #told = 0;
  /** The offset of a commit with `durable: false` that is not written yet. */
  #lazy: number | undefined;
  #timer: StorageTimer | undefined;
  /** The error of the last write in the background, which the next commit throws. */
  #failure: unknown;
  /** Messages below it are known to be durable. */
  #seenEnd = 0;
  #closing: Promise<void> | undefined;
  #isClosed = false;

  /** @ignore Use `log.cursor()`. */
  constructor(
    source: CursorSource,
    name: string,
    file: CursorFile,
    follow: boolean,
    onClosed: (cursor: Cursor) => void,
  ) {
    const { storage } = source.place;
    this.name = name;
    this.#source = source;
    this.#file = file;
    this.#follow = follow;
    this.#onClosed = onClosed;
    this.#inPlace = new InPlacePolicy(storage);
    flushAtExit(this, () => this.#writeLazySync());
    this.#tell("opened");
  }

  /**
   * The committed position, which is durable: the offset of the first message that is not
   * committed.
   */
  get position(): number {
    return this.#file.offset;
  }

  /** Returns how far the committed position lags behind the durable messages of the log. */
  lag(): Promise<CursorLag> {
    return drive(this.#source.lag(this.position));
  }

  /** Sync version of {@linkcode Cursor.lag}. */
  lagSync(): CursorLag {
    return driveSync(this.#source.lag(this.position));
  }

  /** Returns the batches of {@linkcode Cursor.batches}, with the option `follow` of the cursor. */
  [Symbol.asyncIterator](): AsyncIterableIterator<MessageBatch> {
    return this.batches();
  }

  /**
   * Returns the durable messages from the committed position in batches, which the caller must
   * drop.
   *
   * It continues with messages that become durable later, unless `follow` is `false`.
   * {@linkcode Cursor.seek} moves it, and closing the cursor ends it.
   *
   * @throws {OffsetOutOfRangeError} If the position is below the first offset of the log, because
   *   retention passed it, or above its end, because another state of the log was restored: use
   *   {@linkcode Cursor.seek} to continue.
   */
  batches(
    options: CursorReadOptions = {},
  ): AsyncIterableIterator<MessageBatch> {
    this.#checkOpen("read");
    const { follow = this.#follow } = options;
    let scan: CursorScan;
    const batches = leavable(
      (_, signal) =>
        scan = new CursorScan({
          signal: signal!,
          open: (signal) => this.#scan(signal, follow),
          saw: (offset) => this.#seenEnd = Math.max(this.#seenEnd, offset),
          ended: () => this.#readings.delete(scan),
        }),
      options,
      true,
    );
    this.#readings.set(scan!, batches);
    return batches;
  }

  /**
   * Returns the messages of {@linkcode Cursor.batches}, one by one. A message is valid until the
   * next one is requested.
   *
   * @example Commit each message when the next one is requested
   * ```ts
   * import { Log } from "@basalt/io";
   * import { assertEquals } from "@std/assert";
   *
   * const dir = Deno.makeTempDirSync();
   * {
   *   await using log = await Log.open(dir);
   *   log.appendBatch(["one", "two"]);
   *   await log.flush();
   *   const cursor = await log.cursor("mail");
   *   const messages = cursor.messages({ autoCommit: true, follow: false });
   *   for await (const message of messages) assertEquals(message.text().length, 3);
   *   await cursor.close();
   *   assertEquals(cursor.position, 2);
   * }
   * Deno.removeSync(dir, { recursive: true });
   * ```
   */
  async *messages(
    options: CursorMessageOptions = {},
  ): AsyncGenerator<Message, void, void> {
    const { autoCommit = false } = options;
    for await (using batch of this.batches(options)) {
      const moves = this.#moves;
      for (const message of batch) {
        const { offset } = message;
        yield message;
        if (this.#moves !== moves) break;
        if (autoCommit) await this.commit(offset + 1, { durable: false });
      }
    }
  }

  /**
   * Commits all messages below an offset; resolves when that survives a power cut.
   *
   * Commits that wait at the same time share one write. An offset below the position changes
   * nothing.
   *
   * @param offset The offset of the first message that is not processed yet, such as
   *   `batch.nextOffset`.
   * @throws {OffsetOutOfRangeError} If it is above the durable messages of the log, or the position
   *   itself is.
   * @throws {Deno.errors.BadResource} If the cursor was deleted, or is closed.
   */
  commit(offset: number, options: CommitOptions = {}): Promise<void> {
    try {
      this.#checkCommit(offset);
      if (offset > this.#knownEnd || this.position > this.#knownEnd) {
        return this.#commitChecked(offset, options);
      }
      return this.#commit(offset, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Sync version of {@linkcode Cursor.commit}. */
  commitSync(offset: number): void {
    this.#checkCommit(offset);
    driveSync(this.#checkDurable(offset));
    this.#inFlight.finishSync();
    driveSync(this.#write(offset));
  }

  /**
   * Moves the position, also backwards to replay. It is durable when it resolves, and readers of
   * the cursor continue from there.
   *
   * @throws {OffsetOutOfRangeError} If the log does not hold that offset.
   */
  seek(target: CursorTarget): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#checkOpen("seek");
      checkTarget("seek", "target", target);
      // Earlier commits must not undo it.
      const before = this.#takeGroup();
      this.#seeks.push(async () => {
        await this.#writeGroup(before, false);
        await this.#inFlight.run(this.#seek(target)).then(resolve, reject);
      });
      this.#running ??= this.#run();
    });
  }

  /** Sync version of {@linkcode Cursor.seek}. */
  seekSync(target: CursorTarget): void {
    this.#checkOpen("seek");
    checkTarget("seek", "target", target);
    this.#inFlight.finishSync();
    this.#writeGroupSync();
    driveSync(this.#seek(target));
  }

  /**
   * Writes what was committed, ends reading, and releases the cursor. Closing twice does nothing.
   */
  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  /** Sync version of {@linkcode Cursor.close}. */
  closeSync(): void {
    if (this.#closing !== undefined) return;
    this.#inFlight.finishSync();
    this.#begunClosing();
    this.#closing = Promise.resolve();
    for (const each of this.#readings.values()) each.return().catch(() => {});
    this.#writeGroupSync();
    driveSync(this.#end());
  }

  /** Does what {@linkcode Cursor.close} does. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Does what {@linkcode Cursor.closeSync} does. */
  [Symbol.dispose](): void {
    this.closeSync();
  }

  *#scan(signal: AbortSignal, follow: boolean): Task<BatchSource> {
    yield* this.#checkEnd();
    return this.#source.scan(this.position, signal, follow);
  }

  get #knownEnd(): number {
    return Math.max(this.#seenEnd, this.#source.durableNow ?? 0);
  }

  #checkOpen(action: string): void {
    if (!this.#isClosed) return;
    throw new Deno.errors.BadResource(
      `Cannot ${action} by cursor '${this.name}' of log '${this.#source.place.dir}': it is closed`,
    );
  }

  #checkCommit(offset: number): void {
    this.#checkOpen("commit");
    checkInteger("commit", "offset", offset);
  }

  /**
   * Refuses an offset that is not durable, and every offset while the position is above the end.
   */
  *#checkDurable(offset: number): Task<void> {
    yield* this.#checkEnd();
    if (offset <= this.#knownEnd) return;
    const end = yield* this.#source.durableEnd();
    this.#seenEnd = Math.max(this.#seenEnd, end);
    if (offset <= end) return;
    throw yield* this.#source.outOfRange(offset, end, "commit");
  }

  /** Refuses a position above the end of the log. `docs/format.md#cursor-above` */
  *#checkEnd(): Task<void> {
    const { position } = this;
    if (position <= this.#knownEnd) return;
    const end = yield* this.#source.end();
    if (position > end) throw yield* this.#source.outOfRange(position, end);
  }

  async #commitChecked(offset: number, options: CommitOptions): Promise<void> {
    await drive(this.#checkDurable(offset));
    this.#checkOpen("commit");
    await this.#commit(offset, options);
  }

  #commit(
    offset: number,
    { durable = true }: CommitOptions,
  ): Promise<void> {
    if (!durable) {
      this.#commitLazily(offset);
      return Promise.resolve();
    }
    if (offset <= this.position) {
      this.#file.refuseDeleted("commit");
      return Promise.resolve();
    }
    return this.#join(offset);
  }

  /** Adds a call to the group of the next write; resolves when that is durable. */
  #join(offset: number): Promise<void> {
    const group = this.#group ??= {
      offset,
      calls: 0,
      ...Promise.withResolvers<void>(),
    };
    group.offset = Math.max(group.offset, offset);
    group.calls++;
    this.#running ??= this.#run();
    return group.promise;
  }

  #commitLazily(offset: number): void {
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure !== undefined) throw failure;
    if (offset <= Math.max(this.position, this.#lazy ?? 0)) return;
    this.#lazy = offset;
    this.#timer ??= this.#source.place.storage.after(LAZY_MS, () => {
      this.#timer = undefined;
      if (this.#lazy === undefined || this.#isClosed) return;
      this.#join(this.#lazy).catch((reason) => {
        this.#failure = reason;
        this.#tell("failed", reason);
      });
    });
  }

  async #run(): Promise<void> {
    // Let the caller enter the list first.
    await undefined;
    for (;;) {
      const seek = this.#seeks.shift();
      if (seek !== undefined) {
        await seek();
        continue;
      }
      if (this.#group === undefined) break;
      const areAllBack = this.#group.calls === this.#told;
      if (!areAllBack) await new Promise((resolve) => setImmediate(resolve));
      else if (this.#inPlace.isPauseDue) await this.#pause();
      await this.#writeGroup(this.#takeGroup(), areAllBack);
    }
    this.#running = undefined;
  }

  /** Lets other work run, and measures its time. */
  async #pause(): Promise<void> {
    const { storage } = this.#source.place;
    const startMicros = storage.now();
    await (storage.pause() ??
      new Promise((resolve) => setImmediate(resolve)));
    this.#inPlace.paused(storage.now() - startMicros);
  }

  /**
   * Writes for all calls of a group: in place if all that the last write resolved are back, and
   * `InPlacePolicy` allows it.
   */
  async #writeGroup(
    group: Group | undefined,
    areAllBack: boolean,
  ): Promise<void> {
    if (group === undefined) return;
    const { storage } = this.#source.place;
    const startMicros = storage.now();
    const isInPlace = areAllBack && this.#inPlace.allows;
    const write = this.#write(group.offset);
    try {
      if (isInPlace) driveSync(write);
      else await this.#inFlight.run(write);
      if (areAllBack) {
        this.#inPlace.written(storage.now() - startMicros, isInPlace);
      }
      group.resolve();
    } catch (error) {
      group.reject(error);
    }
  }

  #takeGroup(): Group | undefined {
    const group = this.#group;
    this.#group = undefined;
    this.#told = group?.calls ?? 0;
    return group;
  }

  #writeGroupSync(): void {
    const group = this.#takeGroup();
    if (group === undefined) return;
    try {
      driveSync(this.#write(group.offset));
      group.resolve();
    } catch (error) {
      group.reject(error);
    }
  }

  /** Makes an offset durable, or a later one that was committed with `durable: false`. */
  *#write(offset: number): Task<void> {
    const target = Math.max(offset, this.#lazy ?? 0);
    if (target <= this.position) this.#file.refuseDeleted("commit");
    else {
      yield* this.#file.write(target);
      this.#tell("committed");
    }
    if ((this.#lazy ?? 0) <= target) this.#lazy = undefined;
  }

  *#seek(target: CursorTarget): Task<void> {
    const file = this.#file;
    const before = this.position;
    const offset = yield* this.#source.offsetOf(target);
    this.#lazy = undefined;
    yield* file.write(offset);
    const undo = () => file.write(before);
    yield* this.#source.keepAboveFirst(file, target, undo);
    this.#tell("moved");
    this.#moves++;
    for (const scan of this.#readings.keys()) scan.move();
  }

  #tell(action: CursorEvent["action"], error?: Error): void {
    const { dir } = this.#source.place;
    publishCursor(dir, this.name, action, this.position, error);
  }

  #begunClosing(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    forgetAtExit(this);
  }

  async #close(): Promise<void> {
    this.#begunClosing();
    const readings = [...this.#readings.values()];
    await Promise.all(readings.map((each) => each.return()));
    while (this.#running !== undefined) await this.#running;
    await drive(this.#end());
  }

  *#end(): Task<void> {
    try {
      if (this.#lazy !== undefined) yield* this.#write(this.#lazy);
    } finally {
      this.#onClosed(this);
      this.#tell("closed");
      yield* this.#file.close();
    }
  }

  /** Writes the last commits of a cursor that is still open at the end of the program. */
  #writeLazySync(): void {
    if (this.#lazy === undefined) return;
    try {
      this.#inFlight.finishSync();
      driveSync(this.#write(this.#lazy));
    } catch {
      // The messages are delivered again: at least once is the promise.
    }
  }
}

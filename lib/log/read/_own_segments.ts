import type { Task } from "../../base/mod.ts";
import {
  corruption,
  type MessageBatch,
  type ScanStop,
} from "../../segment/mod.ts";
import {
  lastUpTo,
  type OpenSegment,
  type ReadableSegment,
  type Resumption,
  type SegmentSource,
} from "./_log_scan.ts";
import { OffsetOutOfRangeError } from "./offset_out_of_range_error.ts";
import type { SealedSegment } from "../open/opening.ts";
import type { OwnLog } from "../_own_log.ts";
import { waiting } from "../_signal.ts";

/**
 * The segments of a log that this isolate writes: they are known without asking the disk, and
 * nothing is polled.
 */
export class OwnSegments implements SegmentSource {
  readonly #log: OwnLog;
  readonly #durable: boolean;
  readonly #follow: AbortSignal | undefined;
  /** The end of the readable messages at the start. */
  readonly #startEnd: number;
  onCaughtUp?: () => void;

  /**
   * @param durable Whether to return durable messages only.
   * @param follow Ends the wait for later messages; without it, reading ends where the data ends.
   */
  constructor(
    log: OwnLog,
    durable: boolean,
    follow: AbortSignal | undefined,
  ) {
    this.#log = log;
    this.#durable = durable;
    this.#follow = follow;
    this.#startEnd = this.#readableOffset;
  }

  // deno-lint-ignore require-yield -- the writer knows its segments without asking the disk
  *segments(): Task<readonly ReadableSegment[]> {
    this.#checkHeld();
    return [...this.#log.sealed.map(readable), this.#active()];
  }

  find(offset: number): ReadableSegment {
    this.#checkHeld();
    this.#checkFirst(offset);
    const { appender, sealed } = this.#log;
    if (offset >= appender.active.firstOffset) return this.#active();
    return readable(lastUpTo(sealed, offset)!);
  }

  checkStart(offset: number): void {
    this.#checkFirst(offset);
    if (offset > this.#log.appender.nextOffset) throw this.#outOfRange(offset);
  }

  /** Takes the newest messages from memory, and waits at the end of the data. */
  *ahead(offset: number): Task<MessageBatch | "files" | "end"> {
    if (this.#follow === undefined) return "files";
    if (offset >= this.#startEnd) this.onCaughtUp?.();
    for (;;) {
      const batch = this.#hotBatch(offset);
      if (batch !== undefined) return batch;
      if (offset < this.#readableOffset) return "files";
      if (!(yield* this.#more(offset))) return "end";
    }
  }

  *resume(
    { log, segment }: OpenSegment,
    stop: ScanStop,
    bound: number,
  ): Task<Resumption> {
    const { offset, position, reason } = stop;
    // Everything up to the bound was written; a shorter file has lost bytes.
    if (reason !== "end" || position < bound) throw corruption(log.path, stop);
    if (this.find(offset).firstOffset > segment.firstOffset) return "next";
    if (this.#follow === undefined) return "end";
    return (yield* this.#more(offset)) ? "again" : "end";
  }

  /** Messages below this offset may be read. */
  get #readableOffset(): number {
    const { durableOffset, writtenOffset } = this.#log.appender;
    return this.#durable ? durableOffset : writtenOffset;
  }

  #active(): ReadableSegment {
    const { active } = this.#log.appender;
    return {
      firstOffset: active.firstOffset,
      bound: () => (this.#durable ? active.durable : active.written).position,
      hint: active.written,
    };
  }

  #hotBatch(offset: number): MessageBatch | undefined {
    const { appender, firstOffset } = this.#log;
    // Reading the files refuses removed messages.
    if (offset < firstOffset) return undefined;
    return appender.hotTail.read(offset, this.#readableOffset);
  }

  /** Waits for a message at `offset`; returns `false` if none will come. */
  #more(offset: number): Task<boolean> {
    return waiting(() => this.#waitFor(offset));
  }

  async #waitFor(offset: number): Promise<boolean> {
    const { appender, changed } = this.#log;
    for (;;) {
      if (this.#readableOffset > offset) return true;
      if (appender.poison !== undefined) throw appender.poison;
      if (this.#log.isEnded) return false;
      await changed.wait(this.#follow!);
    }
  }

  /** Refuses to read by a path that does not lead to the log any more. */
  #checkHeld(): void {
    if (!this.#log.isEnded) this.#log.refuseMoved("read log");
  }

  /** Refuses an offset that was removed, also while the messages before it were being read. */
  #checkFirst(offset: number): void {
    if (offset < this.#log.firstOffset) throw this.#outOfRange(offset);
  }

  #outOfRange(offset: number): OffsetOutOfRangeError {
    const { place: { dir }, firstOffset, appender } = this.#log;
    const { nextOffset } = appender;
    return new OffsetOutOfRangeError(dir, offset, firstOffset, nextOffset);
  }
}

function readable({ firstOffset, byteLength }: SealedSegment): ReadableSegment {
  return { firstOffset, bound: () => byteLength };
}

import { checked, native } from "../native/mod.ts";
import {
  COMPLETION_WORDS,
  encodeOperation,
  ENTRY_WORDS,
  type PendingOperation,
} from "./operation.ts";
import type { WaitPolicy } from "./_wait_policy.ts";

/**
 * The most completions that one call collects. As many queued operations go to the library before
 * the turn ends.
 */
export const BATCH = 256;
/** A budget without a limit. */
export const NO_LIMIT = 0xffff_ffff;

/**
 * Carries operations to the library and back: tags, the words of entries and completions, and the
 * calls.
 *
 * Operations get a tag and go to the library with the next call. Without a free tag they wait in
 * line, in order. Those that are over wait until they are taken with `next`.
 */
export class Submission {
  readonly #native = native();
  readonly #port: number;
  readonly #policy: WaitPolicy;

  /** The entries that go to the library with the next call. */
  readonly #entries: Uint32Array<ArrayBuffer>;
  #queuedCount = 0;
  readonly #completions = new Uint32Array(COMPLETION_WORDS * BATCH);

  /** Operations in flight, by tag. Referring to one keeps its loan from being collected. */
  readonly #operations: (PendingOperation | undefined)[];
  /** When each went to the library, by tag, in milliseconds. */
  readonly #startedAt: Float64Array;
  /** The first `#freeCount` of these tags are free. */
  readonly #tags: Uint32Array;
  #freeCount: number;
  /** Operations that wait for a tag, from `#lineStart`. */
  #line: PendingOperation[] = [];
  #lineStart = 0;
  /**
   * Operations that are over, from `#overStart`. Telling the caller of one may start others, and
   * may block until all are told. So `next` takes one from the front each time.
   */
  #over: PendingOperation[] = [];
  #overStart = 0;

  /** @param limit The most operations that the library keeps in flight. */
  constructor(port: number, limit: number, policy: WaitPolicy) {
    this.#port = port;
    this.#policy = policy;
    this.#entries = new Uint32Array(ENTRY_WORDS * limit);
    this.#operations = new Array(limit).fill(undefined);
    this.#startedAt = new Float64Array(limit);
    this.#tags = Uint32Array.from({ length: limit }, (_, i) => limit - 1 - i);
    this.#freeCount = limit;
  }

  /** Operations that go to the library with the next call. */
  get queuedCount(): number {
    return this.#queuedCount;
  }

  /** Operations with a tag. */
  get inFlightCount(): number {
    return this.#tags.length - this.#freeCount;
  }

  /** Operations that are not over, those in line included. */
  get pendingCount(): number {
    return this.inFlightCount + this.#line.length - this.#lineStart;
  }

  /** Operations that are over and were not taken. */
  get overCount(): number {
    return this.#over.length - this.#overStart;
  }

  /** Queues an operation for the next call, or puts it in line. */
  add(operation: PendingOperation): void {
    if (this.#freeCount === 0) {
      this.#line.push(operation);
      return;
    }
    const tag = this.#tags[--this.#freeCount]!;
    this.#operations[tag] = operation;
    this.#policy.started(operation.op);
    const at = ENTRY_WORDS * this.#queuedCount++;
    encodeOperation(this.#entries, at, operation, tag);
  }

  /**
   * Calls the library: submits what is queued, waits, and collects completions. Returns how many.
   *
   * @param min How many completions to wait for.
   * @param waitMicros How long to wait at most.
   * @param startMs The time, in milliseconds.
   * @param capacity The most completions to collect; 0 to give only.
   */
  turn(
    min: number,
    waitMicros: number,
    startMs: number = performance.now(),
    capacity: number = BATCH,
  ): number {
    const queuedCount = this.#queuedCount;
    const entries = this.#entries;
    if (queuedCount > 0) {
      this.#policy.submitted(startMs);
      for (let i = 0; i < queuedCount; i++) {
        this.#startedAt[entries[ENTRY_WORDS * i + 8]!] = startMs;
      }
      this.#queuedCount = 0;
    }
    const count = checked(
      this.#native.basalt_engine_turn(
        this.#port,
        entries,
        queuedCount,
        this.#completions,
        capacity,
        min,
        waitMicros,
      ),
      "engine_turn",
    );
    const now = performance.now();
    if (capacity === 0) this.#policy.own(now);
    else this.#collect(count, now);
    return count;
  }

  /** Takes the outcomes of the operations that the last call has completed. */
  #collect(count: number, now: number): void {
    this.#policy.returned(now, count);
    const words = this.#completions;
    for (let at = 0; at < count * COMPLETION_WORDS; at += COMPLETION_WORDS) {
      const tag = words[at]!;
      const operation = this.#operations[tag]!;
      this.#operations[tag] = undefined;
      this.#tags[this.#freeCount++] = tag;
      const latencyMicros = (now - this.#startedAt[tag]!) * 1000;
      this.#policy.ended(operation.op, latencyMicros);
      operation.status = words[at + 1]! | 0;
      operation.transferred = words[at + 2]!;
      this.#over.push(operation);
    }
    if (this.#line.length > 0) this.#advance();
  }

  /** Takes the first operation that is over; `undefined` if there is none. */
  next(): PendingOperation | undefined {
    if (this.#overStart === this.#over.length) return undefined;
    const operation = this.#over[this.#overStart++]!;
    if (this.#overStart === this.#over.length) {
      this.#over.length = this.#overStart = 0;
    }
    return operation;
  }

  /** Runs an operation on this thread; nothing may be queued, for the words are used. */
  runSync(operation: PendingOperation): void {
    encodeOperation(this.#entries, 0, operation, 0);
    const out = this.#completions;
    // A call that the library refuses writes nothing.
    out[2] = 0;
    operation.status = this.#native.basalt_engine_run(this.#entries, out);
    operation.transferred = out[2]!;
  }

  /** Runs operations on this thread, many at a time. */
  runBatchSync(operations: readonly PendingOperation[]): void {
    const { length } = operations;
    const entries = new Uint32Array(ENTRY_WORDS * length);
    operations.forEach((operation, i) =>
      encodeOperation(entries, ENTRY_WORDS * i, operation, i)
    );
    const out = new Uint32Array(COMPLETION_WORDS * length);
    checked(
      this.#native.basalt_engine_batch(this.#port, entries, length, out),
      "engine_batch",
    );
    operations.forEach((operation, i) => {
      operation.status = out[COMPLETION_WORDS * i + 1]! | 0;
      operation.transferred = out[COMPLETION_WORDS * i + 2]!;
    });
  }

  /** Queues the operations in front of the line for which there are tags. */
  #advance(): void {
    const line = this.#line;
    while (this.#freeCount > 0 && this.#lineStart < line.length) {
      this.add(line[this.#lineStart++]!);
    }
    if (this.#lineStart === line.length) {
      this.#line = [];
      this.#lineStart = 0;
    }
  }
}

/**
 * Runs a log or a reader on a disk of which one operation fails, or all from one on: its calls,
 * their results, and what must hold afterwards.
 *
 * @module
 */
import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { setImmediate } from "node:timers";
import { Log, LogReader } from "../../lib/log/mod.ts";
import type { BufferPool } from "../../lib/pool/mod.ts";
import { CorruptSegmentError, PoisonedError } from "../../lib/segment/mod.ts";
import { type Durability, NoSpaceError } from "../../lib/storage/mod.ts";
import type {
  Fault,
  Operation,
  OperationKind,
  SimulatedDisk,
} from "@basalt/io/testing";
import { assertBytes, DIR } from "../log/recovery/_support.ts";
import { payload, testPool } from "../log/_support.ts";
import { checkLog } from "./_check.ts";
import type { Message } from "./_scenario.ts";

/** Whether calls are async or sync. */
export type Mode = "async" | "sync";

/** What goes wrong, and how often. */
export interface Failure {
  readonly name: string;
  readonly fault: Fault;
  readonly sticky: boolean;
  /** Number of the operation. */
  readonly number: number;
}

/** Operations that are repeated after an interruption. */
const REPEATED: readonly OperationKind[] = [
  "read",
  "write",
  "truncate",
  "preallocate",
];

/** How many idle turns of the event loop are accepted. */
const IDLE_TURNS = 300;

export const SETTINGS = {
  blockBytes: 4096,
  segmentBytes: 12_000,
  lockTimeoutMs: 0,
};

/** One run of a scenario. */
export class FaultRun {
  readonly disk: SimulatedDisk;
  readonly mode: Mode;
  readonly pool: BufferPool = testPool();
  readonly messages: Message[];
  log: Log | undefined;
  acknowledged: number;
  removable = 0;
  readonly #failure: Failure;
  readonly #disarm: () => void;
  /** The first operation that failed. */
  #hit: Operation | undefined;
  #first = 0;
  #poison: PoisonedError | undefined;
  /** How many operations had begun when the log was known to be poisoned. */
  #poisonedAt = Infinity;
  /** Operations in flight at that time, which may be repeated. */
  #underWay: ReadonlySet<string> = new Set();
  #errors = 0;
  /** Tails that follow the log in the background. They never reject. */
  readonly #tails: Promise<void>[] = [];
  /** How many of them ended because the log was closed. */
  #tailsClosed = 0;
  /** Errors of the tails. */
  readonly #wrong: unknown[] = [];

  constructor(
    disk: SimulatedDisk,
    mode: Mode,
    failure: Failure,
    held: { messages: readonly Message[]; acknowledged: number },
  ) {
    this.disk = disk;
    this.mode = mode;
    this.messages = [...held.messages];
    this.acknowledged = held.acknowledged;
    this.#failure = failure;
    const { number, sticky, fault } = failure;
    this.#disarm = disk.onOperation((operation) => {
      const here = operation.number === number ||
        sticky && operation.number > number;
      if (!here) return;
      this.#hit ??= operation;
      // A wrong bit in a write is damage, which is for `verify`. A kernel never returns a read of 0
      // bytes before the end of the file.
      const { kind } = operation;
      const other = fault.flipBit !== undefined && kind === "write" ||
        fault.shortBytes === 0 && kind === "read";
      return other ? undefined : fault;
    });
  }

  /** Whether the scenario reached the operation that fails. */
  get hit(): boolean {
    return this.#hit !== undefined;
  }

  async open(): Promise<void> {
    const options = {
      ...SETTINGS,
      storage: this.disk,
      pool: this.pool,
      prepareBytes: this.mode === "async" ? 16_384 : 0,
    };
    await this.#call("open", async () => {
      const log = this.log = this.mode === "async"
        ? await Log.open(DIR, options)
        : Log.openSync(DIR, options);
      const { recovered } = log.stats().opening;
      const flipped = this.#failure.fault.flipBit !== undefined;
      if (flipped && log.nextOffset < this.acknowledged) {
        // A wrong bit in the unsynced tail looks like a torn write, and the cut is reported.
        assert(
          recovered.some(({ cutBytes }) => cutBytes > 0),
          "cut without a report",
        );
        this.acknowledged = log.nextOffset;
      }
      this.messages.splice(log.nextOffset);
    });
  }

  /** Appends messages, and records those that were taken. */
  async append(...lengths: number[]): Promise<void> {
    const { log } = this;
    if (log === undefined) return;
    await this.#call("append", () => {
      const next = this.messages.length;
      const first = log.appendBatch(
        lengths.map((length, i) => payload(next + i, length)),
      );
      assertEquals(first, next);
      for (const [i, length] of lengths.entries()) {
        this.messages.push({ salt: 0, length, begins: i === 0 });
      }
    });
  }

  async flush(durability: Durability = "data"): Promise<void> {
    const { log } = this;
    if (log === undefined) return;
    const appended = this.messages.length;
    await this.#call("flush", async () => {
      if (this.mode === "async") await log.flush({ durability });
      else log.flushSync({ durability });
      if (durability !== "none") this.acknowledged = appended;
    });
  }

  /** Waits at once for all messages that are not durable yet. */
  async durable(): Promise<void> {
    const { log } = this;
    if (log === undefined || this.mode === "sync") return await this.flush();
    const from = log.durableOffset;
    await Promise.all(
      this.messages.slice(from).map((_, i) =>
        this.#call("durable", async () => {
          await log.whenDurable(from + i);
          this.acknowledged = Math.max(this.acknowledged, from + i + 1);
        })
      ),
    );
  }

  async truncate(): Promise<void> {
    const { log } = this;
    if (log === undefined) return;
    this.removable = Math.max(this.removable, log.nextOffset);
    await this.#call("truncate", async () => {
      this.#first = this.mode === "async"
        ? await log.truncateBefore(log.nextOffset)
        : log.truncateBeforeSync(log.nextOffset);
    });
  }

  /** Reads what is in the files, through the open log or a reader, and checks it. */
  async read(from: "log" | "reader"): Promise<void> {
    const { disk: storage, pool } = this;
    const source = from === "log"
      ? this.log
      : new LogReader(DIR, { storage, pool });
    if (source === undefined) return;
    await this.#call("read", async () => {
      const written = this.log?.writtenOffset ?? this.messages.length;
      let offset = this.#first;
      const batches = this.mode === "async" ? source.read() : source.readSync();
      for await (using batch of batches) {
        for (let i = 0; i < batch.count; i++) {
          offset = batch.offset(i);
          const { salt, length } = this.messages[offset]!;
          assertBytes(batch.payload(i), payload(salt + offset, length));
          offset++;
        }
      }
      assertEquals(offset, written, "reading ends early, without an error");
    });
  }

  /**
   * Follows the log in the background until it is closed or fails, or with `leave` until the first
   * batch.
   */
  tail(
    { durable, leave = false }: { durable: boolean; leave?: boolean },
  ): void {
    const { log } = this;
    if (log === undefined) return;
    const end = () => durable ? log.durableOffset : log.writtenOffset;
    let offset = this.#first;
    const follow = async () => {
      for await (using batch of log.tail({ durable })) {
        assertEquals(batch.firstOffset, offset, "the next message");
        for (let i = 0; i < batch.count; i++, offset++) {
          const { salt, length } = this.messages[offset]!;
          assertBytes(batch.payload(i), payload(salt + offset, length));
        }
        assert(offset <= end(), `given up to ${offset}, before ${end()}`);
        if (leave) return;
      }
      assertEquals(offset, end(), "the tail ends early, without an error");
      this.#tailsClosed++;
    };
    const judge = (error: unknown) => {
      this.#errors++;
      this.#judge("tail", error);
      // Everything that was written before is given first.
      if (error instanceof PoisonedError) assertEquals(offset, end());
    };
    this.#tails.push(
      follow().catch(judge).catch((error) => void this.#wrong.push(error)),
    );
  }

  async close(): Promise<void> {
    const { log } = this;
    if (log === undefined) return;
    const appended = this.messages.length;
    await this.#call("close", async () => {
      if (this.mode === "async") await log.close();
      else log.closeSync();
      this.acknowledged = appended;
      this.log = undefined;
    });
  }

  /** Removes the fault, ends what is open, and checks everything that must hold. */
  async finish(): Promise<void> {
    this.#disarm();
    const { log, disk, pool } = this;
    // Poisoning ends the tails, without closing.
    if (this.#poison !== undefined) await this.#tailsEnded();
    if (log !== undefined) {
      this.acknowledged = Math.max(this.acknowledged, log.durableOffset);
      try {
        // With room again, only poison keeps messages in memory from being written.
        await log.close();
        this.acknowledged = this.messages.length;
      } catch (error) {
        assert(
          error === this.#poison || !(error instanceof NoSpaceError),
          `${error}`,
        );
      }
    }
    // Closing ends the tails, whatever failed.
    await this.#tailsEnded();
    if (this.#poison !== undefined) {
      assertEquals(this.#tailsClosed, 0, "a tail did not end with the poison");
    }
    assertEquals(pool.stats().inUseBytes, 0, "memory is still leased");
    assertEquals(disk.openFiles, 0, "files are still open");
    if (disk.crashState("all").files().length > 0) {
      const lock = disk.lock(DIR);
      assert(lock !== undefined, "the lock is still held");
      lock!.release();
    }
    if (this.#mustSucceed()) {
      assertEquals(this.#errors, 0, "errors of repeated operations");
    }
    this.#checkPoison();
    pool.close();
    for (const choice of ["none", "all", "random"] as const) {
      this.#checkAfter(disk.crashState(choice), choice);
    }
    this.#checkAfter(disk.kill(), "killed");
  }

  async #tailsEnded(): Promise<void> {
    await settled(this.disk, Promise.all(this.#tails));
    if (this.#wrong.length > 0) throw this.#wrong[0];
  }

  /** Whether the fault must go unnoticed. */
  #mustSucceed(): boolean {
    const { fault, sticky } = this.#failure;
    if (fault.latencyMs !== undefined) return true;
    if (fault.shortBytes !== undefined) return fault.shortBytes > 0;
    const again = fault.error === "EINTR" || fault.error === "EAGAIN";
    return again && !sticky && this.#hit !== undefined &&
      REPEATED.includes(this.#hit.kind);
  }

  /**
   * Checks that a log that is known to be poisoned does not change the disk. Closing may still end
   * files.
   */
  #checkPoison(): void {
    if (this.#poison === undefined) return;
    const later = this.disk.trace.slice(this.#poisonedAt)
      .filter(({ kind }) =>
        ["write", "sync", "truncate", "rename", "remove", "syncDirectory"]
          .includes(kind)
      ).map(asked).filter((each) => !this.#underWay.has(each));
    assertEquals(later, [], "a poisoned log changes nothing");
  }

  #checkAfter(disk: SimulatedDisk, what: string): void {
    const pool = testPool();
    try {
      const log = Log.openSync(DIR, { ...SETTINGS, storage: disk, pool });
      checkLog(log, {
        messages: this.messages,
        acknowledged: this.acknowledged,
        firstAtLeast: this.#first,
        removable: this.removable,
      });
      log.closeSync();
      assertEquals(pool.stats().inUseBytes, 0);
    } catch (error) {
      throw new Error(
        `after the crash (${what}): ${(error as Error).message}`,
        {
          cause: error,
        },
      );
    } finally {
      pool.close();
    }
  }

  /** Makes a call. Its error must be a documented one. */
  async #call(name: string, run: () => Promise<void> | void): Promise<void> {
    try {
      const running = (async () => await run())();
      // There is no turn of the event loop between sync calls.
      if (this.mode === "async") await settled(this.disk, running);
      else await running;
    } catch (error) {
      this.#errors++;
      this.#judge(name, error);
    }
  }

  /** Closing ends the log, whatever fails. Messages that are not durable then are lost. */
  #closed(): void {
    const { durableOffset } = this.log!;
    this.acknowledged = Math.max(this.acknowledged, durableOffset);
    this.log = undefined;
  }

  #judge(name: string, error: unknown): void {
    const { fault } = this.#failure;
    const code = fault.shortBytes === 0 ? "EIO" : fault.error;
    const told = error as Error & { code?: string };
    const writing = !["open", "read", "tail"].includes(name);
    if (error instanceof PoisonedError && (writing || name === "tail")) {
      if (writing) assertEquals(error.durableOffset, this.log!.durableOffset);
      this.#poison ??= error;
      assertStrictEquals(error, this.#poison, "another poison");
      if (this.#poisonedAt === Infinity) {
        this.#poisonedAt = this.disk.trace.length;
        this.#underWay = new Set(this.disk.inFlight.map(asked));
      }
      if (name === "close") this.#closed();
      return;
    }
    if (error instanceof NoSpaceError && code === "ENOSPC") {
      if (writing && name !== "truncate") {
        assertEquals(error.durableOffset, this.log!.durableOffset);
      }
      if (name === "close") this.#closed();
      return;
    }
    const wrong = fault.flipBit !== undefined || fault.shortBytes === 0;
    // Truncating reads `meta`.
    const isRead = !writing || name === "truncate";
    if (error instanceof CorruptSegmentError && wrong && isRead) return;
    if (told.code === code && code !== undefined && name !== "append") {
      if (name === "close") this.#closed();
      return;
    }
    throw new Error(`${name} gave ${told.name}: ${told.message}`, {
      cause: error,
    });
  }
}

/** Identifies an operation, the same each time that it is repeated. */
function asked({ kind, path, position, length }: Operation): string {
  return [kind, path, position, length].join(" ");
}

/** Waits for a promise. Throws if it does not settle although no operation is in flight. */
async function settled<T>(
  disk: SimulatedDisk,
  promise: Promise<T>,
): Promise<T> {
  let done = false;
  const end = () => {
    done = true;
  };
  promise.then(end, end);
  for (let idle = 0; !done && idle < IDLE_TURNS;) {
    const before = disk.trace.length;
    const { timeMicros } = disk;
    await new Promise<void>((resolve) => setImmediate(() => resolve()));
    const still = disk.trace.length === before &&
      disk.timeMicros === timeMicros && disk.inFlight.length === 0;
    idle = still ? idle + 1 : 0;
  }
  assert(done, "it hangs: nothing is in flight, and it does not settle");
  return await promise;
}

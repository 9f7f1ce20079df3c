import { beforeIsolateEnds, checked, native } from "../native/mod.ts";
import type { PendingOperation } from "./operation.ts";
import type { EngineKind, EngineSettings } from "./options.ts";
import { Reaper } from "./_reaper.ts";
import { BATCH, NO_LIMIT, Submission } from "./_submission.ts";
import { type Decision, WaitPolicy } from "./_wait_policy.ts";

/*
 * The life of an operation, and which thread waits for it.
 *
 *   start ──> in line ──> queued ──> with the library ──> over ──> caller told
 *               │  a tag is free │  end of the turn   │ collected │
 *
 *   in line           all tags are in use
 *   queued            encoded; goes to the library with the next call, at the end of the turn of
 *                     the event loop, or at once when 256 are queued
 *   with the library  the ring, a thread, or a call in place runs it and holds its memory and file
 *   over              has its outcome, and waits until the operations before it are told
 *
 *   The engine as a whole:
 *
 *             start                          callers told, nothing in flight
 *   idle ───────────────> submitting <──────────────────────────┐
 *    ^                        │                                 │
 *    │                        v                                 │
 *    │      ┌──────────── deciding <───────────────────┐        │
 *    │      │ wait            │ poll             │ reap │        │
 *    │      v                 v                  v      │        │
 *    │   this thread       the next turn      the reaper ┘       │
 *    │   waits in the      of the event       waits on a         │
 *    │   kernel            loop decides       thread of the      │
 *    │      │              again              runtime            │
 *    │      └────────┬────────┴────────────────┘                │
 *    │               v                                           │
 *    └────────── telling ─────────────────────────────────────────┘
 *
 * `WaitPolicy.decide` decides at the end of a turn in which operations were started (`#flushTask`),
 * and in turns of the engine (`#pumpTask`). A call that submits may wait, too: then the code after
 * its completions starts the next operations without a turn of the event loop. Timers and sockets
 * still get a turn every 500 us.
 */

/** The numbers of the kinds in `rust/src/engine/backend.rs`. */
const KINDS: Readonly<Record<EngineKind, number>> = {
  threads: 1,
  uring: 2,
  plain: 3,
};
/** How completions reach a ring's queue, by the number of its mode. */
const RING_MODES = [
  "whenever the kernel is entered",
  "when the thread enters the kernel",
  "when the thread asks for them",
];

/**
 * Runs operations, in flight or in place, by the library's ring, its threads or calls in place. All
 * of them take the same words.
 */
export class Engine {
  /** How operations in flight are run. */
  readonly kind: EngineKind;
  /** Why it is this kind, in words. */
  readonly reason: string;

  readonly #policy: WaitPolicy;
  readonly #submission: Submission;
  readonly #reaper: Reaper;
  /** Whether the task that flushes is due. */
  #isFlushDue = false;
  /** Whether the task that pumps is due. */
  #isPumpDue = false;
  /** Whether the isolate ends: the library has ended its part, and nothing is called any more. */
  #hasEnded = false;

  /**
   * Opens a port of the library for this isolate; it ends with the isolate's thread.
   *
   * @param why Why it is this kind, in words; may be empty.
   * @returns The engine, or the negative status with which the system refuses it.
   */
  static open(
    kind: EngineKind,
    why: string,
    settings: EngineSettings,
  ): Engine | number {
    const facts = new Uint32Array(2);
    const port = native().basalt_engine_open(KINDS[kind], facts);
    if (port < 0 && kind === "uring") return port;
    checked(port, "engine_open");
    return new Engine(kind, why, settings, port, facts);
  }

  private constructor(
    kind: EngineKind,
    why: string,
    settings: EngineSettings,
    port: number,
    [limit, detail]: Uint32Array,
  ) {
    this.kind = kind;
    const how = {
      uring: `io_uring, completions come ${RING_MODES[detail!]}`,
      threads: `system calls on up to ${detail} threads of the library`,
      plain: "system calls in place",
    }[kind];
    const because = why === "" ? "" : `${why}: `;
    this.reason = `${because}${how}, at most ${limit} operations in flight`;
    this.#policy = new WaitPolicy(settings);
    this.#submission = new Submission(port, limit!, this.#policy);
    this.#reaper = new Reaper(
      port,
      () => this.#reaped(),
      () => this.#look(),
    );
    beforeIsolateEnds(() => {
      this.settleSync();
      this.#hasEnded = true;
      this.#reaper.end();
    });
  }

  /** Operations that have not completed, including those in line. */
  get pending(): number {
    return this.#submission.pendingCount;
  }

  /**
   * Whether nothing is pending, all callers were told, and the program's thread may wait in place.
   */
  get isIdle(): boolean {
    const { overCount } = this.#submission;
    return this.#policy.mayWait && this.pending === 0 && overCount === 0;
  }

  /**
   * Starts an operation, and calls its `completed` when it is over.
   *
   * Any number may be started: those beyond the engine's limit wait, in order. Operations in flight
   * run in any order.
   */
  start(operation: PendingOperation): void {
    if (this.#hasEnded) return;
    this.#submission.add(operation);
    if (this.#submission.queuedCount >= BATCH) this.#flush();
    else if (!this.#isFlushDue) {
      this.#isFlushDue = true;
      queueMicrotask(this.#flushTask);
    }
  }

  /**
   * Runs an operation while the caller waits, and sets its outcome. Others may be in flight
   * meanwhile.
   */
  runSync(operation: PendingOperation): void {
    if (this.#submission.queuedCount > 0) this.#flush();
    this.#submission.runSync(operation);
  }

  /**
   * Runs operations while the caller waits, many at a time and in any order, and sets their
   * outcomes.
   */
  runBatchSync(operations: readonly PendingOperation[]): void {
    if (this.#submission.queuedCount > 0) this.#flush();
    this.#submission.runBatchSync(operations);
  }

  /**
   * Blocks until nothing is in flight or in line, and tells all callers before it returns. Code
   * that awaits their promises continues in later turns.
   *
   * Operations that the callers start are in flight then. It may run while a caller is told.
   */
  settleSync(): void {
    if (this.#hasEnded) return;
    while (this.pending > 0) this.#submission.turn(BATCH, NO_LIMIT);
    if (this.#submission.overCount > 0) {
      this.#tellAll();
      // What follows is work of the program.
      this.#policy.own(performance.now());
    }
    // The reaper still waits: the library has woken it, and its call of the runtime ends soon.
    if (this.pending > 0) this.#pumpLater();
  }

  /** Gives the library what was started in this turn, and waits for it if that pays. */
  readonly #flushTask = (): void => {
    this.#isFlushDue = false;
    if (this.#submission.queuedCount === 0 || this.#hasEnded) return;
    const now = performance.now();
    if (this.#decide(now) === "wait") {
      this.#submission.turn(this.#policy.min, this.#policy.waitMicros, now);
      this.#tell();
    } else {
      // The next turn of the event loop collects completions.
      this.#submission.turn(0, 0, now, 0);
    }
    this.#pumpLater();
  };

  #decide(now: number): Decision {
    const { isWaiting } = this.#reaper;
    return this.#policy.decide(this.#submission, isWaiting, now);
  }

  /** Gives the library what was started; takes nothing back. */
  #flush(): void {
    this.#submission.turn(0, 0, performance.now(), 0);
    this.#pumpLater();
  }

  #pumpLater(): void {
    if (this.#isPumpDue) return;
    this.#isPumpDue = true;
    setImmediate(this.#pumpTask);
    setImmediate(this.#ownTask);
  }

  /**
   * Looks for completions in a separate turn, as long as the policy does not leave that to the
   * reaper.
   */
  readonly #pumpTask = (): void => {
    this.#isPumpDue = false;
    if (this.#hasEnded) return;
    const now = performance.now();
    this.#policy.turned(now);
    this.#tell();
    // Operations that the callers started go to the library at the end of this turn, which waits if
    // it pays. Those that got a tag from the line go there now.
    if (this.#submission.inFlightCount === 0) return;
    if (this.#isFlushDue && this.#submission.queuedCount > 0) return;
    const decision = this.#decide(now);
    const count = decision === "wait"
      ? this.#submission.turn(this.#policy.min, this.#policy.waitMicros, now)
      : this.#submission.turn(0, 0, now);
    this.#tell();
    if (this.#submission.inFlightCount === 0) return;
    if (decision === "reap" && count === 0 && this.#reaper.start()) return;
    this.#pumpLater();
  };

  /**
   * Runs after the code that continues after completions, and before timers and sockets.
   */
  readonly #ownTask = (): void => this.#policy.own(performance.now());

  #reaped(): void {
    if (this.#submission.turn(0, 0) === 0) this.#policy.reaped();
    this.#tell();
    if (this.#submission.inFlightCount > 0) this.#pumpLater();
  }

  #look(): boolean {
    this.#submission.turn(0, 0);
    this.#tell();
    if (this.#submission.queuedCount > 0) this.#pumpLater();
    return this.#submission.inFlightCount > 0;
  }

  /**
   * Tells the callers of operations that are over, unless the reaper is about to come back: no
   * promise resolves while a call of the runtime is unfinished.
   */
  #tell(): void {
    if (this.#submission.overCount === 0) return;
    if (
      this.pending === 0 && this.#reaper.isReturning(this.#policy.calledAt)
    ) return;
    this.#tellAll();
  }

  /** Tells the callers of operations that are over, in order; also while another one is told. */
  #tellAll(): void {
    this.#policy.telling(this.#submission.overCount);
    let operation: PendingOperation | undefined;
    while ((operation = this.#submission.next()) !== undefined) {
      operation.completed();
    }
  }
}

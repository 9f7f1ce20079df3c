import { checked, native, type NativeFunctions } from "../native/mod.ts";
import type { Engine } from "./engine.ts";
import {
  checkOperation,
  COMPLETION_WORDS,
  encodeOperation,
  ENTRY_WORDS,
  type Flight,
  OPERATION,
  type Operation,
} from "./operation.ts";
import { OperationError } from "./operation_error.ts";
import type { EngineKind, EngineSettings } from "./options.ts";
import { OtherWork } from "./other_work.ts";
import { classOf, Patience } from "./patience.ts";

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

/** How many entries one turn begins, and how many completions it collects. */
const BATCH = 256;
/** A budget that is none. */
const NO_LIMIT = 0xffff_ffff;
/**
 * From this many operations in flight on, more than one completion is waited for: a third, so that
 * the device never runs dry. At depth 32 an eighth gives 0.81
 * of fio at 7.5 us of processor time an operation, a quarter 0.90 at 4.9, a third 0.94 at 4.6, half
 * 0.89 at 4.4.
 */
const MANY = 6;
/** How long a read that blocks may spin. */
const SPIN_MS = 0.1;
/** How often it looks for its completion before it looks at the clock. */
const LOOKS = 16;
/**
 * How long one call of the reaper waits: it delays the end of a worker that is terminated, and
 * costs a wake-up when it is over.
 */
const REAPER_MS = 1000;
/** While the reaper has not said that it runs the loop looks by timer, after these times. */
const LOOK_MS = { first: 1, last: 16 } as const;
/** When a call of the runtime has not begun by then, its threads are occupied. */
const STUCK_MS = 50;

/**
 * Operations run by the library: one class over its ring, its threads and its calls in place, which
 * take the same words.
 *
 * What is started in a turn of the event loop goes to the library by one call at its end
 * (`#flush`). While the program has no other work that call also waits for
 * completions, as long as it pays ({@linkcode Patience}), and settles them (`#wait`): what
 * continues starts the next operations, and a turn of the event loop,
 * 2 to 5 us, is had every 500 us only, for timers and sockets that come all the same. Else the next
 * turn waits (`#pump`), or nobody does: while the program
 * has other work, and for what takes longer, there is the reaper, a thread of the runtime that
 * waits for the ring or the threads.
 */
export class NativeEngine implements Engine {
  /** How operations in flight are run. */
  readonly kind: EngineKind;
  /** Why it is this one. */
  readonly reason: string;

  readonly #native: NativeFunctions = native();
  readonly #port: number;
  readonly #settings: EngineSettings;
  readonly #patience = new Patience();
  readonly #others = new OtherWork();

  /** What goes to the library with the next call: `#queued` entries. */
  readonly #entries = new Uint32Array(ENTRY_WORDS * BATCH);
  #queued = 0;
  readonly #completions = new Uint32Array(COMPLETION_WORDS * BATCH);

  /** What is in flight, by tag. Referring to it keeps its loan from being collected. */
  readonly #flights: (Flight | undefined)[] = [];
  /** When it went to the library, by tag, in milliseconds. */
  readonly #startedAt: Float64Array;
  /** Tags that are not in use are the first `#freeTags` ones here. */
  readonly #tags: Uint32Array;
  #freeTags: number;
  /**
   * The line of those that wait for a place: empty unless all tags are in use. `#lineStart` of them
   * have been taken.
   */
  #line: Flight[] = [];
  #lineStart = 0;
  /**
   * The queue of operations that are over and not settled: flight, status, bytes of each, from
   * `#overStart` to `#overEnd`.
   *
   * Settling one may start others, and may block until these or further ones are settled: whoever
   * settles takes from the front.
   */
  readonly #over: (Flight | number | undefined)[] = [];
  #overStart = 0;
  #overEnd = 0;

  /** Whether the task that flushes is due. */
  #flushing = false;
  /** Whether the task that pumps is due. */
  #pumping = false;
  /** When the library was last called, in milliseconds. */
  #calledAt = 0;
  /** When something was begun or completed last, in milliseconds. */
  #movedAt = 0;
  /** When the last turn began, in milliseconds. */
  #turnedAt = 0;
  /**
   * How many operations were settled together the last time: as many may be about to begin others.
   */
  #settled = 0;
  /** Whether the reaper was asked to wait and has not come back. */
  #reaping = false;
  /** How often it was asked, modulo 2^31, and when for the last time, in milliseconds. */
  #waits = 0;
  #askedAt = 0;
  /** The timer that looks until the reaper runs. */
  #look: ReturnType<typeof setTimeout> | undefined;

  readonly #flushTask = () => {
    this.#flushing = false;
    if (this.#queued > 0 && !this.#wait()) this.#flush();
  };
  readonly #pumpTask = () => this.#pump();
  /**
   * Runs when everything has run that continues after what the pump settled, and before timers and
   * sockets.
   */
  readonly #ownTask = () => this.#others.own(performance.now());

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
  ): NativeEngine | number {
    const facts = new Uint32Array(2);
    const port = native().basalt_engine_open(KINDS[kind], facts);
    if (port < 0 && kind === "uring") return port;
    checked(port, "engine_open");
    return new NativeEngine(kind, why, settings, port, facts);
  }

  private constructor(
    kind: EngineKind,
    why: string,
    settings: EngineSettings,
    port: number,
    [limit, detail]: Uint32Array,
  ) {
    this.kind = kind;
    this.#settings = settings;
    this.#port = port;
    const how = {
      uring: `io_uring, completions come ${RING_MODES[detail!]}`,
      threads: `system calls on up to ${detail} threads of the library`,
      plain: "system calls in place",
    }[kind];
    this.reason = `${
      why === "" ? "" : `${why}: `
    }${how}, at most ${limit} operations in flight`;
    this.#tags = new Uint32Array(limit!);
    for (let i = 0; i < limit!; i++) {
      this.#tags[i] = limit! - 1 - i;
      this.#flights.push(undefined);
    }
    this.#freeTags = limit!;
    this.#startedAt = new Float64Array(limit!);
  }

  /** Operations that have not completed, those that wait for a place included. */
  get pending(): number {
    return this.#inFlight + this.#line.length - this.#lineStart;
  }

  get #inFlight(): number {
    return this.#tags.length - this.#freeTags;
  }

  /**
   * Whether nothing is in flight, waits, or is over and not settled, and this thread may wait in
   * place.
   */
  get isIdle(): boolean {
    return this.#settings.wait === "bounded" && this.pending === 0 &&
      this.#isSettled;
  }

  get #isSettled(): boolean {
    return this.#overStart === this.#overEnd;
  }

  /** Starts an operation, or puts it in the line. */
  start(flight: Flight): void {
    checkOperation(flight);
    if (this.#freeTags > 0) this.#begin(flight);
    else this.#line.push(flight);
  }

  /** Starts an operation, or puts it in the line. */
  submit(operation: Operation): Promise<number> {
    // What is thrown here rejects the promise.
    return new Promise((resolve, reject) =>
      this.start({
        ...operation,
        settle: (status, transferred) => {
          if (status === 0) resolve(transferred);
          else reject(new OperationError(operation.code, status, transferred));
        },
      })
    );
  }

  /** Runs an operation on this thread. */
  runSync(operation: Operation): number {
    checkOperation(operation);
    const spins = this.#settings.spin && this.kind === "uring" &&
      operation.code === OPERATION.READ && this.#patience.onlyReads;
    if (spins && this.#freeTags > 0) return this.#spin(operation);
    // What was started before is in flight meanwhile, and the words are free.
    if (this.#queued > 0) this.#flush();
    encodeOperation(this.#entries, 0, operation, 0);
    // A call that is refused as a whole writes nothing.
    this.#completions[2] = 0;
    const status = this.#native.basalt_engine_run(
      this.#entries,
      this.#completions,
    );
    return moved(operation, status, this.#completions[2]!);
  }

  /**
   * Runs a read in the ring; looks for its completion without sleeping at first. What else is over
   * is settled in a later turn.
   */
  #spin(operation: Operation): number {
    const own: Flight = { ...operation, settle: () => {} };
    this.#begin(own);
    const end = performance.now() + SPIN_MS;
    let spins = true;
    let at = -1;
    for (let looks = 0; at < 0; looks++) {
      // A look at the clock takes as long as a look for completions.
      if (looks % LOOKS === LOOKS - 1) spins &&= performance.now() < end;
      // Others may have been begun just now: with a write among them nothing spins.
      spins &&= this.#patience.onlyReads;
      const count = spins
        ? this.#call(BATCH, 0, 0)
        : this.#call(BATCH, 1, NO_LIMIT);
      if (count === 0) continue;
      this.#take(count);
      at = this.#over.lastIndexOf(own, this.#overEnd - 1);
    }
    const [, status, transferred] = this.#over.splice(at, 3);
    this.#overEnd -= 3;
    if (this.pending > 0 || !this.#isSettled) this.#pumpLater();
    return moved(operation, status as number, transferred as number);
  }

  /** Runs operations on this thread, many at a time. */
  runBatchSync(
    operations: readonly Operation[],
    over: (index: number, status: number, transferred: number) => void,
  ): void {
    const entries = new Uint32Array(ENTRY_WORDS * operations.length);
    operations.forEach((operation, i) => {
      checkOperation(operation);
      encodeOperation(entries, ENTRY_WORDS * i, operation, i);
    });
    const out = new Uint32Array(COMPLETION_WORDS * operations.length);
    // What was started before is in flight meanwhile.
    if (this.#queued > 0) this.#flush();
    checked(
      this.#native.basalt_engine_batch(
        this.#port,
        entries,
        operations.length,
        out,
      ),
      "engine_batch",
    );
    for (let i = 0; i < operations.length; i++) {
      const at = COMPLETION_WORDS * i;
      over(i, out[at + 1]! | 0, out[at + 2]!);
    }
  }

  /**
   * Blocks until nothing is in flight and nothing waits, and settles all of it; what that starts
   * stays in flight.
   */
  settleSync(): void {
    while (this.pending > 0) this.#turn(BATCH, NO_LIMIT);
    if (!this.#isSettled) {
      this.#settleAll();
      // What follows is the caller's.
      this.#others.own(performance.now());
    }
    // The reaper is waiting still: the library has woken it, and its call of the runtime ends soon.
    if (this.pending > 0) this.#pumpLater();
  }

  /** Puts an operation among those that go to the library next; a tag must be free. */
  #begin(flight: Flight): void {
    const tag = this.#tags[--this.#freeTags]!;
    this.#flights[tag] = flight;
    this.#patience.begin(classOf(flight.code));
    encodeOperation(this.#entries, ENTRY_WORDS * this.#queued, flight, tag);
    if (++this.#queued === BATCH) this.#flush();
    else if (!this.#flushing) {
      this.#flushing = true;
      queueMicrotask(this.#flushTask);
    }
  }

  /** Starts those in front of the line for which there is a place. */
  #advance(): void {
    const line = this.#line;
    while (this.#freeTags > 0 && this.#lineStart < line.length) {
      this.#begin(line[this.#lineStart++]!);
    }
    if (this.#lineStart === line.length && line.length > 0) {
      this.#line = [];
      this.#lineStart = 0;
    }
  }

  /** Gives the library what was started; takes nothing back. */
  #flush(): void {
    this.#call(0, 0, 0);
    this.#others.own(performance.now());
    this.#pumpLater();
  }

  /**
   * Gives the library what was started and waits in the same call, unless somebody else needs the
   * thread. Answers whether it did.
   */
  #wait(): boolean {
    // Each of those that were settled together may be about to start another.
    const all = this.#queued >= this.#settled && this.#isSettled;
    if (!all || this.#reaping) return false;
    // After a write others may gather in the next turn, as a log's group does: it would have to
    // wait for whatever was started before, the space prepared ahead.
    const lone = this.#settled === 1 && this.#inFlight === 1 &&
      this.#others.shortTurns;
    if (!lone && !this.#patience.onlyReads) return false;
    const now = performance.now();
    const left = this.#stretchMicros(now) - (now - this.#turnedAt) * 1000;
    if (left <= 0) return false;
    const min = this.#least();
    const budget = Math.ceil(Math.min(left, this.#patience.micros(min)));
    if (budget <= 0) return false;
    this.#turn(min, budget, now);
    this.#settleOver();
    this.#pumpLater();
    return true;
  }

  /** How many completions a wait is for. */
  #least(): number {
    const inFlight = this.#inFlight;
    return inFlight < MANY ? 1 : inFlight / 3 | 0;
  }

  /** For how many microseconds this thread may wait without a turn of the event loop. */
  #stretchMicros(now: number): number {
    return this.#settings.wait === "reaper"
      ? 0
      : this.#others.stretchMicros(now);
  }

  /** One call of the library, with all that is queued. Answers how many completions there are. */
  #call(
    capacity: number,
    min: number,
    budgetMicros: number,
    now?: number,
  ): number {
    const queued = this.#queued;
    if (queued > 0) {
      now ??= performance.now();
      this.#movedAt = this.#calledAt = now;
      for (let i = 0; i < queued; i++) {
        this.#startedAt[this.#entries[ENTRY_WORDS * i + 8]!] = now;
      }
    }
    this.#queued = 0;
    const count = this.#native.basalt_engine_turn(
      this.#port,
      this.#entries,
      queued,
      this.#completions,
      capacity,
      min,
      budgetMicros,
    );
    return checked(count, "engine_turn");
  }

  /**
   * One call; puts what is over among what is to be settled. Answers how many operations are over.
   */
  #turn(min: number, budgetMicros: number, start?: number): number {
    const count = this.#call(BATCH, min, budgetMicros, start);
    this.#take(count);
    return count;
  }

  /**
   * Puts so many operations, which the last call told to be over, among those to be settled; their
   * places are free.
   */
  #take(count: number): void {
    const words = this.#completions;
    const now = this.#calledAt = performance.now();
    this.#others.own(now);
    if (count > 0) this.#movedAt = now;
    for (let at = 0; at < count * COMPLETION_WORDS; at += COMPLETION_WORDS) {
      const tag = words[at]!;
      const flight = this.#flights[tag]!;
      this.#flights[tag] = undefined;
      this.#tags[this.#freeTags++] = tag;
      const latencyMicros = (now - this.#startedAt[tag]!) * 1000;
      this.#patience.end(classOf(flight.code), latencyMicros);
      this.#over[this.#overEnd++] = flight;
      this.#over[this.#overEnd++] = words[at + 1]! | 0;
      this.#over[this.#overEnd++] = words[at + 2]!;
    }
    if (this.#line.length > 0) this.#advance();
  }

  #pumpLater(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    setImmediate(this.#pumpTask);
    setImmediate(this.#ownTask);
  }

  /**
   * Waits for completions as long as it pays, settles them, and sees to it that somebody hears of
   * the others.
   */
  #pump(): void {
    this.#pumping = false;
    const now = this.#turnedAt = performance.now();
    this.#others.turn(now, this.#calledAt);
    const settled = this.#settleOver();
    // What settling started goes to the library at the end of this turn, which waits if it pays.
    if (this.#inFlight === 0 || this.#queued > 0) return;

    const min = this.#least();
    const most = this.#stretchMicros(now);
    const patience = most === 0 ? 0 : this.#patience.micros(min);
    const left = patience - (now - this.#movedAt) * 1000;
    const count = settled || left <= 0
      ? this.#turn(0, 0)
      : this.#turn(min, Math.ceil(Math.min(left, most)));
    this.#settleOver();
    if (this.#inFlight === 0) return;
    // What continues after a completion starts more as a rule: one look for all before the reaper
    // is asked.
    const waited = (this.#calledAt - this.#movedAt) * 1000;
    if (count > 0 || settled || waited < patience) this.#pumpLater();
    else this.#reap();
  }

  /** Settles what is over, unless the reaper is about to come back. */
  #settleOver(): boolean {
    if (this.#isSettled) return false;
    // The library has woken the reaper, as nothing is in flight any more: no promise settles with a
    // call of the runtime left behind,
    // unless that is stuck.
    const stuck = this.#calledAt - this.#askedAt > STUCK_MS;
    if (
      this.#reaping && this.pending === 0 && (!stuck || this.#reaperRuns())
    ) {
      if (this.#look === undefined) this.#lookAfter(LOOK_MS.last);
      return false;
    }
    this.#settleAll();
    return true;
  }

  /** Settles what is over, in order; also within the settling of another one. */
  #settleAll(): void {
    const over = this.#over;
    this.#settled = (this.#overEnd - this.#overStart) / 3;
    this.#others.continues();
    while (!this.#isSettled) {
      const at = this.#overStart;
      this.#overStart += 3;
      const flight = over[at] as Flight;
      over[at] = undefined;
      const status = over[at + 1] as number;
      const transferred = over[at + 2] as number;
      if (this.#isSettled) this.#overStart = this.#overEnd = 0;
      flight.settle(status, transferred);
    }
  }

  /** Has a thread of the runtime wait for completions. */
  #reap(): void {
    if (!this.#reaping) {
      const ready = this.#native.basalt_engine_arm(this.#port, 1);
      if (checked(ready, "engine_arm") > 0) return this.#pumpLater();
      this.#reaping = true;
      this.#waits = this.#waits + 1 & 0x7fff_ffff;
      this.#askedAt = performance.now();
      this.#native.basalt_engine_wait(this.#port, REAPER_MS).then((status) =>
        this.#reaped(status)
      );
    }
    // Other calls of the program may occupy all threads of the runtime, for as long as they like.
    if (this.#look === undefined) this.#lookAfter(LOOK_MS.first);
  }

  #reaped(status: number): void {
    this.#reaping = false;
    clearTimeout(this.#look);
    this.#look = undefined;
    this.#native.basalt_engine_arm(this.#port, 0);
    checked(status, "engine_wait");
    // Without a completion the wait begins anew.
    if (this.#turn(0, 0) === 0) this.#movedAt = this.#calledAt;
    this.#settleOver();
    if (this.#inFlight > 0) this.#pumpLater();
  }

  /** Whether the call of the reaper has come as far as waiting: then it will be back. */
  #reaperRuns(): boolean {
    return this.#native.basalt_engine_waits(this.#port) === this.#waits;
  }

  #lookAfter(delayMs: number): void {
    this.#look = setTimeout(() => {
      this.#look = undefined;
      if (this.#reaperRuns()) return;
      this.#turn(0, 0);
      this.#settleOver();
      if (this.#look === undefined && this.#inFlight > 0) {
        this.#lookAfter(Math.min(2 * delayMs, LOOK_MS.last));
      }
    }, delayMs);
  }
}

/** The bytes that an operation moved; throws if it failed. */
function moved(
  operation: Operation,
  status: number,
  transferred: number,
): number {
  if (status < 0) {
    throw new OperationError(operation.code, status, transferred);
  }
  return transferred;
}

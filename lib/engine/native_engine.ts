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
import { classOf, Patience } from "./patience.ts";

/** The numbers of the kinds in `rust/src/engine/driver.rs`. */
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
 * From this many operations in flight on, more than one completion is waited for: a quarter, so that the device never runs dry. At depth 32 an eighth costs
 * 6 to 8 us of processor time an operation, a quarter 5.5; at depth 8 one costs 7.8 and two 7.1, at 5 % more operations a second.
 */
const MANY = 6;
/** How long one wait in the kernel lasts at most while the program has other work. */
const SHARED_MICROS = 100;
/** And while it has none: what comes all the same is late by so much. */
const LONE_MICROS = 500;
/** A turn of the event loop that took longer than this had other work in it: alone it takes 2 to 5 us. */
const QUIET_MICROS = 30;
/** After so many turns without other work there is none. */
const QUIET_TURNS = 8;
/** How long a read that blocks may spin. */
const SPIN_MS = 0.1;
/** How long one call of the reaper waits: it delays the end of a worker that is terminated, and costs a wake-up when it is over. */
const REAPER_MS = 1000;
/** While the reaper has not said that it runs the loop looks by timer, after these times. */
const LOOK_MS = { first: 1, last: 16 } as const;
/** When a call of the runtime has not begun by then, its threads are occupied. */
const STUCK_MS = 50;

/**
 * Operations run by the library: one class over its ring, its threads and its calls in place, which take the same words.
 *
 * What is started in a turn of the event loop goes to the library by one call at its end (`#flush`). The next turn of the loop waits for completions in that
 * call (`#pump`), as long as it pays ({@linkcode Patience}) and in pieces of 100 us while the program does other work: then everything else is late by 100 us
 * at most. What takes longer is left to the reaper: a thread of the runtime that waits for the ring or the threads. Completions are settled in a task of their own:
 * in a microtask, reads from the page cache would starve timers and sockets. The exception is the one operation in flight of a program without other work, which
 * saves a call and a turn of the loop (`#wait`); every 500 us there is a turn all the same.
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
  /** The line of those that wait for a place: empty unless all tags are in use. `#lineStart` of them have been taken. */
  #line: Flight[] = [];
  #lineStart = 0;
  /** What is over and not settled: flight, status, bytes of each. Only the first `#overEnd` values are. */
  readonly #over: (Flight | number | undefined)[] = [];
  #overEnd = 0;

  /** Whether the task that flushes is due. */
  #flushing = false;
  /** Whether the task that pumps is due. */
  #pumping = false;
  /** When the library was last called, in milliseconds. */
  #calledAt = 0;
  /** When something was begun or completed last, in milliseconds. */
  #movedAt = 0;
  /** How many turns of the event loop in a row had no other work. */
  #quietTurns = 0;
  /** When the last turn began, in milliseconds. */
  #turnedAt = 0;
  /** How many operations were settled together the last time: as many may be about to begin others. */
  #settled = 0;
  /** Whether the reaper was asked to wait and has not come back. */
  #reaping = false;
  /** How often it was asked, modulo 2^31, and when for the last time, in milliseconds. */
  #waits = 0;
  #askedAt = 0;
  /** The timer that looks until the reaper runs. */
  #look: ReturnType<typeof setTimeout> | undefined;

  readonly #flushTask = () => {
    if (!this.#wait()) this.#flush();
  };
  readonly #pumpTask = () => this.#pump();

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

  /** Runs a read in the ring; looks for its completion without sleeping at first. What else is over is settled in a later turn. */
  #spin(operation: Operation): number {
    const own: Flight = { ...operation, settle: () => {} };
    this.#begin(own);
    const end = performance.now() + SPIN_MS;
    let spins = true;
    let at: number;
    do {
      // Others may have been begun just now: with a write among them nothing spins.
      spins &&= this.#patience.onlyReads && performance.now() < end;
      this.#turn(spins ? 0 : 1, spins ? 0 : NO_LIMIT);
      at = this.#over.lastIndexOf(own, this.#overEnd - 1);
    } while (at < 0);
    const [, status, transferred] = this.#over.splice(at, 3);
    this.#overEnd -= 3;
    if (this.pending > 0 || this.#overEnd > 0) this.#pumpLater();
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

  /** Blocks until nothing is in flight and nothing waits. */
  settleSync(): void {
    while (this.pending > 0) this.#turn(BATCH, NO_LIMIT);
    if (this.#overEnd > 0) this.#pumpLater();
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
    this.#flushing = false;
    if (this.#queued === 0) return;
    this.#call(0, 0, 0);
    this.#pumpLater();
  }

  /** Gives the library the only operation there is and waits for it in the same call, while nobody else needs the thread. Answers whether it did. */
  #wait(): boolean {
    const alone = this.#queued === 1 && this.#inFlight === 1 &&
      this.#settled === 1 && this.#quietTurns >= QUIET_TURNS &&
      !this.#reaping && this.#settings.wait === "bounded";
    if (!alone) return false;
    const left = LONE_MICROS - (performance.now() - this.#turnedAt) * 1000;
    const budget = Math.ceil(Math.min(left, this.#patience.micros(1)));
    if (budget <= 0) return false;
    this.#flushing = false;
    this.#turn(1, budget);
    this.#settleOver();
    this.#pumpLater();
    return true;
  }

  /** One call of the library, with all that is queued. Answers how many completions there are. */
  #call(capacity: number, min: number, budgetMicros: number): number {
    const queued = this.#queued;
    if (queued > 0) {
      const now = this.#movedAt = this.#calledAt = performance.now();
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

  /** One call; puts what is over among what is to be settled. Answers how many operations are over. */
  #turn(min: number, budgetMicros: number): number {
    const count = this.#call(BATCH, min, budgetMicros);
    const words = this.#completions;
    const now = this.#calledAt = performance.now();
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
    return count;
  }

  #pumpLater(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    setImmediate(this.#pumpTask);
  }

  /** Waits for completions as long as it pays, settles them, and sees to it that somebody hears of the others. */
  #pump(): void {
    this.#pumping = false;
    const settled = this.#settleOver();
    const now = this.#turnedAt = performance.now();
    // What the program did since the last call, but for what it did because of it, was other work.
    const quiet = (now - this.#calledAt) * 1000 < QUIET_MICROS;
    this.#quietTurns = quiet ? this.#quietTurns + 1 : 0;

    const inFlight = this.#inFlight;
    if (inFlight === 0) return;
    const min = inFlight < MANY ? 1 : inFlight >> 2;
    const patience = this.#settings.wait === "reaper"
      ? 0
      : this.#patience.micros(min);
    const left = patience - (now - this.#movedAt) * 1000;
    const most = this.#quietTurns < QUIET_TURNS ? SHARED_MICROS : LONE_MICROS;
    const budget = Math.ceil(Math.min(left, most));
    const count = settled || left <= 0
      ? this.#turn(0, 0)
      : this.#turn(min, budget);
    this.#settleOver();
    if (this.#inFlight === 0) return;
    // What continues after a completion starts more as a rule: one look for all before the reaper is asked.
    const waited = (this.#calledAt - this.#movedAt) * 1000;
    if (count > 0 || settled || waited < patience) this.#pumpLater();
    else this.#reap();
  }

  /** Settles what is over. */
  #settleOver(): boolean {
    const end = this.#overEnd;
    if (end === 0) return false;
    // The library has woken the reaper, as nothing is in flight any more: no promise settles with a call of the runtime left behind,
    // unless that is stuck.
    const stuck = this.#calledAt - this.#askedAt > STUCK_MS;
    if (
      this.#reaping && this.pending === 0 && (!stuck || this.#reaperRuns())
    ) {
      if (this.#look === undefined) this.#lookAfter(LOOK_MS.last);
      return false;
    }
    const over = this.#over;
    this.#overEnd = 0;
    this.#settled = end / 3;
    for (let i = 0; i < end; i += 3) {
      const flight = over[i] as Flight;
      over[i] = undefined;
      flight.settle(over[i + 1] as number, over[i + 2] as number);
    }
    return true;
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

/**
 * Enumerates the states of the disk that a power cut may leave while a log is used. Each state is
 * opened, checked, appended to, crashed and opened again.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { SeededRandom, type SimulatedDisk } from "@basalt/io/testing";
import { hashOf } from "../../lib/testing/_state_hash.ts";
import { payload } from "../log/_support.ts";
import { checkFiles, checkLog } from "./_check.ts";
import { type CrashState, replayCommand } from "./_crash_state.ts";
import type { Mutant } from "./_mutants.ts";
import {
  type Expected,
  type Message,
  openOn,
  SALTS,
  Scenario,
  type Setting,
  type Step,
  tell,
  type Wrap,
} from "./_scenario.ts";

/** What is enumerated. */
export interface EnumerationOptions {
  readonly setting: Setting;
  readonly steps: readonly Step[];
  /** Maximum number of steps in a scenario. */
  readonly depth: number;
  /**
   * With up to this many unsynced units, all subsets are checked. With more, as many random subsets
   * are drawn, plus those of one unit and those without one.
   */
  readonly exhaustiveUnits: number;
  /** Whether moments with more unsynced units are checked at all. @default {true} */
  readonly isSampled?: boolean;
  /** Share of the longest sequences to run, drawn by the seed. @default {1} */
  readonly share?: number;
  readonly seed: number;
  /** The broken rule, if any. */
  readonly mutant?: Mutant;
  /** Number of the sync after the first opening that fails, from 1. */
  readonly failingSync?: number;
}

/** What an enumeration saw. */
export interface Counts {
  /** Sequences of steps. */
  scenarios: number;
  /**
   * Sequences that were not extended, because an earlier one closed or was killed with the same
   * disk.
   */
  merged: number;
  /** Moments at which the power was cut. */
  points: number;
  /** Disks that a power cut left, including repeated ones. */
  states: number;
  /** Distinct disks, by names, contents and what they must hold. */
  images: number;
  /** Moments whose subsets were drawn. */
  sampled: number;
}

/** A state that broke a promise, with what it takes to make it again. */
export class BrokenState extends Error {
  override readonly name = "BrokenState";
  readonly state: CrashState;

  constructor(state: CrashState, where: string, cause: unknown) {
    const [first] = (cause as Error).message.split("\n");
    const { steps, left, seed } = state;
    super(
      `[${["create", ...steps].join(", ")}] ${state.point} ${where}, left ${
        left.toString(2)
      }, seed ${seed}: ${first}\n${replayCommand(state)}`,
      { cause },
    );
    this.state = state;
  }
}

/** Up to this many units, each one is left alone and lost alone. */
const MAX_SINGLES = 64;

/** One of this many operations of recovery is followed by another crash. */
const MOMENTS = 40;

/** The state to replay was checked. */
class Replayed extends Error {}

/** A moment at which the power is cut, and what must be there then. */
interface Point {
  readonly disk: SimulatedDisk;
  readonly expected: Expected;
  readonly steps: readonly Step[];
  /** Number of the operation within the last step, from 1. One more is the end of the step. */
  readonly number: number;
  readonly operation: string;
}

/** Runs all scenarios from short to long, and throws at the first broken state. */
export class Enumeration {
  readonly counts: Counts = {
    scenarios: 0,
    merged: 0,
    points: 0,
    states: 0,
    images: 0,
    sampled: 0,
  };
  readonly #options: EnumerationOptions;
  readonly #random: SeededRandom;
  readonly #wrap: Wrap;
  /** Hashes of the images, moments and starts that were checked, each with what it had to hold. */
  readonly #seen = new Set<string>();
  /** The only state to check, in a replay. */
  #only: Pick<CrashState, "point" | "left"> | undefined;
  /**
   * Why the enumeration ends. It is not thrown where it happens, in the middle of an operation,
   * because the log would take it for an error of its disk.
   */
  #ended: Error | undefined;

  constructor(options: EnumerationOptions) {
    this.#options = options;
    this.#random = new SeededRandom(options.seed);
    this.#wrap = options.mutant?.wrap ?? ((disk) => disk);
  }

  async run(): Promise<Counts> {
    const { depth: most, share = 1 } = this.#options;
    let level: Step[][] = [[]];
    for (let depth = 0; depth <= most; depth++) {
      const going: Step[][] = [];
      for (const steps of level) {
        if (depth === most && !this.#random.chance(share)) continue;
        // A sequence that changed nothing leads to what was seen without it.
        if (await this.#scenario(steps)) going.push(steps);
      }
      level = going.flatMap((steps) =>
        this.#options.steps.map((step) => [...steps, step])
      );
    }
    return this.counts;
  }

  /** Checks one state, as an enumeration with the same options found it. */
  async replay(state: CrashState): Promise<void> {
    this.#only = state;
    try {
      await this.#scenario(state.steps);
    } catch (error) {
      if (error instanceof Replayed) return;
      throw error;
    }
    throw new Error("The scenario ends before the state that is replayed");
  }

  /**
   * Crashes at each operation of the last step; the steps before had their own turn. Returns
   * whether longer sequences are worthwhile.
   */
  async #scenario(steps: readonly Step[]): Promise<boolean> {
    const { setting, seed, failingSync, mutant } = this.#options;
    const scenario = new Scenario(setting, this.#wrap, seed, mutant?.hooks);
    try {
      const last = steps.at(-1);
      const crashInLast = async (run: () => Promise<void>) => {
        let number = 0;
        const crash = (disk: SimulatedDisk, operation: string) => {
          const { expected } = scenario;
          this.#crash({ disk, expected, steps, number: ++number, operation });
        };
        const watch = (disk: SimulatedDisk) =>
          disk.onOperation(({ kind, path, position = "", length = "" }) =>
            crash(disk, `${kind} ${path} ${position}+${length}`)
          );
        let stop = watch(scenario.disk);
        scenario.onDisk = (disk) => stop = watch(disk);
        await run();
        crash(scenario.disk, "at the end");
        stop();
        if (this.#ended !== undefined) throw this.#ended;
      };
      if (last === undefined) {
        await crashInLast(() => scenario.open());
      } else {
        await scenario.open();
        if (failingSync !== undefined) failSync(scenario.disk, failingSync);
        for (const step of steps.slice(0, -1)) await scenario.take(step);
        if (!scenario.allows(last)) return false;
        const appends = setting.lengths(last).length > 0;
        const { disk } = scenario;
        const before = disk.trace.length;
        await crashInLast(() => scenario.take(last));
        const idle = disk === scenario.disk && disk.trace.length === before;
        if (!appends && idle) return false;
      }
      this.counts.scenarios++;
      return !scenario.poisoned && !this.#beganBefore(scenario);
    } finally {
      await scenario.end();
    }
  }

  /**
   * Whether an earlier sequence ended its process with the same disk, so that all that can follow
   * was already seen.
   *
   * Everything that a log knows at its opening is on the disk. Two open logs cannot be compared.
   */
  #beganBefore(scenario: Scenario): boolean {
    const { leftBehind, expected } = scenario;
    if (leftBehind === undefined) return false;
    const known = !this.#isNewKey(`${leftBehind} ${keyOf(expected)}`);
    if (known) this.counts.merged++;
    return known;
  }

  /** Checks every state that a power cut now may leave. */
  #crash(point: Point): void {
    if (this.#ended !== undefined) return;
    const { disk, number } = point;
    if (this.#only !== undefined) {
      if (number === this.#only.point) this.#state(point, this.#only.left);
      return;
    }
    this.counts.points++;
    const count = disk.unsyncedUnits().length;
    const { exhaustiveUnits, isSampled = true } = this.#options;
    const drawn = count > exhaustiveUnits;
    if (drawn && !isSampled) return;
    // An operation that had not begun, or only reads, leaves the same states as the moment before.
    const isNew = this.#isNewKey(
      `${disk.crashHash()} ${keyOf(point.expected)}`,
    );
    if (!isNew) {
      this.counts.states += drawn ? 0 : 2 ** count;
      return;
    }
    if (drawn) this.counts.sampled++;
    const choices = drawn ? this.#someOf(count) : allOf(count);
    for (const left of choices) this.#state(point, left);
  }

  /**
   * Yields the empty set, all units, single units, all units but one, and random subsets. With many
   * units, single ones are limited.
   */
  *#someOf(count: number): Generator<bigint> {
    const all = (1n << BigInt(count)) - 1n;
    yield 0n;
    yield all;
    const step = Math.ceil(count / MAX_SINGLES);
    for (let bit = count - 1; bit >= 0; bit -= step) {
      yield 1n << BigInt(bit);
      yield all ^ 1n << BigInt(bit);
    }
    for (let i = 0; i < 1 << this.#options.exhaustiveUnits; i++) {
      let left = 0n;
      for (let bit = 0; bit < count; bit += 32) {
        left |= BigInt(this.#random.next()) << BigInt(bit);
      }
      yield left & all;
    }
  }

  /** Whether this disk with these expectations is new. */
  #isNew(disk: SimulatedDisk, expected: Expected): boolean {
    const key = `${disk.hash()} ${disk.crashHash()} ${keyOf(expected)}`;
    return this.#isNewKey(key);
  }

  #isNewKey(key: string): boolean {
    // A state to replay must not be skipped.
    if (this.#only !== undefined) return true;
    const digits = hashOf(key);
    if (this.#seen.has(digits)) return false;
    this.#seen.add(digits);
    return true;
  }

  /** Opens what a power cut left, checks it, and continues with it. */
  #state(point: Point, left: bigint): void {
    if (this.#ended !== undefined) return;
    const { disk, expected, steps, number, operation } = point;
    this.counts.states++;
    const after = disk.crashState(left);
    if (!this.#isNew(after, expected)) return;
    this.counts.images++;
    try {
      // One moment of recovery, a different one for each state, and the same one in a replay.
      const text = `${steps} ${number} ${left} ${this.#options.seed}`;
      const drawn = parseInt(hashOf(text).slice(0, 8), 16);
      this.#recover(after, expected, drawn % MOMENTS);
      if (this.#only !== undefined) this.#ended = new Replayed();
    } catch (error) {
      const { setting, seed, mutant, failingSync } = this.#options;
      const state: CrashState = {
        setting: setting.name,
        mutant: mutant?.name,
        failingSync,
        seed,
        steps,
        point: number,
        left,
      };
      const count = disk.unsyncedUnits().length;
      this.#ended = new BrokenState(
        state,
        `${operation}, ${count} units`,
        error,
      );
    }
  }

  /** @param moment How many operations of recovery come before another crash. */
  #recover(left: SimulatedDisk, expected: Expected, moment: number): void {
    const { setting } = this.#options;
    let passed = 0;
    let again: SimulatedDisk | undefined;
    const stop = left.onOperation(() => {
      if (passed++ === moment) again = left.crashState("random");
    });
    const storage = this.#wrap(left);
    tell(storage, "open");
    const log = openOn(left, setting, storage);
    stop();
    try {
      checkLog(log, expected);
      // What was found is durable now: a second power cut during recovery must not take it.
      if (this.#isNew(left, expected)) this.#goOn(left, expected, log, storage);
    } finally {
      tell(storage, "close");
      log.closeSync();
    }
    checkFiles(left);
    if (again !== undefined && this.#isNew(again, expected)) {
      this.counts.images++;
      this.#reopen(again, expected);
    }
  }

  /**
   * Appends batches of the same sizes as the lost ones, so that what is left of those would fit
   * after them. Then it crashes and checks again.
   */
  #goOn(
    disk: SimulatedDisk,
    expected: Expected,
    log: ReturnType<typeof openOn>,
    storage: ReturnType<Wrap>,
  ): void {
    const { messages } = expected;
    const { nextOffset, firstOffset } = log;
    const lost = batchesOf(messages.slice(nextOffset));
    const now: Message[] = messages.slice(0, nextOffset);
    tell(storage, "flush");
    const crash = (choice: "none" | "all" | "random") => {
      const left = disk.crashState(choice);
      const expectedNow = {
        ...expected,
        messages: now.slice(),
        acknowledged: log.durableOffset,
        firstAtLeast: firstOffset,
      };
      if (!this.#isNew(left, expectedNow)) return;
      this.counts.images++;
      this.#reopen(left, expectedNow);
    };
    for (const [i, lengths] of lost.entries()) {
      const next = now.length;
      const payloads = lengths.map((length, i) =>
        payload(SALTS[1]! + next + i, length)
      );
      assertEquals(log.appendBatch(payloads), next, "the next offset");
      for (const [i, length] of lengths.entries()) {
        now.push({ salt: SALTS[1]!, length, begins: i === 0 });
      }
      // The first batch is acknowledged alone, where lost ones may follow it.
      if (i === 0) {
        log.flushSync();
        crash("none");
        crash("all");
      }
    }
    log.flushSync({ durability: "none" });
    crash("random");
  }

  /** Opens what a second power cut left. */
  #reopen(left: SimulatedDisk, expected: Expected): void {
    const storage = this.#wrap(left);
    tell(storage, "open");
    const log = openOn(left, this.#options.setting, storage);
    try {
      checkLog(log, expected);
    } finally {
      tell(storage, "close");
      log.closeSync();
    }
    checkFiles(left);
  }
}

/** Returns the lengths of the messages of each batch, or of one small batch if there are none. */
function batchesOf(messages: readonly Message[]): number[][] {
  if (messages.length === 0) return [[37]];
  const batches: number[][] = [];
  for (const { length, begins } of messages) {
    if (begins || batches.length === 0) batches.push([]);
    batches.at(-1)!.push(length);
  }
  return batches;
}

/** Yields all subsets of this many units. */
function* allOf(count: number): Generator<bigint> {
  for (let left = 0n; left < 1n << BigInt(count); left++) yield left;
}

/** Returns the expectations as text, made once for each. */
function keyOf(expected: Expected): string {
  let key = keys.get(expected);
  if (key === undefined) {
    const { messages, acknowledged, firstAtLeast, removable } = expected;
    const texts = messages.map(({ salt, length, begins }) =>
      `${begins ? "|" : ""}${salt}+${length}`
    );
    key = [...texts, acknowledged, firstAtLeast, removable].join();
    keys.set(expected, key);
  }
  return key;
}

const keys = new WeakMap<Expected, string>();

/** Makes the sync with this number, from 1, fail once. */
function failSync(disk: SimulatedDisk, number: number): void {
  let count = 0;
  disk.onOperation(({ kind }) => {
    if (kind === "sync" && ++count === number) return { error: "EIO" };
  });
}

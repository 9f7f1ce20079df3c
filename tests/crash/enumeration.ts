/**
 * Every state of the disk that a power cut may leave while a log lives, each opened, checked, written on, crashed and opened again.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { SeededRandom, type SimulatedDisk } from "@basalt/io/testing";
import { payload } from "../log/support.ts";
import { checkFiles, checkLog } from "./check.ts";
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
} from "./scenario.ts";

/** What is enumerated. */
export interface EnumerationOptions {
  readonly setting: Setting;
  readonly steps: readonly Step[];
  /** At most so many steps a scenario. */
  readonly depth: number;
  /** All subsets of so many unsynced units; of more, as many are drawn, beside those of one and those without one. */
  readonly exhaustiveUnits: number;
  /** Ends when so many distinct images were checked. */
  readonly limit?: number;
  readonly seed: number;
  /** Put between the log and each disk. */
  readonly wrap?: Wrap;
  /** Called with the disk of each scenario behind its first opening: what shall fail there. */
  plan?(disk: SimulatedDisk): void;
}

/** What an enumeration saw. */
export interface Counts {
  /** Sequences of steps. */
  scenarios: number;
  /** Moments at which the power failed. */
  points: number;
  /** Disks that a power cut left, repeated ones included. */
  states: number;
  /** Distinct ones: by names, contents and what they must hold. */
  images: number;
  /** Moments whose subsets were drawn. */
  sampled: number;
}

/** A state that broke a promise: where it comes from, so that it can be made again. */
export class BrokenState extends Error {
  override readonly name = "BrokenState";
  readonly scenario: readonly string[];

  constructor(scenario: readonly string[], what: string, cause: unknown) {
    const [first] = (cause as Error).message.split("\n");
    super(`[${scenario.join(", ")}] ${what}: ${first}`, { cause });
    this.scenario = scenario;
  }
}

/** The end of an enumeration that was told how many states to check. */
class Enough extends Error {}

/** Runs through all scenarios, from short to long; throws at the first broken state. */
export class Enumeration {
  readonly counts: Counts = {
    scenarios: 0,
    points: 0,
    states: 0,
    images: 0,
    sampled: 0,
  };
  readonly #options: EnumerationOptions;
  readonly #random: SeededRandom;
  readonly #wrap: Wrap;
  /** Images that were checked, with what they had to hold. */
  readonly #seen = new Set<string>();
  /** Why it ends: not thrown where it happens, for that is in the middle of an operation of the log, which would take it for its disk's failure. */
  #ended: Error | undefined;

  constructor(options: EnumerationOptions) {
    this.#options = options;
    this.#random = new SeededRandom(options.seed);
    this.#wrap = options.wrap ?? ((disk) => disk);
  }

  async run(): Promise<Counts> {
    try {
      let level: Step[][] = [[]];
      for (let depth = 0; depth <= this.#options.depth; depth++) {
        const going: Step[][] = [];
        for (const steps of level) {
          // What a sequence that changed nothing leads to was seen without it.
          if (await this.#scenario(steps)) going.push(steps);
        }
        level = going.flatMap((steps) =>
          this.#options.steps.map((step) => [...steps, step])
        );
      }
    } catch (error) {
      if (!(error instanceof Enough)) throw error;
    }
    return this.counts;
  }

  /** Crashes in the last of some steps, wherever it can; the ones before have had their turn. Returns whether longer sequences are worth while. */
  async #scenario(steps: readonly Step[]): Promise<boolean> {
    const { setting, seed, plan } = this.#options;
    const scenario = new Scenario(setting, this.#wrap, seed);
    const names = ["create", ...steps];
    try {
      const last = steps.at(-1);
      const crashInLast = async (run: () => Promise<void>) => {
        let point = 0;
        const watch = (disk: SimulatedDisk) =>
          disk.onOperation(({ kind, path, position = "", length = "" }) => {
            const about = `${position}+${length}`;
            point++;
            this.#crash(
              scenario,
              disk,
              names,
              `${point} ${kind} ${path} ${about}`,
            );
          });
        let stop = watch(scenario.disk);
        scenario.onDisk = (disk) => stop = watch(disk);
        await run();
        this.#crash(scenario, scenario.disk, names, "at the end");
        stop();
        if (this.#ended !== undefined) throw this.#ended;
      };
      if (last === undefined) {
        await crashInLast(() => scenario.open());
      } else {
        await scenario.open();
        plan?.(scenario.disk);
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
      return !scenario.poisoned;
    } finally {
      await scenario.end();
    }
  }

  /** Every state that a power cut now may leave. */
  #crash(
    scenario: Scenario,
    disk: SimulatedDisk,
    names: readonly string[],
    where: string,
  ): void {
    const { exhaustiveUnits } = this.#options;
    this.counts.points++;
    const { expected } = scenario;
    const count = disk.unsyncedUnits().length;
    const all = (1n << BigInt(count)) - 1n;
    const check = (mask: bigint) => {
      const what = () =>
        `${where}, ${count} units, left ${mask.toString(2)}, seed ${disk.seed}`;
      this.#state(disk.crashState(mask), expected, names, what);
    };
    if (count <= exhaustiveUnits) {
      for (let mask = 0n; mask <= all; mask++) check(mask);
      return;
    }
    this.counts.sampled++;
    check(0n);
    check(all);
    for (let bit = 0; bit < count; bit++) {
      check(1n << BigInt(bit));
      check(all ^ 1n << BigInt(bit));
    }
    for (let i = 0; i < 1 << exhaustiveUnits; i++) {
      let mask = 0n;
      for (let bit = 0; bit < count; bit += 32) {
        mask |= BigInt(this.#random.next()) << BigInt(bit);
      }
      check(mask & all);
    }
  }

  /** Whether this disk, with this to hold, is new. */
  #isNew(disk: SimulatedDisk, expected: Expected): boolean {
    const { messages, acknowledged, firstAtLeast, removable } = expected;
    const units = disk.unsyncedUnits();
    const key = [
      disk.hash(),
      units.length === 0 ? "" : JSON.stringify(units),
      messages.map(({ salt, length }) => `${salt}+${length}`).join(),
      acknowledged,
      firstAtLeast,
      removable,
    ].join();
    if (this.#seen.has(key)) return false;
    this.#seen.add(key);
    return true;
  }

  /** Opens what a power cut left, checks it, and goes on with it. */
  #state(
    left: SimulatedDisk,
    expected: Expected,
    names: readonly string[],
    what: () => string,
  ): void {
    if (this.#ended !== undefined) return;
    this.counts.states++;
    if (!this.#isNew(left, expected)) return;
    this.counts.images++;
    try {
      this.#recover(left, expected);
    } catch (error) {
      this.#ended = new BrokenState(names, what(), error);
    }
    const { limit = Infinity } = this.#options;
    if (this.counts.images >= limit) this.#ended ??= new Enough();
  }

  #recover(left: SimulatedDisk, expected: Expected): void {
    const { setting } = this.#options;
    // One of the moments of recovery, another one for each state.
    const moment = this.#random.below(24);
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
      // Below what was found nothing is in doubt any more: a second power cut during recovery must not take it.
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

  /** Appends what was lost in the same sizes, crashes, and looks again. */
  #goOn(
    disk: SimulatedDisk,
    expected: Expected,
    log: ReturnType<typeof openOn>,
    storage: ReturnType<Wrap>,
  ): void {
    const { messages } = expected;
    const { nextOffset, firstOffset } = log;
    const lost = messages.slice(nextOffset);
    const lengths = lost.length > 0 ? lost : [{ salt: 0, length: 37 }];
    const now: Message[] = messages.slice(0, nextOffset);
    tell(storage, "append small");
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
    for (const [i, { length }] of lengths.entries()) {
      const offset = log.append(payload(SALTS[1]! + now.length, length));
      assertEquals(offset, now.length, "the next offset");
      now.push({ salt: SALTS[1]!, length });
      // The first is acknowledged by itself, where what was lost may lie behind it.
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

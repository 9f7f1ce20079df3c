import { Contents } from "./_contents.ts";
import { type FileUnit, Inode } from "./_inode.ts";
import { DIRECTORY, mapped, Names, type Node } from "./_names.ts";
import {
  type Fault,
  mergedFault,
  type Operation,
  type OperationDetails,
  type OperationHook,
  type OperationKind,
  type TracedOperation,
} from "./operation.ts";
import type { DeviceLatency, Settings } from "./options.ts";
import { SeededRandom } from "./random.ts";
import { type InFlight, Scheduler } from "./_scheduler.ts";
import { SimulatedClock } from "./_simulated_clock.ts";
import { hashOf } from "./_state_hash.ts";
import { SimulatedCrashError } from "./simulated_crash_error.ts";
import type { CrashChoice, UnsyncedUnit } from "./unsynced.ts";

/** An operation as the machine runs it. */
export interface Task<T> {
  readonly kind: OperationKind;
  /** From the root. */
  readonly path: string;
  readonly details?: OperationDetails;
  /** The handle of the file, if any. */
  readonly owner?: unknown;
  /** The units that it writes: a power cut meanwhile may keep any of them. */
  readonly writes?: { readonly inode: Inode; readonly units: FileUnit[] };
  /** Checks, in manual mode and at completion, that the program broke no rule; throws otherwise. */
  check?(): void;
  /** Does the work. */
  effect(fault: Fault): T;
  /** Returns the error for an injected code, and changes the disk as that error does. */
  fail(code: string): unknown;
  /**
   * Returns a task that continues after this outcome, which the caller then does not see. That task
   * is released instead of this one.
   */
  follow?(outcome: Outcome<T>): Task<T> | undefined;
  /** Called once at the end, with any outcome. */
  release?(): void;
}

/** Outcome of a task. */
export type Outcome<T> = { readonly value: T } | { readonly error: unknown };

/** A unit, and its public description. */
interface Listed {
  readonly unit: object;
  readonly shown: UnsyncedUnit;
}

/** Probabilities that a unit survives a random crash; each crash draws one of them. */
const SURVIVAL = [1 / 8, 1 / 2, 7 / 8];

/** The state behind a simulated disk and its files: names, time, operations in flight, faults. */
export class Machine {
  readonly settings: Settings;
  readonly clock: SimulatedClock;
  /** Source of the random bytes that the storage returns. */
  readonly random: SeededRandom;
  /** Decides where a real system may behave in one way or another. */
  readonly nondeterminism: SeededRandom;
  /** Decides about faults with a probability. */
  readonly faults: SeededRandom;
  readonly scheduler: Scheduler;
  readonly trace: TracedOperation[] = [];
  /** Locks of directories, by path. */
  readonly locks: Map<string, object> = new Map();
  /** Open handles: their files keep their space also without a name. */
  readonly open: Set<{ readonly inode: Inode }> = new Set();
  names: Names = new Names();
  /** The current latencies. */
  latency: DeviceLatency;

  readonly #crashRandom: SeededRandom;
  readonly #hooks: Set<OperationHook> = new Set();
  readonly #counts: Map<OperationKind, number> = new Map();
  /**
   * Operations that have not completed, also the one that the hooks see now: a power cut may leave
   * parts of them. After the crash, those that it interrupted.
   */
  readonly #underWay: Set<Task<unknown>> = new Set();
  #completions = 0;
  #inodes = 0;
  #dead = false;

  /** Makes an empty disk. */
  constructor(settings: Settings) {
    this.settings = settings;
    this.latency = settings.latency;
    this.clock = new SimulatedClock(
      settings.timeMicros,
      settings.timeStepMicros,
    );
    // Separate streams, so that drawing from one does not change the others.
    const seeds = new SeededRandom(settings.seed);
    const stream = () => new SeededRandom(seeds.next());
    this.random = stream();
    this.nondeterminism = stream();
    this.#crashRandom = stream();
    this.scheduler = new Scheduler(stream(), this.clock, settings.manual);
    this.faults = stream();
  }

  /** Whether the disk has crashed. */
  get dead(): boolean {
    return this.#dead;
  }

  /** Adds a hook; returns a function that removes it. */
  hook(hook: OperationHook): () => void {
    this.#hooks.add(hook);
    return () => this.#hooks.delete(hook);
  }

  /** Makes an empty file. */
  newFile(path: string): Inode {
    const contents = new Contents(this.settings.blockBytes);
    return new Inode(++this.#inodes, path, contents);
  }

  /** Runs an operation; blocks until it is over. */
  runSync<T>(task: Task<T>): T {
    for (let next = task;;) {
      const { record, fault } = this.#admit(next, true);
      this.clock.advance(this.#latencyMs(next, fault));
      const outcome = this.#carryOut(next, record, fault);
      const following = next.follow?.(outcome);
      if (following === undefined) {
        next.release?.();
        if ("error" in outcome) throw outcome.error;
        return outcome.value;
      }
      next = following;
    }
  }

  /** Runs an operation in the background. */
  run<T>(task: Task<T>): Promise<T> {
    return new Promise((resolve, reject) => this.begin(task, resolve, reject));
  }

  /** Returns the latency of an operation: the device's, and that of the fault. */
  #latencyMs({ kind, details }: Task<unknown>, fault: Fault): number {
    const { readMicros = 0, writeMicros = 0, syncMicros = 0 } = this.latency;
    let micros = 0;
    if (kind === "read") micros = readMicros;
    else if (kind === "sync" || kind === "syncDirectory") micros = syncMicros;
    else if (kind === "write") {
      const isDurable = (details?.durability ?? "none") !== "none";
      micros = writeMicros + (isDurable ? syncMicros : 0);
    }
    return micros / 1000 + (fault.latencyMs ?? 0);
  }

  /**
   * Begins an operation; one of both functions is called when it is over, never before this call
   * returns.
   */
  begin<T>(
    task: Task<T>,
    resolve: (value: T) => void,
    reject: (error: unknown) => void,
  ): void {
    const { record, fault } = this.#admit(task, false);
    const crash = new SimulatedCrashError();
    /** `undefined` after completion if another task follows. */
    let outcome: Outcome<T> | undefined;
    const inFlight: InFlight = {
      owner: task.owner,
      number: record.number,
      dueMicros: this.clock.dueMicros(this.#latencyMs(task, fault)),
      complete: () => {
        outcome = this.#carryOut(task, record, fault);
        const following = task.follow?.(outcome);
        if (following === undefined) return task.release?.();
        outcome = undefined;
        try {
          this.begin(following, resolve, reject);
        } catch (error) {
          outcome = { error };
        }
      },
      settle: () => {
        if (this.#dead) reject(crash);
        else if (outcome === undefined) return;
        else if ("error" in outcome) reject(outcome.error);
        else resolve(outcome.value);
      },
      cancel: () => task.release?.(),
    };
    this.scheduler.begin(inFlight);
  }

  /** Throws if the disk has crashed. */
  checkAlive(): void {
    if (this.#dead) throw new SimulatedCrashError();
  }

  /** Crashes the disk. */
  die(): void {
    if (this.#dead) return;
    this.#dead = true;
    this.scheduler.cancelAll();
  }

  /** Kills the process: some operations in flight complete, the others never begin. */
  killProcess(): void {
    if (this.#dead) return;
    const done = this.scheduler.inFlight.filter(() =>
      this.#crashRandom.chance(1 / 2)
    );
    for (const inFlight of done) {
      this.scheduler.withdraw(inFlight);
      inFlight.complete?.();
    }
    this.die();
    for (const inFlight of done) inFlight.settle();
  }

  /** The files with open handles. */
  get openFiles(): Set<Inode> {
    return new Set([...this.open].map(({ inode }) => inode));
  }

  /** Returns the free space, in blocks. */
  freeBlocks(): number {
    const { sizeBytes, blockBytes } = this.settings;
    let free = Math.floor(sizeBytes / blockBytes);
    for (const inode of new Set([...this.names.files(), ...this.openFiles])) {
      free -= inode.current.blocks.size;
    }
    return free;
  }

  /** Returns the units that a power cut now may keep or lose. */
  unsynced(): UnsyncedUnit[] {
    return this.#listed().map((each) => each.shown);
  }

  /** Returns the names and contents after a power cut. */
  namesAfter(choice: CrashChoice, unreadable?: ReadonlySet<number>): Names {
    const listed = this.#listed();
    const chosen = this.#chosen(choice, listed);
    const lost = this.#lost(choice, listed, unreadable);
    const has = (unit: object) => chosen.has(unit);
    const outcomeOf = (unit: FileUnit) =>
      lost.has(unit)
        ? { ...unit, isUnreadable: true }
        : chosen.has(unit)
        ? unit
        : undefined;
    const writing = this.#writing();
    const survivors = this.names.after(has);
    return new Names(mapped(
      survivors,
      memoized((inode) => inode.after(outcomeOf, writing.get(inode) ?? [])),
    ));
  }

  /** Returns a hash of everything that {@linkcode Machine.namesAfter} can return. */
  crashHash(): string {
    const writing = this.#writing();
    const inodes = this.names.inodes();
    const numbers = new Map<Node, number>(inodes.map((inode, i) => [inode, i]));
    return hashOf(
      [
        ...inodes.map((inode) => inode.crashHash(writing.get(inode) ?? [])),
        this.names.crashText((node) => numbers.get(node) ?? -1),
      ].join("\n"),
    );
  }

  /** Returns the names and contents for the next process: the same, with the same unsynced. */
  namesKept(): Names {
    return this.names.clone(memoized((inode) => inode.clone()));
  }

  /** Takes over names; new files are numbered after theirs. */
  adopt(names: Names): void {
    this.names = names;
    for (const { number } of names.inodes()) {
      this.#inodes = Math.max(this.#inodes, number);
    }
  }

  #carryOut<T>(
    task: Task<T>,
    record: TracedOperation,
    fault: Fault,
  ): Outcome<T> {
    record.completion = ++this.#completions;
    try {
      if (this.settings.manual) task.check?.();
      if (fault.error !== undefined) throw task.fail(fault.error);
      const value = task.effect(fault);
      record.outcome = "done";
      return { value };
    } catch (error) {
      record.outcome = errorName(error);
      return { error };
    } finally {
      this.#underWay.delete(task as Task<unknown>);
    }
  }

  /** Numbers an operation, traces it and calls the hooks; releases it if that throws. */
  #admit(
    task: Task<unknown>,
    blocking: boolean,
  ): { record: TracedOperation; fault: Fault } {
    try {
      this.checkAlive();
      const numberOfKind = (this.#counts.get(task.kind) ?? 0) + 1;
      this.#counts.set(task.kind, numberOfKind);
      const operation: Operation = {
        ...task.details,
        kind: task.kind,
        path: task.path,
        number: this.trace.length + 1,
        numberOfKind,
        blocking,
      };
      const record: TracedOperation = {
        ...operation,
        beganMicros: this.clock.micros,
        completion: undefined,
        outcome: undefined,
      };
      this.trace.push(record);
      this.#underWay.add(task);
      const fault = this.#faultOf(operation);
      if (fault.crash) this.die();
      // A hook may also have crashed the disk itself.
      this.checkAlive();
      return { record, fault };
    } catch (error) {
      if (!this.#dead) this.#underWay.delete(task);
      task.release?.();
      throw error;
    }
  }

  #faultOf(operation: Operation): Fault {
    if (this.#hooks.size === 0) return {};
    const faults = [...this.#hooks].map((hook) => hook(operation));
    return mergedFault(faults.filter((fault) => fault !== undefined));
  }

  /** Returns whether another write in flight overlaps a task. */
  overlaps(task: Task<unknown>): boolean {
    const { position = 0, length = 0 } = task.details ?? {};
    return [...this.#underWay].some((other) => {
      if (other.writes === undefined || other.writes === task.writes) {
        return false;
      }
      const { position: from = 0, length: many = 0 } = other.details ?? {};
      return other.writes.inode === task.writes?.inode &&
        from < position + length && position < from + many;
    });
  }

  /** Returns the units of writes that have not completed, by file. */
  #writing(): Map<Inode, FileUnit[]> {
    const writing = new Map<Inode, FileUnit[]>();
    for (const { writes } of this.#underWay) {
      if (writes === undefined) continue;
      const units = writing.get(writes.inode) ?? [];
      writing.set(writes.inode, [...units, ...writes.units]);
    }
    return writing;
  }

  /** Returns all units that a power cut may keep or lose, in the order of their numbers. */
  #listed(): Listed[] {
    const { blockBytes } = this.settings;
    const writing = this.#writing();
    const listed: Listed[] = [];
    for (const inode of this.names.inodes()) {
      const add = (unit: FileUnit, inFlight: boolean) => {
        const { kind } = unit;
        const place = kind === "block"
          ? {
            position: unit.block * blockBytes + unit.start,
            length: unit.bytes.length,
          }
          : kind === "preallocate"
          ? { position: unit.position, length: unit.length }
          : { length: unit.length };
        const shown = { kind, path: inode.path, inFlight, ...place };
        listed.push({ unit, shown });
      };
      for (const unit of inode.unsynced()) add(unit, false);
      for (const unit of writing.get(inode) ?? []) add(unit, true);
    }
    for (const unit of this.names.unsynced()) {
      const { kind, path, to } = unit;
      const shown = { kind, path, inFlight: false };
      const isRename = kind === "rename";
      listed.push({ unit, shown: isRename ? { ...shown, to } : shown });
    }
    return listed;
  }

  /** Returns the block units whose block is unreadable after the power cut. */
  #lost(
    choice: CrashChoice,
    listed: readonly Listed[],
    unreadable: ReadonlySet<number> | undefined,
  ): Set<object> {
    const random = unreadable === undefined && choice === "random" &&
      this.settings.unreadable;
    const lost = listed.filter(({ shown }, number) =>
      shown.kind === "block" &&
      (random ? this.#crashRandom.chance(1 / 8) : unreadable?.has(number))
    );
    return new Set(lost.map((each) => each.unit));
  }

  #chosen(choice: CrashChoice, listed: readonly Listed[]): Set<object> {
    const survival = choice === "random"
      ? SURVIVAL[this.#crashRandom.below(SURVIVAL.length)]!
      : 0;
    const survives = ({ shown }: Listed, number: number): boolean => {
      if (choice === "none") return false;
      if (choice === "all") return true;
      if (choice === "random") return this.#crashRandom.chance(survival);
      if (typeof choice === "bigint") {
        return (choice >> BigInt(number) & 1n) === 1n;
      }
      if (typeof choice === "function") return choice(shown, number);
      return choice.has(number);
    };
    return new Set(listed.filter(survives).map((each) => each.unit));
  }
}

/** Returns a function that makes one copy of each node. */
function memoized(copyOf: (inode: Inode) => Inode): (node: Node) => Node {
  const copies = new Map<Inode, Inode>();
  return (node) => {
    if (node === DIRECTORY) return node;
    let copy = copies.get(node);
    if (copy === undefined) copies.set(node, copy = copyOf(node));
    return copy;
  };
}

function errorName(error: unknown): string {
  const { code, name } = error as { code?: string; name?: string };
  return code ?? name ?? String(error);
}

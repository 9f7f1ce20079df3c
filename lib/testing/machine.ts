import type { Capabilities } from "../storage/mod.ts";
import { Contents } from "./contents.ts";
import type { FileUnit, Inode } from "./inode.ts";
import { DIRECTORY, mapped, Names, type Node } from "./names.ts";
import {
  type Fault,
  mergedFault,
  type Operation,
  type OperationDetails,
  type OperationHook,
  type OperationKind,
  type TracedOperation,
} from "./operation.ts";
import { SeededRandom } from "./random.ts";
import { type InFlight, Scheduler } from "./scheduler.ts";
import { SimulatedClock } from "./simulated_clock.ts";
import { hashNumbers, NO_HASH, type StateHash } from "./state_hash.ts";
import { SimulatedCrashError } from "./simulated_crash_error.ts";
import type { CrashChoice, UnsyncedUnit } from "./unsynced.ts";

/** What a machine is made of. */
export interface MachineSettings {
  readonly seed: number;
  readonly blockBytes: number;
  readonly sizeBytes: number;
  readonly timeMicros: number;
  readonly timeStepMicros: number;
  readonly capabilities: Capabilities;
  /** Whether operations wait for the test, and are checked. */
  readonly manual: boolean;
  /** Whether a power cut may leave a block unreadable that was being written again. */
  readonly unreadable: boolean;
  /** Whether the device writes zeros by itself. */
  readonly writesZeros: boolean;
  /** How long the device takes at first. */
  readonly latency: DeviceLatency;
}

/** Latencies of a device, in microseconds of the disk's clock. */
export interface DeviceLatency {
  /** A read. Default: `0`. */
  readonly readMicros?: number;
  /** A write. Default: `0`. */
  readonly writeMicros?: number;
  /** A sync of a file or a directory; a durable write takes this in addition. Default: `0`. */
  readonly syncMicros?: number;
}

/** An operation as the machine runs it. */
export interface Task<T> {
  readonly kind: OperationKind;
  /** From the root. */
  readonly path: string;
  readonly details?: OperationDetails;
  /** The handle that it belongs to, if any. */
  readonly owner?: unknown;
  /** What it is writing: a power cut meanwhile may leave any of it. */
  readonly writes?: { readonly inode: Inode; readonly units: FileUnit[] };
  /**
   * Whether the memory is as it was; asked in manual mode, at the moment of completion. Throws what
   * is wrong.
   */
  check?(): void;
  /** Carries it out. */
  effect(fault: Fault): T;
  /** The error for a code that the plan of faults asks for, and what it does to the disk. */
  fail(code: string): unknown;
  /**
   * What is to be done next to finish what was asked for, in place of giving this outcome; the task
   * that follows is released instead of this one.
   */
  follow?(outcome: Outcome<T>): Task<T> | undefined;
  /** It is over, in whatever way: called once. */
  release?(): void;
}

/** What became of a task. */
export type Outcome<T> = { readonly value: T } | { readonly error: unknown };

/** A unit, whose it is, and how others see it. */
interface Listed {
  readonly unit: object;
  readonly shown: UnsyncedUnit;
}

/** How probable it is that a unit survives, in random crashes: one of these for each crash. */
const SURVIVAL = [1 / 8, 1 / 2, 7 / 8];

/**
 * The state behind a simulated disk and its files: names, time, operations in flight, and who may
 * fail what.
 */
export class Machine {
  readonly settings: MachineSettings;
  readonly clock: SimulatedClock;
  /** What the storage gives out. */
  readonly random: SeededRandom;
  /** Decides what the system is free to do one way or the other. */
  readonly whim: SeededRandom;
  /** Decides about faults of a probability. */
  readonly faults: SeededRandom;
  readonly scheduler: Scheduler;
  readonly trace: TracedOperation[] = [];
  /** Directories that are locked, by path, and who may release them. */
  readonly locks: Map<string, object> = new Map();
  /** Files with open handles, which keep their space without a name. */
  readonly open: Set<Inode> = new Set();
  names: Names = new Names();
  /** How long the device takes. */
  latency: DeviceLatency;

  readonly #crashRandom: SeededRandom;
  readonly #hooks: Set<OperationHook> = new Set();
  readonly #counts: Map<OperationKind, number> = new Map();
  readonly #running: Map<InFlight, Task<unknown>> = new Map();
  /** What hooks are being asked about: it may be partly done if the power fails now. */
  #beginning: Task<unknown> | undefined;
  /** What was running when the disk crashed. */
  #interrupted: Task<unknown>[] = [];
  #completions = 0;
  #inodes = 0;
  #dead = false;

  /** Starts with nothing. */
  constructor(settings: MachineSettings) {
    this.settings = settings;
    this.latency = settings.latency;
    this.clock = new SimulatedClock(
      settings.timeMicros,
      settings.timeStepMicros,
    );
    // Streams apart, so that drawing from one does not change the others.
    const seeds = new SeededRandom(settings.seed);
    const stream = () => new SeededRandom(seeds.next());
    this.random = stream();
    this.whim = stream();
    this.#crashRandom = stream();
    this.scheduler = new Scheduler(stream(), this.clock, settings.manual);
    this.faults = stream();
  }

  /** Whether it has crashed. */
  get dead(): boolean {
    return this.#dead;
  }

  /** Adds a hook; the result takes it away. */
  hook(hook: OperationHook): () => void {
    this.#hooks.add(hook);
    return () => this.#hooks.delete(hook);
  }

  /** The number for a new file. */
  nextInode(): number {
    return ++this.#inodes;
  }

  /** Runs an operation while the caller waits. */
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
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.begin(task, resolve, reject);
    return promise;
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
    this.#begin(task, (outcome) => {
      if ("error" in outcome) reject(outcome.error);
      else resolve(outcome.value);
    });
  }

  /** How long an operation takes: what the device needs, and what goes wrong beside. */
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

  /** Begins a task, and tells its outcome when it is over. */
  #begin<T>(task: Task<T>, tell: (outcome: Outcome<T>) => void): void {
    const { record, fault } = this.#admit(task, false);
    const interrupted = { error: new SimulatedCrashError() };
    let outcome: Outcome<T> | undefined;
    const inFlight: InFlight = {
      owner: task.owner,
      parks: true,
      number: record.number,
      dueMicros: this.clock.elapsedMicros +
        Math.round(this.#latencyMs(task, fault) * 1000),
      complete: () => {
        outcome = this.#carryOut(task, record, fault);
        this.#running.delete(inFlight);
        const following = task.follow?.(outcome);
        if (following === undefined) return task.release?.();
        outcome = undefined;
        try {
          this.#begin(following, tell);
        } catch (error) {
          outcome = { error };
        }
      },
      settle: () => {
        if (this.#dead) tell(interrupted);
        else if (outcome !== undefined) tell(outcome);
      },
      cancel: () => {
        this.#running.delete(inFlight);
        task.release?.();
      },
    };
    this.#running.set(inFlight, task);
    this.scheduler.begin(inFlight);
  }

  /** Refuses what is asked of a disk that has crashed. */
  checkAlive(): void {
    if (this.#dead) throw new SimulatedCrashError();
  }

  /** The power fails. */
  die(): void {
    if (this.#dead) return;
    this.#interrupted = this.#underWay();
    this.#dead = true;
    this.scheduler.cancelAll();
  }

  /** The process is killed: what the kernel was doing is done or not, then nothing more. */
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

  /** Space that is not taken, in blocks. */
  freeBlocks(): number {
    const { sizeBytes, blockBytes } = this.settings;
    let free = Math.floor(sizeBytes / blockBytes);
    for (const inode of new Set([...this.names.files(), ...this.open])) {
      free -= inode.current.allocatedBlocks;
    }
    return free;
  }

  /** What a power cut now may leave behind or not. */
  unsynced(): UnsyncedUnit[] {
    return this.#listed().map((each) => each.shown);
  }

  /**
   * The names and contents after a power cut, or as they are for a process that comes after this
   * one.
   */
  namesAfter(choice: CrashChoice, unreadable?: ReadonlySet<number>): Names {
    const listed = this.#listed();
    const chosen = this.#chosen(choice, listed);
    const lost = this.#lost(choice, listed, unreadable);
    const has = (unit: object) => chosen.has(unit);
    const fate = (unit: FileUnit) =>
      lost.has(unit) ? "unreadable" : chosen.has(unit) ? "kept" : "gone";
    const writing = this.#writing();
    const survivors = this.names.replay(has);
    return new Names(mapped(
      survivors,
      memoized((inode) =>
        inode.withContents(inode.replay(fate, writing.get(inode) ?? []))
      ),
    ));
  }

  /** Stands for everything that {@linkcode Machine.namesAfter} can give, choice by choice. */
  crashHash(): StateHash {
    const writing = this.#writing();
    const inodes = this.names.inodes();
    let sum = NO_HASH;
    for (const inode of inodes) {
      const [low, high] = inode.crashHash(writing.get(inode) ?? []);
      sum = hashNumbers(sum, low, high);
    }
    const numbers = new Map<Node, number>(inodes.map((inode, i) => [inode, i]));
    return this.names.crashHash(sum, (node) => numbers.get(node) ?? -1);
  }

  /**
   * The names and contents as the next process finds them: nothing is lost, and nothing more is
   * durable.
   */
  namesKept(): Names {
    return this.names.clone(memoized((inode) => inode.clone()));
  }

  /** Goes on with these names, numbering new files after theirs. */
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
    }
  }

  /**
   * Numbers an operation, shows it to the hooks, and lets it in; a task that does not get in is
   * released.
   */
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
      this.#beginning = task;
      const fault = this.#faultOf(operation);
      if (fault.crash) this.die();
      this.#beginning = undefined;
      // A hook may also have crashed the disk itself.
      this.checkAlive();
      return { record, fault };
    } catch (error) {
      this.#beginning = undefined;
      task.release?.();
      throw error;
    }
  }

  #faultOf(operation: Operation): Fault {
    if (this.#hooks.size === 0) return {};
    const faults = [...this.#hooks].map((hook) => hook(operation));
    return mergedFault(faults.filter((fault) => fault !== undefined));
  }

  /** Whether another write in flight has bytes of the same range. */
  overlaps(task: Task<unknown>): boolean {
    const { position = 0, length = 0 } = task.details ?? {};
    return [...this.#running.values()].some((other) => {
      if (other.writes === undefined || other.writes === task.writes) {
        return false;
      }
      const { position: from = 0, length: many = 0 } = other.details ?? {};
      return other.writes.inode === task.writes?.inode &&
        from < position + length && position < from + many;
    });
  }

  /** The operations that a power cut now would interrupt. */
  #underWay(): Task<unknown>[] {
    const running = [...this.#running.values()];
    return this.#beginning === undefined
      ? running
      : [...running, this.#beginning];
  }

  /** The units of writes that have not completed, by file. */
  #writing(): Map<Inode, FileUnit[]> {
    const writing = new Map<Inode, FileUnit[]>();
    for (
      const { writes } of this.#dead ? this.#interrupted : this.#underWay()
    ) {
      if (writes === undefined) continue;
      const units = writing.get(writes.inode) ?? [];
      writing.set(writes.inode, [...units, ...writes.units]);
    }
    return writing;
  }

  /** Everything that a power cut may leave or not, in the order by which units are numbered. */
  #listed(): Listed[] {
    const { blockBytes } = this.settings;
    const writing = this.#writing();
    const listed: Listed[] = [];
    for (const inode of this.names.inodes()) {
      const add = (unit: FileUnit, inFlight: boolean) => {
        const shown = { kind: unit.kind, path: inode.path, inFlight };
        listed.push({
          unit,
          shown: unit.kind === "block"
            ? {
              ...shown,
              position: unit.block * blockBytes + unit.start,
              length: unit.bytes.length,
            }
            : unit.kind === "preallocate"
            ? { ...shown, position: unit.position, length: unit.length }
            : { ...shown, length: unit.length },
        });
      };
      for (const unit of inode.unsynced()) add(unit, false);
      for (const unit of writing.get(inode) ?? []) add(unit, true);
    }
    for (const unit of this.names.unsynced()) {
      const { kind, path, to } = unit;
      const shown = { kind, path, inFlight: false };
      listed.push({ unit, shown: to === undefined ? shown : { ...shown, to } });
    }
    return listed;
  }

  /** The parts of blocks whose block is unreadable afterwards. */
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

/** An empty file of a machine. */
export function emptyContents(machine: Machine): Contents {
  return new Contents(machine.settings.blockBytes);
}

/** The same copy for the same node. */
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

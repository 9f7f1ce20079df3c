import {
  checkInteger,
  drive,
  driveSync,
  onAbort,
  parentOf,
  perform,
  step,
  type Task as StepTask,
} from "../base/mod.ts";
import type {
  Storage,
  StorageEntry,
  StorageLock,
  StorageOpenOptions,
  StorageTimer,
} from "../storage/mod.ts";
import {
  checkDelay,
  failure,
  openRequest,
  pathString,
  storageOptions,
  type StorageTasks,
  storageTasks,
} from "../storage/parts.ts";
import { FileOperations } from "./_file_operations.ts";
import { blockUnits, type Inode, sizeUnit } from "./_inode.ts";
import { Machine, type Task } from "./_machine.ts";
import {
  absolute,
  checkName,
  DIRECTORY,
  isName,
  type Node,
  parent,
} from "./_names.ts";
import type {
  Fault,
  OperationDetails,
  OperationHook,
  OperationKind,
  TracedOperation,
} from "./operation.ts";
import {
  checkedLatency,
  type DeviceLatency,
  settingsOf,
  type SimulatedDiskOptions,
} from "./options.ts";
import type { InFlight } from "./_scheduler.ts";
import { SimulatedCrashError } from "./simulated_crash_error.ts";
import { SimulatedFile } from "./simulated_file.ts";
import { hashOf } from "./_state_hash.ts";
import { abandon } from "./_unsynced_state.ts";
import type { CrashChoice, UnsyncedUnit } from "./unsynced.ts";

/** A block that a power cut left unreadable. */
export interface UnreadableBlock {
  /** The file. */
  path: string;
  /** The first byte. */
  position: number;
  /** Bytes. */
  length: number;
}

/** The operations that {@linkcode SimulatedDisk.failAt} counts. */
export interface FailAtOptions {
  /** Only those of this kind. Default: all. */
  kind?: OperationKind;
  /** Also every later one. Default: `false`. */
  sticky?: boolean;
}

/**
 * A disk in memory that loses power on request, fails as planned, and repeats a run with the same
 * seed.
 *
 * It promises what a disk promises and no more. A power cut keeps any subset of what was not
 * synced: each block of a write, each change of a file's size and each change of a name,
 * independently. A durable write makes its own bytes durable, and the size that they need. `sync`
 * makes durable what was written to its file before it began, `syncDirectory` the names in a
 * directory. Operations in flight complete in any order; syncing a file does not make its name
 * durable.
 *
 * Paths resolve as in the kernel, relative ones from the root. There are no links and no
 * permissions, and directories cannot be renamed.
 *
 * @example What a power cut leaves
 * ```ts
 * import { BufferPool } from "@basalt/io";
 * import { SimulatedDisk } from "@basalt/io/testing";
 * import { assertEquals } from "@std/assert";
 *
 * using pool = new BufferPool();
 * const disk = new SimulatedDisk({ seed: 1 });
 * disk.makeDirectorySync("/data");
 * const file = disk.openSync("/data/a", { write: true, createNew: true });
 * using block = pool.acquireSync(4096, { zeroed: true });
 * file.writeSync(block, 0, { durability: "data" });
 *
 * // The bytes are durable, but the directory that holds the name was not synced.
 * assertEquals(disk.crashState("none").files(), []);
 * disk.syncDirectorySync("/data");
 * assertEquals(disk.crashState("none").files(), ["/data/a"]);
 * assertEquals(disk.crashState("none").peek("/data/a").length, 4096);
 * file.closeSync();
 * ```
 *
 * @example Every state that a power cut may leave
 * ```ts
 * import { BufferPool } from "@basalt/io";
 * import { SimulatedDisk } from "@basalt/io/testing";
 * import { assertEquals } from "@std/assert";
 *
 * using pool = new BufferPool();
 * const disk = new SimulatedDisk();
 * disk.poke("/a", 0, new Uint8Array(8192));
 * const file = disk.openSync("/a", { write: true });
 * using two = pool.acquireSync(8192);
 * two.bytes.fill(1);
 * file.writeSync(two, 0);
 *
 * const count = disk.unsyncedUnits().length;
 * assertEquals(count, 2);
 * const states = new Set<string>();
 * for (let mask = 0n; mask < 1n << BigInt(count); mask++) {
 *   states.add(disk.crash(mask).hash());
 * }
 * assertEquals(states.size, 4);
 * ```
 */
export class SimulatedDisk implements Storage {
  /** The seed of all randomness: print it when a test fails. */
  readonly seed: number;
  readonly #options: SimulatedDiskOptions;
  readonly #machine: Machine;
  /**
   * The result of {@linkcode SimulatedDisk.isIdle} while nothing is in flight. `false` simulates a
   * program whose thread must not wait.
   */
  mayWaitInPlace: boolean = true;

  /**
   * Makes an empty disk: it has the directory `/` and nothing in it.
   *
   * @throws {RangeError} If a size is not a positive integer.
   */
  constructor(options: SimulatedDiskOptions = {}) {
    const settings = settingsOf(options);
    this.seed = settings.seed;
    this.#options = options;
    this.#machine = new Machine(settings);
  }

  /** Opens a file; for reading, too, unless `read` is `false`. */
  // deno-lint-ignore require-await -- wrong arguments reject the promise, too
  async open(
    path: string,
    options: StorageOpenOptions = {},
  ): Promise<SimulatedFile> {
    return this.#machine.run(this.#opening(path, options));
  }

  /** Sync version of {@linkcode SimulatedDisk.open}. */
  openSync(path: string, options: StorageOpenOptions = {}): SimulatedFile {
    return this.#machine.runSync(this.#opening(path, options));
  }

  /**
   * Gives a file another name, replacing a file that has it; directories keep theirs. Not durable
   * until the directory is synced, of two directories both.
   */
  // deno-lint-ignore require-await -- as for opening
  async rename(from: string, to: string): Promise<void> {
    return this.#machine.run(this.#renaming(from, to));
  }

  /** Sync version of {@linkcode SimulatedDisk.rename}. */
  renameSync(from: string, to: string): void {
    this.#machine.runSync(this.#renaming(from, to));
  }

  /** Removes a file, or an empty directory. Not durable until the directory is synced. */
  // deno-lint-ignore require-await -- as for opening
  async remove(path: string): Promise<void> {
    return this.#machine.run(this.#removing(path));
  }

  /** Sync version of {@linkcode SimulatedDisk.remove}. */
  removeSync(path: string): void {
    this.#machine.runSync(this.#removing(path));
  }

  /** Returns the entries of a directory, ordered by name (by UTF-16 units, as `sort` does). */
  // deno-lint-ignore require-await -- as for opening
  async list(path: string): Promise<StorageEntry[]> {
    return this.#machine.run(this.#listing(path));
  }

  /** Sync version of {@linkcode SimulatedDisk.list}. */
  listSync(path: string): StorageEntry[] {
    return this.#machine.runSync(this.#listing(path));
  }

  /**
   * Makes a directory and its missing parents, and syncs the directories that hold new names.
   * Resolves to whether it was made.
   */
  makeDirectory(path: string): Promise<boolean> {
    return drive(this.#makingDirectories(path));
  }

  /** Sync version of {@linkcode SimulatedDisk.makeDirectory}. */
  makeDirectorySync(path: string): boolean {
    return driveSync(this.#makingDirectories(path));
  }

  /** Makes the names in a directory durable. */
  // deno-lint-ignore require-await -- as for opening
  async syncDirectory(path: string): Promise<void> {
    return this.#machine.run(this.#syncingDirectory(path));
  }

  /** Sync version of {@linkcode SimulatedDisk.syncDirectory}. */
  syncDirectorySync(path: string): void {
    this.#machine.runSync(this.#syncingDirectory(path));
  }

  /** @ignore The operations as tasks. */
  get [storageTasks](): StorageTasks {
    return { syncDirectory: (path) => this.#beginningSync(path) };
  }

  /** Syncs a directory as a task, which a caller that blocks can complete. */
  #beginningSync(path: string): StepTask<void> {
    const machine = this.#machine;
    const owner = {};
    return perform<void>({
      kind: "syncDirectory",
      begin: (resolve, reject) =>
        machine.begin(
          { ...this.#syncingDirectory(path), owner },
          resolve,
          reject,
        ),
      runSync: () => machine.runSync(this.#syncingDirectory(path)),
      settleSync: () => machine.scheduler.settleOwn(owner),
    });
  }

  /**
   * Takes the exclusive lock of a directory without waiting; `undefined` while another owner holds
   * it. It ends when it is released, or with the process.
   */
  lock(where: string): StorageLock | undefined {
    const path = pathString("lock directory", where);
    const at = absolute(path);
    const { locks } = this.#machine;
    return this.#machine.runSync(call("lock", "flock", path, () => {
      this.#checkDirectory("open", path);
      if (locks.has(at)) return undefined;
      const lock: StorageLock = {
        // Directories are not renamed here, and removing one ends its lock.
        isAtPath: () => locks.get(at) === lock,
        release(): void {
          // By now another directory may have the name, with another lock.
          if (locks.get(at) === lock) locks.delete(at);
        },
      };
      locks.set(at, lock);
      return lock;
    }));
  }

  /** Returns whether the lock of a directory is held, without taking it. */
  isLocked(where: string): boolean {
    const path = pathString("look at lock of directory", where);
    const at = absolute(path);
    return this.#machine.runSync(call("lock", "fcntl", path, () => {
      this.#checkDirectory("open", path);
      return this.#machine.locks.has(at);
    }));
  }

  /**
   * Waits until the disk's clock has advanced that far, and resolves in a later turn. Rejects with
   * the signal's reason when it is aborted.
   */
  delay(
    durationMs: number,
    options: { signal?: AbortSignal } = {},
  ): Promise<void> {
    const { signal } = options;
    const { clock, scheduler } = this.#machine;
    return new Promise((resolve, reject) => {
      this.#machine.checkAlive();
      checkDelay(durationMs);
      if (signal?.aborted) return reject(signal.reason);
      const waiting: InFlight = {
        dueMicros: clock.dueMicros(durationMs),
        settle: () => {
          unlisten?.();
          if (this.#machine.dead) reject(new SimulatedCrashError());
          else resolve();
        },
      };
      const unlisten = signal && onAbort(signal, () => {
        scheduler.withdraw(waiting);
        reject(signal.reason);
      });
      scheduler.begin(waiting);
    });
  }

  /** Sync version of {@linkcode SimulatedDisk.delay}: the clock advances at once. */
  delaySync(durationMs: number): void {
    this.#machine.checkAlive();
    checkDelay(durationMs);
    this.#machine.clock.advance(durationMs);
  }

  /**
   * Runs a function once, when the disk's clock has advanced by `delayMs`, unless it is cancelled.
   *
   * It runs in a separate turn. It does not let time pass: the clock advances by delays, latencies
   * and steps only. After a crash the function never runs.
   */
  after(delayMs: number, run: () => void): StorageTimer {
    this.#machine.checkAlive();
    checkDelay(delayMs, "delayMs");
    const { clock, scheduler } = this.#machine;
    let cancelled = false;
    const timer: InFlight = {
      dueMicros: clock.dueMicros(delayMs),
      settle: () => {
        if (!cancelled && !this.#machine.dead) run();
      },
    };
    scheduler.beginTimer(timer);
    return {
      cancel(): void {
        cancelled = true;
        scheduler.withdraw(timer);
      },
    };
  }

  /**
   * Returns whether no operation of the disk is in flight and
   * {@linkcode SimulatedDisk.mayWaitInPlace} is set.
   */
  isIdle(): boolean {
    return this.mayWaitInPlace && this.#machine.scheduler.isIdle;
  }

  /**
   * Latencies of the device; a change applies to operations that begin later.
   *
   * @example A device that becomes slow
   * ```ts
   * import { SimulatedDisk } from "@basalt/io/testing";
   * import { assertEquals } from "@std/assert";
   *
   * const disk = new SimulatedDisk({ latency: { syncMicros: 100 }, timeStepMicros: 0 });
   * const start = disk.now();
   * disk.syncDirectorySync("/");
   * assertEquals(disk.now() - start, 100);
   * disk.latency = { syncMicros: 20_000 };
   * await disk.syncDirectory("/");
   * assertEquals(disk.now() - start, 20_100);
   * ```
   */
  get latency(): DeviceLatency {
    return this.#machine.latency;
  }

  set latency(value: DeviceLatency) {
    const action = "set latency of simulated disk";
    this.#machine.latency = checkedLatency(action, value);
  }

  /** Microseconds since the Unix epoch by the disk's clock; then `timeStepMicros` pass. */
  now(): number {
    return this.#machine.clock.now();
  }

  /** Fills a view with random bytes by the disk's seed, and returns it. */
  random(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    return this.#machine.random.fill(bytes);
  }

  /** The time of the disk's clock, which reading it does not advance. May be set, also back. */
  get timeMicros(): number {
    return this.#machine.clock.micros;
  }

  set timeMicros(value: number) {
    const action = "set simulated clock";
    checkInteger(action, "timeMicros", value);
    this.#machine.clock.micros = value;
  }

  /**
   * Whether the disk has crashed. It then refuses all calls except closing, and another crash of
   * the same state.
   */
  get crashed(): boolean {
    return this.#machine.dead;
  }

  /** Every operation so far, in order, with its outcome; it grows while the disk is used. */
  get trace(): readonly Readonly<TracedOperation>[] {
    return this.#machine.trace;
  }

  /**
   * Calls a function before each operation, after those added earlier, and injects the fault that
   * it returns. Hooks do not outlive a crash.
   *
   * While it runs, the operation counts as begun: {@linkcode SimulatedDisk.crashState} then may
   * leave any part of a write.
   *
   * @returns A function that removes the hook.
   *
   * @example A device that fails every second write
   * ```ts
   * import { SimulatedDisk } from "@basalt/io/testing";
   *
   * const disk = new SimulatedDisk();
   * const remove = disk.onOperation(({ kind, numberOfKind }) => {
   *   if (kind === "write" && numberOfKind % 2 === 0) return { error: "EIO" };
   * });
   * remove();
   * ```
   */
  onOperation(hook: OperationHook): () => void {
    return this.#machine.hook(hook);
  }

  /**
   * Makes the operation with this ordinal fail, counted from 1 over the life of the disk.
   *
   * @returns A function that cancels the plan.
   *
   * @example The third operation
   * ```ts
   * import { SimulatedDisk } from "@basalt/io/testing";
   * import { assertThrows } from "@std/assert";
   *
   * const disk = new SimulatedDisk();
   * disk.failAt(3, { error: "EIO" });
   * disk.listSync("/");
   * disk.listSync("/");
   * assertThrows(() => disk.listSync("/"), Error, "EIO");
   * ```
   */
  failAt(
    number: number,
    fault: Fault,
    options: FailAtOptions = {},
  ): () => void {
    const { kind, sticky = false } = options;
    return this.onOperation((operation) => {
      if (kind !== undefined && operation.kind !== kind) return;
      const at = kind === undefined ? operation.number : operation.numberOfKind;
      if (at === number || sticky && at > number) return fault;
    });
  }

  /**
   * Makes each operation fail with this probability, by the disk's seed.
   *
   * @param probability From 0 to 1.
   * @returns A function that cancels the plan.
   *
   * @example Every tenth write or so
   * ```ts
   * import { SimulatedDisk } from "@basalt/io/testing";
   *
   * const disk = new SimulatedDisk({ seed: 3 });
   * disk.failSometimes(0.1, { error: "EIO" }, { kind: "write" });
   * ```
   */
  failSometimes(
    probability: number,
    fault: Fault,
    options: Pick<FailAtOptions, "kind"> = {},
  ): () => void {
    const { faults } = this.#machine;
    return this.onOperation(({ kind }) => {
      if (options.kind !== undefined && kind !== options.kind) return;
      if (faults.chance(probability)) return fault;
    });
  }

  /** The operations in flight, in the order in which they began. */
  get inFlight(): readonly Readonly<TracedOperation>[] {
    return this.#machine.scheduler.inFlight.flatMap(({ number }) =>
      number === undefined ? [] : this.#machine.trace[number - 1]!
    );
  }

  /**
   * Completes the operation in flight that has this number; its promise settles in a later turn of
   * the event loop.
   *
   * @throws {RangeError} If it is not in flight.
   *
   * @example The second write completes first
   * ```ts
   * import { BufferPool } from "@basalt/io";
   * import { SimulatedDisk } from "@basalt/io/testing";
   * import { assertEquals } from "@std/assert";
   *
   * using pool = new BufferPool();
   * const disk = new SimulatedDisk({ manual: true });
   * const file = disk.openSync("/a", { write: true, createNew: true });
   * using one = pool.acquireSync(4096, { zeroed: true });
   * using two = pool.acquireSync(4096, { zeroed: true });
   * const first = file.write(one, 0);
   * const second = file.write(two, 4096);
   *
   * const [, number] = disk.inFlight.map((each) => each.number);
   * disk.complete(number!);
   * assertEquals(await second, 4096);
   * assertEquals(disk.inFlight.length, 1);
   * disk.completeAll();
   * assertEquals(await first, 4096);
   * file.closeSync();
   * ```
   */
  complete(number: number): void {
    if (this.#machine.scheduler.completeNumber(number)) return;
    const numbers = this.inFlight.map((each) => each.number).join(", ");
    throw new RangeError(
      `Cannot complete operation as 'number' must be that of one in flight (${
        numbers || "none is"
      }): received ${number}`,
    );
  }

  /**
   * Completes every operation in flight, in the order in which they began, and the operations that
   * they start.
   */
  completeAll(): void {
    for (;;) {
      const [next] = this.inFlight;
      if (next === undefined) return;
      this.complete(next.number);
    }
  }

  /**
   * Returns the units that a power cut now may keep or lose independently: *n* units make 2^n
   * states. The number of a unit is its index in this list.
   */
  unsyncedUnits(): UnsyncedUnit[] {
    return this.#machine.unsynced();
  }

  /**
   * Cuts the power: from now on every operation on this disk, its files and its locks rejects with
   * `SimulatedCrashError`.
   *
   * It may be called again, for another choice at the same moment.
   *
   * @param choice Which unsynced units are kept. Default: `"random"`.
   * @param unreadable The numbers of the units of kind `"block"` whose block is unreadable
   *   afterwards. Default: none; with the option `unreadable` and a random choice, some by chance.
   * @returns The disk after the next start: all its contents are durable, its clock continues, and
   *   its seed is derived from this one's.
   */
  crash(
    choice: CrashChoice = "random",
    unreadable?: ReadonlySet<number>,
  ): SimulatedDisk {
    this.#machine.die();
    return this.crashState(choice, unreadable);
  }

  /**
   * Returns the disk that {@linkcode SimulatedDisk.crash} would return, while this one continues.
   */
  crashState(
    choice: CrashChoice = "random",
    unreadable?: ReadonlySet<number>,
  ): SimulatedDisk {
    const after = this.#successor();
    after.#machine.adopt(this.#machine.namesAfter(choice, unreadable));
    return after;
  }

  /** Returns the blocks that power cuts left unreadable, by path and position. */
  unreadableBlocks(): UnreadableBlock[] {
    const { names, settings: { blockBytes } } = this.#machine;
    return this.files().flatMap((path) => {
      const node = names.get(path);
      if (node === undefined || node === DIRECTORY) return [];
      return node.current.unreadable().map((block) => ({
        path,
        position: block * blockBytes,
        length: blockBytes,
      }));
    });
  }

  /** Number of files with open handles. */
  get openFiles(): number {
    return this.#machine.openFiles.size;
  }

  /**
   * Kills the process: its handles and locks are gone, and any of its operations in flight may have
   * been done.
   *
   * @returns The disk as the next process finds it: all written bytes are there, still unsynced.
   */
  kill(): SimulatedDisk {
    this.#machine.killProcess();
    const after = this.#successor();
    after.#machine.adopt(this.#machine.namesKept());
    return after;
  }

  /** Returns the paths of all files, in order. */
  files(): string[] {
    const { names } = this.#machine;
    return names.paths().filter((path) => names.get(path) !== DIRECTORY);
  }

  /**
   * Returns a copy of a file's bytes. It is not an operation, so no hook is called.
   *
   * @throws {Deno.errors.NotFound} If there is no such file.
   */
  peek(path: string): Uint8Array<ArrayBuffer> {
    return this.#file(path).current.bytes();
  }

  /**
   * Changes bytes of a file durably, without an operation. Makes missing directories and the file,
   * and extends the file if needed.
   */
  poke(path: string, position: number, bytes: Uint8Array): void {
    const action = `poke '${path}'`;
    checkInteger(action, "position", position);
    const at = absolute(path);
    const { names, settings } = this.#machine;
    if (names.get(at) === undefined) this.#put(at);
    const inode = this.#file(path);
    const { length } = bytes;
    const units = [
      ...blockUnits(position, length, settings.blockBytes, bytes.slice()),
      sizeUnit("size", position + length),
    ];
    inode.apply(units);
    inode.settle(units);
  }

  /** Flips one bit of a file, without an operation: bit 0 is the lowest of the byte. */
  flipBit(path: string, position: number, bit: number): void {
    const byte = new Uint8Array(1);
    if (this.#file(path).current.read(position, byte) === 0) {
      throw new RangeError(
        `Cannot flip bit of '${path}' as 'position' lies after its end: received ${position}`,
      );
    }
    byte[0]! ^= 1 << (bit & 7);
    this.poke(path, position, byte);
  }

  /** Returns copies of the bytes of all files, by path. */
  snapshot(): Map<string, Uint8Array<ArrayBuffer>> {
    return new Map(this.files().map((path) => [path, this.peek(path)]));
  }

  /**
   * Returns a hash of all names and contents, in 16 hexadecimal digits. It is quick: a block is
   * hashed once.
   */
  hash(): string {
    const { names } = this.#machine;
    const parts = names.paths().map((path) => {
      const node = names.get(path)!;
      return [path, node === DIRECTORY ? node : node.current.hash()];
    });
    return hashOf(JSON.stringify(parts));
  }

  /**
   * Returns a hash of everything that a power cut now may leave, in 16 hexadecimal digits. With the
   * same hash, {@linkcode SimulatedDisk.crashState} is the same for each choice.
   *
   * @example Reading adds no state
   * ```ts
   * import { SimulatedDisk } from "@basalt/io/testing";
   * import { assertEquals, assertNotEquals } from "@std/assert";
   *
   * const disk = new SimulatedDisk();
   * const before = disk.crashHash();
   * disk.listSync("/");
   * assertEquals(disk.crashHash(), before);
   * disk.openSync("/a", { write: true, createNew: true }).closeSync();
   * assertNotEquals(disk.crashHash(), before);
   * ```
   */
  crashHash(): string {
    return this.#machine.crashHash();
  }

  #successor(): SimulatedDisk {
    return new SimulatedDisk({
      ...this.#options,
      seed: (this.seed + SUCCESSOR) % Number.MAX_SAFE_INTEGER,
      timeMicros: this.#machine.clock.micros,
      latency: this.#machine.latency,
    });
  }

  #file(path: string): Inode {
    const node = this.#machine.names.find(absolute(path), "open", path);
    if (node === DIRECTORY) throw failure("EISDIR", "open", path);
    return node;
  }

  /** Makes a file and its directories, durably. */
  #put(at: string): void {
    const { names } = this.#machine;
    const directories: string[] = [];
    for (let each = parent(at); each !== "/"; each = parent(each)) {
      if (names.get(each) === undefined) directories.unshift(each);
    }
    for (const each of directories) names.putDurably(each, DIRECTORY);
    checkName(at.slice(at.lastIndexOf("/") + 1), "open", at);
    names.putDurably(at, this.#machine.newFile(at));
  }

  #checkDirectory(syscall: string, path: string): void {
    if (this.#machine.names.find(path, syscall) !== DIRECTORY) {
      throw failure("ENOTDIR", syscall, path);
    }
  }

  #opening(where: string, options: StorageOpenOptions): Task<SimulatedFile> {
    const path = pathString("open file", where);
    const request = openRequest(storageOptions(options));
    const makes = request.create || request.createNew;
    return call("open", "open", path, () => {
      const { names } = this.#machine;
      let { at, name, node, slashed } = names.locate(path, "open");
      if (request.createNew || makes && node === undefined) {
        // In the kernel's order: only a directory may have a slash after its name, and this call
        // makes none.
        if (isName(name) && slashed) throw failure("EISDIR", "open", path);
        if (node !== undefined) throw failure("EEXIST", "open", path);
        checkName(name, "open", path);
        node = this.#machine.newFile(at);
        names.put("create", at, node);
      }
      node ??= names.find(path, "open");
      if (node === DIRECTORY) {
        const advice = request.write ? undefined : "a regular file is needed";
        throw failure("EISDIR", "open", path, advice);
      }
      if (slashed) throw failure("ENOTDIR", "open", path);
      return new SimulatedFile(
        new FileOperations(this.#machine, node, path, request),
      );
    });
  }

  #renaming(old: string, wanted: string): Task<void> {
    const from = pathString("rename file", old);
    const to = pathString("rename file", wanted);
    return call("rename", "rename", from, () => {
      const { names } = this.#machine;
      // In the kernel's order: both directories, then both names; errors name the old path.
      const source = names.locate(from, "rename");
      const target = names.locate(to, "rename", from);
      if (!(isName(source.name) && isName(target.name))) {
        throw failure("EBUSY", "rename", from);
      }
      checkName(source.name, "rename", from);
      const { node } = source;
      if (node === undefined) throw failure("ENOENT", "rename", from);
      checkName(target.name, "rename", from);
      if (node === DIRECTORY) {
        const advice = "the simulated disk renames files only";
        throw failure("EISDIR", "rename", from, advice);
      }
      if (source.slashed || target.slashed) {
        throw failure("ENOTDIR", "rename", from);
      }
      if (target.node === DIRECTORY) {
        // The kernel checks first whether the directory holds the file.
        const above = source.at.startsWith(`${target.at}/`);
        throw failure(above ? "ENOTEMPTY" : "EISDIR", "rename", from);
      }
      if (source.at === target.at) return;
      names.put("rename", source.at, node, target.at);
      node.path = target.at;
    }, { to: absolute(to) });
  }

  #removing(where: string): Task<void> {
    const path = pathString("remove file", where);
    return call("remove", "unlink", path, () => {
      const { names, locks } = this.#machine;
      const node = names.find(path, "unlink");
      const { at, name } = names.locate(path, "unlink");
      if (name === "") throw failure("EBUSY", "unlink", path);
      if (name === ".") throw failure("EINVAL", "unlink", path);
      if (node === DIRECTORY && (name === ".." || names.within(at).length)) {
        throw failure("ENOTEMPTY", "unlink", path);
      }
      names.put("remove", at, node);
      locks.delete(at);
    });
  }

  #listing(where: string): Task<StorageEntry[]> {
    const path = pathString("list directory", where);
    const at = absolute(path);
    return call("list", "scandir", path, () => {
      this.#checkDirectory("scandir", path);
      const { names } = this.#machine;
      return names.within(at).map((name) => {
        const isDirectory =
          names.get(at === "/" ? `/${name}` : `${at}/${name}`) === DIRECTORY;
        return { name, isFile: !isDirectory, isDirectory };
      });
    });
  }

  /** Makes a directory and its missing parents; returns whether it was missing itself. */
  *#makingDirectories(where: string): StepTask<boolean> {
    const path = pathString("make directory", where);
    const above = parentOf(path);
    this.#machine.checkAlive();
    const node = this.#nodeOrNothing(path);
    if (node === DIRECTORY) {
      // Its name may not be durable yet.
      if (path !== "/") yield* this.#beginningSync(above);
      return false;
    }
    if (node !== undefined) throw failure("ENOTDIR", "mkdir", path);
    yield* this.#makingDirectories(above);
    // A path that ends in `.` is there with its parent.
    if (this.#nodeOrNothing(path) === DIRECTORY) return false;
    yield* step(
      () => this.#machine.run(this.#makingDirectory(path)),
      () => this.#machine.runSync(this.#makingDirectory(path)),
    );
    yield* this.#beginningSync(above);
    return true;
  }

  /** Returns what a path names; `undefined` also where a directory on the way is missing. */
  #nodeOrNothing(path: string): Node | undefined {
    try {
      return this.#machine.names.locate(path, "mkdir").node;
    } catch (error) {
      const { code } = error as { code?: string };
      if (code !== "ENOENT" || path === "") throw error;
      return undefined;
    }
  }

  #makingDirectory(path: string): Task<void> {
    return call("makeDirectory", "mkdir", path, () => {
      const { names } = this.#machine;
      const { at, name, node } = names.locate(path, "mkdir");
      checkName(name, "mkdir", path);
      // Another call may have made it since.
      if (node === undefined) names.put("create", at, DIRECTORY);
      else if (node !== DIRECTORY) throw failure("ENOTDIR", "mkdir", path);
    });
  }

  #syncingDirectory(where: string): Task<void> {
    const path = pathString("sync directory", where);
    const at = absolute(path);
    const { names } = this.#machine;
    const units = names.syncableIn(at);
    return {
      kind: "syncDirectory",
      path: at,
      effect: () => {
        this.#checkDirectory("open", path);
        names.settleIn(units, at);
      },
      fail: (code) => {
        abandon(units);
        return failure(code, "fsync", path);
      },
    };
  }
}

/** Makes an operation on a path, which fails only by injected faults and by what `effect` throws. */
function call<T>(
  kind: OperationKind,
  syscall: string,
  path: string,
  effect: () => T,
  details: OperationDetails = {},
): Task<T> {
  const fail = (code: string): Error => failure(code, syscall, path);
  return { kind, path: absolute(path), details, effect, fail };
}

/** Difference between the seeds of a disk and of its successor. */
const SUCCESSOR = 7919;

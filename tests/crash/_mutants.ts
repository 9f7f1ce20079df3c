/**
 * Storages that break one rule each, like a log that breaks it: its operations reach the disk in
 * another order, or not at all.
 *
 * @module
 */
import type { FrozenBuffer, PooledBuffer } from "../../lib/pool/mod.ts";
import type {
  Durability,
  StorageFile,
  StorageOpenOptions,
  WriteOptions,
} from "../../lib/storage/mod.ts";
import type { SimulatedDisk } from "@basalt/io/testing";
import { PassingFile, PassingStorage } from "../log/_passing_storage.ts";
import { placeOn } from "../log/recovery/_support.ts";
import type { Between, Hooks, Phase, Step } from "./_scenario.ts";
import { takeTornBatch } from "./_torn_batch.ts";

type Syncing = Exclude<Durability, "none">;

/** What a mutant changes. Operations without a method are passed on. */
interface Rules {
  /** Replaces a sync. */
  sync?(file: MutantFile, durability: Syncing, go: () => void): void;
  /** Replaces a truncation. */
  truncate?(file: MutantFile, go: () => void): void;
  /** Returns the durability of a write. */
  durability?(file: MutantFile, asked: Durability): Durability;
  /** Replaces a write. */
  write?(file: MutantFile, write: Write, go: () => void): void;
  /** Replaces opening a file. */
  open?(
    storage: MutantStorage,
    path: string,
    options: StorageOpenOptions,
  ): void;
  /** Replaces the sync of a directory. */
  syncDirectory?(storage: MutantStorage, go: () => void): void;
  /** Replaces the removal of a file. */
  remove?(storage: MutantStorage, go: () => void): void;
  /** Called at the end of a step. */
  finish?(storage: MutantStorage): void;
}

/** A write as the log requested it. */
interface Write {
  /** A copy of the bytes. */
  readonly bytes: Uint8Array;
  readonly position: number;
  readonly durability: Durability;
}

/** A storage between a log and its disk. It supports sync operations only. */
class MutantStorage extends PassingStorage implements Between {
  phase: Phase = "open";
  readonly disk: SimulatedDisk;
  readonly #rules: Rules;
  /** Operations that were postponed. */
  readonly late: (() => void)[] = [];

  constructor(disk: SimulatedDisk, rules: Rules) {
    super(disk);
    this.disk = disk;
    this.#rules = rules;
  }

  protected override wrap(file: StorageFile): StorageFile {
    return new MutantFile(this, file, this.#rules);
  }
  finish(): void {
    this.#rules.finish?.(this);
  }
  override syncDirectorySync(path: string): void {
    const go = () => super.syncDirectorySync(path);
    if (this.#rules.syncDirectory === undefined) go();
    else this.#rules.syncDirectory(this, go);
  }
  override removeSync(path: string): void {
    const go = () => super.removeSync(path);
    if (this.#rules.remove === undefined) go();
    else this.#rules.remove(this, go);
  }
  override openSync(
    path: string,
    options: StorageOpenOptions = {},
  ): StorageFile {
    this.#rules.open?.(this, path, options);
    return super.openSync(path, options);
  }
}

class MutantFile extends PassingFile {
  readonly storage: MutantStorage;
  readonly #rules: Rules;
  /** Whether it was truncated. */
  cut = false;
  /** Whether a write of this step was durable by itself. */
  isCarried = false;
  /** Whether it has bytes that no sync covers. */
  isUnsynced = false;
  /** Syncs that were postponed. */
  readonly late: (() => void)[] = [];

  constructor(storage: MutantStorage, inner: StorageFile, rules: Rules) {
    super(inner);
    this.storage = storage;
    this.#rules = rules;
  }

  get isLog(): boolean {
    return this.path.endsWith(".log");
  }
  override writeSync(
    buffer: PooledBuffer | FrozenBuffer,
    position: number,
    options: WriteOptions = {},
  ): number {
    const asked = options.durability ?? "none";
    const durability = this.#rules.durability?.(this, asked) ?? asked;
    const { start = 0, length = buffer.length - start } = options;
    const bytes = buffer.bytes.slice(start, start + length);
    const write = { bytes, position, durability };
    const go = () => {
      super.writeSync(buffer, position, { ...options, durability });
      this.isUnsynced ||= durability === "none";
    };
    if (this.#rules.write === undefined) go();
    else this.#rules.write(this, write, go);
    return length;
  }

  /** Writes bytes that the log did not. */
  put({ bytes, position, durability }: Write): void {
    const { pool } = placeOn(this.storage.disk);
    using buffer = pool.acquireSync(bytes.length);
    buffer.bytes.set(bytes);
    super.writeSync(buffer, position, { length: bytes.length, durability });
  }
  override syncSync(durability: Syncing = "data"): void {
    const go = () => {
      super.syncSync(durability);
      this.isUnsynced = false;
    };
    if (this.#rules.sync === undefined) go();
    else this.#rules.sync(this, durability, go);
  }
  override truncateSync(length: number): void {
    const go = () => super.truncateSync(length);
    if (this.#rules.truncate === undefined) go();
    else this.#rules.truncate(this, go);
    this.cut = true;
  }
  override closeSync(): void {
    for (const go of this.late.splice(0)) go();
    super.closeSync();
  }
}

/** A broken rule of `docs/format.md`. */
export interface Mutant {
  readonly name: string;
  /** Whether it shows only on a log of more than one checkpoint. */
  readonly long?: boolean;
  /** Whether it shows only when a sync fails. */
  readonly failing?: boolean;
  /** Whether it shows only on a log with async calls. */
  readonly isAsync?: boolean;
  /** The steps that show it, where it takes many of them. @default {STEPS} */
  readonly steps?: readonly Step[];
  /** Replacements of the log's methods. */
  readonly hooks?: Hooks;
  wrap(disk: SimulatedDisk): Between | SimulatedDisk;
}

function mutant(
  name: string,
  rules: Rules,
  options: Pick<Mutant, "long" | "failing" | "steps"> = {},
): Mutant {
  return {
    name,
    ...options,
    wrap: (disk) => new MutantStorage(disk, rules),
  };
}

/** Makes a mutant above the storage. */
function hooked(
  name: string,
  hooks: Hooks,
  options: Pick<Mutant, "isAsync"> = {},
): Mutant {
  return { name, ...options, hooks, wrap: (disk) => disk };
}

/** All mutants. */
export const MUTANTS: readonly Mutant[] = [
  // The sync of the log at a checkpoint is left to the next durable flush.
  mutant("index before log", {
    sync(file, _durability, go) {
      if (!file.isLog || file.storage.phase !== "roll") go();
    },
  }, { long: true }),
  mutant("no directory sync", { syncDirectory() {} }),
  mutant("acknowledge before sync", {
    durability: (file, asked) => file.isLog ? "none" : asked,
    sync(file, _durability, go) {
      if (file.isLog) file.late.push(go);
      else go();
    },
  }),
  // Only a write that is durable by itself is weakened. Syncs stay.
  mutant("a lone append is acknowledged before its sync", {
    durability: (file, asked) => file.isLog ? "none" : asked,
  }),
  // The last write is durable by itself, although the bytes before it were not synced.
  mutant("a batch is acknowledged before the previous one", {
    durability(file, asked) {
      if (!file.isLog || file.storage.phase !== "flush durable") return asked;
      file.isCarried = asked === "none";
      return "data";
    },
    sync(file, _durability, go) {
      if (file.storage.phase !== "flush durable" || !file.isCarried) go();
      file.isCarried = false;
    },
  }, { steps: ["append across", "append batch", "flush", "flush durable"] }),
  // The earlier write, for which no sync was awaited, completes last.
  mutant("two writes of one physical block are in flight", {
    write(file, write, go) {
      const { position, durability } = write;
      const before = file.isLog && file.isUnsynced
        ? file.storage.disk.peek(file.path).slice(position)
        : new Uint8Array();
      go();
      const bytes = before.slice(0, file.capabilities.physicalBlock);
      if (bytes.length > 0) file.put({ bytes, position, durability });
    },
  }),
  hooked("a batch is written as two", {
    appendBatch(log, payloads) {
      const first = log.appendBatch(payloads.slice(0, 1));
      if (payloads.length > 1) log.appendBatch(payloads.slice(1));
      return first;
    },
  }),
  mutant("recovery takes the whole messages of a torn batch", {
    open({ phase, disk }, path, { write }) {
      if (phase !== "open" || !write || !path.endsWith(".log")) return;
      if (disk.files().includes(path)) takeTornBatch(disk, path);
    },
  }),
  mutant("recovery takes a log that was not closed for one that was", {
    open({ phase }, path, { write }) {
      if (phase !== "open" || write || !path.endsWith("/writer")) return;
      throw new Deno.errors.NotFound(path);
    },
  }),
  mutant("recovery does not cut", {
    truncate(file, go) {
      if (file.storage.phase !== "open" || !file.isLog) go();
    },
  }),
  mutant("recovery cuts without a sync", {
    sync(file, _durability, go) {
      const cutting = file.storage.phase === "open" && file.isLog && file.cut;
      if (!cutting) go();
    },
  }),
  mutant("the next segment is renamed before the old one is synced", {
    sync(file, durability, go) {
      const sealing = durability === "full" &&
        (file.storage.phase === "roll" || file.storage.phase === "flush");
      if (sealing) file.late.push(go);
      else go();
    },
  }),
  mutant("meta is written after the removals", {
    write(file, write, go) {
      const { storage } = file;
      const isLate = storage.phase === "truncate" &&
        file.path.endsWith("/meta");
      if (!isLate) return go();
      storage.late.push(() => {
        // The log has closed its own file by then.
        const again = storage.openSync(file.path, { write: true });
        (again as MutantFile).put(write);
        again.closeSync();
      });
    },
    finish(storage) {
      for (const go of storage.late.splice(0)) go();
    },
  }, { steps: ["append across", "roll", "truncate", "flush durable"] }),
  mutant("a sync is repeated after it failed", {
    sync(_file, _durability, go) {
      try {
        go();
      } catch {
        go();
      }
    },
  }, { failing: true }),
  hooked("a durable tail shows what is not durable", {
    tail: (log, from) => log.tail({ from }),
  }, { isAsync: true }),
];

/**
 * Storages that break one rule each, as a log that breaks it would: what it asks for reaches the disk in another order, or not at all.
 *
 * @module
 */
import type { PooledBuffer } from "../../lib/pool/mod.ts";
import type {
  Durability,
  StorageEntry,
  StorageFile,
  WriteOptions,
} from "../../lib/storage/mod.ts";
import type { SimulatedDisk } from "@basalt/io/testing";
import { PassingFile, PassingStorage } from "../log/passing_storage.ts";
import type { Between, Phase } from "./scenario.ts";

type Syncing = Exclude<Durability, "none">;

/** What a mutant changes; what it leaves out is passed on. */
interface Rules {
  /** Instead of a sync. */
  sync?(file: MutantFile, durability: Syncing, go: () => void): void;
  /** Instead of a truncate. */
  truncate?(file: MutantFile, go: () => void): void;
  /** How durable a write is. */
  durability?(file: MutantFile, asked: Durability): Durability;
  /** Instead of a directory's sync. */
  syncDirectory?(storage: MutantStorage, go: () => void): void;
  /** Instead of a file's removal. */
  remove?(storage: MutantStorage, go: () => void): void;
  /** At the end of a step. */
  finish?(storage: MutantStorage): void;
  /** What a directory is said to hold. */
  list?(storage: MutantStorage, entries: StorageEntry[]): StorageEntry[];
}

/** A storage between a log and its disk; the blocking versions only. */
class MutantStorage extends PassingStorage implements Between {
  phase: Phase = "open";
  readonly #rules: Rules;
  /** What was put off. */
  readonly late: (() => void)[] = [];

  constructor(disk: SimulatedDisk, rules: Rules) {
    super(disk);
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
  override listSync(path: string): StorageEntry[] {
    const entries = super.listSync(path);
    return this.#rules.list?.(this, entries) ?? entries;
  }
}

class MutantFile extends PassingFile {
  readonly storage: MutantStorage;
  readonly #rules: Rules;
  /** Whether it was cut. */
  cut = false;
  /** Syncs that were put off. */
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
    buffer: PooledBuffer,
    position: number,
    options: WriteOptions = {},
  ): number {
    const asked = options.durability ?? "none";
    const durability = this.#rules.durability?.(this, asked) ?? asked;
    return super.writeSync(buffer, position, { ...options, durability });
  }
  override syncSync(durability: Syncing = "data"): void {
    const go = () => super.syncSync(durability);
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

/** A rule of `docs/format.md`, broken. */
export interface Mutant {
  readonly name: string;
  /** Whether it shows on a log of more than a checkpoint only. */
  readonly long?: boolean;
  /** Whether it shows when a sync fails only. */
  readonly failing?: boolean;
  wrap(disk: SimulatedDisk): Between;
}

function mutant(
  name: string,
  rules: Rules,
  options: Pick<Mutant, "long" | "failing"> = {},
): Mutant {
  return {
    name,
    ...options,
    wrap: (disk) => new MutantStorage(disk, rules),
  };
}

/** All of them, by name. */
export const MUTANTS: readonly Mutant[] = [
  // The log's sync at a checkpoint is left to the next flush that has to be durable.
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
  // Without the mark the two sizes and the last entry decide.
  mutant("recovery believes index entries newer than the last index sync", {
    list: (storage, entries) =>
      storage.phase === "open"
        ? entries.filter(({ name }) => name !== "writer")
        : entries,
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
  mutant("truncateBefore removes the newest first", {
    remove(storage, go) {
      if (storage.phase === "truncate") storage.late.push(go);
      else go();
    },
    syncDirectory(storage, go) {
      if (storage.phase === "truncate") storage.late.push(go);
      else go();
    },
    finish(storage) {
      // Two names and a sync for each segment.
      while (storage.late.length > 0) {
        for (const go of storage.late.splice(-3)) go();
      }
    },
  }),
  mutant("a sync is repeated after it failed", {
    sync(_file, _durability, go) {
      try {
        go();
      } catch {
        go();
      }
    },
  }, { failing: true }),
];

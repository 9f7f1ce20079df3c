/**
 * A storage of which one operation fails, or one and all that follow. An operation fails before or
 * after it takes effect.
 */
import type { FrozenBuffer, PooledBuffer } from "../../lib/pool/mod.ts";
import {
  type BufferRange,
  NoSpaceError,
  type Storage,
  type StorageEntry,
  type StorageFile,
  type StorageOpenOptions,
  type WriteOptions,
} from "../../lib/storage/mod.ts";
import { PassingFile, PassingStorage } from "../log/_passing_storage.ts";

/** What fails, and how. */
export interface FaultPlan {
  /** Number of the first operation that fails, counted from 1. */
  number: number;
  /** Whether all later operations fail, too. */
  sticky: boolean;
  /** Whether the operation takes effect before it is reported as failed. */
  done: boolean;
  /** The kernel's name of the error. */
  code: "EIO" | "ENOSPC";
}

/** Passes async operations on, until one is to fail. */
export class FailingStorage extends PassingStorage {
  readonly #plan: FaultPlan;
  #count = 0;
  #healed = false;
  /** Number of operations that were made to fail. */
  failed = 0;

  constructor(inner: Storage, plan: FaultPlan) {
    super(inner);
    this.#plan = plan;
  }

  /** Lets everything succeed from now on. */
  heal(): void {
    this.#healed = true;
  }

  /** Runs an operation, or fails it. */
  async run<T>(
    syscall: string,
    path: string,
    operation: () => Promise<T>,
  ): Promise<T> {
    const { number, sticky, done } = this.#plan;
    const count = ++this.#count;
    const spared = sticky ? count < number : count !== number;
    if (spared || this.#healed) return await operation();
    this.failed++;
    // A file that was opened would stay open, because no caller has it to close it.
    if (done && syscall !== "open") await operation();
    throw this.#error(syscall, path);
  }

  #error(syscall: string, path: string): Error {
    const { code } = this.#plan;
    if (code === "ENOSPC" && (syscall === "write" || syscall === "fallocate")) {
      const bytes = { requestedBytes: 4096, writtenBytes: 0 };
      return new NoSpaceError({ code, syscall, path, ...bytes });
    }
    const error = new Error(`${code}: made to fail, ${syscall} '${path}'`);
    return Object.assign(error, { code, syscall, path });
  }

  protected override wrap(file: StorageFile): StorageFile {
    return new FailingFile(this, file);
  }

  override open(
    path: string,
    options?: StorageOpenOptions,
  ): Promise<StorageFile> {
    return this.run("open", path, () => super.open(path, options));
  }
  override rename(from: string, to: string): Promise<void> {
    return this.run("rename", from, () => super.rename(from, to));
  }
  override remove(path: string): Promise<void> {
    return this.run("unlink", path, () => super.remove(path));
  }
  override list(path: string): Promise<StorageEntry[]> {
    return this.run("getdents64", path, () => super.list(path));
  }
  override makeDirectory(path: string): Promise<boolean> {
    return this.run("mkdir", path, () => super.makeDirectory(path));
  }
  override syncDirectory(path: string): Promise<void> {
    return this.run("fsync", path, () => super.syncDirectory(path));
  }
}

class FailingFile extends PassingFile {
  readonly #storage: FailingStorage;

  constructor(storage: FailingStorage, inner: StorageFile) {
    super(inner);
    this.#storage = storage;
  }

  #run<T>(syscall: string, operation: () => Promise<T>): Promise<T> {
    return this.#storage.run(syscall, this.path, operation);
  }

  override read(
    buffer: PooledBuffer,
    position: number,
    range?: BufferRange,
  ): Promise<number> {
    return this.#run("read", () => super.read(buffer, position, range));
  }
  override write(
    buffer: PooledBuffer | FrozenBuffer,
    position: number,
    options?: WriteOptions,
  ): Promise<number> {
    return this.#run("write", () => super.write(buffer, position, options));
  }
  override sync(durability?: "data" | "full"): Promise<void> {
    const syscall = durability === "full" ? "fsync" : "fdatasync";
    return this.#run(syscall, () => super.sync(durability));
  }
  override truncate(length: number): Promise<void> {
    return this.#run("ftruncate", () => super.truncate(length));
  }
}

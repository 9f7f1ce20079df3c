import {
  drive,
  driveSync,
  driveWith,
  inPlace,
  type Task,
} from "../base/mod.ts";
import type { FrozenBuffer, PooledBuffer } from "../pool/mod.ts";
import type { Capabilities } from "./capabilities.ts";
import { failure } from "./errors.ts";
import {
  type FileCallbacks,
  fileCallbacks,
  type StorageTasks,
  storageTasks,
} from "./file_callbacks.ts";
import type {
  BufferRange,
  Storage,
  StorageEntry,
  StorageFile,
  StorageLock,
  StorageOpenOptions,
  StorageTimer,
  WriteOptions,
} from "./storage.ts";
import type { TaskFile } from "./task_file.ts";
import { TaskStorage } from "./task_storage.ts";

/** The physical block of files in a directory where none was opened. */
const PAGE_BYTES = 4096;

/** A file as the overlay has it. */
interface Node {
  /** Where the storage below has its bytes; `undefined` if it was made here. */
  base: string | undefined;
  /** How many of those bytes still count. */
  baseBytes: number;
  size: number;
  capabilities: Capabilities;
  pages: Map<number, Uint8Array>;
  /** Whether what is written is not kept: nobody reads it. */
  writeOnly: boolean;
}

/**
 * What lies in another storage, with changes that are kept in memory: what a computation would do
 * there can be seen, and nothing is changed.
 *
 * Nothing is synced or locked.
 */
export class OverlayStorage implements Storage {
  readonly #below: TaskStorage;
  readonly #writeOnly: (path: string) => boolean;
  /** What was touched; `null` where it was removed. */
  readonly #nodes = new Map<string, Node | null>();
  /** The capabilities of the last file that was opened below: a new one would have the same. */
  #capabilities: Capabilities | undefined;

  /** @param writeOnly Tells the files that are written and not read: their bytes are not kept. */
  constructor(below: Storage, writeOnly: (path: string) => boolean) {
    this.#below = new TaskStorage(below);
    this.#writeOnly = writeOnly;
  }

  open(path: string, options: StorageOpenOptions = {}): Promise<StorageFile> {
    return drive(this.#open(path, options));
  }
  openSync(path: string, options: StorageOpenOptions = {}): StorageFile {
    return driveSync(this.#open(path, options));
  }

  *#open(path: string, options: StorageOpenOptions): Task<StorageFile> {
    const { create = false, createNew = false } = options;
    const node = yield* this.#node(path);
    if (node === undefined) {
      if (!create && !createNew) throw failure("ENOENT", "open", path);
      const made = this.#add(path, {
        base: undefined,
        size: 0,
        capabilities: this.#capabilities ?? IN_MEMORY,
        writeOnly: this.#writeOnly(path),
      });
      return new OverlayFile(path, made, undefined);
    }
    if (createNew) throw failure("EEXIST", "open", path);
    const { base } = node;
    if (base === undefined) return new OverlayFile(path, node, undefined);
    const below = yield* this.#below.open(base);
    return new OverlayFile(path, node, below);
  }

  #add(path: string, node: Omit<Node, "baseBytes" | "pages">): Node {
    const added = { ...node, baseBytes: node.size, pages: new Map() };
    this.#nodes.set(path, added);
    return added;
  }

  /** The file at a path; `undefined` if it does not exist. */
  *#node(path: string): Task<Node | undefined> {
    const known = this.#nodes.get(path);
    if (known !== undefined) return known ?? undefined;
    let file: TaskFile;
    try {
      file = yield* this.#below.open(path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
    const size = yield* file.size();
    yield* file.close();
    const { capabilities } = file;
    this.#capabilities = capabilities;
    return this.#add(path, {
      base: path,
      size,
      capabilities,
      writeOnly: false,
    });
  }

  rename(from: string, to: string): Promise<void> {
    return drive(this.#rename(from, to));
  }
  renameSync(from: string, to: string): void {
    driveSync(this.#rename(from, to));
  }

  *#rename(from: string, to: string): Task<void> {
    const node = yield* this.#node(from);
    if (node === undefined) throw failure("ENOENT", "rename", from);
    this.#nodes.set(to, node);
    this.#nodes.set(from, null);
  }

  remove(path: string): Promise<void> {
    return drive(this.#remove(path));
  }
  removeSync(path: string): void {
    driveSync(this.#remove(path));
  }

  *#remove(path: string): Task<void> {
    const node = yield* this.#node(path);
    if (node === undefined) throw failure("ENOENT", "unlink", path);
    this.#nodes.set(path, null);
  }

  list(path: string): Promise<StorageEntry[]> {
    return drive(this.#list(path));
  }
  listSync(path: string): StorageEntry[] {
    return driveSync(this.#list(path));
  }

  *#list(path: string): Task<StorageEntry[]> {
    const below = yield* this.#below.list(path);
    const prefix = path.endsWith("/") ? path : `${path}/`;
    const entries = new Map(below.map((entry) => [entry.name, entry]));
    for (const [each, node] of this.#nodes) {
      const name = each.slice(prefix.length);
      if (!each.startsWith(prefix) || name.includes("/")) continue;
      if (node === null) entries.delete(name);
      else entries.set(name, { name, isFile: true, isDirectory: false });
    }
    return [...entries.values()].sort((a, b) => a.name < b.name ? -1 : 1);
  }

  makeDirectory(path: string): Promise<boolean> {
    return Promise.reject(failure("EROFS", "mkdir", path));
  }
  makeDirectorySync(path: string): boolean {
    throw failure("EROFS", "mkdir", path);
  }
  syncDirectory(): Promise<void> {
    return Promise.resolve();
  }
  syncDirectorySync(): void {}
  /** @internal The operations as tasks. */
  get [storageTasks](): StorageTasks {
    return { syncDirectory: () => inPlace("syncDirectory", () => {}) };
  }
  isIdle(): boolean {
    return this.#below.isIdle();
  }
  async pause(): Promise<void> {
    await this.#below.storage.pause?.();
  }
  lock(): StorageLock {
    return { isAtPath: () => true, release: () => {} };
  }
  isLocked(path: string): boolean {
    return this.#below.isLocked(path);
  }
  isLink(path: string): boolean {
    return this.#below.isLink(path);
  }
  delay(durationMs: number, options?: { signal?: AbortSignal }): Promise<void> {
    return this.#below.storage.delay(durationMs, options);
  }
  delaySync(durationMs: number): void {
    this.#below.storage.delaySync(durationMs);
  }
  after(delayMs: number, run: () => void): StorageTimer {
    return this.#below.storage.after(delayMs, run);
  }
  now(): number {
    return this.#below.storage.now();
  }
  random(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    return this.#below.storage.random(bytes);
  }
}

class OverlayFile implements StorageFile {
  readonly path: string;
  readonly #node: Node;
  readonly #below: TaskFile | undefined;

  constructor(path: string, node: Node, below: TaskFile | undefined) {
    this.path = path;
    this.#node = node;
    this.#below = below;
  }

  get capabilities(): Capabilities {
    return this.#node.capabilities;
  }

  read(buffer: PooledBuffer, at: number, range?: BufferRange): Promise<number> {
    return drive(this.#read(buffer, at, range));
  }
  readSync(buffer: PooledBuffer, at: number, range?: BufferRange): number {
    return driveSync(this.#read(buffer, at, range));
  }

  *#read(
    buffer: PooledBuffer,
    position: number,
    range: BufferRange = {},
  ): Task<number> {
    const { start = 0, length = buffer.length - start } = range;
    const { size, baseBytes, pages } = this.#node;
    const valid = Math.max(0, Math.min(length, size - position));
    const below = this.#below;
    let known = 0;
    if (below !== undefined && position < baseBytes) {
      const read = yield* below.read(buffer, position, { start, length });
      known = Math.min(read, baseBytes - position, valid);
    }
    const bytes = buffer.bytes.subarray(start, start + valid);
    bytes.fill(0, known);
    const unit = pageBytes(this.#node);
    const first = Math.floor(position / unit);
    for (let page = first; page * unit < position + valid; page++) {
      const written = pages.get(page);
      if (written === undefined) continue;
      const at = page * unit - position;
      const from = Math.max(0, -at);
      bytes.set(
        written.subarray(from, Math.min(unit, valid - at)),
        Math.max(0, at),
      );
    }
    return valid;
  }

  // deno-lint-ignore require-await -- what a write throws, it rejects with
  async write(
    buffer: PooledBuffer | FrozenBuffer,
    position: number,
    options?: WriteOptions,
  ): Promise<number> {
    return this.writeSync(buffer, position, options);
  }
  writeSync(
    buffer: PooledBuffer | FrozenBuffer,
    position: number,
    options: WriteOptions = {},
  ): number {
    const node = this.#node;
    const { start = 0, length = buffer.length - start } = options;
    const unit = pageBytes(node);
    if (position % unit !== 0 || length % unit !== 0) {
      throw failure("EINVAL", "write", this.path);
    }
    node.size = Math.max(node.size, position + length);
    if (node.writeOnly) return length;
    for (let at = 0; at < length; at += unit) {
      const page = new Uint8Array(unit);
      page.set(
        buffer.bytes.subarray(start + at, start + Math.min(at + unit, length)),
      );
      node.pages.set((position + at) / unit, page);
    }
    return length;
  }

  sync(): Promise<void> {
    return Promise.resolve();
  }
  syncSync(): void {}

  truncate(length: number): Promise<void> {
    this.truncateSync(length);
    return Promise.resolve();
  }
  truncateSync(length: number): void {
    const node = this.#node;
    const unit = pageBytes(node);
    node.size = length;
    node.baseBytes = Math.min(node.baseBytes, length);
    for (const [page, bytes] of node.pages) {
      // Zeros, if the file grows again.
      bytes.fill(0, Math.min(unit, Math.max(0, length - page * unit)));
    }
  }

  preallocate(position: number, length: number): Promise<boolean> {
    return Promise.resolve(this.preallocateSync(position, length));
  }
  preallocateSync(position: number, length: number): boolean {
    this.#node.size = Math.max(this.#node.size, position + length);
    return false;
  }

  size(): Promise<number> {
    return Promise.resolve(this.#node.size);
  }
  sizeSync(): number {
    return this.#node.size;
  }
  freeBytes(): number | undefined {
    return this.#below?.freeBytes();
  }
  lock(): boolean {
    return true;
  }
  isNamed(): boolean {
    return true;
  }
  settleSync(): void {
    this.#below?.settleSync();
  }
  close(): Promise<void> {
    return this.#below?.file.close() ?? Promise.resolve();
  }
  closeSync(): void {
    this.#below?.file.closeSync();
  }

  /** @internal The operations with callbacks. */
  get [fileCallbacks](): FileCallbacks {
    return {
      read: (buffer, position, range, ...told) =>
        driveWith(this.#read(buffer, position, range), ...told),
      write: (buffer, position, options, resolve) =>
        resolve(this.writeSync(buffer, position, options)),
      sync: (_, resolve) => resolve(),
      truncate: (length, resolve) => {
        this.truncateSync(length);
        resolve();
      },
      preallocate: (position, length, _, resolve) =>
        resolve(this.preallocateSync(position, length)),
      size: (resolve) => resolve(this.sizeSync()),
      close: (resolve, reject) => {
        if (this.#below === undefined) resolve();
        else driveWith(this.#below.close(), resolve, reject);
      },
    };
  }
}

/**
 * Writes are kept in pages of this size: whoever writes to a log writes whole physical blocks, so
 * that no page is ever half known.
 */
function pageBytes({ capabilities }: Node): number {
  return capabilities.physicalBlock;
}

const IN_MEMORY: Capabilities = Object.freeze({
  tier: "buffered",
  tierReason: "kept in memory: nothing is written",
  memoryAlignment: 1,
  offsetAlignment: PAGE_BYTES,
  readOffsetAlignment: 1,
  alignmentReason: "kept in memory",
  logicalBlock: PAGE_BYTES,
  physicalBlock: PAGE_BYTES,
  physicalBlockReason: "kept in memory",
  durableWrites: "RWF_DSYNC",
  names: "unsynced",
  filesystem: "none",
  copyOnWrite: false,
  engine: "plain",
  engineReason: "kept in memory",
});

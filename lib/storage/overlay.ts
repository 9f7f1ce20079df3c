import {
  driveSync,
  driveWith,
  type Step,
  stepInPlace,
  type Task,
} from "../base/mod.ts";
import type { Capabilities } from "./capabilities.ts";
import { failure } from "./errors.ts";
import {
  type FileSteps,
  fileSteps,
  type OperationArgs,
  type SteppedFile,
} from "./file_steps.ts";
import type {
  StorageEntry,
  StorageLock,
  StorageOpenOptions,
} from "./storage.ts";
import { TaskFile } from "./task_file.ts";
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
  /** What was written, in pages of a physical block: writes to a log are whole blocks. */
  pages: Map<number, Uint8Array>;
  /** Whether what is written is not kept, because it is never read. */
  writeOnly: boolean;
}

/**
 * Another storage with changes that are kept in memory. It shows what a computation would do there,
 * and changes nothing.
 *
 * Nothing is synced or locked.
 */
export class OverlayStorage extends TaskStorage {
  readonly #writeOnly: (path: string) => boolean;
  /** The files that were opened or changed; `null` where one was removed. */
  readonly #nodes = new Map<string, Node | null>();
  /** The capabilities of the last file that was opened below, which a new one would have, too. */
  #capabilities: Capabilities | undefined;

  /** @param writeOnly Whether the bytes of a new file are not kept, because they are not read. */
  constructor(below: TaskStorage, writeOnly: (path: string) => boolean) {
    super(below.storage);
    this.#writeOnly = writeOnly;
  }

  override *open(
    path: string,
    { create = false, createNew = false }: StorageOpenOptions = {},
  ): Task<TaskFile> {
    let node = yield* this.#node(path);
    if (node === undefined) {
      if (!create && !createNew) throw failure("ENOENT", "open", path);
      node = this.#add(path, {
        base: undefined,
        size: 0,
        capabilities: this.#capabilities ?? IN_MEMORY,
        writeOnly: this.#writeOnly(path),
      });
    } else if (createNew) throw failure("EEXIST", "open", path);
    const { base } = node;
    const below = base === undefined ? undefined : yield* super.open(base);
    return new TaskFile(new OverlayFile(path, node, below));
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
      file = yield* super.open(path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
    const size = yield* file.size();
    yield* file.close();
    const { capabilities } = file;
    this.#capabilities = capabilities;
    const base = path;
    return this.#add(path, { base, size, capabilities, writeOnly: false });
  }

  override *rename(from: string, to: string): Task<void> {
    const node = yield* this.#node(from);
    if (node === undefined) throw failure("ENOENT", "rename", from);
    this.#nodes.set(to, node);
    this.#nodes.set(from, null);
  }

  override *remove(path: string): Task<void> {
    const node = yield* this.#node(path);
    if (node === undefined) throw failure("ENOENT", "unlink", path);
    this.#nodes.set(path, null);
  }

  override removeBeside(path: string): Task<void> {
    return this.remove(path);
  }

  override *list(path: string): Task<StorageEntry[]> {
    const below = yield* super.list(path);
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

  // deno-lint-ignore require-yield -- it only fails
  override *makeDirectory(path: string): Task<boolean> {
    throw failure("EROFS", "mkdir", path);
  }

  override *syncDirectory(): Task<void> {}

  override lock(): StorageLock {
    return { isAtPath: () => true, release: () => {} };
  }

  override watch(): undefined {}
}

/** An open file of an overlay. */
class OverlayFile implements FileSteps, SteppedFile {
  readonly path: string;
  readonly [fileSteps]: FileSteps = this;
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

  read(...args: OperationArgs<"read">): Step<number> {
    return this.#step("read", this.#read(...args));
  }

  *#read(
    ...[buffer, position, range = {}]: OperationArgs<"read">
  ): Task<number> {
    const { start = 0, length = buffer.length - start } = range;
    const { size, baseBytes, pages } = this.#node;
    const valid = Math.max(0, Math.min(length, size - position));
    let known = 0;
    if (this.#below !== undefined && position < baseBytes) {
      const read = yield* this.#below.read(buffer, position, { start, length });
      known = Math.min(read, baseBytes - position, valid);
    }
    const bytes = buffer.bytes.subarray(start, start + valid);
    bytes.fill(0, known);
    const unit = this.#pageBytes;
    const first = Math.floor(position / unit);
    for (let page = first; page * unit < position + valid; page++) {
      const written = pages.get(page);
      if (written === undefined) continue;
      const at = page * unit - position;
      const from = Math.max(0, -at);
      const part = written.subarray(from, Math.min(unit, valid - at));
      bytes.set(part, Math.max(0, at));
    }
    return valid;
  }

  write(
    ...[buffer, position, range = {}]: OperationArgs<"write">
  ): Step<number> {
    const { start = 0, length = buffer.length - start } = range;
    return stepInPlace("write", () => {
      const node = this.#node;
      const unit = this.#pageBytes;
      if (position % unit !== 0 || length % unit !== 0) {
        throw failure("EINVAL", "write", this.path);
      }
      node.size = Math.max(node.size, position + length);
      if (node.writeOnly) return length;
      for (let at = 0; at < length; at += unit) {
        const page = buffer.bytes.slice(start + at, start + at + unit);
        node.pages.set((position + at) / unit, page);
      }
      return length;
    });
  }

  sync(): Step<void> {
    return stepInPlace("sync", () => {});
  }

  truncate(length: number): Step<void> {
    return stepInPlace("truncate", () => {
      const node = this.#node;
      const unit = this.#pageBytes;
      node.size = length;
      node.baseBytes = Math.min(node.baseBytes, length);
      for (const [page, bytes] of node.pages) {
        // If the file grows again, these bytes are zeros.
        bytes.fill(0, Math.min(unit, Math.max(0, length - page * unit)));
      }
    });
  }

  preallocate(position: number, length: number): Step<boolean> {
    return stepInPlace("preallocate", () => {
      this.#node.size = Math.max(this.#node.size, position + length);
      return false;
    });
  }

  size(): Step<number> {
    return stepInPlace("size", () => this.#node.size);
  }

  close(): Step<void> {
    return this.#step("close", this.#close());
  }

  *#close(): Task<void> {
    if (this.#below !== undefined) yield* this.#below.close();
  }

  /** A task as a step. */
  #step<T>(kind: string, task: Task<T>): Step<T> {
    return {
      kind,
      begin: (resolve, reject) => driveWith(task, resolve, reject),
      runSync: () => driveSync(task),
      settleSync: () => this.settleSync(),
    };
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

  /** A physical block. */
  get #pageBytes(): number {
    return this.#node.capabilities.physicalBlock;
  }
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

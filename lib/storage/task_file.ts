import { step, type Task } from "../base/mod.ts";
import type { FrozenBuffer, PooledBuffer } from "../pool/mod.ts";
import type { Capabilities } from "./capabilities.ts";
import type {
  BufferRange,
  Durability,
  PreallocateOptions,
  StorageFile,
  WriteOptions,
} from "./storage.ts";

/**
 * Gives each operation of a {@linkcode StorageFile} once, as a task: with promises or blocking.
 *
 * It holds nothing but the file, so that making one costs nothing worth saving.
 */
export class TaskFile {
  /** The file. */
  readonly file: StorageFile;

  /** Wraps an open file, which the caller still closes. */
  constructor(file: StorageFile) {
    this.file = file;
  }

  /** Where the file was opened. */
  get path(): string {
    return this.file.path;
  }

  /** What the file can do, and why. */
  get capabilities(): Capabilities {
    return this.file.capabilities;
  }

  /** Fills a range of `buffer` from `position`; returns the bytes read. */
  read(
    buffer: PooledBuffer,
    position: number,
    range?: BufferRange,
  ): Task<number> {
    const { file } = this;
    return step(
      () => file.read(buffer, position, range),
      () => file.readSync(buffer, position, range),
    );
  }

  /** Writes a range of `buffer` at `position`; returns the bytes written. */
  write(
    buffer: PooledBuffer | FrozenBuffer,
    position: number,
    options?: WriteOptions,
  ): Task<number> {
    const { file } = this;
    return step(
      () => file.write(buffer, position, options),
      () => file.writeSync(buffer, position, options),
    );
  }

  /** Makes everything that was written durable. */
  sync(durability?: Exclude<Durability, "none">): Task<void> {
    const { file } = this;
    return step(() => file.sync(durability), () => file.syncSync(durability));
  }

  /** Sets the size in bytes; new bytes are zeros. */
  truncate(length: number): Task<void> {
    const { file } = this;
    return step(() => file.truncate(length), () => file.truncateSync(length));
  }

  /** Allocates disk space for a range; returns whether zeros were written. */
  preallocate(
    position: number,
    length: number,
    options?: PreallocateOptions,
  ): Task<boolean> {
    const { file } = this;
    return step(
      () => file.preallocate(position, length, options),
      () => file.preallocateSync(position, length, options),
    );
  }

  /** Returns the size in bytes. */
  size(): Task<number> {
    const { file } = this;
    return step(() => file.size(), () => file.sizeSync());
  }

  /** Blocks until no operation of this file is in flight. */
  settleSync(): void {
    this.file.settleSync();
  }

  /** Ends the file after its operations in flight. */
  close(): Task<void> {
    const { file } = this;
    return step(() => file.close(), () => file.closeSync());
  }
}

/**
 * Passes every operation on to another storage and its files. Tests extend it to watch or change
 * some of the operations.
 */
import type { FrozenBuffer, PooledBuffer } from "../../lib/pool/mod.ts";
import type {
  BufferRange,
  Capabilities,
  Durability,
  PreallocateOptions,
  Storage,
  StorageEntry,
  StorageFile,
  StorageLock,
  StorageOpenOptions,
  StorageTimer,
  WriteOptions,
} from "../../lib/storage/mod.ts";

/** Passes every operation on to another storage. */
export class PassingStorage implements Storage {
  readonly inner: Storage;

  constructor(inner: Storage) {
    this.inner = inner;
  }

  /** Returns what stands for a file that was opened. */
  protected wrap(file: StorageFile): StorageFile {
    return file;
  }

  async open(path: string, options?: StorageOpenOptions): Promise<StorageFile> {
    return this.wrap(await this.inner.open(path, options));
  }
  openSync(path: string, options?: StorageOpenOptions): StorageFile {
    return this.wrap(this.inner.openSync(path, options));
  }
  rename(from: string, to: string): Promise<void> {
    return this.inner.rename(from, to);
  }
  renameSync(from: string, to: string): void {
    this.inner.renameSync(from, to);
  }
  remove(path: string): Promise<void> {
    return this.inner.remove(path);
  }
  removeSync(path: string): void {
    this.inner.removeSync(path);
  }
  list(path: string): Promise<StorageEntry[]> {
    return this.inner.list(path);
  }
  listSync(path: string): StorageEntry[] {
    return this.inner.listSync(path);
  }
  makeDirectory(path: string): Promise<boolean> {
    return this.inner.makeDirectory(path);
  }
  makeDirectorySync(path: string): boolean {
    return this.inner.makeDirectorySync(path);
  }
  syncDirectory(path: string): Promise<void> {
    return this.inner.syncDirectory(path);
  }
  syncDirectorySync(path: string): void {
    this.inner.syncDirectorySync(path);
  }
  lock(path: string): StorageLock | undefined {
    return this.inner.lock(path);
  }
  isLocked(path: string): boolean {
    return this.inner.isLocked(path);
  }
  delay(durationMs: number, options?: { signal?: AbortSignal }): Promise<void> {
    return this.inner.delay(durationMs, options);
  }
  delaySync(durationMs: number): void {
    this.inner.delaySync(durationMs);
  }
  after(delayMs: number, run: () => void): StorageTimer {
    return this.inner.after(delayMs, run);
  }
  now(): number {
    return this.inner.now();
  }
  random(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    return this.inner.random(bytes);
  }
}

/** Passes every operation on to another file. */
export class PassingFile implements StorageFile {
  readonly inner: StorageFile;

  constructor(inner: StorageFile) {
    this.inner = inner;
  }

  get path(): string {
    return this.inner.path;
  }
  get capabilities(): Capabilities {
    return this.inner.capabilities;
  }
  read(buffer: PooledBuffer, at: number, range?: BufferRange): Promise<number> {
    return this.inner.read(buffer, at, range);
  }
  readSync(buffer: PooledBuffer, at: number, range?: BufferRange): number {
    return this.inner.readSync(buffer, at, range);
  }
  write(
    buffer: PooledBuffer | FrozenBuffer,
    position: number,
    options?: WriteOptions,
  ): Promise<number> {
    return this.inner.write(buffer, position, options);
  }
  writeSync(
    buffer: PooledBuffer | FrozenBuffer,
    position: number,
    options?: WriteOptions,
  ): number {
    return this.inner.writeSync(buffer, position, options);
  }
  sync(durability?: Exclude<Durability, "none">): Promise<void> {
    return this.inner.sync(durability);
  }
  syncSync(durability?: Exclude<Durability, "none">): void {
    this.inner.syncSync(durability);
  }
  truncate(length: number): Promise<void> {
    return this.inner.truncate(length);
  }
  truncateSync(length: number): void {
    this.inner.truncateSync(length);
  }
  preallocate(
    position: number,
    length: number,
    options?: PreallocateOptions,
  ): Promise<boolean> {
    return this.inner.preallocate(position, length, options);
  }
  preallocateSync(
    position: number,
    length: number,
    options?: PreallocateOptions,
  ): boolean {
    return this.inner.preallocateSync(position, length, options);
  }
  size(): Promise<number> {
    return this.inner.size();
  }
  sizeSync(): number {
    return this.inner.sizeSync();
  }
  lock(): boolean {
    return this.inner.lock!();
  }
  isNamed(): boolean {
    return this.inner.isNamed!();
  }
  settleSync(): void {
    this.inner.settleSync();
  }
  close(): Promise<void> {
    return this.inner.close();
  }
  closeSync(): void {
    this.inner.closeSync();
  }
}

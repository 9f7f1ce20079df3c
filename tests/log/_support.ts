/**
 * Helpers that the tests of logs and segments share: places to run on, ways to write and read a
 * log, and a storage that watches another one.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { setImmediate } from "node:timers";
import {
  Log,
  type LogOptions,
  type LogReadOptions,
} from "../../lib/log/mod.ts";
import { BufferPool, type BufferPoolOptions } from "../../lib/pool/mod.ts";
import type { FrozenBuffer, PooledBuffer } from "../../lib/pool/mod.ts";
import type { MessageBatch } from "../../lib/segment/mod.ts";
import {
  DiskStorage,
  type Durability,
  type Storage,
  type StorageFile,
  type WriteOptions,
} from "../../lib/storage/mod.ts";
import { SimulatedDisk, type SimulatedDiskOptions } from "@basalt/io/testing";
import { FILES } from "../permissions.ts";
import { PassingFile, PassingStorage } from "./_passing_storage.ts";

export const KIB = 1024;
export const MIB = 1024 * KIB;
/** Size of a batch header in bytes. */
export const BATCH = 256;
/** Size of a frame header in bytes. */
export const FRAME = 48;
/** Size of a batch with one message, without its payload and user headers, in bytes. */
export const HEADER: number = BATCH + FRAME;

/** Creates the pool of a test. */
export function testPool(options: BufferPoolOptions = {}): BufferPool {
  return new BufferPool({
    limitBytes: 512 * MIB,
    onWarning: () => {},
    ...options,
  });
}

/**
 * Runs a part of a test at a place of its own, and removes the place afterwards. Fails if a block
 * of its pool is still leased then.
 *
 * It does not use `using`, because an error of the disposal would hide why the test failed.
 */
export async function at<P extends Place, T>(
  place: P,
  test: (place: P) => Promise<T> | T,
): Promise<T> {
  try {
    const result = await test(place);
    assertEquals(place.pool.stats().inUseBytes, 0, "leased after the test");
    return result;
  } finally {
    place.remove();
    place.pool.close();
  }
}

/** Where a test keeps its log. It is removed with its files when the test ends. */
export interface Place {
  readonly storage: Storage;
  /** A directory. It exists on a real disk, and not yet on a simulated one. */
  readonly dir: string;
  readonly pool: BufferPool;
  /** Returns the bytes of a file in the directory. */
  bytes(name: string): Uint8Array;
  /** Returns the names in the directory, in order. */
  names(): string[];
  /** Removes everything. */
  remove(): void;
}

/** A place on a simulated disk. */
export class SimulatedPlace implements Place {
  readonly storage: SimulatedDisk;
  readonly dir = "/log";
  readonly pool = testPool();

  constructor(disk: SimulatedDisk | SimulatedDiskOptions = {}) {
    this.storage = disk instanceof SimulatedDisk
      ? disk
      : new SimulatedDisk(disk);
  }

  bytes(name: string): Uint8Array {
    return this.storage.peek(`${this.dir}/${name}`);
  }

  names(): string[] {
    const prefix = `${this.dir}/`;
    return this.storage.files().filter((path) => path.startsWith(prefix))
      .map((path) => path.slice(prefix.length));
  }

  remove(): void {}
}

/** A place in a temporary directory. */
export class DiskPlace implements Place {
  readonly dir = Deno.makeTempDirSync({ prefix: "basalt_log_" });
  readonly pool = testPool();
  readonly storage: DiskStorage;

  constructor(direct: "prefer" | "never" = "prefer") {
    this.storage = new DiskStorage({ direct, pool: this.pool });
  }

  bytes(name: string): Uint8Array {
    return Deno.readFileSync(`${this.dir}/${name}`);
  }

  names(): string[] {
    return [...Deno.readDirSync(this.dir)].map((entry) => entry.name).sort();
  }

  remove(): void {
    Deno.removeSync(this.dir, { recursive: true });
  }
}

/** The places to run on, by name. */
export const PLACES: readonly {
  readonly name: string;
  readonly ignore: boolean;
  make(): Place;
}[] = [
  { name: "simulated", ignore: false, make: () => new SimulatedPlace() },
  { name: "disk", ignore: !FILES, make: () => new DiskPlace() },
  { name: "buffered", ignore: !FILES, make: () => new DiskPlace("never") },
];

/** Registers a test for each place. */
export function onEachPlace(
  name: string,
  test: (place: Place) => Promise<void> | void,
): void {
  for (const { name: where, ignore, make } of PLACES) {
    Deno.test(
      `${name} (${where})`,
      { ignore },
      () => at(make(), test),
    );
  }
}

/**
 * Opens the log of a place with small blocks, nothing prepared and no waiting for a lock. `options`
 * override that.
 */
export function openLog(place: Place, options: LogOptions = {}): Promise<Log> {
  return Log.open(place.dir, settings(place, options));
}

/** Sync version of {@linkcode openLog}. */
export function openLogSync(place: Place, options: LogOptions = {}): Log {
  return Log.openSync(place.dir, settings(place, options));
}

function settings(place: Place, options: LogOptions): LogOptions {
  return {
    storage: place.storage,
    pool: place.pool,
    blockBytes: 4 * KIB,
    prepareBytes: 0,
    lockTimeoutMs: 0,
    ...options,
  };
}

/** A message that was read, with copies of its bytes. */
export interface Read {
  offset: number;
  timestamp: number;
  originTimestamp: number;
  id: string;
  payload: Uint8Array;
}

/** What can be read: a log, its reader, or the reader of a segment. */
export interface Readable {
  read(options?: LogReadOptions): AsyncIterableIterator<MessageBatch>;
  readSync(options?: LogReadOptions): IterableIterator<MessageBatch>;
}

/** Reads all messages. */
export async function drain(
  from: Readable,
  options?: LogReadOptions,
): Promise<Read[]> {
  const all: Read[] = [];
  for await (using batch of from.read(options)) all.push(...taken(batch));
  return all;
}

/** Sync version of {@linkcode drain}. */
export function drainSync(from: Readable, options?: LogReadOptions): Read[] {
  const all: Read[] = [];
  for (using batch of from.readSync(options)) all.push(...taken(batch));
  return all;
}

function taken(batch: MessageBatch): Read[] {
  return Array.from({ length: batch.count }, (_, i) => {
    const { offset, timestamp, originTimestamp, id, payload } = batch.message(
      i,
    );
    return { offset, timestamp, originTimestamp, id, payload: payload.slice() };
  });
}

/** Returns bytes that only this message has, as far as its length allows. */
export function payload(seed: number, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  const words = new Uint32Array(bytes.buffer, 0, length >> 2);
  let word = Math.imul(seed + 1, 0x9e3779b1) >>> 0;
  for (let i = 0; i < words.length; i++) {
    words[i] = word;
    word = (Math.imul(word, 1664525) + 1013904223) >>> 0;
  }
  for (let i = words.length * 4; i < length; i++) bytes[i] = seed + i;
  return bytes;
}

/**
 * Appends `count` messages of `length` bytes, and returns the offset of the last one. The payload
 * of offset *i* is `payload(i, length)`.
 */
export function appendSome(log: Log, count: number, length: number): number {
  let offset = -1;
  for (let i = 0; i < count; i++) {
    offset = log.append(payload(log.nextOffset, length));
  }
  return offset;
}

/** Returns the part of a file's name that identifies its segment. */
export function segment(firstOffset: number): string {
  return String(firstOffset).padStart(20, "0");
}

/** The names of the files of the first segment. */
export const LOG = `${segment(0)}.log`;
export const INDEX = `${segment(0)}.index`;

/** The header of a batch, decoded without the library. */
export interface PlainBatch {
  position: number;
  end: number;
  /** Offset of its first message. */
  offset: number;
  count: number;
  timestamp: number;
}

/** Decodes the headers of the batches in the bytes of a `.log`, up to zeros or the end. */
export function batchesOf(bytes: Uint8Array): PlainBatch[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const batches: PlainBatch[] = [];
  for (let at = 0; at + BATCH <= bytes.length;) {
    const end = at + Number(view.getBigUint64(at + 32, true));
    if (end === at || end > bytes.length) break;
    batches.push({
      position: at,
      end,
      offset: Number(view.getBigUint64(at + 8, true)),
      count: view.getUint32(at + 48, true),
      timestamp: Number(view.getBigUint64(at + 16, true)),
    });
    at = end;
  }
  return batches;
}

/**
 * Decodes the entries in the bytes of an `.index`, up to the end or to an entry of zeros after the
 * first: offset, timestamp, position.
 */
export function entriesOf(bytes: Uint8Array): [number, number, number][] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entries: [number, number, number][] = [];
  for (let at = 0; at + 24 <= bytes.length; at += 24) {
    const entry = [0, 8, 16].map((field) =>
      Number(view.getBigUint64(at + field, true))
    ) as [number, number, number];
    if (entry[1] === 0) break;
    entries.push(entry);
  }
  return entries;
}

/**
 * Checks the files of a closed log by the rules of the format, in their order. Returns what is
 * wrong, or nothing.
 */
export function faultsOfClosed(place: Place): string[] {
  const faults: string[] = [];
  // Bytes that recovery kept beside a segment are not a file of the log.
  const names = place.names().filter((name) => !name.endsWith(".cut"));
  const firsts = names.filter((name) => name.endsWith(".log"))
    .map((name) => Number(name.slice(0, -4)));
  const expected = [
    ...firsts.flatMap((
      first,
    ) => [`${segment(first)}.index`, `${segment(first)}.log`]),
    "meta",
  ];
  if (names.join() !== expected.join()) faults.push(`names: ${names.join()}`);
  for (const [i, first] of firsts.entries()) {
    const log = place.bytes(`${segment(first)}.log`);
    const index = place.bytes(`${segment(first)}.index`);
    const batches = batchesOf(log);
    const end = batches.at(-1)?.end ?? 0;
    if (end !== log.length) faults.push(`${first}: ends at ${end}`);
    let offset = first;
    for (const batch of batches) {
      if (batch.offset !== offset) faults.push(`${first}: ${batch.offset}`);
      offset += batch.count;
    }
    const wanted = sparse(batches);
    if (String(entriesOf(index)) !== String(wanted)) {
      faults.push(`${first}: entries ${entriesOf(index).join(" ")}`);
    }
    if (index.length !== 24 * wanted.length) {
      faults.push(`${first}: index of ${index.length}`);
    }
    const next = firsts[i + 1];
    if (next !== undefined && next !== offset) {
      faults.push(`${first}: gap before ${next}`);
    }
  }
  return faults;
}

/** Returns the entries that a writer makes of these batches: offset, timestamp, position. */
export function sparse(
  batches: readonly Pick<PlainBatch, "offset" | "timestamp" | "position">[],
): [number, number, number][] {
  const entries: [number, number, number][] = [];
  for (const { offset, timestamp, position } of batches) {
    const last = entries.at(-1);
    if (last !== undefined && position < last[2] + 64 * KIB) continue;
    entries.push([offset, timestamp, position]);
  }
  return entries;
}

/** Whether a line of a trace is the removal of a new file that has no name yet. */
export function isTidying(line: string): boolean {
  return line.startsWith("remove ") && line.endsWith(".tmp");
}

/**
 * Formats operations of a simulated disk as short lines, such as `write 0.log 0+4096 data`. Only
 * the named operations are included.
 */
export function lines(
  disk: SimulatedDisk,
  from = 0,
  kinds = [
    "open",
    "write",
    "sync",
    "truncate",
    "preallocate",
    "rename",
    "remove",
    "makeDirectory",
    "syncDirectory",
  ],
): string[] {
  return disk.trace.slice(from).filter(({ kind }) => kinds.includes(kind))
    .map(({ kind, path, to, position, length, durability }) => {
      const parts = [kind, brief(path)];
      if (to !== undefined) parts.push(brief(to));
      if (position !== undefined) parts.push(`${position}+${length}`);
      else if (length !== undefined) parts.push(String(length));
      if (durability !== undefined) parts.push(durability);
      return parts.join(" ");
    });
}

/** Returns the name of a segment's file without leading zeros and directory. */
function brief(path: string): string {
  return path.replace(/^.*\/0{0,19}(\d+\.)/, "$1");
}

/**
 * Waits until a simulated disk has been idle for some turns of the event loop. It counts turns
 * instead of milliseconds, because some tests wait thousands of times.
 */
export async function quiet(disk: SimulatedDisk): Promise<void> {
  for (let idle = 0; idle < 20;) {
    const before = disk.trace.length;
    await new Promise<void>((resolve) => setImmediate(() => resolve()));
    const still = disk.trace.length === before && disk.inFlight.length === 0;
    idle = still ? idle + 1 : 0;
  }
}

/** A write as it was requested. */
export interface Written {
  path: string;
  position: number;
  bytes: Uint8Array;
  /** Whether it has nothing but zeros. */
  zeros: boolean;
  durability: Durability;
  /** When it began and ended, counted in calls and completions of all writes. */
  began: number;
  ended: number | undefined;
}

/** Passes every operation on to another storage, and records the writes. */
export class WatchedStorage extends PassingStorage {
  readonly writes: Written[] = [];
  /** Called before a write is passed on. */
  onWrite: (write: Written) => void = () => {};
  /** Returns a promise that delays an asynchronous write. */
  delayWrite: (write: Written) => Promise<void> | undefined = () => undefined;
  #clock = 0;

  /** The writes to `.log` files. */
  get logWrites(): Written[] {
    return this.writes.filter(({ path }) => path.endsWith(".log"));
  }

  begin(
    file: StorageFile,
    buffer: PooledBuffer | FrozenBuffer,
    position: number,
    options: WriteOptions,
  ): Written {
    const { start = 0, length = buffer.length - start, durability = "none" } =
      options;
    const bytes = buffer.bytes.slice(start, start + length);
    const write: Written = {
      path: file.path,
      position,
      bytes,
      zeros: new Float64Array(bytes.buffer).every((word) => word === 0),
      durability,
      began: ++this.#clock,
      ended: undefined,
    };
    this.writes.push(write);
    this.onWrite(write);
    return write;
  }

  end(write: Written): void {
    write.ended ??= ++this.#clock;
  }

  /** Marks all writes of a file as ended, although their completions were not delivered. */
  endAll(path: string): void {
    for (const write of this.writes) if (write.path === path) this.end(write);
  }

  protected override wrap(file: StorageFile): StorageFile {
    return new WatchedFile(this, file);
  }
}

class WatchedFile extends PassingFile {
  readonly #storage: WatchedStorage;

  constructor(storage: WatchedStorage, inner: StorageFile) {
    super(inner);
    this.#storage = storage;
  }

  override async write(
    buffer: PooledBuffer | FrozenBuffer,
    position: number,
    options: WriteOptions = {},
  ): Promise<number> {
    const write = this.#storage.begin(this, buffer, position, options);
    try {
      const written = await super.write(buffer, position, options);
      await this.#storage.delayWrite(write);
      return written;
    } finally {
      this.#storage.end(write);
    }
  }
  override writeSync(
    buffer: PooledBuffer | FrozenBuffer,
    position: number,
    options: WriteOptions = {},
  ): number {
    const write = this.#storage.begin(this, buffer, position, options);
    try {
      return super.writeSync(buffer, position, options);
    } finally {
      this.#storage.end(write);
    }
  }
  override settleSync(): void {
    super.settleSync();
    this.#storage.endAll(this.path);
  }
}

/** A place whose storage is watched. `disk` is the simulated disk below it. */
export class WatchedPlace implements Place {
  readonly place: SimulatedPlace;
  readonly storage: WatchedStorage;

  constructor(options: SimulatedDiskOptions = {}) {
    this.place = new SimulatedPlace(options);
    this.storage = new WatchedStorage(this.place.storage);
  }

  get disk(): SimulatedDisk {
    return this.place.storage;
  }
  get dir(): string {
    return this.place.dir;
  }
  get pool(): BufferPool {
    return this.place.pool;
  }
  bytes(name: string): Uint8Array {
    return this.place.bytes(name);
  }
  names(): string[] {
    return this.place.names();
  }
  remove(): void {}
}

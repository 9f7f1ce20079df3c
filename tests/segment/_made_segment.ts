/**
 * Makes segments byte by byte, and puts them on simulated disks.
 *
 * @module
 */
import { drive, driveSync, type Task } from "../../lib/base/mod.ts";
import {
  BATCH_HEADER_BYTES,
  FRAME_HEADER_BYTES,
  INDEX_ENTRY_BYTES,
  type IndexEntry,
  RECORD_BATCH_START,
  RECORD_BYTES,
  seal,
  writeIndexEntry,
} from "../../lib/codec/mod.ts";
import { BufferPool, type BufferPoolOptions } from "../../lib/pool/mod.ts";
import type { SegmentFiles } from "../../lib/segment/mod.ts";
import { TaskFile } from "../../lib/storage/mod.ts";
import {
  SimulatedDisk,
  type SimulatedDiskOptions,
} from "../../lib/testing/mod.ts";
import { joined } from "../codec/_naive.ts";

export { joined as concat };

export const KIB = 1024;
export const MIB = 1024 * KIB;
/** Append time of the first batch that is made here, in microseconds. */
export const TIME = 1_700_000_000_000_000;

/** A batch to make. */
export interface BatchInit {
  /** The lengths of the payloads, or the payloads. */
  payloads: readonly (number | Uint8Array)[];
  /** The append time. @default {TIME and 1 more for each batch before} */
  timestamp?: number;
}

/** A batch that was made. */
export interface MadeBatch extends IndexEntry {
  /** Number of messages. */
  count: number;
  /** Bytes of the batch with its header. */
  length: number;
  payloads: Uint8Array[];
}

/** A segment that was made. */
export interface Made {
  firstOffset: number;
  nextOffset: number;
  log: Uint8Array<ArrayBuffer>;
  batches: MadeBatch[];
  /** Makes an index with the entries of some batches. @default {all} */
  index(numbers?: readonly number[]): Uint8Array<ArrayBuffer>;
}

/** Returns the payload of a message, in which no byte is 0. */
export function payload(
  offset: number,
  length: number,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = 1 + (offset * 7 + i * 13) % 251;
  return bytes;
}

/** Seals one batch. */
export function makeBatch(
  offset: number,
  timestamp: number,
  payloads: readonly Uint8Array[],
): Uint8Array<ArrayBuffer> {
  const length = payloads.reduce(
    (sum, each) => sum + FRAME_HEADER_BYTES + each.length,
    BATCH_HEADER_BYTES,
  );
  const room = Math.ceil(length / 8) * 8 + RECORD_BYTES * payloads.length;
  const bytes = new Uint8Array(room);
  const view = new DataView(bytes.buffer);
  let end = BATCH_HEADER_BYTES;
  for (const [i, each] of payloads.entries()) {
    bytes.set(each, end + FRAME_HEADER_BYTES);
    end += FRAME_HEADER_BYTES + each.length;
    const record = room - RECORD_BYTES * (i + 1);
    view.setUint32(record, each.length, true);
    view.setUint32(record + 4, i === 0 ? RECORD_BATCH_START : 0, true);
  }
  const seed = new Uint8Array(32).fill(1 + offset % 255);
  seal({
    bytes,
    start: 0,
    count: payloads.length,
    baseOffset: offset,
    baseTimestamp: timestamp,
    seed,
  });
  return bytes.slice(0, length);
}

/** Makes a segment of batches. */
export function make(firstOffset: number, inits: readonly BatchInit[]): Made {
  const parts: Uint8Array[] = [];
  const batches: MadeBatch[] = [];
  let [offset, position, timestamp] = [firstOffset, 0, TIME];
  for (const init of inits) {
    timestamp = init.timestamp ?? timestamp + 1;
    const payloads = init.payloads.map((each, i) =>
      typeof each === "number" ? payload(offset + i, each) : each
    );
    const bytes = makeBatch(offset, timestamp, payloads);
    parts.push(bytes);
    const { length } = bytes;
    const count = payloads.length;
    batches.push({ offset, timestamp, position, count, length, payloads });
    offset += count;
    position += length;
  }
  return {
    firstOffset,
    nextOffset: offset,
    log: joined(parts),
    batches,
    index: (numbers = [...batches.keys()]) =>
      indexOf(numbers.map((i) => batches[i]!)),
  };
}

/** Makes a segment of batches with one message each. */
export function makeSingles(
  firstOffset: number,
  lengths: readonly number[],
): Made {
  return make(firstOffset, lengths.map((length) => ({ payloads: [length] })));
}

/** Encodes index entries. */
export function indexOf(
  entries: readonly IndexEntry[],
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(entries.length * INDEX_ENTRY_BYTES);
  for (const [i, entry] of entries.entries()) writeIndexEntry(bytes, i, entry);
  return bytes;
}

/** Returns zeros. */
export function zeros(length: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(length);
}

/** A segment on a disk. */
export interface Placed {
  disk: SimulatedDisk;
  pool: BufferPool;
  files: SegmentFiles;
  /** Return the current bytes of the files. */
  log(): Uint8Array;
  index(): Uint8Array;
}

/**
 * Runs a test on files with these bytes. Fails if a block of the pool is still leased afterwards.
 */
export async function place<T>(
  { log, index }: { log: Uint8Array; index: Uint8Array },
  test: (placed: Placed) => Promise<T> | T,
  options: SimulatedDiskOptions = {},
  poolOptions: BufferPoolOptions = {},
): Promise<T> {
  const disk = new SimulatedDisk(options);
  disk.poke("/0.log", 0, log);
  disk.poke("/0.index", 0, index);
  const pool = new BufferPool({
    limitBytes: 512 * MIB,
    onWarning: () => {},
    ...poolOptions,
  });
  const open = (path: string) =>
    new TaskFile(disk.openSync(path, { write: true }));
  const files = {
    log: open("/0.log"),
    index: open("/0.index"),
    firstOffset: 0,
    pool,
  };
  try {
    const result = await test({
      disk,
      pool,
      files,
      log: () => disk.peek("/0.log"),
      index: () => disk.peek("/0.index"),
    });
    const { inUseBytes } = pool.stats();
    if (inUseBytes !== 0) {
      throw new Error(`${inUseBytes} bytes are leased after the test`);
    }
    return result;
  } finally {
    driveSync(files.log.close());
    driveSync(files.index.close());
    pool.close();
  }
}

/** Run tasks async and sync. */
export const ways: readonly {
  name: string;
  run<T>(task: Task<T>): Promise<T>;
}[] = [
  { name: "async", run: drive },
  // deno-lint-ignore require-await
  { name: "sync", run: async (task) => driveSync(task) },
];

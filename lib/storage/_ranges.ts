import {
  checkInteger,
  perform,
  roundDown,
  roundUp,
  type Task,
} from "../base/mod.ts";
import { acquire, type FrozenBuffer, type PooledBuffer } from "../pool/mod.ts";
import type {
  ReadAtOptions,
  ReadManyOptions,
  WriteItem,
} from "./direct_file_options.ts";
import { Batch, type FileOperation } from "./_file_operation.ts";
import type { FileOperations } from "./_file_operations.ts";
import {
  type FileRange,
  MAX_READ_BYTES,
  planReads,
  type Run,
} from "./read_plan.ts";
import type { WriteOptions } from "./storage.ts";

/** About as many bytes as a disk reads in the time of one more operation. */
const GAP_BYTES = 16 * 1024;

/** A longer tail is split off the block, a shorter one is filled with zeros. */
const MAX_ZEROED_BYTES = 16 * 1024;

/**
 * Reads any range of a file without a copy: it reads the aligned range around it, and cuts the
 * buffer.
 */
export function* readRange(
  file: FileOperations,
  position: number,
  length: number,
  options?: ReadAtOptions,
): Task<PooledBuffer> {
  file.checkReadable();
  const unit = file.capabilities.readOffsetAlignment;
  const action = `read '${file.path}'`;
  checkInteger(action, "position", position);
  const first = roundDown(position, unit);
  const skipped = position - first;
  const most = Math.min(
    MAX_READ_BYTES - skipped,
    roundDown(Number.MAX_SAFE_INTEGER, unit) - position,
  );
  checkInteger(action, "length", length, 1, most);
  const rounded = roundUp(skipped + length, unit);
  let buffer = yield* acquire(file.pool, rounded, options);
  try {
    const got = yield* perform(file.read(buffer, first));
    const end = Math.min(got, skipped + length);
    // The range lies beyond the end, and the bytes before it must not be reachable.
    if (end <= skipped) return bounded(buffer, 0);
    buffer = bounded(buffer, got);
    if (skipped > 0) buffer.splitTo(skipped).drop();
    buffer.truncate(end - skipped);
    return buffer;
  } catch (error) {
    buffer.drop();
    throw error;
  }
}

/** Reads many ranges at once into one block of a pool; returns a slice of it for each. */
export function* readRanges(
  file: FileOperations,
  ranges: readonly FileRange[],
  { gapBytes = GAP_BYTES, ...options }: ReadManyOptions,
): Task<FrozenBuffer[]> {
  file.checkReadable();
  const { path, capabilities } = file;
  const action = `read '${path}'`;
  const plan = planReads(action, ranges, capabilities, gapBytes);
  const { runs, runOf, bytes } = plan;
  if (runs.length === 0) return [];
  const { pool } = file;
  const buffer = yield* acquire(pool, bytes, options);
  try {
    file.checkReadable();
    const loan = pool.lend(buffer, 0, bytes, "write");
    let got: number[];
    try {
      const operations = runs.map(({ start, position, length }) =>
        file.readInto(loan, start, position, length)
      );
      got = yield* perform(new Batch(operations));
    } finally {
      loan.end();
    }
    clear(buffer, runs, got);
    const frozen = buffer.freeze();
    const parts = ranges.map(({ position, length }, i) => {
      const run = runs[runOf[i]!]!;
      const from = position - run.position;
      const to = Math.max(from, Math.min(from + length, got[runOf[i]!]!));
      return frozen.slice(run.start + from, run.start + to);
    });
    frozen.drop();
    return parts;
  } catch (error) {
    buffer.drop();
    throw error;
  }
}

/**
 * Writes many ranges at once, in any order, and makes them durable by one sync after the last;
 * returns the bytes written.
 */
export function* writeRanges(
  file: FileOperations,
  items: readonly WriteItem[],
  { durability = "none" }: Pick<WriteOptions, "durability">,
): Task<number> {
  file.checkWritable();
  if (items.length > 1 && durability !== "none") file.checkSync(durability);
  // One write is durable by itself. Many wait for one sync.
  const carried = items.length === 1 ? durability : "none";
  const operations: FileOperation<number>[] = [];
  try {
    for (const { buffer, position, ...range } of items) {
      const options = { ...range, durability: carried };
      operations.push(file.write(buffer, position, options));
    }
    const written = yield* perform(new Batch(operations));
    if (items.length > 1 && durability !== "none") {
      yield* perform(file.syncAfter(durability));
    }
    return written.reduce((sum, bytes) => sum + bytes, 0);
  } finally {
    for (const { loan } of operations) loan!.end();
  }
}

/**
 * Overwrites the gaps between the ranges that were read. Any view of the block reaches them, and
 * they may hold an earlier owner's bytes.
 */
function clear(
  buffer: PooledBuffer,
  runs: readonly Run[],
  got: readonly number[],
): void {
  const { capacity, length } = buffer;
  buffer.resize(capacity);
  const { bytes } = buffer;
  let end = 0;
  runs.forEach((run, i) => {
    bytes.fill(0, end, run.start);
    end = run.start + got[i]!;
  });
  bytes.fill(0, end);
  buffer.truncate(length);
}

/**
 * Makes the bytes after the first `length` unreachable through a buffer. They may be an earlier
 * owner's.
 */
function bounded(buffer: PooledBuffer, length: number): PooledBuffer {
  const tail = buffer.capacity - length;
  if (tail > MAX_ZEROED_BYTES && length > 0) {
    const head = buffer.splitTo(length);
    buffer.drop();
    return head;
  }
  buffer.truncate(length);
  if (tail > 0) {
    buffer.resize(length + tail);
    buffer.truncate(length);
  }
  return buffer;
}

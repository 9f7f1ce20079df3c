import type { Task } from "../base/mod.ts";
import type { PendingOperation } from "../engine/mod.ts";
import {
  acquire,
  BufferPool,
  type FrozenBuffer,
  type PooledBuffer,
} from "../pool/mod.ts";
import type { OpenDescriptor } from "./open_descriptor.ts";
import { type FileRange, planReads, type Run } from "./read_plan.ts";
import type { WriteOptions } from "./storage.ts";
import type { ReadManyOptions, WriteItem } from "./transfer_options.ts";

/** About as many bytes as a disk moves in the time that another operation costs. */
const GAP_BYTES = 16 * 1024;

/** Reads many ranges at once into one block of a pool; returns a slice of it for each. */
export function* readRanges(
  descriptor: OpenDescriptor,
  ownPool: BufferPool | undefined,
  ranges: readonly FileRange[],
  { gapBytes = GAP_BYTES, ...options }: ReadManyOptions,
): Task<FrozenBuffer[]> {
  const { checked } = descriptor;
  checked.checkReadable();
  const { path, capabilities } = checked;
  const action = `read '${path}'`;
  const plan = planReads(action, ranges, capabilities, gapBytes);
  const { runs, runOf, bytes } = plan;
  if (runs.length === 0) return [];
  const pool = ownPool ?? BufferPool.default();
  const buffer = yield* acquire(pool, bytes, options);
  try {
    checked.checkReadable();
    const loan = pool.lend(buffer, 0, bytes, "write");
    let got: number[];
    try {
      const operations = runs.map(({ start, position, length }) =>
        checked.readingInto(loan, start, position, length)
      );
      got = yield* descriptor.many(operations);
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
  descriptor: OpenDescriptor,
  items: readonly WriteItem[],
  { durability = "none" }: Pick<WriteOptions, "durability">,
): Task<number> {
  const { checked } = descriptor;
  checked.checkWritable("write");
  if (items.length > 1 && durability !== "none") checked.syncKind(durability);
  // One write waits for itself; many wait for one sync, not each for its own.
  const carried = items.length === 1 ? durability : "none";
  const operations: PendingOperation[] = [];
  try {
    for (const { buffer, position, ...range } of items) {
      const options = { ...range, durability: carried };
      operations.push(checked.writing(buffer, position, options));
    }
    const written = yield* descriptor.many(operations);
    if (items.length > 1 && durability !== "none") {
      yield* descriptor.syncAfter(durability);
    }
    return written.reduce((sum, bytes) => sum + bytes, 0);
  } finally {
    for (const { loan } of operations) loan!.end();
  }
}

/**
 * Overwrites what lies between what was read: an earlier owner's bytes can be reached through any
 * view of the block.
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

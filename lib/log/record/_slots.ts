/**
 * Two slots of one physical block each, written in turn: so `meta` and the files of cursors survive
 * a power cut during a write (`docs/format.md#meta-turns`).
 *
 * @module
 */
import type { Task } from "../../base/mod.ts";
import { acquire, type BufferPool, type PooledBuffer } from "../../pool/mod.ts";
import type { TaskFile } from "../../storage/mod.ts";
import {
  decodeRecord,
  encodeRecord,
  readStart,
  type RecordLayout,
} from "./_record_file.ts";

const MIN_SLOT_BYTES = 4096;
/** The physical block of no disk is larger. */
const MAX_SLOT_BYTES = 1024 * 1024;

/** What every slot says of itself. */
export interface Slot {
  /** The number of the write that made it. */
  sequence: number;
  /** The distance between the two slots, in bytes. */
  slotBytes: number;
}

/** The fields of {@linkcode Slot} in a layout. */
export const SLOT_FIELDS = {
  slotBytes: ["u32", 12],
  sequence: ["u64", 16],
} as const;

/**
 * Reads the valid slots of a file, the one that counts first.
 *
 * `docs/format.md#meta-locate`
 *
 * @throws {Deno.errors.NotSupported} If a valid slot is of another version.
 */
export function* readSlots<T extends Slot>(
  file: TaskFile,
  pool: BufferPool,
  layout: RecordLayout<T>,
): Task<T[]> {
  const size = yield* file.size();
  const slotBytes = size / 2;
  const isPossible = slotBytes >= MIN_SLOT_BYTES &&
    slotBytes <= MAX_SLOT_BYTES && Number.isInteger(Math.log2(slotBytes));
  if (!isPossible) return [];
  const slots = yield* readBoth(file, pool, slotBytes);
  return slots
    // docs/format.md#meta-valid
    .map((slot) => decodeRecord(slot, layout, file.path))
    .filter((each) => each !== undefined)
    .filter((each) => each.slotBytes === slotBytes)
    .sort((a, b) => b.sequence - a.sequence);
}

/** Reads both slots; one that the device cannot read, because a power cut tore it, is left out. */
function* readBoth(
  file: TaskFile,
  pool: BufferPool,
  slotBytes: number,
): Task<Uint8Array[]> {
  try {
    const bytes = yield* readStart(file, pool, 2 * slotBytes);
    return [bytes.subarray(0, slotBytes), bytes.subarray(slotBytes)];
  } catch (error) {
    const slots: Uint8Array[] = [];
    for (const position of [0, slotBytes]) {
      try {
        slots.push(yield* readSlot(file, pool, position, slotBytes));
      } catch {
        // The other one counts.
      }
    }
    if (slots.length > 0) return slots;
    throw error;
  }
}

function* readSlot(
  file: TaskFile,
  pool: BufferPool,
  position: number,
  slotBytes: number,
): Task<Uint8Array> {
  using buffer = yield* acquire(pool, slotBytes);
  yield* file.read(buffer, position);
  return buffer.bytes.slice(0, slotBytes);
}

/** Writes the two slots of a new file, durably: one of them with zeros. */
export function* makeSlots<T extends Slot>(
  file: TaskFile,
  pool: BufferPool,
  layout: RecordLayout<T>,
  record: T,
): Task<void> {
  const length = 2 * record.slotBytes;
  using block = yield* acquire(pool, length, { zeroed: true });
  encodeRecord(block.bytes.subarray(positionOf(record)), layout, record);
  yield* file.write(block, 0, { length, durability: "data" });
}

/**
 * Writes the slot whose turn it is, durably.
 *
 * @param block Memory for one slot: zeros, or an earlier record.
 */
export function* writeSlot<T extends Slot>(
  file: TaskFile,
  block: PooledBuffer,
  layout: RecordLayout<T>,
  record: T,
): Task<void> {
  encodeRecord(block.bytes, layout, record);
  const options = { length: record.slotBytes, durability: "data" } as const;
  yield* file.write(block, positionOf(record), options);
}

/** Returns where a slot begins in the file, in bytes. `docs/format.md#meta-turns` */
function positionOf({ sequence, slotBytes }: Slot): number {
  return sequence % 2 * slotBytes;
}

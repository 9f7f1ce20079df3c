/**
 * Two slots of one physical block each, written in turn: so `meta` and the files of cursors survive
 * a power cut during a write (`docs/format.md#meta-turns`).
 *
 * @module
 */
import type { Task } from "../base/mod.ts";
import { acquire, type BufferPool } from "../pool/mod.ts";
import type { TaskFile } from "../storage/mod.ts";
import {
  isValidRecord,
  readStart,
  readUint64,
  type RecordLayout,
  sealRecord,
  writeUint64,
} from "./_record_file.ts";

const SLOT_BYTES = 12;
const SEQUENCE = 16;

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

/**
 * Reads the valid slots of a file, the one that counts first.
 *
 * `docs/format.md#meta-locate`
 *
 * @param decode Returns what a slot says beside its own fields; `undefined` if that is impossible.
 * @throws {Deno.errors.NotSupported} If a valid slot is of another version.
 */
export function* readSlots<T>(
  file: TaskFile,
  pool: BufferPool,
  layout: RecordLayout,
  decode: (bytes: Uint8Array) => T | undefined,
): Task<(T & Slot)[]> {
  const size = yield* file.size();
  const slotBytes = size / 2;
  const isPossible = slotBytes >= MIN_SLOT_BYTES &&
    slotBytes <= MAX_SLOT_BYTES && Number.isInteger(Math.log2(slotBytes));
  if (!isPossible) return [];
  const slots = yield* readBoth(file, pool, slotBytes);
  return slots
    .map((slot) => decodeSlot(slot, layout, decode, file.path))
    .filter((each) => each !== undefined)
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

/** `docs/format.md#meta-valid` */
function decodeSlot<T>(
  slot: Uint8Array,
  layout: RecordLayout,
  decode: (bytes: Uint8Array) => T | undefined,
  path: string,
): T & Slot | undefined {
  if (!isValidRecord(slot, layout, path)) return undefined;
  const view = new DataView(slot.buffer, slot.byteOffset, slot.byteLength);
  const sequence = readUint64(slot, SEQUENCE);
  const fields = decode(slot);
  const slotBytes = view.getUint32(SLOT_BYTES, true);
  if (slotBytes !== slot.length || sequence === undefined) return undefined;
  return fields && { ...fields, sequence, slotBytes };
}

/** Puts the fields of a slot, magic number, version and checksum into a record. */
export function sealSlot(
  bytes: Uint8Array,
  layout: RecordLayout,
  { sequence, slotBytes }: Slot,
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  view.setUint32(SLOT_BYTES, slotBytes, true);
  writeUint64(bytes, SEQUENCE, sequence);
  sealRecord(bytes.subarray(0, layout.checksumAt + 8), layout);
}

/** Returns where the slot of a sequence number begins in the file, in bytes. */
export function slotPosition({ sequence, slotBytes }: Slot): number {
  return sequence % 2 * slotBytes;
}

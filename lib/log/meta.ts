/**
 * The file `meta`: the identity of a log and its first offset, in two slots
 * (`docs/format.md#the-file-meta`).
 *
 * @module
 */
import type { Task } from "../base/mod.ts";
import { formatUuid, parseUuid } from "../codec/mod.ts";
import { acquire, type BufferPool } from "../pool/mod.ts";
import { CorruptSegmentError } from "../segment/mod.ts";
import type { TaskStorage } from "../storage/mod.ts";
import { metaPath } from "./directory.ts";
import {
  blockBytesOf,
  readUint64,
  writeBlock,
  writeUint64,
} from "./_record_file.ts";
import { openIfThere } from "./_segment_files.ts";
import { readSlots, sealSlot, type Slot, slotPosition } from "./_slots.ts";
import { nameFile, prepareFile } from "./_temporary_file.ts";

const LAYOUT = { magic: "BASALTMT", checksumAt: 48 };
const IDENTITY = 24;
const FIRST_OFFSET = 40;

/** What a log is, whatever its segments hold. */
export interface LogIdentity {
  /** A random UUID, which no other log has. */
  identity: string;
  /** The log starts here. */
  firstOffset: number;
}

/** What the newest valid slot of a `meta` says. */
export interface MetaRecord extends LogIdentity, Slot {
  /** The physical block of the disk that it lies on now, in bytes, and at least 4096. */
  blockBytes: number;
}

/** Where a log is. */
export interface LogPlace {
  /** Where its files are. */
  storage: TaskStorage;
  /** Its directory. */
  dir: string;
  /** Where blocks come from. */
  pool: BufferPool;
}

/** Returns a new identity: a random UUID v4. */
export function makeIdentity(storage: TaskStorage): string {
  const bytes = storage.random(new Uint8Array(16));
  bytes[6] = bytes[6]! & 0x0f | 0x40;
  bytes[8] = bytes[8]! & 0x3f | 0x80;
  return formatUuid(bytes);
}

/**
 * Reads `meta`; `undefined` if it does not exist.
 *
 * @param durably Whether to sync it first: what is done because of it must not outlive it.
 * @throws {CorruptSegmentError} If no slot is valid.
 * @throws {Deno.errors.NotSupported} If a valid slot is of another version.
 */
export function* readMeta(
  { storage, dir, pool }: LogPlace,
  durably = false,
): Task<MetaRecord | undefined> {
  const path = metaPath(dir);
  const file = yield* openIfThere(storage, path);
  if (file === undefined) return undefined;
  try {
    if (durably) yield* file.sync("full");
    const [newest, other] = yield* readSlots(file, pool, LAYOUT, decode);
    if (newest === undefined) {
      throw damagedMeta(path, "neither of its two slots is valid");
    }
    if (other !== undefined && other.identity !== newest.identity) {
      throw damagedMeta(path, "its two slots have different identities");
    }
    return { ...newest, blockBytes: blockBytesOf(file) };
  } finally {
    yield* file.close();
  }
}

function decode(slot: Uint8Array): LogIdentity | undefined {
  const firstOffset = readUint64(slot, FIRST_OFFSET);
  if (firstOffset === undefined) return undefined;
  return { identity: formatUuid(slot, IDENTITY), firstOffset };
}

function damagedMeta(path: string, message: string): CorruptSegmentError {
  const fields = { path, position: 0, offset: 0, kind: "meta" } as const;
  return new CorruptSegmentError(message, fields);
}

/** Writes a slot's record into zeros. */
function encodeSlot(bytes: Uint8Array, record: LogIdentity & Slot): void {
  bytes.set(parseUuid(record.identity), IDENTITY);
  writeUint64(bytes, FIRST_OFFSET, record.firstOffset);
  sealSlot(bytes, LAYOUT, record);
}

/**
 * Writes a new `meta` under its temporary name, durably. {@linkcode nameMeta} gives it its name.
 */
export function prepareMeta(
  { storage, dir, pool }: LogPlace,
  { identity, firstOffset }: LogIdentity,
): Task<MetaRecord> {
  return prepareFile(storage, metaPath(dir), function* (file) {
    const blockBytes = blockBytesOf(file);
    const length = 2 * blockBytes;
    const record: MetaRecord = {
      identity,
      firstOffset,
      sequence: 0,
      slotBytes: blockBytes,
      blockBytes,
    };
    using block = yield* acquire(pool, length, { zeroed: true });
    encodeSlot(block.bytes, record);
    yield* writeBlock(file, block, 0, length);
    return record;
  });
}

/** Gives a prepared `meta` its name, which is durable when the directory is synced. */
export function nameMeta({ storage, dir }: LogPlace): Task<void> {
  return nameFile(storage, metaPath(dir));
}

/** Makes a `meta`, in the place of an earlier one, durably. */
export function* createMeta(
  place: LogPlace,
  identity: LogIdentity,
): Task<MetaRecord> {
  const record = yield* prepareMeta(place, identity);
  yield* nameMeta(place);
  yield* place.storage.syncDirectory(place.dir);
  return record;
}

/**
 * Makes the `meta` of a log ready for writing.
 *
 * On a disk with larger physical blocks than its slots, it is replaced first: one write could
 * damage both slots.
 *
 * @param record What it says.
 */
export function* openMeta(place: LogPlace, record: MetaRecord): Task<LogMeta> {
  const isSafe = record.slotBytes >= record.blockBytes;
  return new LogMeta(
    place,
    isSafe ? record : yield* createMeta(place, record),
  );
}

/**
 * Holds what the `meta` of a log says that is open for writing. The file is open only while it is
 * written.
 */
export class LogMeta {
  readonly #place: LogPlace;
  #record: MetaRecord;

  /** @internal Use {@linkcode openMeta}. */
  constructor(place: LogPlace, record: MetaRecord) {
    this.#place = place;
    this.#record = record;
  }

  /** The identity of the log. */
  get identity(): string {
    return this.#record.identity;
  }

  /** The first offset of the log. */
  get firstOffset(): number {
    return this.#record.firstOffset;
  }

  /**
   * Sets the first offset, durably. After a failure the next attempt writes the same slot again.
   *
   * `docs/format.md#meta-turns`
   */
  *setFirstOffset(firstOffset: number): Task<void> {
    const { storage, dir, pool } = this.#place;
    const { slotBytes, sequence } = this.#record;
    const next = { ...this.#record, firstOffset, sequence: sequence + 1 };
    using block = yield* acquire(pool, slotBytes, { zeroed: true });
    encodeSlot(block.bytes, next);
    const file = yield* storage.openNow(metaPath(dir), { write: true });
    try {
      yield* writeBlock(file, block, slotPosition(next), slotBytes);
    } finally {
      yield* file.close();
    }
    this.#record = next;
  }
}

/**
 * The file `meta`: the identity of a log and its first offset, in two slots
 * (`docs/format.md#the-file-meta`).
 *
 * @module
 */
import type { Task } from "../../base/mod.ts";
import { formatUuid } from "../../codec/mod.ts";
import { acquire, type BufferPool } from "../../pool/mod.ts";
import { CorruptSegmentError } from "../../segment/mod.ts";
import type { TaskStorage } from "../../storage/mod.ts";
import { metaPath } from "../open/directory.ts";
import { blockBytesOf, type RecordLayout } from "./_record_file.ts";
import { closing, readIfThere } from "../open/_segment_files.ts";
import {
  makeSlots,
  readSlots,
  type Slot,
  SLOT_FIELDS,
  writeSlot,
} from "./_slots.ts";
import { nameFile, prepareFile } from "./_temporary_file.ts";

const LAYOUT: RecordLayout<LogIdentity & Slot> = {
  magic: "BASALTMT",
  fields: {
    ...SLOT_FIELDS,
    identity: ["uuid", 24],
    firstOffset: ["u64", 40],
  },
  checksumAt: 48,
};

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
export function readMeta(
  { storage, dir, pool }: LogPlace,
  durably = false,
): Task<MetaRecord | undefined> {
  const path = metaPath(dir);
  return readIfThere(storage, path, function* (file) {
    if (durably) yield* file.sync("full");
    const [newest, other] = yield* readSlots(file, pool, LAYOUT);
    if (newest === undefined) {
      throw damagedMeta(path, "neither of its two slots is valid");
    }
    if (other !== undefined && other.identity !== newest.identity) {
      throw damagedMeta(path, "its two slots have different identities");
    }
    return { ...newest, blockBytes: blockBytesOf(file) };
  });
}

function damagedMeta(path: string, message: string): CorruptSegmentError {
  const fields = { path, position: 0, offset: 0, kind: "meta" } as const;
  return new CorruptSegmentError(message, fields);
}

/**
 * Writes a new `meta` under its temporary name, durably. {@linkcode nameFile} gives it its name.
 */
export function prepareMeta(
  { storage, dir, pool }: LogPlace,
  { identity, firstOffset }: LogIdentity,
): Task<MetaRecord> {
  return prepareFile(storage, metaPath(dir), function* (file) {
    const blockBytes = blockBytesOf(file);
    const slot = { sequence: 0, slotBytes: blockBytes };
    const record = { identity, firstOffset, ...slot, blockBytes };
    yield* makeSlots(file, pool, LAYOUT, record);
    return record;
  });
}

/** Makes a `meta`, in the place of an earlier one, durably. */
export function* createMeta(
  place: LogPlace,
  identity: LogIdentity,
): Task<MetaRecord> {
  const record = yield* prepareMeta(place, identity);
  const { storage, dir } = place;
  yield* nameFile(storage, metaPath(dir));
  yield* storage.syncDirectory(dir);
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
    const file = yield* storage.openNow(metaPath(dir), { write: true });
    yield* closing(file, writeSlot(file, block, LAYOUT, next));
    this.#record = next;
  }
}

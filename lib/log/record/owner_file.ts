/**
 * The owner file `writer`: a writer has the log open, or did not close it
 * (`docs/format.md#the-owner-file-writer`).
 *
 * @module
 */
import type { Task } from "../../base/mod.ts";
import { acquire, type BufferPool, type PooledBuffer } from "../../pool/mod.ts";
import type { LockOwner, TaskFile } from "../../storage/mod.ts";
import { ownerPath, refuseLink } from "../open/directory.ts";
import type { LogPlace } from "./meta.ts";
import {
  blockBytesOf,
  decodeRecord,
  encodeRecord,
  readStart,
  type RecordLayout,
} from "./_record_file.ts";
import { closing, openIfThere, unlessGone } from "../open/_segment_files.ts";
import { discard, openTemporary } from "./_temporary_file.ts";

const LAYOUT: RecordLayout<OwnerRecord> = {
  magic: "BASALTWR",
  fields: {
    identity: ["uuid", 16],
    generation: ["u64", 32],
    pid: ["u64", 40],
    startedAt: ["u64", 48],
    durableOffset: ["u64", 56],
  },
  checksumAt: 64,
};
/** The bytes of the file that are not padding. */
const RECORD_BYTES = 72;

/** The contents of an owner file. */
export interface OwnerRecord {
  /** The identity of the log that is written. */
  identity: string;
  /** The number of this opening, from 1: 1 more than in the file that it replaced. */
  generation: number;
  /** The process that writes. */
  pid: number;
  /** When it opened the log, in microseconds since the Unix epoch. */
  startedAt: number;
  /** Every message below it is durable. */
  durableOffset: number;
}

/**
 * Reads an owner file; `undefined` if it does not exist.
 *
 * `"invalid"` still says that the log was not closed, but vouches for nothing.
 *
 * @throws {Deno.errors.InvalidData} If its name is a symbolic link.
 * @throws {Deno.errors.NotSupported} If the record is valid, but of another version.
 */
export function* readOwnerFile(
  { storage, dir, pool }: LogPlace,
): Task<OwnerRecord | "invalid" | undefined> {
  const path = ownerPath(dir);
  refuseLink(storage, path);
  const file = yield* openIfThere(storage, path, { cached: true });
  return file && (yield* closing(file, readRecord(file, pool)));
}

function* readRecord(
  file: TaskFile,
  pool: BufferPool,
): Task<OwnerRecord | "invalid"> {
  const bytes = yield* readStart(file, pool, RECORD_BYTES);
  return decodeRecord(bytes, LAYOUT, file.path) ?? "invalid";
}

/** Returns the process that has, or left, a log open; `undefined` if it is not known. */
export function* readOwner(
  dir: string,
  { storage, pool }: Omit<LogPlace, "dir">,
): Task<LockOwner | undefined> {
  if (storage.isLink(ownerPath(dir))) return undefined;
  return lockOwnerOf(yield* readOwnerFile({ storage, dir, pool }));
}

/** Returns the process that an owner file names; `undefined` if it names none. */
export function lockOwnerOf(
  owner: OwnerRecord | "invalid" | undefined,
): LockOwner | undefined {
  if (typeof owner !== "object") return undefined;
  return { pid: owner.pid, since: owner.startedAt };
}

/**
 * How the owner file is written: through the page cache, so that what reads it does not wait for
 * the disk.
 */
const WRITING = { write: true, cached: true };

/**
 * Writes the owner file of this process under its temporary name, durably.
 * {@linkcode OwnerFile.name} gives it its name.
 */
export function* prepareOwnerFile(
  place: LogPlace,
  fields: Pick<OwnerRecord, "identity" | "generation" | "durableOffset">,
): Task<OwnerFile> {
  const { storage, dir, pool } = place;
  const record = { ...fields, pid: Deno.pid, startedAt: storage.now() };
  const file = yield* openTemporary(storage, ownerPath(dir), WRITING);
  let block: PooledBuffer | undefined;
  try {
    const length = blockBytesOf(file);
    block = yield* acquire(pool, length, { zeroed: true });
    encodeRecord(block.bytes, LAYOUT, record);
    yield* file.write(block, 0, { length, durability: "data" });
    return new OwnerFile(place, file, block, record);
  } catch (error) {
    block?.drop();
    yield* discard(storage, file);
    throw error;
  }
}

/** The file stays open where it is published again within this time, in microseconds. */
const OFTEN_MICROS = 1_000_000;

/** Holds the owner file of a log that this process writes. */
export class OwnerFile {
  readonly #place: LogPlace;
  /**
   * Open until something is published, and while that happens often: a log that is hardly written
   * has no descriptor for it.
   */
  #file: TaskFile | undefined;
  /** When something was published last, in microseconds of the storage's clock. */
  #publishedAtMicros = -Infinity;
  /** Leased for the writer's life, so that publishing never waits for memory. */
  readonly #block: PooledBuffer;
  #record: OwnerRecord;

  /** @internal Use {@linkcode prepareOwnerFile}. */
  constructor(
    place: LogPlace,
    file: TaskFile,
    block: PooledBuffer,
    record: OwnerRecord,
  ) {
    this.#place = place;
    this.#file = file;
    this.#block = block;
    this.#record = record;
  }

  /** What it says. */
  get record(): Readonly<OwnerRecord> {
    return this.#record;
  }

  /** Gives a prepared file its name, which is durable when the directory is synced. */
  *name(): Task<void> {
    const { storage, dir } = this.#place;
    const file = this.#file!;
    this.#file = yield* storage.renameOpen(file, ownerPath(dir), WRITING);
  }

  /**
   * Tells other processes, and the next opening, that every message below an offset is durable.
   *
   * Call it after the sync that made it true. The write goes to the page cache and is not synced:
   * an earlier durable offset is true as well.
   */
  *publish(durableOffset: number): Task<void> {
    if (durableOffset <= this.#record.durableOffset) return;
    const record = { ...this.#record, durableOffset };
    encodeRecord(this.#block.bytes, LAYOUT, record);
    const file = this.#file ??= yield* this.#open();
    yield* file.write(this.#block, 0);
    this.#record = record;
    const now = this.#place.storage.now();
    const isOften = now - this.#publishedAtMicros < OFTEN_MICROS;
    this.#publishedAtMicros = now;
    if (!isOften) yield* this.#closeFile();
  }

  *#open(): Task<TaskFile> {
    const { storage, dir, pool } = this.#place;
    const path = ownerPath(dir);
    refuseLink(storage, path);
    const file = yield* storage.openNow(path, WRITING);
    try {
      this.#refuseOther(yield* readRecord(file, pool), "write");
      return file;
    } catch (error) {
      yield* file.close();
      throw error;
    }
  }

  /** Refuses the file of another opening under its name. `docs/format.md#open-two-mounts` */
  #refuseOther(
    found: OwnerRecord | "invalid" | undefined,
    action: string,
  ): void {
    const { identity, generation } = this.#record;
    const isOther = typeof found === "object" &&
      (found.identity !== identity || found.generation !== generation);
    if (!isOther) return;
    throw new Deno.errors.BadResource(
      `Cannot ${action} '${
        ownerPath(this.#place.dir)
      }' as it is the owner file of another opening: a writer that does not see this one's lock has the log open`,
    );
  }

  /**
   * Removes the file, durably: the log is closed. One that is gone already is no fault.
   *
   * @throws {Deno.errors.BadResource} If the file of another opening has its name: another writer
   * did not see this one's lock, for example through another mount.
   */
  *remove(): Task<void> {
    const { storage, dir } = this.#place;
    const path = ownerPath(dir);
    yield* this.close();
    this.#refuseOther(yield* readOwnerFile(this.#place), "remove");
    yield* unlessGone(storage.removeNow(path));
    yield* storage.syncDirectory(dir);
  }

  /** Leaves the file: the next opening recovers the log. */
  *close(): Task<void> {
    this.#block.drop();
    yield* this.#closeFile();
  }

  *#closeFile(): Task<void> {
    const file = this.#file;
    this.#file = undefined;
    if (file !== undefined) yield* file.close();
  }
}

import type { Task } from "../base/mod.ts";
import { acquire, type PooledBuffer } from "../pool/mod.ts";
import type { TaskFile } from "../storage/mod.ts";
import type { Place } from "./_files.ts";

/** Writes a new file from its beginning. The caller fills the memory. */
export class Output {
  /** Where the file is written. */
  readonly path: string;
  /** The file; `undefined` if only its length is counted. */
  readonly file: TaskFile | undefined;
  readonly #place: Place;
  readonly #unit: number;
  #buffer: PooledBuffer;
  /** Bytes in memory. */
  #used = 0;
  /** Bytes in the file: a multiple of the unit until the end. */
  #written = 0;

  private constructor(
    place: Place,
    path: string,
    file: TaskFile | undefined,
    buffer: PooledBuffer,
  ) {
    this.#place = place;
    this.path = path;
    this.file = file;
    // Memory begins at a multiple of 4096, and a disk may have larger blocks.
    this.#unit = Math.max(4096, file?.capabilities.physicalBlock ?? 0);
    this.#buffer = buffer;
  }

  /** Makes a file with `bytes` bytes of memory; with `isDry` only its length is counted. */
  static *create(
    place: Place,
    path: string,
    bytes: number,
    isDry = false,
  ): Task<Output> {
    const buffer = yield* acquire(place.pool, bytes);
    if (isDry) return new Output(place, path, undefined, buffer);
    try {
      const options = { write: true, createNew: true };
      const file = yield* place.storage.open(path, options);
      return new Output(place, path, file, buffer);
    } catch (error) {
      buffer.drop();
      throw error;
    }
  }

  /** Number of bytes of the file, with those in memory. */
  get length(): number {
    return this.#written + this.#used;
  }

  /** Memory for what comes next, until the next flush. */
  get room(): Uint8Array<ArrayBuffer> {
    return this.#buffer.bytes.subarray(this.#used);
  }

  /** Adds bytes of the room to the file. */
  advance(bytes: number): void {
    this.#used += bytes;
  }

  /** Adds bytes, for which there must be room. */
  append(bytes: Uint8Array): void {
    this.room.set(bytes);
    this.#used += bytes.length;
  }

  /**
   * Writes what is in memory, except for a part of a unit at its end; nothing if it is less than
   * `min` bytes.
   */
  *flush(min: number = 0): Task<void> {
    if (this.#used < min) return;
    const length = this.#used - this.#used % this.#unit;
    if (length === 0) return;
    yield* this.#write(length);
    this.#buffer.bytes.copyWithin(0, length, this.#used);
    this.#written += length;
    this.#used -= length;
  }

  /** Makes room for more bytes: by a flush, and with more memory if that is not enough. */
  *reserve(bytes: number): Task<void> {
    if (this.room.length >= bytes) return;
    yield* this.flush();
    if (this.room.length >= bytes) return;
    const larger = yield* acquire(this.#place.pool, this.#used + bytes);
    larger.bytes.set(this.#buffer.bytes.subarray(0, this.#used));
    this.#buffer.drop();
    this.#buffer = larger;
  }

  /** Writes the rest, and makes the file durable. */
  *finish(): Task<void> {
    yield* this.flush();
    const { length } = this;
    if (this.#used > 0) {
      const { bytes } = this.#buffer;
      bytes.fill(0, this.#used, this.#unit);
      yield* this.#write(this.#unit);
    }
    if (this.file === undefined) return;
    yield* this.file.truncate(length);
    yield* this.file.sync("full");
  }

  /** Closes the file; gives the memory back first. */
  *close(): Task<void> {
    this.#buffer.drop();
    if (this.file !== undefined) yield* this.file.close();
  }

  *#write(length: number): Task<void> {
    if (this.file === undefined) return;
    yield* this.file.write(this.#buffer, this.#written, { length });
  }
}

import type { Task } from "../base/mod.ts";
import { acquire, type BufferPool } from "../pool/mod.ts";
import type { StorageEntry, TaskFile, TaskStorage } from "../storage/mod.ts";

/** Where files are, and where blocks come from. */
export interface Place {
  /** Where the files are. */
  storage: TaskStorage;
  /** Where blocks come from. */
  pool: BufferPool;
}

/** Opens a file, hands it on, and closes it whatever happens. */
export function* withFile<T>(
  { storage }: Place,
  path: string,
  options: { write?: boolean; create?: boolean },
  use: (file: TaskFile) => Task<T>,
): Task<T> {
  const file = yield* storage.open(path, options);
  try {
    return yield* use(file);
  } finally {
    yield* file.close();
  }
}

/** The size of an open file, in bytes. */
export function* sizeOf(file: TaskFile): Task<number> {
  return yield* file.size();
}

/** Returns bytes of an open file that lie within it. */
export function* readAt(
  place: Place,
  file: TaskFile,
  position: number,
  length: number,
): Task<Uint8Array<ArrayBuffer>> {
  const unit = file.capabilities.readOffsetAlignment;
  const start = position - position % unit;
  const end = Math.ceil((position + length) / unit) * unit;
  using buffer = yield* acquire(place.pool, Math.max(4096, end - start));
  yield* file.read(buffer, start, { length: end - start });
  return buffer.bytes.slice(position - start, position - start + length);
}

/** All bytes of a small file; `undefined` if there is none. */
export function* readSmall(
  place: Place,
  path: string,
): Task<Uint8Array | undefined> {
  try {
    return yield* withFile(place, path, {}, function* (file) {
      const size = yield* sizeOf(file);
      const unit = file.capabilities.readOffsetAlignment;
      const length = Math.max(unit, Math.ceil(size / unit) * unit);
      using buffer = yield* acquire(place.pool, length);
      const read = yield* file.read(buffer, 0);
      return buffer.bytes.slice(0, read);
    });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** The entries of a directory; none if it is missing. */
export function* listIfThere(
  { storage }: Place,
  path: string,
): Task<StorageEntry[]> {
  try {
    return yield* storage.list(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

import type { BufferPool } from "../pool/mod.ts";
import {
  step,
  type Storage,
  type StorageEntry,
  type StorageFile,
  type Twin,
} from "../storage/mod.ts";

/** Where files are, and where blocks come from. */
export interface Place {
  /** Where the files are. */
  storage: Storage;
  /** Where blocks come from. */
  pool: BufferPool;
}

/** Opens a file, hands it on, and closes it whatever happens. */
export function* withFile<T>(
  { storage }: Place,
  path: string,
  options: { write?: boolean; create?: boolean },
  use: (file: StorageFile) => Twin<T>,
): Twin<T> {
  const file = yield* step(
    () => storage.open(path, options),
    () => storage.openSync(path, options),
  );
  try {
    return yield* use(file);
  } finally {
    yield* step(() => file.close(), () => file.closeSync());
  }
}

/** The size of an open file, in bytes. */
export function* sizeOf(file: StorageFile): Twin<number> {
  return yield* step(() => file.size(), () => file.sizeSync());
}

/** All bytes of a small file; `undefined` if there is none. */
export function* readSmall(
  place: Place,
  path: string,
): Twin<Uint8Array | undefined> {
  try {
    return yield* withFile(place, path, {}, function* (file) {
      const size = yield* sizeOf(file);
      const unit = file.capabilities.readOffsetAlignment;
      const length = Math.max(unit, Math.ceil(size / unit) * unit);
      using buffer = yield* step(
        () => place.pool.acquire(length),
        () => place.pool.acquireSync(length),
      );
      const read = yield* step(
        () => file.read(buffer, 0),
        () => file.readSync(buffer, 0),
      );
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
): Twin<StorageEntry[]> {
  try {
    return yield* step(() => storage.list(path), () => storage.listSync(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

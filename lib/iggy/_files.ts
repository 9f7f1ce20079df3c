import { roundDown, roundUp, type Task } from "../base/mod.ts";
import { type LogPlace, unlessGone } from "../log/mod.ts";
import { acquire } from "../pool/mod.ts";
import type { StorageEntry, TaskFile } from "../storage/mod.ts";

/** Where files are, and where blocks come from. */
export type Place = Omit<LogPlace, "dir">;

/** Opens a file for reading, hands it on, and closes it whatever happens. */
export function* withFile<T>(
  { storage }: Place,
  path: string,
  use: (file: TaskFile) => Task<T>,
): Task<T> {
  const file = yield* storage.open(path, {});
  try {
    return yield* use(file);
  } finally {
    yield* file.close();
  }
}

/** Returns the size of a file, in bytes. */
export function fileSize(place: Place, path: string): Task<number> {
  return withFile(place, path, (file) => file.size());
}

/** Returns bytes of an open file that lie within it. */
export function* readAt(
  place: Place,
  file: TaskFile,
  position: number,
  length: number,
): Task<Uint8Array<ArrayBuffer>> {
  const unit = file.capabilities.readOffsetAlignment;
  const start = roundDown(position, unit);
  const end = roundUp(Math.max(1, position + length), unit);
  using buffer = yield* acquire(place.pool, Math.max(4096, end - start));
  const read = yield* file.read(buffer, start, { length: end - start });
  const from = position - start;
  return buffer.bytes.slice(from, Math.min(read, from + length));
}

/** Returns all bytes of a small file; `undefined` if it does not exist. */
export function readSmall(
  place: Place,
  path: string,
): Task<Uint8Array<ArrayBuffer> | undefined> {
  return unlessGone(withFile(place, path, function* (file) {
    return yield* readAt(place, file, 0, yield* file.size());
  }));
}

/** Returns the entries of a directory; none if it is missing. */
export function* listIfThere(
  { storage }: Place,
  path: string,
): Task<StorageEntry[]> {
  return (yield* unlessGone(storage.list(path))) ?? [];
}

import type { SegmentFiles } from "../segment/mod.ts";
import {
  step,
  type Storage,
  type StorageFile,
  type Twin,
} from "../storage/mod.ts";
import { join, segmentName } from "./names.ts";

/** Opens the two files of a segment; neither stays open when one fails. */
export function* openSegment(
  storage: Storage,
  dir: string,
  firstOffset: number,
  options: { write: boolean },
): Twin<SegmentFiles> {
  const path = join(dir, segmentName(firstOffset));
  const open = (kind: string): Twin<StorageFile> =>
    step(
      () => storage.open(`${path}.${kind}`, options),
      () => storage.openSync(`${path}.${kind}`, options),
    );
  const log = yield* open("log");
  try {
    return { log, index: yield* open("index") };
  } catch (error) {
    yield* step(() => log.close(), () => log.closeSync());
    throw error;
  }
}

/** Closes the two files of a segment. */
export function* closeSegment(files: SegmentFiles): Twin<void> {
  for (const file of [files.log, files.index]) yield* closeFile(file);
}

/** Opens a file for reading; `undefined` if it is gone. */
export function* openIfThere(
  storage: Storage,
  path: string,
): Twin<StorageFile | undefined> {
  try {
    return yield* step(
      () => storage.open(path),
      () => storage.openSync(path),
    );
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** The size of an open file in bytes. */
export function* sizeOf(file: StorageFile): Twin<number> {
  return yield* step(() => file.size(), () => file.sizeSync());
}

/** Closes a file. */
export function* closeFile(file: StorageFile): Twin<void> {
  yield* step(() => file.close(), () => file.closeSync());
}

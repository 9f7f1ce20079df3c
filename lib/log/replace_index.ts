import type { BufferPool } from "../pool/mod.ts";
import { CorruptSegment, rebuildIndex } from "../segment/mod.ts";
import { step, type Storage, type Twin } from "../storage/mod.ts";
import { removeFile, syncDirectory } from "./directory.ts";
import { join, segmentName, TEMPORARY_SUFFIX } from "./names.ts";

/** What a segment's log holds. */
export interface SegmentExtent {
  /** Messages. */
  count: number;
  /** Bytes. */
  byteLength: number;
}

/**
 * Writes the index of a segment anew, from a walk over its whole log, and puts it in the place of the old one.
 *
 * @param accept Called before it takes the place; when it throws, nothing has changed.
 * @throws {CorruptSegment} If the log holds anything but whole, valid messages: the segment stays as it was.
 */
export function* replaceIndex(
  storage: Storage,
  dir: string,
  firstOffset: number,
  pool: BufferPool,
  accept: (extent: SegmentExtent) => void,
): Twin<SegmentExtent> {
  const path = join(dir, segmentName(firstOffset));
  const temporary = `${path}.index${TEMPORARY_SUFFIX}`;
  const log = yield* step(
    () => storage.open(`${path}.log`),
    () => storage.openSync(`${path}.log`),
  );
  try {
    yield* step(() => log.sync("full"), () => log.syncSync("full"));
    const options = { write: true, createNew: true };
    const index = yield* step(
      () => storage.open(temporary, options),
      () => storage.openSync(temporary, options),
    );
    let count: number;
    try {
      count = yield* rebuildIndex({ log, index }, pool, firstOffset);
    } finally {
      yield* step(() => index.close(), () => index.closeSync());
    }
    const byteLength = yield* step(() => log.size(), () => log.sizeSync());
    accept({ count, byteLength });
    yield* step(
      () => storage.rename(temporary, `${path}.index`),
      () => storage.renameSync(temporary, `${path}.index`),
    );
    yield* syncDirectory(storage, dir);
    return { count, byteLength };
  } catch (error) {
    // A damaged segment stays as it was.
    if (error instanceof CorruptSegment) yield* removeFile(storage, temporary);
    throw error;
  } finally {
    yield* step(() => log.close(), () => log.closeSync());
  }
}

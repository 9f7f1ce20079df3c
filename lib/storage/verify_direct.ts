import type { Task } from "../base/mod.ts";
import { errnoName, UnsupportedError } from "../native/mod.ts";
import type { PooledBuffer } from "../pool/mod.ts";
import { failure } from "./errors.ts";
import type { OpenDescriptor } from "./open_descriptor.ts";

import { type CachedPages, cachedPages, kernelRelease } from "./probe.ts";

/** What {@linkcode DirectFile.verifyDirect} found. */
export interface DirectProof extends CachedPages {
  /** Whether a block that was not in the page cache was read, and is not there after that. */
  readonly direct: boolean;
  /** The observation, in words. */
  readonly reason: string;
}

/** How many places are tried to find a block that is not in the cache yet. */
const PLACES = 64;

/** The least length of the block that is read, in bytes: a page or more of the cache. */
const MIN_BLOCK_BYTES = 4096;

/**
 * Proves that reading bypasses the page cache: reads a block that is not in it, and looks whether
 * it is now.
 *
 * @param readBlock Reads a range of the file.
 */
export function* proveDirect(
  descriptor: OpenDescriptor,
  readBlock: (position: number, length: number) => Task<PooledBuffer>,
): Task<DirectProof> {
  descriptor.checked.checkReadable();
  const { capabilities, file, path } = descriptor.checked;
  const { tier, readOffsetAlignment } = capabilities;
  const proof = (direct: boolean, reason: string): DirectProof => ({
    direct,
    reason,
    ...countPages(file, path, 0, 0),
  });
  // Asked first, so that a kernel without cachestat fails before anything is read.
  countPages(file, path, 0, 0);
  const { sizeBytes } = descriptor.probe();
  if (sizeBytes === 0) {
    return proof(false, "the file is empty: there is no block to read");
  }
  const unit = Math.max(MIN_BLOCK_BYTES, readOffsetAlignment);
  const position = findUncached(file, path, sizeBytes, unit);
  (yield* readBlock(position ?? 0, unit)).drop();
  if (position === undefined) {
    return proof(
      false,
      "every block that was looked at is in the page cache already: another way of reading or writing left it there",
    );
  }
  const { cachedPages } = countPages(file, path, position, unit);
  const what =
    `the block at ${position} was not in the page cache, and after reading it`;
  if (cachedPages > 0) return proof(false, `${what} is`);
  if (tier !== "direct") {
    return proof(
      false,
      `${what} is not there any more, but the tier is ${tier}`,
    );
  }
  return proof(true, `${what} still is not`);
}

/** Counts the pages of a range, or of the whole file with a length of 0. */
export function countPages(
  file: number,
  path: string,
  position: number,
  length: number,
): CachedPages {
  const pages = cachedPages(file, position, length);
  if (typeof pages !== "number") return pages;
  const code = errnoName(-pages);
  if (code === "ENOSYS") {
    throw new UnsupportedError(`Cannot verify '${path}'`, {
      found: `Linux ${kernelRelease()} or a sandbox without cachestat(2)`,
      needed: "Linux 6.5, and a sandbox that permits it",
    });
  }
  throw failure(code, "cachestat", path);
}

/** Finds the position of a block that is not in the page cache; `undefined` if none was found. */
function findUncached(
  file: number,
  path: string,
  sizeBytes: number,
  blockBytes: number,
): number | undefined {
  const blocks = Math.ceil(sizeBytes / blockBytes);
  const places = Math.min(blocks, PLACES);
  for (let i = 0; i < places; i++) {
    const position = Math.floor(i * blocks / places) * blockBytes;
    if (countPages(file, path, position, blockBytes).cachedPages === 0) {
      return position;
    }
  }
  return undefined;
}

import { errnoName, UnsupportedError } from "../native/mod.ts";
import { failure } from "./errors.ts";
import { type CachedPages, cachedPages, kernelRelease } from "./probe.ts";

/** What {@linkcode DirectFile.verifyDirect} found. */
export interface DirectProof extends CachedPages {
  /** Whether a block that was not in the page cache was read, and is not there after that. */
  readonly direct: boolean;
  /** What was seen, in words. */
  readonly reason: string;
}

/** How many places are tried to find a block that is not in the cache yet. */
const PLACES = 64;

/** The pages of a range, or of the whole file with a length of 0; throws where the kernel does not tell. */
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
      found: `Linux ${kernelRelease()}`,
      needed: "Linux 6.5 for cachestat(2)",
    });
  }
  throw failure(code, "cachestat", path);
}

/** The position of a block of the file that is not in the page cache; `undefined` where none was found. */
export function findUncached(
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

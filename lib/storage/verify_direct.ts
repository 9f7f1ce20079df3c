import type { Task } from "../base/mod.ts";
import type { Descriptor } from "./_descriptor.ts";
import type { FileOperations } from "./_file_operations.ts";
import type { CachedPages } from "./probe.ts";
import { readRange } from "./_ranges.ts";

/** What {@linkcode DirectFile.verifyDirect} found. */
export interface DirectProof extends CachedPages {
  /** Whether a block that was not in the page cache was read, and is not there after that. */
  readonly direct: boolean;
  /** The observation, in words. */
  readonly reason: string;
}

/** How many positions are tried to find a block that is not in the cache yet. */
const POSITIONS = 64;

/** The least length of the block that is read, in bytes: a page or more of the cache. */
const MIN_BLOCK_BYTES = 4096;

/**
 * Proves that reading bypasses the page cache: reads a block that is not in it, and checks that it
 * still is not.
 */
export function* proveDirect(
  file: FileOperations,
): Task<DirectProof> {
  file.checkReadable();
  const { capabilities, descriptor } = file;
  const { tier, readOffsetAlignment } = capabilities;
  const proof = (direct: boolean, reason: string): DirectProof => ({
    direct,
    reason,
    ...descriptor.cachedPages(),
  });
  // First, so that a kernel without cachestat fails before the read.
  descriptor.cachedPages();
  const { size } = descriptor.probe();
  if (size === 0) {
    return proof(false, "the file is empty: there is no block to read");
  }
  const unit = Math.max(MIN_BLOCK_BYTES, readOffsetAlignment);
  const position = findUncached(descriptor, size, unit);
  (yield* readRange(file, position ?? 0, unit)).drop();
  if (position === undefined) {
    return proof(
      false,
      "every block that was looked at is in the page cache already: another way of reading or writing left it there",
    );
  }
  const { cachedPages } = descriptor.cachedPages(position, unit);
  const what =
    `the block at ${position} was not in the page cache, and after reading it`;
  if (cachedPages > 0) return proof(false, `${what} is`);
  if (tier === "direct") return proof(true, `${what} still is not`);
  return proof(false, `${what} is not there any more, but the tier is ${tier}`);
}

/** Finds the position of a block that is not in the page cache; `undefined` if none was found. */
function findUncached(
  descriptor: Descriptor,
  sizeBytes: number,
  blockBytes: number,
): number | undefined {
  const blocks = Math.ceil(sizeBytes / blockBytes);
  const count = Math.min(blocks, POSITIONS);
  for (let i = 0; i < count; i++) {
    const position = Math.floor(i * blocks / count) * blockBytes;
    const { cachedPages } = descriptor.cachedPages(position, blockBytes);
    if (cachedPages === 0) return position;
  }
  return undefined;
}
